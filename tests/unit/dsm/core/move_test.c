/* SPDX-License-Identifier: Apache-2.0 */
/* R32 and C11 to C15: the home of a chunk moves. */
#include "move.h"

static struct rack *r;

static void begin(void)
{
	r = move_rack();
}

static void end(void)
{
	rack_end(r);
}

static void moved(uint8_t from, uint8_t to)
{
	move_home(r, from, to);
}

/* The same with one entry to hand over, and nothing else delivered. */
static void handed(uint8_t from, uint8_t to)
{
	rack_move(r, from, P0, to);
	rack_deliver(r, from, to, PAGE_HAND);
	rack_deliver(r, from, to, PAGE_HANDED);
}

/* The same where the old home granted to a third member by itself. */
static void asked_and_handed(uint8_t from, uint8_t granted, uint8_t to)
{
	rack_move(r, from, P0, to);
	rack_fence(r, from, granted);
	rack_deliver(r, from, to, PAGE_HAND);
	rack_deliver(r, from, to, PAGE_HANDED);
}

/* The request comes to member 0, which is home no more. */
static void redirected(uint8_t member, int request)
{
	rack_deliver(r, member, 0, request);
	rack_deliver(r, 0, member, PAGE_REDIRECT);
}

/* ---- what goes along ---- */

static void entry_goes_along(void)
{
	struct dsm_dir before, after;

	begin();
	before = rack_dir(r, P0);
	moved(0, 3);
	after = rack_dir(r, P0);
	CU_ASSERT_EQUAL(after.owner.v, 1);
	CU_ASSERT_EQUAL(after.sharers, dsm_bit(2));
	CU_ASSERT_EQUAL(after.version, before.version);
	CU_ASSERT_EQUAL(rack_stats(r, 0).moved_out, 1);
	CU_ASSERT_EQUAL(rack_stats(r, 3).moved_in, 1);
	rack_write(r, 0, P0, 10);
	CU_ASSERT_EQUAL(rack_read(r, 2, P0), 10);
	end();
}

/* A chunk nobody touched moves with one message. */
static void untouched_chunk(void)
{
	begin();
	rack_move(r, 1, P1, 2);
	CU_ASSERT_EQUAL(rack_count(r, 1, 2), 1);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 2, PAGE_HANDED).map, 1);
	CU_ASSERT_EQUAL(rack_home(r, P1).v, 2);
	rack_write(r, 3, P1, 5);
	CU_ASSERT_EQUAL(rack_read(r, 1, P1), 5);
	end();
}

/* Frozen: what is under way ends, what waits goes along in its order. */
static void queue_goes_along(void)
{
	begin();
	rack_fault(r, 3, P0, true);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_fault(r, 0, P0, true);
	rack_deliver(r, 2, 0, PAGE_UPGRADE);
	rack_move(r, 0, P0, 1);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	CU_ASSERT_EQUAL(rack_dir(r, P0).queued, 2);
	rack_deliver(r, 0, 2, PAGE_INVALIDATE);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 3, PAGE_GRANT);
	rack_deliver(r, 2, 3, PAGE_ACK);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 0);
	rack_deliver(r, 3, 0, PAGE_UNBLOCK);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	rack_fence(r, 0, 3);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 255);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 1, PAGE_HAND).member.v, 3);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 1, PAGE_GET_X).requester.v, 0);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 1, PAGE_UPGRADE).requester.v, 2);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 255);
	rack_deliver(r, 0, 1, PAGE_HANDED);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 1);
	/* C13: UNBLOCK goes to the home that began it, though 0 asked itself. */
	rack_deliver(r, 1, 3, PAGE_FETCH_X);
	rack_deliver(r, 3, 0, PAGE_GRANT);
	ASSERT_STATE(r, 0, P0, DSM_M);
	rack_deliver(r, 0, 1, PAGE_UNBLOCK);
	rack_deliver(r, 1, 0, PAGE_FETCH_X);
	rack_settle(r);
	ASSERT_STATE(r, 2, P0, DSM_M);
	end();
}

/* Pages of the chunk up to the one that is waited for stand still; those of other chunks do not. */
static void frozen(void)
{
	begin();
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_move(r, 0, P0, 1);
	rack_fault(r, 2, P0 - 1, false);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	CU_ASSERT_TRUE(rack_dir(r, P0 - 1).stopped);
	CU_ASSERT_EQUAL(rack_dir(r, P0 - 1).queued, 1);
	CU_ASSERT_FALSE(rack_dir(r, P0 - 1).busy);
	rack_write(r, 0, P1, 1);
	end();
}

/* Who keeps a page that the move waits for gets the higher one that it collects. */
static void freezes_upwards(void)
{
	begin();
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_move(r, 0, P0, 1);
	CU_ASSERT_TRUE(rack_dir(r, P0).stopped);
	CU_ASSERT_FALSE(rack_dir(r, Q0).stopped);
	rack_fault(r, 1, Q0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	ASSERT_STATE(r, 1, Q0, DSM_M);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 1);
	ASSERT_STATE(r, 3, P0, DSM_M);
	end();
}

static void orders_that_are_ignored(void)
{
	begin();
	rack_move(r, 1, P0, 2); /* home is not here */
	rack_move(r, 0, P0, 0); /* it is there already */
	CU_ASSERT_FALSE(dsm_core_moving(r->core[0]));
	CU_ASSERT_EQUAL(rack_stats(r, 1).refused, 0);
	rack_move(r, 0, PAGES, 1);
	rack_move(r, 0, P0, 4);
	CU_ASSERT_EQUAL(rack_stats(r, 0).refused, 2);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_move(r, 0, P0, 1);
	rack_move(r, 0, P0, 2); /* it moves already */
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 1);
	end();
}

/* More entries and more requests than one step has effects. */
static void large_chunk(void)
{
	enum { USED = 400 };

	r = rack_new(4, PAGES, 0);
	for (uint64_t p = 0; p < USED; p++)
		rack_write(r, 1, p, p);
	for (uint64_t p = 0; p < DSM_TXN_MAX; p++)
		rack_fault(r, 2, p, true);
	rack_fault(r, 3, 0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	for (uint64_t p = 0; p < DSM_TXN_MAX; p++)
		rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_move(r, 0, 0, 1);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, 0).v, 1);
	for (uint64_t p = 0; p < DSM_TXN_MAX; p++)
		ASSERT_STATE(r, 2, p, DSM_M);
	rack_write(r, 3, USED - 1, 1);
	end();
}

/* The handover takes several steps: who asks meanwhile is redirected, and waits at the new home. */
static void request_while_entries_are_under_way(void)
{
	enum { USED = 400 };

	r = rack_new(4, PAGES, 0);
	for (uint64_t p = 0; p < USED; p++)
		rack_write(r, 1, p, p);
	rack_move(r, 0, 0, 1);
	CU_ASSERT_TRUE(dsm_core_moving(r->core[0]));
	CU_ASSERT_TRUE(rack_count(r, 0, 1) < USED);
	rack_fault(r, 3, USED - 1, false);
	redirected(3, PAGE_GET_S);
	rack_deliver(r, 3, 1, PAGE_GET_S);
	CU_ASSERT_EQUAL(rack_next(r, 1, 3), 0);
	rack_settle(r);
	ASSERT_STATE(r, 3, USED - 1, DSM_S);
	CU_ASSERT_EQUAL(r->page[3][USED - 1].value, USED - 1);
	end();
}

/* One chunk moves at a time; the others stand in line, in the order of the orders, and no one of
 * them is forgotten when the line was empty in between. */
static void chunks_stand_in_line(void)
{
	enum { CHUNKS = 4, STRIDE = 3 * DSM_CHUNK_PAGES };

	r = rack_new(3, CHUNKS * STRIDE, 0);
	for (uint8_t round = 0; round < 2; round++) {
		uint8_t from = round, to = 1 - round;

		rack_write(r, 2, P0 + round, 1);
		rack_fault(r, to, P0 + round, true); /* under way: nothing can move yet */
		rack_deliver(r, to, from, PAGE_GET_X);
		for (uint64_t i = 0; i < CHUNKS; i++)
			rack_move(r, from, i * STRIDE, to);
		CU_ASSERT_EQUAL(r->deadline[from], UINT64_MAX); /* nothing to be done yet */
		rack_deliver(r, from, 2, PAGE_FETCH_X);
		rack_deliver(r, 2, to, PAGE_GRANT);
		rack_deliver(r, to, from, PAGE_UNBLOCK);
		CU_ASSERT_EQUAL(r->deadline[from], UINT64_MAX); /* nor before 2 has answered */
		CU_ASSERT_EQUAL(rack_count(r, from, to), 0);
		rack_fence(r, from, 2);
		for (unsigned entries = 0; entries <= round; entries++)
			rack_deliver(r, from, to, PAGE_HAND);
		for (uint64_t i = 0; i < CHUNKS; i++) {
			CU_ASSERT_EQUAL(rack_deliver(r, from, to, PAGE_HANDED).page.v, i * STRIDE);
			CU_ASSERT_EQUAL(rack_home(r, i * STRIDE).v, to);
		}
	}
	end();
}

/* More requests wait than a step begins: the next chunk that comes stands in line, and is no less
 * at home in the end. */
static void chunks_are_opened_in_line(void)
{
	enum { MEMBERS = 9, FIRST = 0, SECOND = MEMBERS * DSM_CHUNK_PAGES, ASKING = 3 };
	enum { BUSY = DSM_CHUNK_PAGES - 1 }; /* below it all is frozen */

	r = rack_new(MEMBERS, SECOND + DSM_CHUNK_PAGES, 0);
	rack_write(r, 8, BUSY, 1);
	rack_fault(r, 7, BUSY, true);
	rack_deliver(r, 7, 0, PAGE_GET_X);
	rack_move(r, 0, FIRST, 1);
	rack_move(r, 0, SECOND, 1);
	for (uint8_t m = 2; m < 2 + ASKING; m++) {
		for (uint64_t i = 0; i < DSM_TXN_MAX; i++) {
			rack_fault(r, m, (m - 2u) * DSM_TXN_MAX + i, true);
			rack_deliver(r, m, 0, PAGE_GET_X);
		}
	}
	rack_deliver(r, 0, 8, PAGE_FETCH_X);
	rack_deliver(r, 8, 7, PAGE_GRANT);
	rack_deliver(r, 7, 0, PAGE_UNBLOCK);
	rack_fence(r, 0, 8);
	rack_tick(r, 0); /* what is left to hand over */
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 1 + ASKING * DSM_TXN_MAX + 2);
	for (unsigned i = 0; i < ASKING * DSM_TXN_MAX; i++)
		rack_deliver(r, 0, 1, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_HAND);
	rack_deliver(r, 0, 1, PAGE_HANDED);
	CU_ASSERT_TRUE(rack_dir(r, FIRST).stopped);
	rack_deliver(r, 0, 1, PAGE_HANDED);
	rack_settle(r);
	for (uint64_t i = 0; i < ASKING * DSM_TXN_MAX; i++)
		ASSERT_STATE(r, (uint8_t)(2 + i / DSM_TXN_MAX), i, DSM_M);
	rack_move(r, 1, SECOND, 2); /* what is not open yet does not move */
	rack_move(r, 1, FIRST, 2);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, FIRST).v, 2);
	CU_ASSERT_EQUAL(rack_home(r, SECOND).v, 2);
	end();
}

/* A step looks at 512 pages at most, of however many chunks; a TIMER goes on. */
static void a_step_walks_a_bounded_way(void)
{
	enum { LAST = DSM_CHUNK_PAGES - 1, NEXT = 3 * DSM_CHUNK_PAGES };

	r = rack_new(3, 2 * NEXT, 0);
	rack_write(r, 1, LAST, 1);
	rack_write(r, 1, NEXT + LAST, 2);
	rack_write(r, 2, LAST - 1, 3);
	rack_fault(r, 1, LAST - 1, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_move(r, 0, LAST, 1);
	rack_move(r, 0, NEXT, 1);
	rack_deliver(r, 0, 2, PAGE_FETCH_X);
	rack_deliver(r, 2, 1, PAGE_GRANT);
	rack_deliver(r, 1, 0, PAGE_UNBLOCK);
	rack_fence(r, 0, 2);
	CU_ASSERT_EQUAL(r->core[0]->handover.at, 1);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 3);
	rack_tick(r, 0);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 5);
	end();
}

/* The last chunk may be shorter than the others. */
static void last_chunk(void)
{
	r = rack_new(2, DSM_CHUNK_PAGES + 3, 0);
	CU_ASSERT_EQUAL(dsm_chunk_pages(r->core[0], 0), DSM_CHUNK_PAGES);
	CU_ASSERT_EQUAL(dsm_chunk_pages(r->core[0], 1), 3);
	rack_write(r, 0, DSM_CHUNK_PAGES + 2, 5);
	rack_move(r, 1, DSM_CHUNK_PAGES, 0);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, DSM_CHUNK_PAGES).v, 0);
	CU_ASSERT_EQUAL(rack_read(r, 1, DSM_CHUNK_PAGES + 2), 5);
	end();
}

/* ---- who knows an old home ---- */

static void request_is_redirected(void)
{
	struct dsm_msg m;

	begin();
	moved(0, 3);
	rack_fault(r, 2, Q0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	m = rack_deliver(r, 0, 2, PAGE_REDIRECT);
	CU_ASSERT_EQUAL(m.member.v, 3);
	CU_ASSERT_EQUAL(m.map, 1);
	CU_ASSERT_EQUAL(rack_deliver(r, 2, 3, PAGE_GET_X).map, 1);
	rack_settle(r);
	ASSERT_STATE(r, 2, Q0, DSM_M);
	rack_fault(r, 2, P0, true); /* the same chunk: it knows now */
	CU_ASSERT_EQUAL(rack_count(r, 2, 0), 0);
	CU_ASSERT_EQUAL(rack_next(r, 2, 3), PAGE_UPGRADE);
	end();
}

/* C14: the copy went while the UPGRADE looked for its home. */
static void redirected_upgrade_asks_for_what_it_lacks(void)
{
	begin();
	rack_fault(r, 2, P0, true);
	moved(0, 3);
	rack_write(r, 1, P0, 11);
	CU_ASSERT_EQUAL(r->page[1][P0].value, 11);
	rack_settle(r);
	ASSERT_STATE(r, 1, P0, DSM_M);
	rack_delete(r);
	begin();
	rack_fault(r, 2, P0, true);
	handed(0, 3);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 2, PAGE_INVALIDATE);
	ASSERT_STATE(r, 2, P0, DSM_I);
	rack_deliver(r, 2, 0, PAGE_UPGRADE);
	rack_deliver(r, 0, 2, PAGE_REDIRECT);
	CU_ASSERT_EQUAL(rack_next(r, 2, 3), PAGE_ACK);
	rack_settle(r);
	ASSERT_STATE(r, 2, P0, DSM_M);
	CU_ASSERT_EQUAL(r->page[2][P0].value, 9);
	end();
}

/* A forward of the new home is the first that its holder hears of the move. */
static void forward_tells_of_the_move(void)
{
	begin();
	moved(0, 3);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 1, PAGE_FETCH_X);
	CU_ASSERT_EQUAL(dsm_core_home(r->core[1], (struct gpage){P0}).v, 3);
	rack_fault(r, 1, P0, false);
	CU_ASSERT_EQUAL(rack_count(r, 1, 0), 0);
	end();
}

/* The new home is asked before it has heard of its new duty; it lets the request wait. */
static void request_overtakes_the_handover(void)
{
	begin();
	rack_move(r, 0, P0, 3);
	rack_fault(r, 2, Q0, true);
	redirected(2, PAGE_GET_X);
	rack_deliver(r, 2, 3, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 255);
	CU_ASSERT_EQUAL(rack_count(r, 3, 2), 0);
	rack_deliver(r, 0, 3, PAGE_HAND);
	CU_ASSERT_EQUAL(rack_count(r, 3, 2), 0);
	rack_deliver(r, 0, 3, PAGE_HANDED);
	CU_ASSERT_EQUAL(rack_next(r, 3, 2), PAGE_GRANT);
	end();
}

/* The new home itself asked the old one, and is sent to itself. */
static void redirected_to_oneself(void)
{
	begin();
	rack_fault(r, 3, Q0, true);
	rack_fault(r, 3, P0, true);
	rack_move(r, 0, P0, 3);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_count(r, 0, 3), 3);
	rack_deliver(r, 0, 3, PAGE_HAND);
	rack_deliver(r, 0, 3, PAGE_HANDED);
	rack_deliver(r, 0, 3, PAGE_REDIRECT);
	ASSERT_STATE(r, 3, Q0, DSM_M);
	end();
}

/* C15: home comes back while a redirect is under way. */
static void redirect_is_older_than_what_is_known(void)
{
	begin();
	rack_move(r, 0, P0, 3);
	rack_fault(r, 2, Q0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 3, PAGE_HAND);
	rack_deliver(r, 0, 3, PAGE_HANDED);
	handed(3, 0);
	rack_fault(r, 0, P0, true); /* tells 2: home is 0 by version 2 */
	rack_deliver(r, 0, 2, PAGE_REDIRECT);
	CU_ASSERT_EQUAL(rack_next(r, 2, 3), PAGE_GET_X);
	rack_settle(r);
	ASSERT_STATE(r, 2, Q0, DSM_M);
	end();
}

/* ---- PUT and DROP ---- */

/* C11: a DROP to where home was does not count, not even if home is back there. */
static void late_drop(void)
{
	begin();
	rack_evict(r, 2, P0); /* DROP to 0, under way all the time */
	moved(0, 3);
	CU_ASSERT_EQUAL(rack_dir(r, P0).sharers, dsm_bit(2));
	rack_delete(r);
	begin();
	rack_evict(r, 2, P0);
	handed(0, 3);
	rack_fault(r, 3, P0, true); /* 2 hears of 3 */
	rack_deliver(r, 3, 2, PAGE_INVALIDATE);
	rack_deliver(r, 3, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 3, PAGE_GRANT);
	rack_deliver(r, 2, 3, PAGE_ACK);
	rack_fault(r, 2, P0, false);
	rack_deliver(r, 2, 3, PAGE_GET_S);
	rack_deliver(r, 3, 2, PAGE_GRANT);
	ASSERT_STATE(r, 2, P0, DSM_S);
	asked_and_handed(3, 2, 0);
	rack_deliver(r, 2, 0, PAGE_DROP);
	CU_ASSERT_EQUAL(rack_dir(r, P0).sharers, dsm_bit(2));
	CU_ASSERT_EQUAL(rack_stats(r, 0).stale_version, 1);
	rack_write(r, 1, P0, 12);
	ASSERT_STATE(r, 2, P0, DSM_I);
	end();
}

/* Member 1 gives P0 to member 0, which hands home over before that arrives. */
static void put_is_under_way_to_an_old_home(uint8_t home)
{
	begin();
	rack_evict(r, 1, P0);
	handed(0, home);
}

/* C12: the old home refuses; the page is kept. */
static void put_crossing_a_move(void)
{
	begin();
	rack_evict(r, 1, P0);
	rack_move(r, 0, P0, 3);
	rack_deliver(r, 1, 0, PAGE_PUT);
	rack_deliver(r, 0, 1, PAGE_PUT_ACK);
	ASSERT_STATE(r, 1, P0, DSM_O);
	rack_settle(r);
	rack_evict(r, 1, P0); /* it was told where home is */
	rack_deliver(r, 1, 3, PAGE_PUT);
	ASSERT_STATE(r, 3, P0, DSM_O);
	CU_ASSERT_EQUAL(r->page[3][P0].value, 9);
	end();
}

/* C12: the new home fetches the page before the old one refuses it. */
static void put_crossing_a_move_and_fetch_x(void)
{
	put_is_under_way_to_an_old_home(3);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 0, PAGE_PUT);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 1, PAGE_PUT_ACK).flags, PAGE_FLAG_OWNER);
	ASSERT_STATE(r, 1, P0, DSM_I);
	rack_settle(r);
	ASSERT_STATE(r, 3, P0, DSM_M);
	CU_ASSERT_EQUAL(r->page[3][P0].value, 9);
	end();
}

/* C12: ... or a copy, and a sharer's write. */
static void put_crossing_a_move_and_others(void)
{
	put_is_under_way_to_an_old_home(3);
	rack_fault(r, 3, P0, false);
	rack_deliver(r, 3, 1, PAGE_FETCH_S);
	rack_deliver(r, 1, 3, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->page[3][P0].value, 9);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 1, PAGE_INVALIDATE);
	rack_deliver(r, 1, 0, PAGE_PUT);
	rack_deliver(r, 0, 1, PAGE_PUT_ACK);
	ASSERT_STATE(r, 1, P0, DSM_I);
	rack_settle(r);
	ASSERT_STATE(r, 3, P0, DSM_M);
	end();
}

/* C12: home moves to the evictor, whose PUT is still under way. */
static void put_by_the_new_home(void)
{
	begin();
	rack_evict(r, 1, P0);
	asked_and_handed(0, 3, 1);
	rack_fault(r, 3, P0, false);
	redirected(3, PAGE_GET_S);
	rack_deliver(r, 3, 1, PAGE_GET_S);
	CU_ASSERT_EQUAL(rack_next(r, 1, 3), PAGE_GRANT); /* from the slot */
	rack_settle(r);
	ASSERT_STATE(r, 1, P0, DSM_O);
	CU_ASSERT_EQUAL(r->page[3][P0].value, 9);
	end();
}

/* Home may ask for a page that is put to it: its request went to where home was before. */
static void put_to_a_home_that_asks(void)
{
	r = rack_new(4, PAGES, 0);
	rack_write(r, 1, P0, 9);
	rack_fault(r, 3, P0, true);
	asked_and_handed(0, 1, 3);
	rack_fault(r, 2, Q0, false);
	redirected(2, PAGE_GET_S);
	rack_fault(r, 1, Q0, false); /* 1 learns of 3 */
	redirected(1, PAGE_GET_S);
	rack_evict(r, 1, P0);
	rack_deliver(r, 1, 3, PAGE_GET_S);
	rack_deliver(r, 1, 3, PAGE_PUT);
	CU_ASSERT_EQUAL(rack_deliver(r, 3, 1, PAGE_GRANT).page.v, Q0);
	CU_ASSERT_EQUAL(rack_deliver(r, 3, 1, PAGE_PUT_ACK).flags, PAGE_FLAG_OWNER);
	rack_settle(r);
	ASSERT_STATE(r, 3, P0, DSM_M);
	CU_ASSERT_EQUAL(r->page[3][P0].value, 9);
	end();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(entry_goes_along),
		UNIT_CASE(untouched_chunk),
		UNIT_CASE(queue_goes_along),
		UNIT_CASE(frozen),
		UNIT_CASE(freezes_upwards),
		UNIT_CASE(orders_that_are_ignored),
		UNIT_CASE(large_chunk),
		UNIT_CASE(request_while_entries_are_under_way),
		UNIT_CASE(chunks_stand_in_line),
		UNIT_CASE(chunks_are_opened_in_line),
		UNIT_CASE(a_step_walks_a_bounded_way),
		UNIT_CASE(last_chunk),
		UNIT_CASE(request_is_redirected),
		UNIT_CASE(redirected_upgrade_asks_for_what_it_lacks),
		UNIT_CASE(forward_tells_of_the_move),
		UNIT_CASE(request_overtakes_the_handover),
		UNIT_CASE(redirected_to_oneself),
		UNIT_CASE(redirect_is_older_than_what_is_known),
		UNIT_CASE(late_drop),
		UNIT_CASE(put_crossing_a_move),
		UNIT_CASE(put_crossing_a_move_and_fetch_x),
		UNIT_CASE(put_crossing_a_move_and_others),
		UNIT_CASE(put_by_the_new_home),
		UNIT_CASE(put_to_a_home_that_asks),
	};

	return unit_main("core-move", cases, UNIT_COUNT(cases));
}
