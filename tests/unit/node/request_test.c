/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of guests and messages of peers: what is taken, what is refused. */
#include "node/vm/request.h"

#include <stdlib.h>
#include <string.h>

#include "node/vm/wire.h"
#include "tests/unit/unit.h"

/* Nothing behind the door is touched, so the memory need not exist. */
static const struct guest_memory memory = {(uint8_t *)0x10000000, 64ull << 20};

#define END (64ull << 20)

static void the_door_opens_to_coherent_memory_only(void)
{
	static const struct {
		uint64_t a, n, align;
		bool open;
	} doors[] = {
		{0, 1, 1, false},
		{GUEST_LOCAL_BYTES - 1, 1, 1, false},
		{GUEST_LOCAL_BYTES, 1, 1, true},
		{GUEST_LOCAL_BYTES, END - GUEST_LOCAL_BYTES, 1, true},
		{GUEST_LOCAL_BYTES, END - GUEST_LOCAL_BYTES + 1, 1, false},
		{END - 1, 1, 1, true},
		{END - 1, 2, 1, false},
		{END, 0, 1, true},
		{END, 1, 1, false},
		{END + 1, 0, 1, false},
		{UINT64_MAX, 1, 1, false},
		{UINT64_MAX - 7, 8, 8, false},
		{GUEST_LOCAL_BYTES + 8, UINT64_MAX, 1, false},
		{GUEST_LOCAL_BYTES + 2, 4, 4, false},
		{GUEST_LOCAL_BYTES + 4, 4, 4, true},
	};

	for (unsigned i = 0; i < UNIT_COUNT(doors); i++) {
		void *p =
			guest_range(&memory, (struct gpa){doors[i].a}, doors[i].n, doors[i].align);

		CU_ASSERT_EQUAL(p != NULL, doors[i].open);
		CU_ASSERT_TRUE(!p || p == memory.base + doors[i].a);
	}
}

static void blocks_lie_in_memory(void)
{
	CU_ASSERT_PTR_NULL(request_block(&memory, 0));
	CU_ASSERT_PTR_NULL(request_block(&memory, (GUEST_LOCAL_BYTES - 64) >> 6));
	CU_ASSERT_PTR_NOT_NULL(request_block(&memory, GUEST_LOCAL_BYTES >> 6));
	CU_ASSERT_PTR_NOT_NULL(request_block(&memory, (END - 64) >> 6));
	CU_ASSERT_PTR_NULL(request_block(&memory, END >> 6));
	CU_ASSERT_PTR_NULL(request_block(&memory, UINT32_MAX));
}

static enum guest_status check(uint32_t op, uint64_t a, uint64_t b, struct request *out)
{
	struct guest_request r = {.op = op,
				  .arg = {a, b, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};

	return request_check(&memory, &r, out);
}

static void requests_are_checked(void)
{
	struct request r;

	CU_ASSERT_EQUAL(check(MONITOR_WRITE, GUEST_IMAGE, 5, &r), GUEST_OK);
	CU_ASSERT_PTR_EQUAL(r.host, memory.base + GUEST_IMAGE);
	CU_ASSERT_EQUAL(r.bytes, 5);
	CU_ASSERT_EQUAL(check(MONITOR_WRITE, GUEST_IMAGE, GUEST_WRITE_MAX, &r), GUEST_OK);
	CU_ASSERT_EQUAL(check(MONITOR_WRITE, GUEST_IMAGE, GUEST_WRITE_MAX + 1, &r), GUEST_ETOOBIG);
	CU_ASSERT_EQUAL(check(MONITOR_WRITE, GUEST_IMAGE, 1ull << 32, &r), GUEST_ETOOBIG);
	CU_ASSERT_EQUAL(check(MONITOR_WRITE, END - 4, 5, &r), GUEST_EBADADDRESS);
	CU_ASSERT_EQUAL(check(MONITOR_WAIT, GUEST_IMAGE + 4, 0x100000007ull, &r), GUEST_OK);
	CU_ASSERT_EQUAL(r.value, 7);
	CU_ASSERT_EQUAL(check(MONITOR_WAIT, GUEST_IMAGE + 2, 0, &r), GUEST_EBADADDRESS);
	CU_ASSERT_EQUAL(check(MONITOR_WAKE, 0, 0, &r), GUEST_EBADADDRESS);
	CU_ASSERT_EQUAL(check(MONITOR_EXIT, (uint64_t)-3, 0, &r), GUEST_OK);
	CU_ASSERT_EQUAL(r.code, -3);
	CU_ASSERT_EQUAL(check(0, 0, 0, &r), GUEST_EBADOP);
	CU_ASSERT_EQUAL(check(MONITOR_EXIT + 1, 0, 0, &r), GUEST_EBADOP);
}

static void messages_come_back(void)
{
	uint8_t buffer[POST_BYTES_MAX];
	struct vm_message out,
		in = {.type = VM_WIRE_END, .a = 7, .b = -9, .c = 3, .body = "why", .bytes = 3};
	uint32_t n = vm_wire_encode(buffer, &in);

	CU_ASSERT_EQUAL_FATAL(vm_wire_decode(buffer, n, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL(out.type, in.type);
	CU_ASSERT_EQUAL(out.a, 7);
	CU_ASSERT_EQUAL(out.b, -9);
	CU_ASSERT_EQUAL(out.c, 3);
	CU_ASSERT_EQUAL_FATAL(out.bytes, 3);
	CU_ASSERT_EQUAL(memcmp(out.body, "why", 3), 0);
}

static int decode_changed(unsigned at, uint8_t value)
{
	uint8_t buffer[POST_BYTES_MAX];
	struct vm_message out, in = {.type = VM_WIRE_WAKE, .a = 7};
	uint32_t n = vm_wire_encode(buffer, &in);

	buffer[at] = value;
	return vm_wire_decode(buffer, n, &out, NULL);
}

static void broken_messages_are_refused(void)
{
	uint8_t buffer[POST_BYTES_MAX + 1] = {VM_WIRE_VERSION, VM_WIRE_CONSOLE};
	struct vm_message out;

	for (size_t n = 0; n < sizeof(struct vm_wire); n++)
		CU_ASSERT_EQUAL(vm_wire_decode(buffer, n, &out, NULL), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(vm_wire_decode(buffer, sizeof(buffer), &out, NULL), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(vm_wire_decode(buffer, sizeof(struct vm_wire) + 1, &out, NULL),
			ERR_PROTOCOL);
	CU_ASSERT_EQUAL(decode_changed(0, 2), ERR_VERSION);
	CU_ASSERT_EQUAL(decode_changed(1, 0), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(decode_changed(1, VM_WIRE_LAST + 1), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(decode_changed(2, 1), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(decode_changed(20, 1), ERR_PROTOCOL);
}

static void a_long_body_is_cut(void)
{
	static char body[2 * POST_BYTES_MAX];
	uint8_t buffer[POST_BYTES_MAX];
	struct vm_message out, in = {.type = VM_WIRE_CONSOLE, .body = body, .bytes = sizeof(body)};

	CU_ASSERT_EQUAL(vm_wire_encode(buffer, &in), POST_BYTES_MAX);
	CU_ASSERT_EQUAL(vm_wire_decode(buffer, POST_BYTES_MAX, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL(out.bytes, VM_WIRE_BODY_MAX);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(the_door_opens_to_coherent_memory_only),
		UNIT_CASE(blocks_lie_in_memory),
		UNIT_CASE(requests_are_checked),
		UNIT_CASE(messages_come_back),
		UNIT_CASE(broken_messages_are_refused),
		UNIT_CASE(a_long_body_is_cut),
	};
	return unit_main("request", cases, UNIT_COUNT(cases));
}
