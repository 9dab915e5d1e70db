/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control frames and the messages in them.
 */
#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/crc32c.h"
#include "proto/control.h"
#include "tests/unit/unit.h"

enum { SEQUENCE = 41 };

static int decode(const uint8_t *bytes, size_t n, struct frame *f, size_t *used, size_t *need)
{
	struct err e = {.code = ERR_OK};
	int rc = frame_decode(bytes, n, SEQUENCE, f, used, need, &e);

	CU_ASSERT_EQUAL(e.code, rc == ERR_BUSY ? ERR_OK : rc);
	return rc;
}

static int code_of(const uint8_t *bytes, size_t n)
{
	size_t used, need;
	struct frame f;

	return decode(bytes, n, &f, &used, &need);
}

static void there_and_back(void)
{
	uint8_t bytes[64] = {0};
	size_t n = frame_encode(bytes, CTL_TYPE_FRAG_RUN | FRAME_OPTIONAL, 7, SEQUENCE,
				(const uint8_t *)"abc", 3);
	size_t used = 0, need;
	struct frame f;

	CU_ASSERT_EQUAL(n, sizeof(struct frame_header) + 3);
	CU_ASSERT_EQUAL(decode(bytes, sizeof(bytes), &f, &used, &need),
			ERR_OK); /* more may follow */
	CU_ASSERT_EQUAL(used, n);
	CU_ASSERT_EQUAL(f.type, CTL_TYPE_FRAG_RUN | FRAME_OPTIONAL);
	CU_ASSERT_EQUAL(f.epoch, 7);
	CU_ASSERT_EQUAL(f.length, 3);
	CU_ASSERT_EQUAL(memcmp(f.payload, "abc", 3), 0);
}

static void payload_may_lie_in_its_place(void)
{
	uint8_t a[64] = {0}, b[64] = {0};

	memcpy(a + sizeof(struct frame_header), "hello", 5);
	CU_ASSERT_EQUAL(frame_encode(a, 1, 0, 1, a + sizeof(struct frame_header), 5),
			frame_encode(b, 1, 0, 1, (const uint8_t *)"hello", 5));
	CU_ASSERT_EQUAL(memcmp(a, b, sizeof(a)), 0);
}

static void bytes_on_the_wire(void)
{
	static const uint8_t wanted[] = {'C', 'L', 'C',	 'F',  2,    0,	   0,	 0,    0x34, 0x12,
					 1,   0,   0xdd, 0xcc, 0xbb, 0xaa, 0x44, 0x33, 0x22, 0x11};
	uint8_t bytes[64];

	frame_encode(bytes, 0x1234, 0xaabbccdd, 0x11223344, (const uint8_t *)"xy", 2);
	CU_ASSERT_EQUAL(memcmp(bytes, wanted, sizeof(wanted)), 0);
	CU_ASSERT_EQUAL(memcmp(bytes + 24, "xy", 2), 0);
}

static void byte_by_byte(void)
{
	uint8_t bytes[64];
	size_t n = frame_encode(bytes, 1, 0, SEQUENCE, (const uint8_t *)"payload", 7);
	size_t used, need;
	struct frame f;

	for (size_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(decode(bytes, i, &f, &used, &need), ERR_BUSY);
		CU_ASSERT_EQUAL(need,
				i < sizeof(struct frame_header) ? sizeof(struct frame_header) : n);
	}
	CU_ASSERT_EQUAL(decode(bytes, n, &f, &used, &need), ERR_OK);
}

/* A frame that is too large is refused by its header: not one byte of its payload is awaited. */
static void cap_before_payload(void)
{
	struct frame_header header;
	size_t used, need;
	uint8_t *bytes = malloc(sizeof(header) + FRAME_PAYLOAD_MAX);
	uint8_t *payload = calloc(1, FRAME_PAYLOAD_MAX);
	struct frame f;

	CU_ASSERT_EQUAL(frame_encode(bytes, 1, 0, SEQUENCE, payload, FRAME_PAYLOAD_MAX),
			sizeof(header) + FRAME_PAYLOAD_MAX);
	CU_ASSERT_EQUAL(decode(bytes, sizeof(header), &f, &used, &need), ERR_BUSY);
	CU_ASSERT_EQUAL(need, sizeof(header) + FRAME_PAYLOAD_MAX);
	CU_ASSERT_EQUAL(code_of(bytes, need), ERR_OK);
	memcpy(&header, bytes, sizeof(header));
	header.length = FRAME_PAYLOAD_MAX + 1;
	CU_ASSERT_EQUAL(code_of((uint8_t *)&header, sizeof(header)), ERR_TOOBIG);
	header.length = UINT32_MAX;
	CU_ASSERT_EQUAL(code_of((uint8_t *)&header, sizeof(header)), ERR_TOOBIG);
	free(payload);
	free(bytes);
}

static void every_changed_bit_is_noticed(void)
{
	uint8_t bytes[64];
	size_t n = frame_encode(bytes, 1, 2, SEQUENCE, (const uint8_t *)"payload", 7);

	for (size_t bit = 0; bit < 8 * n; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_NOT_EQUAL(code_of(bytes, n), ERR_OK);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT_EQUAL(code_of(bytes, n), ERR_OK);
}

static void fields(void)
{
	uint8_t bytes[64];
	struct frame_header *header = (struct frame_header *)bytes;
	size_t n;

	n = frame_encode(bytes, 1, 0, SEQUENCE + 1, NULL, 0);
	CU_ASSERT_EQUAL(code_of(bytes, n), ERR_PROTOCOL); /* a gap */
	n = frame_encode(bytes, 1, 0, SEQUENCE - 1, NULL, 0);
	CU_ASSERT_EQUAL(code_of(bytes, n), ERR_PROTOCOL);
	n = frame_encode(bytes, 1, 0, SEQUENCE, NULL, 0);
	CU_ASSERT_EQUAL(code_of(bytes, n), ERR_OK);
	header->version = FRAME_VERSION_MAX + 1;
	CU_ASSERT_EQUAL(code_of(bytes, n), ERR_VERSION);
	header->version = FRAME_VERSION_MIN - 1;
	CU_ASSERT_EQUAL(code_of(bytes, n), ERR_VERSION);
	header->version = 1;
	header->reserved = 1;
	CU_ASSERT_EQUAL(code_of(bytes, n), ERR_PROTOCOL);
	header->reserved = 0;
	header->checksum++;
	CU_ASSERT_EQUAL(code_of(bytes, n), ERR_PROTOCOL);
	header->magic++;
	CU_ASSERT_EQUAL(code_of(bytes, n), ERR_PROTOCOL);
}

/* RFC 3720, appendix B.4. */
static void crc_known_answers(void)
{
	uint8_t bytes[32];

	CU_ASSERT_EQUAL(crc32c(0, "123456789", 9), 0xe3069283);
	memset(bytes, 0, sizeof(bytes));
	CU_ASSERT_EQUAL(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	CU_ASSERT_EQUAL(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	CU_ASSERT_EQUAL(crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
	CU_ASSERT_EQUAL(crc32c(crc32c(0, bytes, 10), bytes + 10, 22), 0x46dd794e);
}

/* ---- messages ---- */

static void types(void)
{
	CU_ASSERT_PTR_EQUAL(ctl_descriptor(CTL_TYPE_CTL_REQUEST),
			    &cellular__ctl_request__descriptor);
	CU_ASSERT_PTR_EQUAL(ctl_descriptor(CTL_TYPE_FRAG_CONSOLE),
			    &cellular__frag_console__descriptor);
	CU_ASSERT_PTR_NULL(ctl_descriptor(0));
	CU_ASSERT_PTR_NULL(ctl_descriptor(CTL_TYPE_CTL_REQUEST | FRAME_OPTIONAL));
	CU_ASSERT_STRING_EQUAL(ctl_type_name(CTL_TYPE_FRAG_START), "FRAG_START");
	CU_ASSERT_STRING_EQUAL(ctl_type_name(9999), "?");
}

static void messages_there_and_back(void)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	Cellular__VmInfo vm = CELLULAR__VM_INFO__INIT, *vms[] = {&vm, &vm};
	ProtobufCMessage *message = NULL;
	uint8_t bytes[256];
	size_t n;

	reply.request = 77;
	reply.n_vms = 2;
	reply.vms = vms;
	vm.name = (char *)"one";
	n = cellular__ctl_reply__pack(&reply, bytes);
	CU_ASSERT_EQUAL_FATAL(ctl_unpack(CTL_TYPE_CTL_REPLY, bytes, n, &message, NULL), ERR_OK);
	CU_ASSERT_EQUAL(((Cellular__CtlReply *)message)->request, 77);
	CU_ASSERT_EQUAL_FATAL(((Cellular__CtlReply *)message)->n_vms, 2);
	CU_ASSERT_STRING_EQUAL(((Cellular__CtlReply *)message)->vms[1]->name, "one");
	ctl_free(message);
	ctl_free(NULL);
	CU_ASSERT_EQUAL(ctl_unpack(9999, bytes, n, &message, NULL), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(ctl_unpack(CTL_TYPE_CTL_REPLY, bytes, n - 1, &message, NULL), ERR_PROTOCOL);
}

/* Two bytes on the wire ask for a whole struct in memory: four MiB of them would take hundreds. */
static void unpacking_has_a_budget(void)
{
	enum { VMS_TAG = 5 << 3 | 2 };
	uint8_t *bytes = malloc(FRAME_PAYLOAD_MAX);
	ProtobufCMessage *message;

	for (size_t i = 0; i < FRAME_PAYLOAD_MAX; i += 2) {
		bytes[i] = VMS_TAG;
		bytes[i + 1] = 0;
	}
	CU_ASSERT_EQUAL(ctl_unpack(CTL_TYPE_CTL_REPLY, bytes, FRAME_PAYLOAD_MAX, &message, NULL),
			ERR_PROTOCOL);
	CU_ASSERT_EQUAL_FATAL(ctl_unpack(CTL_TYPE_CTL_REPLY, bytes, 2000, &message, NULL), ERR_OK);
	CU_ASSERT_EQUAL(((Cellular__CtlReply *)message)->n_vms, 1000);
	ctl_free(message);
	free(bytes);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(there_and_back),
		UNIT_CASE(payload_may_lie_in_its_place),
		UNIT_CASE(bytes_on_the_wire),
		UNIT_CASE(byte_by_byte),
		UNIT_CASE(cap_before_payload),
		UNIT_CASE(every_changed_bit_is_noticed),
		UNIT_CASE(fields),
		UNIT_CASE(crc_known_answers),
		UNIT_CASE(types),
		UNIT_CASE(messages_there_and_back),
		UNIT_CASE(unpacking_has_a_budget),
	};

	return unit_main("frame", cases, UNIT_COUNT(cases));
}
