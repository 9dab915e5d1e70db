/* SPDX-License-Identifier: Apache-2.0 */
/* What the fragments of a VM post to each other. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "node/vm/wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[POST_BYTES_MAX];
	struct vm_message m;

	if (vm_wire_decode(data, size, &m, NULL))
		return 0;
	assert(m.type >= VM_WIRE_END && m.type <= VM_WIRE_LAST);
	assert((const uint8_t *)m.body + m.bytes == data + size);
	assert(vm_wire_encode(again, &m) == size);
	assert(!memcmp(again, data, size));
	return 0;
}

static bool has_body(int type)
{
	return type == VM_WIRE_END || type == VM_WIRE_CONSOLE;
}

void fuzz_seeds(fuzz_put put)
{
	uint8_t input[POST_BYTES_MAX + 1] = {0};

	for (int type = VM_WIRE_END; type <= VM_WIRE_LAST; type++) {
		struct vm_message m = {.type = (enum vm_wire_type)type,
				       .a = 1,
				       .body = "why",
				       .bytes = has_body(type) ? 3 : 0};
		uint32_t n = vm_wire_encode(input, &m);

		put(input, n);
		put(input, n + 1); /* longer than it says */
		m.bytes = 3;	   /* a body where none belongs */
		put(input, vm_wire_encode(input, &m));
		put(input, n - 1);
		input[offsetof(struct vm_wire, type)] += VM_WIRE_LAST;
		put(input, n);
		input[offsetof(struct vm_wire, version)]++;
		put(input, n);
	}
	put(input, sizeof(input));
}
