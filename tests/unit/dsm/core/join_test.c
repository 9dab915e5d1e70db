/* SPDX-License-Identifier: Apache-2.0 */
/* R49 to R51 and C22 to C25: a newcomer. Of six numbers three are there at first: home of P0 is
 * member 0, of P1 member 1. */
#include "rack.h"

enum { P0 = 3, P1 = DSM_CHUNK_PAGES + 3, P3 = 3 * DSM_CHUNK_PAGES, PAGES = 8 * DSM_CHUNK_PAGES };

static struct rack *r;

static void begin(void)
{
	r = rack_new_founders(3, 6, PAGES);
}

static void end(void)
{
	rack_end(r);
}

static void left(uint8_t member)
{
	rack_left(r, member);
}

/* Homes of version 0 are the founders', however many may come. */
static void homes_are_the_founders(void)
{
	begin();
	CU_ASSERT_EQUAL(rack_home(r, P3).v, 0);
	CU_ASSERT_EQUAL(rack_home(r, 5 * DSM_CHUNK_PAGES).v, 2);
	CU_ASSERT_EQUAL(dsm_core_present(r->core[1]), 7);
	end();
}

/* Letter by letter: HERE to all, before anything else; then it is a member as any other. */
static void order_of_letters(void)
{
	begin();
	rack_write(r, 1, P0, 5);
	for (uint8_t m = 0; m < 3; m++) {
		rack_take_in(r, m, 3);
		CU_ASSERT_EQUAL(r->fx.n, 0);
	}
	rack_begin(r, 3, 1);
	CU_ASSERT_EQUAL(dsm_core_present(r->core[3]), 15);
	rack_fault(r, 3, P0, true);
	CU_ASSERT_EQUAL(rack_deliver(r, 3, 0, PAGE_HERE).requester.v, 3);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X); /* 1 did not hear of it, and serves it */
	rack_deliver(r, 1, 3, PAGE_GRANT);
	rack_deliver(r, 3, 1, PAGE_HERE);
	rack_deliver(r, 3, 2, PAGE_HERE);
	CU_ASSERT_EQUAL(r->page[3][P0].value, 5);
	end();
}

static void here_once(void)
{
	begin();
	rack_join(r, 3);
	CU_ASSERT_EQUAL(rack_count(r, 3, 0), 1);
	rack_step(r, 3, (struct dsm_event){.type = DSM_EV_TIMER});
	CU_ASSERT_EQUAL(rack_count(r, 3, 0), 1);
	end();
}

static void shares_pages(void)
{
	begin();
	rack_write(r, 1, P1, 6);
	rack_join(r, 5);
	CU_ASSERT_EQUAL(rack_read(r, 5, P1), 6);
	rack_write(r, 5, P1, 7);
	CU_ASSERT_EQUAL(rack_read(r, 0, P1), 7);
	rack_write(r, 2, P1, 8);
	CU_ASSERT_EQUAL(rack_read(r, 5, P1), 8);
	rack_evict(r, 5, P1);
	end();
}

/* R51, C22: no home moves there before it was heard: others may not know it. */
static void no_home_before_here(void)
{
	begin();
	rack_write(r, 1, P0, 1);
	rack_take_in(r, 0, 3);
	rack_move(r, 0, P0, 3); /* ignored */
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	rack_take_in(r, 1, 3);
	rack_take_in(r, 2, 3);
	rack_begin(r, 3, 2);
	rack_settle(r);
	rack_move(r, 0, P0, 3);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 3);
	CU_ASSERT_EQUAL(rack_read(r, 2, P0), 1); /* redirected to it */
	rack_move(r, 3, P0, 1);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 1);
	end();
}

/* C23: its map is as old as the space. */
static void old_map(void)
{
	begin();
	rack_write(r, 1, P0, 4);
	rack_move(r, 0, P0, 2);
	rack_settle(r);
	rack_move(r, 2, P0, 1);
	rack_settle(r);
	rack_join(r, 3);
	CU_ASSERT_EQUAL(rack_read(r, 3, P0), 4);
	CU_ASSERT_EQUAL(rack_stats(r, 3).redirected, 2); /* by 0, and by 2 */
	end();
}

/* C24: founders that left, and their heirs. */
static void heirs_are_told(void)
{
	begin();
	rack_write(r, 1, P0, 4);
	rack_write(r, 1, P1, 5);
	left(0);
	left(1);
	rack_join(r, 4);
	CU_ASSERT_EQUAL(dsm_core_heir(r->core[4], (struct member_id){0}).v, 1);
	CU_ASSERT_EQUAL(dsm_core_heir(r->core[4], (struct member_id){1}).v, 2);
	CU_ASSERT_TRUE(member_eq(dsm_core_heir(r->core[4], (struct member_id){4}), MEMBER_NONE));
	CU_ASSERT_TRUE(member_eq(dsm_core_heir(r->core[4], MEMBER_NONE), MEMBER_NONE));
	CU_ASSERT_EQUAL(dsm_core_present(r->core[4]), dsm_bit(2) | dsm_bit(4));
	CU_ASSERT_EQUAL(rack_read(r, 4, P0), 4);
	CU_ASSERT_EQUAL(rack_read(r, 4, P1), 5);
	rack_lose(r, 4, 0); /* it left long ago: nothing */
	CU_ASSERT_FALSE(dsm_core_ended(r->core[4]));
	end();
}

/* The heir is the next that is present by number, newcomers among them. */
static void newcomer_is_heir(void)
{
	begin();
	rack_write(r, 2, P1, 6);
	rack_join(r, 4);
	rack_settle(r);
	left(2);
	CU_ASSERT_EQUAL(dsm_core_heir(r->core[0], (struct member_id){2}).v, 4);
	CU_ASSERT_EQUAL(rack_home(r, 2 * DSM_CHUNK_PAGES).v, 4);
	CU_ASSERT_EQUAL(rack_read(r, 4, P1), 6);
	left(1);
	CU_ASSERT_EQUAL(rack_home(r, P1).v, 4); /* 2 is there no longer */
	CU_ASSERT_EQUAL(rack_read(r, 0, P1), 6);
	left(0);
	CU_ASSERT_EQUAL(rack_read(r, 4, P1), 6);
	rack_join(r, 3);
	CU_ASSERT_EQUAL(rack_read(r, 3, P1), 6);
	end();
}

/* It comes, and goes again, with all it took over; the next one finds what was its. */
static void newcomer_leaves(void)
{
	begin();
	rack_join(r, 3);
	rack_settle(r);
	rack_write(r, 3, P0, 9);
	rack_move(r, 0, P0, 3);
	rack_settle(r);
	left(3);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 9);
	rack_join(r, 4);
	CU_ASSERT_EQUAL(rack_read(r, 4, P0), 9);
	CU_ASSERT_EQUAL(dsm_core_heir(r->core[4], (struct member_id){3}).v, 0);
	end();
}

/* R49: what is refused, and counted; nothing else comes of it. */
static void refused(void)
{
	begin();
	rack_take_in(r, 0, 0);
	rack_take_in(r, 0, 1);
	rack_take_in(r, 0, 6);
	rack_take_in(r, 0, 255);
	CU_ASSERT_EQUAL(rack_stats(r, 0).refused, 4);
	rack_take_in(r, 0, 3);
	rack_take_in(r, 0, 3);
	CU_ASSERT_EQUAL(rack_stats(r, 0).refused, 5);
	rack_take_in(r, 1, 3);
	rack_leave(r, 1); /* a newcomer was not heard of */
	CU_ASSERT_EQUAL(rack_stats(r, 1).refused, 1);
	rack_take_in(r, 2, 3);
	rack_begin(r, 3, 0);
	rack_settle(r);
	rack_leave(r, 1);
	rack_take_in(r, 1, 4); /* it leaves itself */
	CU_ASSERT_EQUAL(rack_stats(r, 1).refused, 2);
	rack_deliver(r, 1, 0, PAGE_LEAVE);
	rack_take_in(r, 0, 4); /* it knows of one that leaves */
	CU_ASSERT_EQUAL(rack_stats(r, 0).refused, 6);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	rack_take_in(r, 0, 1); /* a number is used once */
	CU_ASSERT_EQUAL(rack_stats(r, 0).refused, 7);
	CU_ASSERT_EQUAL(dsm_core_present(r->core[0]), dsm_bit(0) | dsm_bit(2) | dsm_bit(3));
	end();
}

/* C25: a newcomer counts from JOIN on, also where JOIN did not come yet. */
static void loss(void)
{
	begin();
	rack_take_in(r, 0, 3);
	rack_lose(r, 0, 3);
	CU_ASSERT_EQUAL(r->lost[0], 1);
	CU_ASSERT_EQUAL(r->culprit[0].v, 3);
	rack_inject(r, 0, 1,
		    (struct dsm_msg){.type = PAGE_MEMBER_LOST,
				     .requester = {3},
				     .epoch = {RACK_EPOCH},
				     .pages = 1});
	CU_ASSERT_EQUAL(r->culprit[1].v, 3);
	CU_ASSERT_EQUAL(r->reason[1], ERR_LOST);
	rack_delete(r);
}

static struct dsm_msg about(int type, uint8_t requester, uint64_t page)
{
	return (struct dsm_msg){.type = (uint8_t)type,
				.requester = {requester},
				.epoch = {RACK_EPOCH},
				.page = {page},
				.pages = 1};
}

static void ends(uint8_t from, uint8_t to, struct dsm_msg m)
{
	rack_inject(r, from, to, m);
	CU_ASSERT_TRUE(dsm_core_ended(r->core[to]));
	CU_ASSERT_EQUAL(r->culprit[to].v, from);
	CU_ASSERT_EQUAL(r->reason[to], ERR_PROTOCOL);
	rack_delete(r);
}

static void hostile(void)
{
	struct dsm_msg m;

	begin(); /* of a number that is not in use: counted, nothing else */
	rack_inject(r, 3, 0, about(PAGE_GET_X, 3, P0));
	rack_inject(r, 3, 0, about(PAGE_HERE, 3, 0));
	rack_inject(r, 200, 0, about(PAGE_HERE, 3, 0));
	CU_ASSERT_EQUAL(rack_stats(r, 0).refused, 3);
	end();
	begin(); /* something before HERE */
	rack_take_in(r, 0, 3);
	ends(3, 0, about(PAGE_GET_X, 3, P0));
	begin();
	rack_take_in(r, 0, 3);
	rack_inject(r, 3, 0, about(PAGE_HERE, 3, 0));
	ends(3, 0, about(PAGE_HERE, 3, 0)); /* twice */
	begin();
	ends(1, 0, about(PAGE_HERE, 1, 0)); /* of a founder */
	begin();
	rack_take_in(r, 0, 3);
	ends(1, 0, about(PAGE_HERE, 3, 0)); /* of another */
	begin();
	m = about(PAGE_INVALIDATE, 3, P1); /* on behalf of nobody */
	m.member.v = 1;
	ends(1, 0, m);
	begin();
	rack_fault(r, 0, P1, true);
	m = about(PAGE_REDIRECT, 0, P1); /* home is nobody */
	m.member.v = 4;
	m.map = 1;
	m.txn = r->core[0]->txn[0].id;
	ends(1, 0, m);
	begin();
	m = about(PAGE_HAND, 1, P1); /* shared by nobody */
	m.member.v = 1;
	m.map = 1;
	m.sharers = dsm_bit(4);
	ends(1, 0, m);
}

/* 64 numbers: the last one comes. */
static void many(void)
{
	r = rack_new_founders(2, DSM_MEMBERS_MAX, PAGES);
	rack_write(r, 0, P0, 1);
	for (uint8_t m = 2; m < DSM_MEMBERS_MAX; m++) {
		rack_join(r, m);
		CU_ASSERT_EQUAL(rack_read(r, m, P0), 1);
	}
	rack_write(r, DSM_MEMBERS_MAX - 1, P0, 2);
	CU_ASSERT_EQUAL(rack_read(r, 7, P0), 2);
	CU_ASSERT_EQUAL(dsm_core_present(r->core[0]), UINT64_MAX);
	end();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(homes_are_the_founders),
		UNIT_CASE(order_of_letters),
		UNIT_CASE(here_once),
		UNIT_CASE(shares_pages),
		UNIT_CASE(no_home_before_here),
		UNIT_CASE(old_map),
		UNIT_CASE(heirs_are_told),
		UNIT_CASE(newcomer_is_heir),
		UNIT_CASE(newcomer_leaves),
		UNIT_CASE(refused),
		UNIT_CASE(loss),
		UNIT_CASE(hostile),
		UNIT_CASE(many),
	};

	return unit_main("core-join", cases, UNIT_COUNT(cases));
}
