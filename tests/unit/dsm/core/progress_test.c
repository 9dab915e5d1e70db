/* SPDX-License-Identifier: Apache-2.0 */
/* Stalled threads get the whole set of pages they need, and time to use it (R40 .. R42). Home of
 * the pages is member 0, unless said otherwise. */
#include "rack.h"

enum {
	PAGES = 4 * DSM_CHUNK_PAGES,
	LOW = 3,
	HIGH = 9,
	THREAD = 77,
	PATIENCE = RACK_HOLD_US, /* us; the hold of the rack is longer than the least patience */
};

static struct rack *r;

static void begin(uint8_t members)
{
	r = rack_new(members, PAGES, RACK_HOLD_US);
}

static void end(void)
{
	rack_end(r);
}

static void stall(uint8_t member, uint32_t thread, uint64_t page, bool write)
{
	rack_step(r, member,
		  (struct dsm_event){.type = DSM_EV_FAULT, .fault = {{page}, write, thread}});
}

/* What the adapter saw comes with the next event, here with one that does nothing. */
static void prove(uint8_t member, uint64_t page, bool written)
{
	rack_step(r, member,
		  (struct dsm_event){
			  .type = DSM_EV_TIMER, .proofs = 1, .proof = {{{page}, written}}});
}

static const struct dsm_collection *set_of(uint8_t member, unsigned thread)
{
	return &r->core[member]->collection[DSM_ACQUIRES_MAX + thread];
}

/* The thread stalls on the page and gets it; then member 2 takes it away. */
static void get_and_lose(uint64_t page, bool written)
{
	stall(1, THREAD, page, true);
	rack_settle(r);
	ASSERT_STATE(r, 1, page, DSM_M);
	rack_tick(r, RACK_HOLD_US);
	rack_fault(r, 2, page, true);
	rack_settle(r);
	ASSERT_STATE(r, 1, page, DSM_I);
	prove(1, page, written);
}

/* R40: who gets on costs nothing: one request a fault, in the order of the faults. */
static void a_fault_asks_for_its_page(void)
{
	begin(2);
	stall(1, THREAD, HIGH, true);
	stall(1, THREAD, LOW, false);
	CU_ASSERT_EQUAL(rack_count(r, 1, 0), 2);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_GET_X).page.v, HIGH);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_GET_S).page.v, LOW);
	CU_ASSERT_EQUAL(set_of(1, 0)->pages, 2);
	CU_ASSERT_EQUAL(set_of(1, 0)->page[0], LOW);
	CU_ASSERT_EQUAL(set_of(1, 0)->write, 2);
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_IDLE);
	end();
}

/* R40: a fault of nobody in particular leaves no trace. */
static void an_unknown_thread_has_no_set(void)
{
	begin(2);
	stall(1, 0, LOW, true);
	CU_ASSERT_EQUAL(r->core[1]->threads, 0);
	end();
}

/* The thread needs LOW and HIGH, and lost both before it ran: it is in trouble with the set. */
static void lose_both(void)
{
	begin(3);
	get_and_lose(HIGH, false);
	get_and_lose(LOW, false);
	stall(1, THREAD, HIGH, true);
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_WANTS);
}

/* R41, R26: the core asks for the lowest missing page itself, and for the next when that is here.
 */
static void the_set_is_collected_in_rising_order(void)
{
	lose_both();
	CU_ASSERT_EQUAL(rack_count(r, 1, 0), 1);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_GET_X).page.v, LOW);
	rack_deliver(r, 0, 2, PAGE_FETCH_X);
	rack_tick(r, RACK_HOLD_US);
	rack_deliver(r, 2, 1, PAGE_GRANT);
	rack_deliver(r, 1, 0, PAGE_UNBLOCK);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_GET_X).page.v, HIGH);
	end();
}

/* LOW is here and held, HIGH is on its way, member 2 wants LOW. */
static void hold_low(void)
{
	lose_both();
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 2, PAGE_FETCH_X);
	rack_tick(r, RACK_HOLD_US);
	rack_deliver(r, 2, 1, PAGE_GRANT);
	rack_deliver(r, 1, 0, PAGE_UNBLOCK);
	rack_fault(r, 2, LOW, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_tick(r, RACK_HOLD_US); /* its own hold is over */
	ASSERT_STATE(r, 1, LOW, DSM_M);
}

static void bring_high(void)
{
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 2, PAGE_FETCH_X);
	rack_deliver(r, 2, 1, PAGE_GRANT);
}

/* R41, R28: what is here is kept while the rest comes, and all of it for a last window. */
static void the_set_is_held_until_it_was_used(void)
{
	unsigned wakes;

	hold_low();
	CU_ASSERT_TRUE(dsm_core_collects(r->core[1], (struct gpage){LOW}));
	CU_ASSERT_FALSE(dsm_core_collects(r->core[1], (struct gpage){LOW + 1}));
	CU_ASSERT_FALSE(dsm_core_collects(r->core[0], (struct gpage){LOW}));
	wakes = r->wakes[1];
	bring_high();
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_COMPLETE);
	CU_ASSERT_EQUAL(r->wakes[1], wakes + 3); /* HIGH came, and both are here */
	rack_tick(r, 2 * PATIENCE - 1);
	ASSERT_STATE(r, 1, LOW, DSM_M);
	ASSERT_STATE(r, 1, HIGH, DSM_M);
	rack_tick(r, 1);
	ASSERT_STATE(r, 1, LOW, DSM_I);
	end();
}

/* R27: one window for each page, then who waits is served and the collection begins anew. */
static void collecting_is_bounded(void)
{
	hold_low();
	rack_tick(r, 2 * PATIENCE - RACK_HOLD_US);
	ASSERT_STATE(r, 1, LOW, DSM_I);
	stall(1, THREAD, LOW, true); /* it was not told to come, so it is no later than before */
	CU_ASSERT_EQUAL(r->core[1]->thread[0].rounds, 2);
	rack_settle(r);
	CU_ASSERT_EQUAL(set_of(1, 0)->tries, 1);
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_COMPLETE);
	end();
}

static void bring(uint64_t page)
{
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_GET_X).page.v, page);
	rack_deliver(r, 0, 2, PAGE_FETCH_X);
	rack_deliver(r, 2, 1, PAGE_GRANT);
	rack_deliver(r, 1, 0, PAGE_UNBLOCK);
}

/* Two pages of three are here, and member 2 waits for the upper of them. */
static void hold_two(void)
{
	begin(3);
	get_and_lose(HIGH, false);
	get_and_lose(LOW, false);
	get_and_lose(LOW - 1, false);
	stall(1, THREAD, HIGH, true);
	rack_tick(r, RACK_HOLD_US); /* what is fetched is not fresh any more */
	bring(LOW - 1);
	bring(LOW);
	CU_ASSERT_EQUAL(set_of(1, 0)->prefix, 2);
	CU_ASSERT_EQUAL(set_of(1, 0)->until, r->now + 3 * PATIENCE * 1000);
	rack_fault(r, 2, LOW, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
}

/* ... when the window closes. */
static void close_window_over_two(uint8_t tries)
{
	hold_two();
	r->core[1]->collection[DSM_ACQUIRES_MAX].tries = tries;
	rack_tick(r, 3 * PATIENCE - 1);
	ASSERT_STATE(r, 1, LOW, DSM_M);
	rack_tick(r, 1);
	ASSERT_STATE(r, 1, LOW, DSM_I);
	ASSERT_STATE(r, 1, LOW - 1, DSM_M);
	CU_ASSERT_EQUAL(set_of(1, 0)->prefix, 1);
}

/* R27: what is still here is held on, twice as long. */
static void the_next_window_begins_when_one_ends(void)
{
	close_window_over_two(0);
	CU_ASSERT_EQUAL(set_of(1, 0)->tries, 1);
	CU_ASSERT_EQUAL(set_of(1, 0)->until, r->now + 2 * 3 * PATIENCE * 1000);
	end();
}

/* R27: at most 4096 times as long. */
static void windows_have_a_ceiling(void)
{
	close_window_over_two(12);
	CU_ASSERT_EQUAL(set_of(1, 0)->until, r->now + 4096ull * 3 * PATIENCE * 1000);
	end();
}

/* R25: a page for which somebody waits already does not join, though it is here: it leaves first.
 */
static void who_waited_before_is_served_first(void)
{
	begin(3);
	get_and_lose(HIGH, false);
	get_and_lose(LOW, false);
	rack_tick(r, RACK_HOLD_US);
	rack_write(r, 1, HIGH, 1);
	rack_fault(r, 2, HIGH, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	stall(1, THREAD, LOW, true);
	bring(LOW);
	ASSERT_STATE(r, 1, HIGH, DSM_M);
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_WANTS);
	CU_ASSERT_EQUAL(set_of(1, 0)->prefix, 1);
	rack_tick(r, RACK_HOLD_US);
	ASSERT_STATE(r, 1, HIGH, DSM_I);
	ASSERT_STATE(r, 1, LOW, DSM_M);
	end();
}

/* R26: a lower page turns out to be missing: what is above it is held no longer, or two members
 * could wait for each other. */
static void a_lower_page_lets_the_higher_go(void)
{
	hold_low();
	stall(1, THREAD, LOW - 1, true);
	rack_tick(r, 0);
	ASSERT_STATE(r, 1, LOW, DSM_I);
	CU_ASSERT_EQUAL(set_of(1, 0)->page[0], LOW - 1);
	stall(1, THREAD, LOW - 2, true); /* two more: hardly in trouble, but collected */
	CU_ASSERT_EQUAL(r->core[1]->thread[0].rounds, 0);
	CU_ASSERT_EQUAL(set_of(1, 0)->last, PATIENCE * 1000);
	end();
}

/* R26: not only the next one above it. */
static void a_lower_page_lets_all_go(void)
{
	hold_two();
	rack_tick(r, RACK_HOLD_US);
	ASSERT_STATE(r, 1, LOW, DSM_M);
	stall(1, THREAD, LOW - 2, true);
	ASSERT_STATE(r, 1, LOW, DSM_I);
	end();
}

/* The copy came and went twice: now it is held for the last window. */
static void read_in_trouble(void)
{
	begin(3);
	rack_write(r, 0, LOW, 1);
	for (int i = 0; i < 3; i++) {
		rack_tick(r, 1000);
		rack_fault(r, 0, LOW, true);
		rack_settle(r);
		stall(1, THREAD, LOW, false);
		rack_settle(r);
	}
}

/* R26: so does a right that is missing on a page that is here. */
static void a_stronger_right_lets_the_page_go(void)
{
	read_in_trouble();
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_COMPLETE);
	stall(1, THREAD, LOW, true);
	CU_ASSERT_EQUAL(set_of(1, 0)->prefix, 0);
	rack_settle(r);
	ASSERT_STATE(r, 1, LOW, DSM_M);
	end();
}

/* R26: ... at once, also where the set is not collected again. Member 2 waits for the page. */
static void a_stronger_right_keeps_nobody_waiting(void)
{
	read_in_trouble();
	rack_tick(r, RACK_HOLD_US);
	rack_fault(r, 2, LOW, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_INVALIDATE);
	ASSERT_STATE(r, 1, LOW, DSM_S);
	stall(1, THREAD, HIGH, true); /* one more page: half as much in trouble */
	ASSERT_STATE(r, 1, LOW, DSM_S);
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_COMPLETE);
	stall(1, THREAD, LOW, true);
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_COMPLETE);
	ASSERT_STATE(r, 1, LOW, DSM_I);
	end();
}

/* R41: a page that did not come meanwhile is no page the thread came back to. */
static void stalling_again_is_not_coming_back(void)
{
	const struct dsm_thread *t;

	begin(3);
	t = &r->core[1]->thread[0];
	stall(1, THREAD, LOW, true);
	rack_settle(r);
	rack_tick(r, RACK_HOLD_US);
	rack_fault(r, 2, LOW, true);
	rack_settle(r);
	for (int i = 0; i < 4; i++) {
		stall(1, THREAD, LOW, true);
		CU_ASSERT_EQUAL(t->rounds, 1);
	}
	end();
}

/* R40: the pages of a set keep their rights, and when they came, wherever a new one goes. */
static void a_new_page_moves_the_others(void)
{
	begin(3);
	for (uint64_t page = HIGH; page <= HIGH + 1; page++) { /* at two times */
		rack_write(r, 1, page, 1);
		rack_tick(r, 7);
	}
	rack_tick(r, RACK_HOLD_US);
	rack_write(r, 2, HIGH, 2);
	rack_write(r, 2, HIGH + 1, 2);
	stall(1, THREAD, HIGH, true);
	stall(1, THREAD, HIGH + 1, true);
	stall(1, THREAD, LOW, true);
	CU_ASSERT_EQUAL(set_of(1, 0)->write, 7);
	stall(1, THREAD, HIGH, true); /* has not come since */
	stall(1, THREAD, HIGH + 1, true);
	CU_ASSERT_EQUAL(r->core[1]->thread[0].rounds, 0);
	stall(1, THREAD, LOW + 1, false);
	CU_ASSERT_EQUAL(set_of(1, 0)->write, 13);
	stall(1, THREAD, LOW + 2, false);
	CU_ASSERT_EQUAL(set_of(1, 0)->write, 25);
	stall(1, THREAD, HIGH + 2, true);
	CU_ASSERT_EQUAL(set_of(1, 0)->write, 57);
	end();
}

/* R41: a page outside the set halves the number; what was seen counts once. */
static void how_often_it_came_back(void)
{
	const struct dsm_thread *t;

	begin(3);
	t = &r->core[1]->thread[0];
	for (int i = 0; i < 3; i++)
		get_and_lose(LOW, false);
	CU_ASSERT_EQUAL(t->rounds, 4);
	stall(1, THREAD, HIGH, true);
	CU_ASSERT_EQUAL(t->rounds, 2);
	rack_settle(r);
	rack_tick(r, 64 * PATIENCE);
	rack_fault(r, 2, LOW, true);
	rack_settle(r);
	prove(1, LOW, false);
	stall(1, THREAD, LOW, true);
	CU_ASSERT_EQUAL(t->rounds, 4);
	CU_ASSERT_FALSE(t->unwritten);
	CU_ASSERT_FALSE(t->shared);
	end();
}

/* R41: the oftener the thread came too late, the longer the pages are kept for it. */
static void the_last_window_grows(void)
{
	begin(3);
	for (unsigned i = 0; i < 5; i++) {
		get_and_lose(LOW, false);
		if (i)
			CU_ASSERT_EQUAL(set_of(1, 0)->last, 2 * i * PATIENCE * 1000);
		CU_ASSERT_EQUAL(set_of(1, 0)->tries, 0); /* none closed too early */
	}
	end();
}

/* R41: ... up to a ceiling. */
static void the_last_window_has_a_ceiling(void)
{
	begin(3);
	for (int i = 0; i < 50; i++)
		get_and_lose(LOW, false);
	CU_ASSERT_EQUAL(set_of(1, 0)->last, 64 * PATIENCE * 1000);
	end();
}

/* R41: nothing is known of it: it may well have got on, so it is not let grow far. */
static void doubt_grows_a_little(void)
{
	begin(3);
	for (int i = 0; i < 20; i++) {
		stall(1, THREAD, LOW, true);
		rack_settle(r);
		rack_tick(r, RACK_HOLD_US);
		rack_fault(r, 2, LOW, true);
		rack_settle(r);
	}
	CU_ASSERT_EQUAL(set_of(1, 0)->last, 4 * PATIENCE * 1000);
	end();
}

/* R42: a word that two members write in turn keeps its short turns. */
static void a_written_page_starts_over(void)
{
	begin(3);
	for (int i = 0; i < 20; i++) {
		get_and_lose(LOW, true);
		CU_ASSERT_EQUAL(set_of(1, 0)->last, 0);
	}
	end();
}

/* R42: ... nothing of the set is left, and the next one is collected as the first was. */
static void the_next_set_is_a_new_one(void)
{
	const struct dsm_thread *t;

	begin(3);
	t = &r->core[1]->thread[0];
	for (int i = 0; i < 3; i++)
		get_and_lose(LOW, false);
	CU_ASSERT_EQUAL(t->rounds, 4);
	get_and_lose(LOW, true);
	CU_ASSERT_TRUE(t->written);
	get_and_lose(HIGH, false);
	CU_ASSERT_EQUAL(t->rounds, 0);
	CU_ASSERT_EQUAL(set_of(1, 0)->pages, 1);
	CU_ASSERT_FALSE(t->written);
	get_and_lose(LOW, false);
	stall(1, THREAD, HIGH, true);
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_WANTS);
	CU_ASSERT_EQUAL(rack_count(r, 1, 0), 1); /* the lowest, not all */
	end();
}

/* R42: another thread may have written it. */
static void a_page_of_two_threads_proves_nothing(void)
{
	begin(3);
	for (int i = 0; i < 4; i++) {
		stall(1, THREAD + 1, LOW, true);
		get_and_lose(LOW, true);
	}
	CU_ASSERT_EQUAL(set_of(1, 0)->last, 3 * PATIENCE * 1000);
	end();
}

/* R42: a device that acquired it may have written it, too. */
static void a_page_of_a_device_proves_nothing(void)
{
	begin(2);
	rack_acquire(r, 1, HIGH, 1, true, 2);
	rack_acquire(r, 1, LOW, 1, true, 1);
	stall(1, THREAD, LOW, true);
	prove(1, LOW, true);
	CU_ASSERT_FALSE(r->core[1]->thread[0].written);
	CU_ASSERT_TRUE(r->core[1]->thread[0].shared);
	rack_release(r, 1, 1);
	prove(1, LOW, true);
	CU_ASSERT_TRUE(r->core[1]->thread[0].written);
	end();
}

/* R42: ... also if it has released it since, until the page comes anew. */
static void a_page_a_device_had_proves_nothing(void)
{
	begin(3);
	get_and_lose(LOW, false);
	rack_tick(r, RACK_HOLD_US);
	rack_acquire(r, 1, LOW, 1, true, 1);
	rack_settle(r);
	ASSERT_STATE(r, 1, LOW, DSM_M);
	rack_release(r, 1, 1);
	prove(1, LOW, true);
	CU_ASSERT_FALSE(r->core[1]->thread[0].written);
	CU_ASSERT_TRUE(r->core[1]->thread[0].shared);
	rack_fault(r, 2, LOW, true);
	rack_settle(r);
	rack_tick(r, RACK_HOLD_US);
	get_and_lose(LOW, true);
	CU_ASSERT_TRUE(r->core[1]->thread[0].written);
	end();
}

/* R42: who only reads a page did not write it. */
static void a_page_to_read_proves_nothing(void)
{
	begin(2);
	stall(1, THREAD, LOW, false);
	stall(1, THREAD, HIGH, true);
	prove(1, LOW, true);
	CU_ASSERT_FALSE(r->core[1]->thread[0].written);
	prove(1, HIGH, true);
	CU_ASSERT_TRUE(r->core[1]->thread[0].written);
	stall(1, THREAD + 1, HIGH + 1, true);
	prove(1, HIGH + 1, true);
	CU_ASSERT_TRUE(r->core[1]->thread[1].written);
	end();
}

/* R42: nobody is that late. */
static void a_long_run_starts_over(void)
{
	begin(3);
	get_and_lose(HIGH, false);
	get_and_lose(LOW, false);
	rack_tick(r, 64 * PATIENCE + 1);
	stall(1, THREAD, HIGH, true);
	CU_ASSERT_EQUAL(set_of(1, 0)->pages, 1);
	CU_ASSERT_EQUAL(set_of(1, 0)->state, COLLECTION_IDLE);
	end();
}

/* R42: ... but perhaps just so late. */
static void the_latest_did_not_run(void)
{
	begin(3);
	get_and_lose(LOW, false);
	rack_tick(r, 64 * PATIENCE - RACK_HOLD_US);
	CU_ASSERT_EQUAL(r->now - r->core[1]->thread[0].last, 64 * PATIENCE * 1000);
	stall(1, THREAD, LOW, true);
	CU_ASSERT_EQUAL(r->core[1]->thread[0].rounds, 2);
	end();
}

/* R40: the seventeenth page is no page of the same instruction. */
static void a_full_set_starts_over(void)
{
	begin(2);
	for (uint64_t p = 0; p <= DSM_ACQUIRE_PAGES_MAX; p++)
		stall(1, THREAD, p, true);
	CU_ASSERT_EQUAL(set_of(1, 0)->pages, 1);
	CU_ASSERT_EQUAL(set_of(1, 0)->page[0], DSM_ACQUIRE_PAGES_MAX);
	end();
}

/* R40: who silently waits for its collection when its place is taken is not forgotten. */
static void a_thread_that_loses_its_place_still_waits(void)
{
	lose_both();
	for (uint32_t t = 1; t <= DSM_THREADS_MAX; t++) {
		rack_tick(r, 1);
		stall(1, 1000 + t, HIGH + t, false);
	}
	CU_ASSERT_EQUAL(r->core[1]->threads, DSM_THREADS_MAX);
	CU_ASSERT_EQUAL(r->core[1]->thread[0].id, 1000 + DSM_THREADS_MAX);
	rack_settle(r);
	ASSERT_STATE(r, 1, HIGH, DSM_M);
	end();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_fault_asks_for_its_page),
		UNIT_CASE(an_unknown_thread_has_no_set),
		UNIT_CASE(the_set_is_collected_in_rising_order),
		UNIT_CASE(the_set_is_held_until_it_was_used),
		UNIT_CASE(collecting_is_bounded),
		UNIT_CASE(the_next_window_begins_when_one_ends),
		UNIT_CASE(windows_have_a_ceiling),
		UNIT_CASE(who_waited_before_is_served_first),
		UNIT_CASE(a_lower_page_lets_the_higher_go),
		UNIT_CASE(a_lower_page_lets_all_go),
		UNIT_CASE(a_stronger_right_lets_the_page_go),
		UNIT_CASE(a_stronger_right_keeps_nobody_waiting),
		UNIT_CASE(stalling_again_is_not_coming_back),
		UNIT_CASE(a_new_page_moves_the_others),
		UNIT_CASE(how_often_it_came_back),
		UNIT_CASE(the_last_window_grows),
		UNIT_CASE(the_last_window_has_a_ceiling),
		UNIT_CASE(doubt_grows_a_little),
		UNIT_CASE(a_written_page_starts_over),
		UNIT_CASE(the_next_set_is_a_new_one),
		UNIT_CASE(a_page_of_two_threads_proves_nothing),
		UNIT_CASE(a_page_of_a_device_proves_nothing),
		UNIT_CASE(a_page_a_device_had_proves_nothing),
		UNIT_CASE(a_page_to_read_proves_nothing),
		UNIT_CASE(a_long_run_starts_over),
		UNIT_CASE(the_latest_did_not_run),
		UNIT_CASE(a_full_set_starts_over),
		UNIT_CASE(a_thread_that_loses_its_place_still_waits),
	};

	return unit_main("core-progress", cases, UNIT_COUNT(cases));
}
