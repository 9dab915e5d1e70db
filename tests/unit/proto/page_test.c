/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page header's codec: what is encoded is decoded, and each field is refused just outside its
 * bounds.
 */
#include "proto/page.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { MEMBERS = 3, PAGES = 1000, SEQUENCE = 7 };

static int decode(const struct page_wire *w, struct dsm_msg *msg, uint32_t *bytes)
{
	struct err e = {.code = ERR_OK};
	int rc = page_decode(w, MEMBERS, PAGES, SEQUENCE, msg, bytes, &e);

	CU_ASSERT_EQUAL(e.code, rc);
	CU_ASSERT_EQUAL(rc == ERR_OK, e.text[0] == 0 || e.code == ERR_OK);
	return rc;
}

static int code_of(const struct page_wire *w)
{
	struct dsm_msg msg;
	uint32_t bytes;

	return decode(w, &msg, &bytes);
}

static struct page_wire encoded(struct dsm_msg msg, uint32_t bytes)
{
	struct page_wire w;

	page_encode(&w, &msg, SEQUENCE, bytes);
	return w;
}

static struct dsm_msg of_type(uint8_t type)
{
	return (struct dsm_msg){
		.type = type, .requester = {2}, .epoch = {4}, .page = {999}, .pages = 1};
}

static void there_and_back(void)
{
	struct dsm_msg in = {
		.type = PAGE_GRANT,
		.flags = PAGE_FLAG_DATA | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER,
		.requester = {2},
		.acks = 2,
		.epoch = {0x11223344},
		.page = {488},
		.pages = 512,
		.version = 0xffffffff,
		.txn = 0x55667788,
		.map = 0x99aabbcc,
		.member = {1},
		.sharers = 5,
	};
	struct page_wire w = encoded(in, 512 * (DSM_PAGE_SIZE + PAGE_ITEM_BYTES));
	struct dsm_msg out;
	uint32_t bytes;

	CU_ASSERT_EQUAL(decode(&w, &out, &bytes), ERR_OK);
	CU_ASSERT_EQUAL(bytes, 512 * (DSM_PAGE_SIZE + PAGE_ITEM_BYTES));
	CU_ASSERT_EQUAL(out.type, in.type);
	CU_ASSERT_EQUAL(out.flags, in.flags);
	CU_ASSERT_EQUAL(out.requester.v, 2);
	CU_ASSERT_EQUAL(out.acks, 2);
	CU_ASSERT_EQUAL(out.epoch.v, in.epoch.v);
	CU_ASSERT_EQUAL(out.page.v, 488);
	CU_ASSERT_EQUAL(out.pages, 512);
	CU_ASSERT_EQUAL(out.version, in.version);
	CU_ASSERT_EQUAL(out.txn, in.txn);
	CU_ASSERT_EQUAL(out.map, in.map);
	CU_ASSERT_EQUAL(out.member.v, 1);
	CU_ASSERT_EQUAL(out.sharers, 5);
}

/* The bytes on the wire are part of the contract: they must not change with a compiler or a
 * refactoring. */
static void bytes_on_the_wire(void)
{
	static const uint8_t wanted[sizeof(struct page_wire)] = {
		'C',  'L',	'C',  'P',  1,	  PAGE_PUT, PAGE_FLAG_ZERO,
		2,    0x44,	0x33, 0x22, 0x11, 0,	    0,
		0,    0,	0xe7, 3,    0,	  0,	    0,
		0,    0,	0,    1,    0,	  0,	    0,
		0x0d, 0x0c,	0x0b, 0x0a, 0x04, 0x03,	    0x02,
		0x01, SEQUENCE, 0,    0,    0,	  0,	    255,
		0,    0,	0x14, 0x13, 0x12, 0x11,	    3};
	struct dsm_msg msg = of_type(PAGE_PUT);
	struct page_wire w;

	msg.flags = PAGE_FLAG_ZERO;
	msg.epoch.v = 0x11223344;
	msg.version = 0x0a0b0c0d;
	msg.txn = 0x01020304;
	msg.map = 0x11121314;
	msg.member = MEMBER_NONE;
	msg.sharers = 3;
	w = encoded(msg, 0);
	CU_ASSERT_EQUAL(memcmp(&w, wanted, sizeof(w)), 0);
}

static void every_type_has_a_name_a_class_and_passes(void)
{
	for (int type = 1; type <= PAGE_TYPE_LAST; type++) {
		struct page_wire w = encoded(of_type((uint8_t)type), 0);

		CU_ASSERT_EQUAL(code_of(&w), ERR_OK);
		CU_ASSERT_STRING_NOT_EQUAL(page_type_name(type), "?");
	}
	CU_ASSERT_STRING_EQUAL(page_type_name(PAGE_GRANT), "GRANT");
	CU_ASSERT_STRING_EQUAL(page_type_name(0), "?");
	CU_ASSERT_STRING_EQUAL(page_type_name(PAGE_TYPE_LAST + 1), "?");
	CU_ASSERT_STRING_EQUAL(page_type_name(-1), "?");
	CU_ASSERT_EQUAL(page_type_class(PAGE_PUT), PAGE_CLASS_REQUEST);
	CU_ASSERT_EQUAL(page_type_class(PAGE_FETCH_X), PAGE_CLASS_FORWARD);
	CU_ASSERT_EQUAL(page_type_class(PAGE_UNBLOCK), PAGE_CLASS_REPLY);
	CU_ASSERT_EQUAL(page_type_class(PAGE_POST), PAGE_CLASS_LINK);
}

static void the_frame_of_any_message(void)
{
	const struct page_wire good = encoded(of_type(PAGE_GET_S), 0);
	struct page_wire w;

	w = good;
	w.magic ^= 1;
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	w = good;
	w.version = PAGE_VERSION_MIN - 1;
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	w.version = PAGE_VERSION_MAX + 1;
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	for (size_t i = 0; i < sizeof(w.reserved); i++) {
		w = good;
		w.reserved[i] = 1;
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	}
	w = good;
	w.sequence++;
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	w.sequence -= 2;
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	w = good;
	w.type = 0;
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	w.flags = PAGE_FLAG_OPTIONAL; /* zero is no type of the future */
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
}

static void unknown_types(void)
{
	struct page_wire w = encoded(of_type(PAGE_TYPE_LAST + 1), 123);
	struct dsm_msg msg;
	uint32_t bytes = 0;

	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	w.flags = PAGE_FLAG_OPTIONAL | 0x70; /* flags of the future */
	CU_ASSERT_EQUAL(decode(&w, &msg, &bytes), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(bytes, 123);
	w.bytes = PAGE_BYTES_MAX;
	CU_ASSERT_EQUAL(code_of(&w), ERR_UNSUPPORTED);
	w.bytes++;
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	w.bytes = UINT32_MAX;
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
}

static void flags_by_type(void)
{
	static const uint8_t bits[] = {PAGE_FLAG_ZERO, PAGE_FLAG_WRITE, PAGE_FLAG_OWNER,
				       PAGE_FLAG_LAST, 1 << 5,		1 << 6};
	static const uint8_t allowed[PAGE_TYPE_LAST + 1] = {
		[PAGE_GRANT] = PAGE_FLAG_ZERO | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER | PAGE_FLAG_LAST,
		[PAGE_PUT] = PAGE_FLAG_ZERO | PAGE_FLAG_OWNER,
		[PAGE_PUT_ACK] = PAGE_FLAG_OWNER,
	};

	for (uint8_t type = 1; type <= PAGE_TYPE_LAST; type++) {
		for (size_t i = 0; i < sizeof(bits); i++) {
			struct dsm_msg msg = of_type(type);
			struct page_wire w;

			msg.flags = bits[i];
			w = encoded(msg, 0);
			CU_ASSERT_EQUAL(code_of(&w),
					allowed[type] & bits[i] ? ERR_OK : ERR_PROTOCOL);
		}
	}
}

static void payload_by_type(void)
{
	for (uint8_t type = 1; type <= PAGE_TYPE_LAST; type++) {
		bool with_data = type == PAGE_GRANT || type == PAGE_PUT;
		struct dsm_msg msg = of_type(type);
		struct page_wire w = encoded(msg, 1);

		CU_ASSERT_EQUAL(code_of(&w),
				type == PAGE_POST || type == PAGE_CHANGE ? ERR_OK : ERR_PROTOCOL);
		msg.flags = PAGE_FLAG_DATA;
		w = encoded(msg, DSM_PAGE_SIZE);
		CU_ASSERT_EQUAL(code_of(&w), with_data ? ERR_OK : ERR_PROTOCOL);
		w = encoded(msg, DSM_PAGE_SIZE - 1);
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
		w = encoded(msg, 2 * DSM_PAGE_SIZE);
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
		msg.flags = PAGE_FLAG_DATA | PAGE_FLAG_ZERO;
		w = encoded(msg, DSM_PAGE_SIZE);
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	}
}

/* So many pages, so many items; of a GRANT only. */
static void runs(void)
{
	for (uint8_t type = 1; type <= PAGE_TYPE_LAST; type++) {
		struct dsm_msg msg = of_type(type);
		struct page_wire w;

		msg.page.v = 0;
		msg.pages = 3;
		msg.flags = PAGE_FLAG_DATA;
		w = encoded(msg, 3 * (DSM_PAGE_SIZE + PAGE_ITEM_BYTES));
		CU_ASSERT_EQUAL(code_of(&w), type == PAGE_GRANT ? ERR_OK : ERR_PROTOCOL);
		w = encoded(msg, 3 * DSM_PAGE_SIZE);
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
		w = encoded(msg, 3 * (DSM_PAGE_SIZE + PAGE_ITEM_BYTES) + 1);
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	}
}

static void a_run_is_taken_apart_as_it_was_put_together(void)
{
	static uint8_t payload[3 * (DSM_PAGE_SIZE + PAGE_ITEM_BYTES)];
	struct dsm_msg msg[3], run, out;

	for (uint32_t i = 0; i < 3; i++) {
		struct page_item item;

		msg[i] = of_type(PAGE_GRANT);
		msg[i].flags = PAGE_FLAG_DATA;
		msg[i].pages = 1;
		msg[i].page.v = 7 + i;
		msg[i].version = 0x01020304 + i * 9;
		msg[i].txn = 0xfffffffe + i;
		item = page_run_item(&msg[i]);
		memcpy(payload + i * sizeof(item), &item, sizeof(item));
		payload[3 * sizeof(item) + (size_t)i * DSM_PAGE_SIZE] = (uint8_t)(i + 1);
	}
	CU_ASSERT_EQUAL(payload[0], 4); /* little endian */
	run = msg[0];
	run.pages = 3;
	for (uint32_t i = 0; i < 3; i++) {
		const uint8_t *data = page_run_at(&run, payload, i, &out);

		CU_ASSERT(out.type == PAGE_GRANT && out.flags == PAGE_FLAG_DATA && out.pages == 1);
		CU_ASSERT(out.requester.v == 2 && out.epoch.v == 4);
		CU_ASSERT_EQUAL(out.page.v, msg[i].page.v);
		CU_ASSERT_EQUAL(out.version, msg[i].version);
		CU_ASSERT_EQUAL(out.txn, msg[i].txn);
		CU_ASSERT_EQUAL(data[0], i + 1);
		CU_ASSERT(i == 0 || page_run_goes_on(&msg[0], i, &msg[i]));
	}
}

static void what_differs_is_no_run(void)
{
	struct dsm_msg first = of_type(PAGE_GRANT), next;

	first.flags = PAGE_FLAG_DATA;
	first.pages = 1;
	for (int what = 0; what < 10; what++) {
		next = first;
		next.page.v += 2;
		next.version++;
		next.txn++;
		CU_ASSERT(page_run_goes_on(&first, 2, &next));
		next.type = what == 0 ? PAGE_PUT : next.type;
		next.flags ^= what == 1 ? PAGE_FLAG_LAST : 0;
		next.requester.v ^= what == 2;
		next.acks += what == 3;
		next.epoch.v += what == 4;
		next.page.v += what == 5;
		next.map += what == 6;
		next.member.v ^= what == 7;
		next.page.v -= what == 8;
		first.type = what == 9 ? PAGE_PUT : first.type;
		CU_ASSERT_FALSE(page_run_goes_on(&first, 2, &next));
	}
}

static void posts(void)
{
	struct page_wire w = encoded(of_type(PAGE_POST), POST_BYTES_MAX);

	CU_ASSERT_EQUAL(code_of(&w), ERR_OK);
	w.bytes++;
	CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
}

static void members(void)
{
	for (uint8_t type = 1; type <= PAGE_TYPE_LAST; type++) {
		bool may_be_none = type == PAGE_PING || type == PAGE_POST;
		struct dsm_msg msg = of_type(type);
		struct page_wire w;

		msg.requester.v = MEMBERS;
		w = encoded(msg, 0);
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
		msg.requester = MEMBER_NONE;
		w = encoded(msg, 0);
		CU_ASSERT_EQUAL(code_of(&w), may_be_none ? ERR_OK : ERR_PROTOCOL);
		msg.requester.v = MEMBERS - 1;
		msg.acks = MEMBERS - 1;
		w = encoded(msg, 0);
		CU_ASSERT_EQUAL(code_of(&w), ERR_OK);
		msg.acks = MEMBERS;
		w = encoded(msg, 0);
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
		msg.acks = 0;
		msg.member.v = MEMBERS;
		w = encoded(msg, 0);
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
		msg.member = MEMBER_NONE;
		msg.sharers = ((dsm_set)1 << MEMBERS) - 1;
		w = encoded(msg, 0);
		CU_ASSERT_EQUAL(code_of(&w), ERR_OK);
		msg.sharers++;
		w = encoded(msg, 0);
		CU_ASSERT_EQUAL(code_of(&w), ERR_PROTOCOL);
	}
}

static void page_ranges(void)
{
	static const struct {
		uint64_t page;
		uint32_t pages;
		bool good;
	} rows[] = {
		{0, 1, true},
		{PAGES - 1, 1, true},
		{PAGES, 1, false},
		{PAGES - 1, 2, false},
		{PAGES - PAGE_RUN_MAX, PAGE_RUN_MAX, true},
		{PAGES - PAGE_RUN_MAX + 1, PAGE_RUN_MAX, false},
		{0, PAGE_RUN_MAX + 1, false},
		{0, 0, false},
		{0, UINT32_MAX, false},
		{UINT64_MAX, 1, false},
		{UINT64_MAX - 510, 511, false}, /* the sum wraps to 0 */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dsm_msg msg = of_type(PAGE_GET_X);
		struct page_wire w;

		msg.page.v = rows[i].page;
		msg.pages = rows[i].pages;
		w = encoded(msg, 0);
		CU_ASSERT_EQUAL(code_of(&w), rows[i].good ? ERR_OK : ERR_PROTOCOL);
	}
}

static void link_messages_have_no_page(void)
{
	struct dsm_msg msg = of_type(PAGE_MEMBER_LOST), out;
	struct page_wire w;
	uint32_t bytes;

	msg.page.v = UINT64_MAX;
	msg.pages = 77;
	w = encoded(msg, 0);
	CU_ASSERT_EQUAL(decode(&w, &out, &bytes), ERR_OK);
	CU_ASSERT_EQUAL(out.page.v, 0);
	CU_ASSERT_EQUAL(out.pages, 0);
}

/* Whatever comes: a header that is let through keeps all bounds. */
static void random_headers(void)
{
	unsigned passed = 0;

	srand(1);
	for (int i = 0; i < 300000; i++) {
		struct page_wire w = encoded(of_type((uint8_t)(1 + rand() % PAGE_TYPE_LAST)), 0);
		struct dsm_msg m;
		uint32_t bytes;

		for (int k = rand() % 4; k >= 0; k--)
			((uint8_t *)&w)[5 + rand() % (int)(sizeof(w) - 5)] ^=
				(uint8_t)(1 << rand() % 8);
		if (decode(&w, &m, &bytes))
			continue;
		passed++;
		if (m.type < 1 || m.type > PAGE_TYPE_LAST || bytes > PAGE_BYTES_MAX ||
		    m.acks >= MEMBERS || (m.requester.v >= MEMBERS && m.requester.v != 255) ||
		    (m.member.v >= MEMBERS && m.member.v != 255) || m.sharers >> MEMBERS ||
		    m.page.v + m.pages > PAGES)
			CU_FAIL_FATAL("a bound was not kept");
	}
	CU_ASSERT_TRUE(passed > 1000);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(there_and_back),
		UNIT_CASE(bytes_on_the_wire),
		UNIT_CASE(every_type_has_a_name_a_class_and_passes),
		UNIT_CASE(the_frame_of_any_message),
		UNIT_CASE(unknown_types),
		UNIT_CASE(flags_by_type),
		UNIT_CASE(payload_by_type),
		UNIT_CASE(runs),
		UNIT_CASE(a_run_is_taken_apart_as_it_was_put_together),
		UNIT_CASE(what_differs_is_no_run),
		UNIT_CASE(posts),
		UNIT_CASE(members),
		UNIT_CASE(page_ranges),
		UNIT_CASE(link_messages_have_no_page),
		UNIT_CASE(random_headers),
	};

	return unit_main("page", cases, UNIT_COUNT(cases));
}
