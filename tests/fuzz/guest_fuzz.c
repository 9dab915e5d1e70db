/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest, its ELF and a peer's cell-vm may send: the first byte chooses. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/vm/elf.h"
#include "node/vm/request.h"
#include "node/vm/wire.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY (64ull << 20)

enum { KIND_ELF, KIND_REQUEST, KIND_WIRE, KINDS };

static const struct guest_memory memory = {(uint8_t *)0x100000000, MEMORY};

/* A host pointer that was let through lies in coherent memory, with all it covers. */
static void check_range(const void *host, uint64_t n)
{
	uint64_t at = (uint64_t)host - (uint64_t)memory.base;

	assert(at >= GUEST_LOCAL_BYTES && at <= MEMORY && n <= MEMORY - at);
}

static void fuzz_elf(const uint8_t *data, size_t size)
{
	struct elf_image image;
	uint64_t end = GUEST_IMAGE;

	if (elf_parse(data, size, (struct gpa){GUEST_IMAGE}, &image, NULL))
		return;
	assert(image.n >= 1 && image.n <= ELF_SEGMENTS_MAX);
	assert(image.entry.v >= GUEST_IMAGE && image.entry.v < image.end.v);
	for (unsigned i = 0; i < image.n; i++) {
		const struct elf_segment *s = &image.segment[i];

		assert(s->address.v >= end && s->memory && s->bytes <= s->memory);
		assert(s->offset <= size && s->bytes <= size - s->offset);
		end = s->address.v + s->memory;
	}
	assert(end == image.end.v && end <= 1ull << 47);
}

static void fuzz_request(const uint8_t *data, size_t size)
{
	struct guest_request in;
	struct request out;
	uint32_t eax;
	void *block;

	if (size < sizeof(eax) + sizeof(in))
		return;
	memcpy(&eax, data, sizeof(eax));
	memcpy(&in, data + sizeof(eax), sizeof(in));
	block = request_block(&memory, eax);
	if (block)
		check_range(block, sizeof(in));
	if (request_check(&memory, &in, &out) != GUEST_OK)
		return;
	if (out.op == MONITOR_WRITE) {
		assert(out.bytes <= GUEST_WRITE_MAX);
		check_range(out.host, out.bytes);
	} else if (out.op != MONITOR_EXIT) {
		check_range(out.host, sizeof(uint32_t));
		assert((uint64_t)out.host % sizeof(uint32_t) == 0);
	}
}

static void fuzz_wire(const uint8_t *data, size_t size)
{
	uint8_t again[POST_BYTES_MAX];
	struct vm_message m;

	if (vm_wire_decode(data, size, &m, NULL))
		return;
	assert((const uint8_t *)m.body + m.bytes == data + size);
	assert(vm_wire_encode(again, &m) == size);
	assert(!memcmp(again, data, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0] % KINDS) {
	case KIND_ELF:
		fuzz_elf(data + 1, size - 1);
		break;
	case KIND_REQUEST:
		fuzz_request(data + 1, size - 1);
		break;
	default:
		fuzz_wire(data + 1, size - 1);
	}
	return 0;
}

static void put_elf(fuzz_put put)
{
	/* A header and one segment of code: offsets as in the ELF specification. */
	uint8_t file[1 + 64 + 56 + 16] = {KIND_ELF, 0x7f, 'E', 'L', 'F', 2, 1, 1};
	uint8_t *h = file + 1, *p = h + 64;
	uint64_t entry = GUEST_IMAGE, table = 64, at = 64 + 56, bytes = 16;

	h[16] = 2, h[18] = 62, h[20] = 1, h[54] = 56, h[56] = 1;
	memcpy(h + 24, &entry, 8);
	memcpy(h + 32, &table, 8);
	p[0] = 1, p[4] = 5;
	memcpy(p + 8, &at, 8);
	memcpy(p + 16, &entry, 8);
	memcpy(p + 32, &bytes, 8);
	memcpy(p + 40, &bytes, 8);
	put(file, sizeof(file));
}

static void put_requests(fuzz_put put)
{
	for (uint32_t op = MONITOR_WRITE; op <= MONITOR_EXIT; op++) {
		struct guest_request r = {.op = op, .arg = {GUEST_IMAGE, 8}};
		uint8_t input[1 + 4 + sizeof(r)] = {KIND_REQUEST};
		uint32_t eax = GUEST_IMAGE >> 6;

		memcpy(input + 1, &eax, sizeof(eax));
		memcpy(input + 5, &r, sizeof(r));
		put(input, sizeof(input));
	}
}

static void put_messages(fuzz_put put)
{
	for (int type = VM_WIRE_END; type <= VM_WIRE_LAST; type++) {
		struct vm_message m = {
			.type = (enum vm_wire_type)type, .a = 1, .body = "why", .bytes = 3};
		uint8_t input[1 + POST_BYTES_MAX] = {KIND_WIRE};

		if (type != VM_WIRE_END && type != VM_WIRE_CONSOLE)
			m.bytes = 0;
		put(input, 1 + vm_wire_encode(input + 1, &m));
	}
}

void fuzz_seeds(fuzz_put put)
{
	put_elf(put);
	put_requests(put);
	put_messages(put);
}
