/* SPDX-License-Identifier: Apache-2.0 */
/* Holds and acquires: requests put off for a bounded time. Home of P0 is member 0. */
#include "rack.h"

enum { P0 = 3, PAGES = 4 * DSM_CHUNK_PAGES };

static struct rack *r;

static void begin(uint8_t members)
{
	r = rack_new(members, PAGES, RACK_HOLD_US);
}

static void end(void)
{
	rack_end(r);
}

/* The grant arrives now; then `other` asks to write, and home passes it on. */
static void fresh_grant_and_a_rival(bool rival_writes)
{
	begin(3);
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	rack_tick(r, 40);
	rack_fault(r, 2, P0, rival_writes);
	rack_deliver(r, 2, 0, rival_writes ? PAGE_GET_X : PAGE_GET_S);
	rack_deliver(r, 0, 1, rival_writes ? PAGE_FETCH_X : PAGE_FETCH_S);
}

/* R24 */
static void fresh_grant_is_kept_until_its_time_is_over(void)
{
	fresh_grant_and_a_rival(true);
	ASSERT_STATE(r, 1, P0, DSM_M);
	CU_ASSERT_EQUAL(rack_stats(r, 1).deferred, 1);
	CU_ASSERT_EQUAL(r->deadline[1], r->now + 60000);
	rack_tick(r, 59);
	ASSERT_STATE(r, 1, P0, DSM_M);
	rack_tick(r, 1);
	ASSERT_STATE(r, 1, P0, DSM_I);
	CU_ASSERT_EQUAL(r->deadline[1], UINT64_MAX);
	rack_deliver(r, 1, 2, PAGE_GRANT);
	ASSERT_STATE(r, 2, P0, DSM_M);
	end();
}

/* R28: release ends it early, also for who came while the pages were collected. */
static void release_serves_who_came_meanwhile(void)
{
	begin(3);
	rack_write(r, 1, P0, 1);
	rack_write(r, 0, P0 + 1, 1);
	rack_tick(r, 1000);
	rack_acquire(r, 1, P0, 2, true, 1);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->acquired[1], 1);
	rack_tick(r, 200);
	ASSERT_STATE(r, 1, P0, DSM_M);
	rack_release(r, 1, 1);
	ASSERT_STATE(r, 1, P0, DSM_I);
	end();
}

/* R24: any event whose time is late enough will do. */
static void time_of_any_event_counts(void)
{
	fresh_grant_and_a_rival(true);
	r->now += 60000;
	rack_fault(r, 1, P0 + 1, false);
	ASSERT_STATE(r, 1, P0, DSM_I);
	end();
}

/* R24: an early TIMER is harmless, and the deadline is asked for again. */
static void early_timer_asks_again(void)
{
	fresh_grant_and_a_rival(true);
	rack_step(r, 1, (struct dsm_event){.type = DSM_EV_TIMER});
	ASSERT_STATE(r, 1, P0, DSM_M);
	CU_ASSERT_EQUAL(r->fx.n, 1);
	CU_ASSERT_EQUAL(r->fx.v[0].type, DSM_FX_TIMER);
	end();
}

static void writer_is_held_against_readers_too(void)
{
	fresh_grant_and_a_rival(false);
	ASSERT_STATE(r, 1, P0, DSM_M);
	rack_tick(r, 60);
	ASSERT_STATE(r, 1, P0, DSM_O);
	end();
}

/* R24: a reader does not disturb readers. */
static void reader_is_not_held_against_readers(void)
{
	begin(3);
	rack_fault(r, 1, P0, false);
	rack_settle(r);
	rack_fault(r, 2, P0, false);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	rack_deliver(r, 0, 1, PAGE_FETCH_S);
	ASSERT_STATE(r, 1, P0, DSM_O);
	end();
}

/* R24: a fresh copy is not invalidated at once, the writer waits. */
static void sharer_is_held_against_invalidation(void)
{
	begin(3);
	rack_write(r, 1, P0, 5);
	rack_tick(r, 1000);
	rack_read(r, 2, P0);
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_UPGRADE);
	rack_deliver(r, 0, 2, PAGE_INVALIDATE);
	ASSERT_STATE(r, 2, P0, DSM_S);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	ASSERT_STATE(r, 1, P0, DSM_O);
	rack_tick(r, 100);
	rack_deliver(r, 2, 1, PAGE_ACK);
	ASSERT_STATE(r, 1, P0, DSM_M);
	end();
}

/* R25: home's own holder is no exception, and home is not stopped by it. */
static void homes_own_page_is_held_too(void)
{
	begin(2);
	rack_fault(r, 0, P0, true);
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	ASSERT_STATE(r, 0, P0, DSM_M);
	rack_fault(r, 0, P0 + 1, true);
	ASSERT_STATE(r, 0, P0 + 1, DSM_M);
	rack_tick(r, 100);
	ASSERT_STATE(r, 0, P0, DSM_I);
	end();
}

/* R25: who waits already is served first; then the page comes back, and stays. */
static void a_new_acquire_does_not_prolong_a_wait(void)
{
	fresh_grant_and_a_rival(true);
	rack_acquire(r, 1, P0, 1, true, 1);
	CU_ASSERT_EQUAL(r->acquired[1], 0);
	rack_tick(r, 60);
	ASSERT_STATE(r, 1, P0, DSM_I);
	rack_settle(r);
	ASSERT_STATE(r, 1, P0, DSM_M);
	CU_ASSERT_EQUAL(r->acquired[1], 1);
	CU_ASSERT_EQUAL(rack_stats(r, 2).write_remote, 1);
	end();
}

/* R28: a request that came while the pages were being collected waits until the acquire had its
 * time. */
static void what_was_acquired_stays(void)
{
	begin(3);
	rack_write(r, 1, P0, 1);
	rack_write(r, 0, P0 + 1, 1);
	rack_tick(r, 1000);
	rack_acquire(r, 1, P0, 2, true, 1);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_tick(r, RACK_ACQUIRE_US - 10);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->acquired[1], 1);
	rack_tick(r, RACK_ACQUIRE_US - 1);
	ASSERT_STATE(r, 1, P0, DSM_M);
	rack_tick(r, 1);
	ASSERT_STATE(r, 1, P0, DSM_I);
	end();
}

/* R26 */
static void acquire_brings_and_keeps_pages(void)
{
	begin(2);
	rack_write(r, 0, P0, 1);
	rack_write(r, 0, P0 + 1, 2);
	rack_tick(r, 1000);
	rack_acquire(r, 1, P0, 3, true, 9);
	CU_ASSERT_EQUAL(r->acquired[1], 0);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->acquired[1], 1);
	for (uint64_t p = P0; p < P0 + 3; p++)
		ASSERT_STATE(r, 1, p, DSM_M);
	rack_tick(r, 300); /* the holds of the grants are over, the acquire's is not */
	rack_fault(r, 0, P0 + 1, true);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	ASSERT_STATE(r, 1, P0 + 1, DSM_M);
	rack_release(r, 1, 9);
	ASSERT_STATE(r, 1, P0 + 1, DSM_I);
	end();
}

/* R27 */
static void acquire_is_bounded(void)
{
	begin(2);
	rack_acquire(r, 1, P0, 1, true, 9);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->acquired[1], 1);
	rack_fault(r, 0, P0, true);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_tick(r, RACK_ACQUIRE_US - 1);
	ASSERT_STATE(r, 1, P0, DSM_M);
	rack_tick(r, 1);
	ASSERT_STATE(r, 1, P0, DSM_I);
	rack_release(r, 1, 9);
	CU_ASSERT_EQUAL(rack_stats(r, 1).refused, 0);
	end();
}

/* R26: read right is enough for a read; it is kept against writers, not against readers. */
static void acquire_to_read(void)
{
	begin(3);
	rack_write(r, 0, P0, 1);
	rack_tick(r, 1000);
	rack_acquire(r, 1, P0, 1, false, 9);
	rack_settle(r);
	ASSERT_STATE(r, 1, P0, DSM_S);
	rack_tick(r, 200);
	rack_fault(r, 0, P0, true);
	rack_deliver(r, 0, 1, PAGE_INVALIDATE);
	ASSERT_STATE(r, 1, P0, DSM_S);
	rack_release(r, 1, 9);
	ASSERT_STATE(r, 1, P0, DSM_I);
	end();
}

/* R26, R16: what is here is taken without a message. */
static void acquire_of_what_is_here(void)
{
	begin(2);
	rack_read(r, 1, P0);
	rack_acquire(r, 1, P0, 1, true, 9);
	CU_ASSERT_EQUAL(r->acquired[1], 1);
	ASSERT_STATE(r, 1, P0, DSM_M);
	end();
}

/* R26, R27: two members want the same pages at once, again and again; both get them. */
static void crossing_acquires_both_finish(void)
{
	begin(3);
	for (uint32_t round = 1; round <= 20; round++) {
		rack_acquire(r, 1, P0, DSM_ACQUIRE_PAGES_MAX, true, round);
		rack_acquire(r, 2, P0, DSM_ACQUIRE_PAGES_MAX, true, round);
		rack_settle(r);
		CU_ASSERT_EQUAL(r->acquired[1], round);
		CU_ASSERT_EQUAL(r->acquired[2], round);
		rack_release(r, 1, round);
		rack_release(r, 2, round);
	}
	end();
}

/* R26: 1 holds the first page and waits for the second; 2 has the second and wants both: it may
 * keep nothing meanwhile. */
static void acquires_take_hold_in_rising_order(void)
{
	begin(3);
	rack_write(r, 1, P0, 1);
	rack_write(r, 2, P0 + 1, 2);
	rack_tick(r, 1000);
	rack_acquire(r, 1, P0, 2, true, 1);
	rack_acquire(r, 2, P0, 2, true, 2);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_deliver(r, 0, 2, PAGE_FETCH_X);
	ASSERT_STATE(r, 1, P0, DSM_M);
	ASSERT_STATE(r, 2, P0 + 1, DSM_I);
	rack_deliver(r, 2, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->acquired[1], 1);
	rack_release(r, 1, 1);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->acquired[2], 1);
	end();
}

/* R27: a window that closes too early grows. */
static void windows_grow(void)
{
	begin(3);
	rack_write(r, 1, P0, 1);
	rack_write(r, 0, P0 + 1, 1);
	rack_tick(r, 1000);
	rack_acquire(r, 1, P0, 2, true, 1);
	CU_ASSERT_EQUAL(r->core[1]->collection[0].until, r->now + 500000);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_tick(r, 500); /* the window closes: 2 is served, 1 asks again */
	ASSERT_STATE(r, 1, P0, DSM_I);
	rack_deliver(r, 1, 2, PAGE_GRANT);
	rack_deliver(r, 2, 0, PAGE_UNBLOCK);
	rack_tick(r, 100);
	rack_deliver(r, 1, 0, PAGE_GET_X); /* page P0 + 1 */
	rack_deliver(r, 1, 0, PAGE_GET_X); /* page P0, again */
	rack_deliver(r, 0, 2, PAGE_FETCH_X);
	rack_deliver(r, 2, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->core[1]->collection[0].until, r->now + 1000000);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->acquired[1], 1);
	end();
}

static void bad_acquires_are_refused(void)
{
	struct dsm_core_config c = {.members = 2,
				    .epoch = {RACK_EPOCH},
				    .pages = PAGES,
				    .acquire_us = 10,
				    .locals = 1,
				    .local = {{600, 10}}};

	r = rack_new_config(&c);
	rack_acquire(r, 0, 0, 0, true, 1);
	CU_ASSERT_EQUAL(r->acquire_result[0], ERR_INVALID);
	rack_acquire(r, 0, 0, DSM_ACQUIRE_PAGES_MAX + 1, true, 1);
	CU_ASSERT_EQUAL(r->acquire_result[0], ERR_INVALID);
	rack_acquire(r, 0, PAGES - 1, 2, true, 1);
	CU_ASSERT_EQUAL(r->acquire_result[0], ERR_INVALID);
	rack_acquire(r, 0, UINT64_MAX, 2, true, 1);
	CU_ASSERT_EQUAL(r->acquire_result[0], ERR_INVALID);
	rack_acquire(r, 0, 599, 2, true, 1);
	CU_ASSERT_EQUAL(r->acquire_result[0], ERR_INVALID);
	rack_release(r, 0, 1);
	CU_ASSERT_EQUAL(rack_stats(r, 0).refused, 6);
	rack_acquire(r, 0, 0, 1, true, 1);
	rack_acquire(r, 0, 1, 1, true, 1); /* the token is in use */
	CU_ASSERT_EQUAL(r->acquire_result[0], ERR_INVALID);
	for (uint32_t t = 2; t <= DSM_ACQUIRES_MAX; t++)
		rack_acquire(r, 0, 0, 1, true, t);
	CU_ASSERT_EQUAL(r->acquired[0], DSM_ACQUIRES_MAX);
	rack_acquire(r, 0, 0, 1, true, 1000);
	CU_ASSERT_EQUAL(r->acquire_result[0], ERR_NOSPACE);
	end();
}

/* A page that a device holds, or that home waits for, is not evicted. */
static void held_pages_are_not_evicted(void)
{
	begin(2);
	rack_acquire(r, 1, P0, 1, true, 9);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	rack_evict(r, 1, P0);
	ASSERT_STATE(r, 1, P0, DSM_M);
	rack_settle(r);
	rack_release(r, 1, 9);
	rack_evict(r, 1, P0);
	ASSERT_STATE(r, 1, P0, DSM_I);
	end();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(fresh_grant_is_kept_until_its_time_is_over),
		UNIT_CASE(time_of_any_event_counts),
		UNIT_CASE(early_timer_asks_again),
		UNIT_CASE(writer_is_held_against_readers_too),
		UNIT_CASE(reader_is_not_held_against_readers),
		UNIT_CASE(sharer_is_held_against_invalidation),
		UNIT_CASE(homes_own_page_is_held_too),
		UNIT_CASE(a_new_acquire_does_not_prolong_a_wait),
		UNIT_CASE(what_was_acquired_stays),
		UNIT_CASE(release_serves_who_came_meanwhile),
		UNIT_CASE(acquire_brings_and_keeps_pages),
		UNIT_CASE(acquire_is_bounded),
		UNIT_CASE(acquire_to_read),
		UNIT_CASE(acquire_of_what_is_here),
		UNIT_CASE(crossing_acquires_both_finish),
		UNIT_CASE(acquires_take_hold_in_rising_order),
		UNIT_CASE(windows_grow),
		UNIT_CASE(bad_acquires_are_refused),
		UNIT_CASE(held_pages_are_not_evicted),
	};

	return unit_main("core-hold", cases, UNIT_COUNT(cases));
}
