/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's monitor call: EAX, then the request block. */
#include <assert.h>
#include <string.h>

#include "node/vm/request.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY (64ull << 20)

/* Nothing is there: what is let through is only looked at as an address. */
static const struct guest_memory memory = {(uint8_t *)0x100000000, MEMORY};

/* A host pointer that was let through lies in coherent memory, with all it covers. */
static void check_range(const void *host, uint64_t n, uint64_t align)
{
	uint64_t at = (uint64_t)host - (uint64_t)memory.base;

	assert(at >= GUEST_LOCAL_BYTES && at <= MEMORY && n <= MEMORY - at && at % align == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_request in;
	struct request out;
	uint32_t eax;
	void *block;

	if (size < sizeof(eax) + sizeof(in))
		return 0;
	memcpy(&eax, data, sizeof(eax));
	memcpy(&in, data + sizeof(eax), sizeof(in));
	block = request_block(&memory, eax);
	if (block)
		check_range(block, sizeof(in), 64);
	if (request_check(&memory, &in, &out) != GUEST_OK)
		return 0;
	if (out.op == MONITOR_WRITE) {
		assert(out.bytes <= GUEST_WRITE_MAX);
		check_range(out.host, out.bytes, 1);
	} else if (out.op != MONITOR_EXIT) {
		check_range(out.host, sizeof(uint32_t), sizeof(uint32_t));
	}
	return 0;
}

static void put_request(fuzz_put put, uint32_t eax, uint32_t op, uint64_t a, uint64_t b)
{
	struct guest_request r = {.op = op, .arg = {a, b}};
	uint8_t input[sizeof(eax) + sizeof(r)];

	memcpy(input, &eax, sizeof(eax));
	memcpy(input + sizeof(eax), &r, sizeof(r));
	put(input, sizeof(input));
}

void fuzz_seeds(fuzz_put put)
{
	static const uint64_t edges[] = {0, GUEST_LOCAL_BYTES, GUEST_IMAGE + 2, MEMORY - 8, MEMORY};

	for (uint32_t op = 0; op <= MONITOR_EXIT + 1; op++) {
		put_request(put, GUEST_IMAGE >> 6, op, GUEST_IMAGE, 8);
		put_request(put, UINT32_MAX, op, GUEST_IMAGE, GUEST_WRITE_MAX + 1);
		for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
			put_request(put, (uint32_t)(edges[i] >> 6), op, edges[i], 9);
	}
}
