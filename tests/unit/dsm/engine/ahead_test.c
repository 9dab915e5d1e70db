/* SPDX-License-Identifier: Apache-2.0 */
/* dsm/ahead.h: what is recognised as a stream, and how far ahead of it pages are named. */
#include <stdlib.h>
#include <string.h>

#include "dsm/ahead.h"
#include "tests/unit/unit.h"

enum { PAGES = 10000 };

static uint64_t unused[PAGES / 64 + 1];

static struct ahead fresh(void)
{
	memset(unused, 0, sizeof(unused));
	return (struct ahead){.pages = PAGES, .unused = unused};
}

static void fault(struct ahead *a, uint64_t page)
{
	ahead_fault(a, (struct gpage){page}, false);
}

static unsigned drain(struct ahead *a)
{
	struct gpage page;
	unsigned n = 0;

	while (ahead_next(a, &page))
		n++;
	return n;
}

/* Names exactly the n pages from `first` on, in this order. */
static bool names(struct ahead *a, uint64_t first, int way, unsigned n)
{
	struct gpage page;

	for (unsigned i = 0; i < n; i++)
		if (!ahead_next(a, &page) || page.v != first + (uint64_t)((int64_t)i * way))
			return false;
	return !ahead_next(a, &page);
}

static void the_third_fault_in_a_row_makes_a_stream(void)
{
	struct ahead a = fresh();

	fault(&a, 100);
	CU_ASSERT_EQUAL(drain(&a), 0);
	fault(&a, 101);
	CU_ASSERT_EQUAL(drain(&a), 0);
	fault(&a, 102);
	CU_ASSERT(names(&a, 103, 1, AHEAD_WINDOW_MIN));
	fault(&a, 102); /* once more, by another thread: nothing new */
	CU_ASSERT_EQUAL(drain(&a), 0);
}

static void it_goes_downwards_too(void)
{
	struct ahead a = fresh();

	for (uint64_t p = 500; p > 497; p--)
		fault(&a, p);
	CU_ASSERT(names(&a, 497, -1, AHEAD_WINDOW_MIN));
	fault(&a, 493);
	CU_ASSERT(names(&a, 492, -1, 2 * AHEAD_WINDOW_MIN));
}

/* Each window is named when the one before was used up, and no page twice. */
static void the_window_doubles_as_it_is_used(void)
{
	struct ahead a = fresh();
	uint64_t at = 2;
	unsigned window = AHEAD_WINDOW_MIN;

	for (uint64_t p = 0; p < 3; p++)
		fault(&a, p);
	CU_ASSERT(names(&a, 3, 1, window));
	for (int i = 0; i < 12; i++) {
		at += window + 1;
		window = window < AHEAD_WINDOW_MAX ? 2 * window : window;
		fault(&a, at);
		CU_ASSERT(names(&a, at + 1, 1, window));
	}
	CU_ASSERT_EQUAL(window, AHEAD_WINDOW_MAX);
}

/* A thread that waits for pages under way tells how far it is, too. */
static void a_fault_within_the_window_carries_it_on(void)
{
	struct ahead a = fresh();

	for (uint64_t p = 0; p < 3; p++)
		fault(&a, p);
	CU_ASSERT(names(&a, 3, 1, 4));
	fault(&a, 4);
	CU_ASSERT(names(&a, 7, 1, 2));
	fault(&a, 6); /* four used: eight ahead of it from now on */
	CU_ASSERT(names(&a, 9, 1, 6));
}

/* What had come ahead was taken away meanwhile, from somewhere in the window on. */
static void a_stream_that_lost_its_pages_asks_anew(void)
{
	struct ahead a = fresh();

	for (uint64_t p = 0; p < 400; p++) {
		fault(&a, p);
		drain(&a);
	}
	fault(&a, 400);
	CU_ASSERT(drain(&a) < 3);
	ahead_fault(&a, (struct gpage){401}, true);
	CU_ASSERT(names(&a, 402, 1, a.stream[0].window));
}

static void random_faults_are_no_stream(void)
{
	struct ahead a = fresh();
	unsigned seed = 1, named = 0;

	for (int i = 0; i < 100000; i++) {
		fault(&a, (unsigned)rand_r(&seed) % PAGES);
		named += drain(&a);
	}
	CU_ASSERT(named < 1000);
}

static void eight_streams_go_on_side_by_side(void)
{
	struct ahead a = fresh();

	for (uint64_t i = 0; i < 3; i++)
		for (uint64_t s = 0; s < AHEAD_STREAMS; s++)
			fault(&a, s * 1000 + i);
	CU_ASSERT_EQUAL(drain(&a), AHEAD_STREAMS * AHEAD_WINDOW_MIN);
	fault(&a, 9000); /* one more takes the place of the one that was silent the longest */
	fault(&a, 7);
	CU_ASSERT_EQUAL(drain(&a), 0);
	fault(&a, 2007);
	CU_ASSERT(names(&a, 2008, 1, 2 * AHEAD_WINDOW_MIN));
}

/* None keeps the others waiting for as long as its window is. */
static void they_take_turns(void)
{
	struct ahead a = fresh();
	struct gpage page;
	bool other = false;

	for (uint64_t p = 0; p < 2000; p++) {
		fault(&a, p);
		if (p < 1800)
			drain(&a);
	}
	for (uint64_t p = 5000; p < 5003; p++)
		fault(&a, p);
	for (int i = 0; i < 32; i++) {
		CU_ASSERT_FATAL(ahead_next(&a, &page));
		other |= page.v >= 5000;
	}
	CU_ASSERT(other);
}

static void the_space_has_ends(void)
{
	struct ahead a = fresh();

	for (uint64_t p = PAGES - 4; p < PAGES - 1; p++)
		fault(&a, p);
	CU_ASSERT(names(&a, PAGES - 1, 1, 1));
	for (uint64_t p = 4; p > 1; p--)
		fault(&a, p);
	CU_ASSERT(names(&a, 1, -1, 2));
	fault(&a, PAGES + 7); /* no page of ours */
	CU_ASSERT_EQUAL(drain(&a), 0);
}

static void three_faults_at(struct ahead *a, uint64_t first)
{
	for (uint64_t p = first; p < first + 3; p++)
		fault(a, p);
}

static void forget_streams(struct ahead *a)
{
	for (uint64_t i = 0; i < AHEAD_STREAMS; i++)
		fault(a, 9000 + 10 * i);
}

static void what_came_in_vain_ends_the_window(void)
{
	struct ahead a = fresh();

	three_faults_at(&a, 100);
	CU_ASSERT(names(&a, 103, 1, 4));
	forget_streams(&a);
	three_faults_at(&a, 100);
	CU_ASSERT_EQUAL(drain(&a), 0);
	forget_streams(&a);
	three_faults_at(&a, 98);
	CU_ASSERT(names(&a, 101, 1, 2)); /* 103 is the first that came in vain */
}

static void but_what_was_here_already_is(void)
{
	struct gpage page;
	struct ahead a = fresh();

	three_faults_at(&a, 100);
	CU_ASSERT_FATAL(ahead_next(&a, &page));
	ahead_have(&a, page);
	CU_ASSERT_EQUAL(drain(&a), 3);
	forget_streams(&a);
	three_faults_at(&a, 100);
	CU_ASSERT(names(&a, 103, 1, 1));
}

static void a_stream_that_passes_uses_what_it_passes(void)
{
	struct ahead a = fresh();

	three_faults_at(&a, 100);
	CU_ASSERT_EQUAL(drain(&a), 4);
	fault(&a, 107);
	forget_streams(&a);
	three_faults_at(&a, 100);
	CU_ASSERT(names(&a, 103, 1, 4));
}

/* However long it is: the end of a region that others go on with. */
static void a_long_stream_stops_there_too(void)
{
	struct ahead a = fresh();
	struct gpage page;

	three_faults_at(&a, 4000);
	CU_ASSERT(names(&a, 4003, 1, 4)); /* in vain */
	forget_streams(&a);
	for (uint64_t p = 3000; p < 4000; p++) {
		fault(&a, p);
		while (ahead_next(&a, &page))
			CU_ASSERT(page.v < 4003);
	}
}

/* The thread comes for them after all. */
static void who_gets_there_asks_for_them(void)
{
	struct ahead a = fresh();

	three_faults_at(&a, 100);
	CU_ASSERT(names(&a, 103, 1, 4));
	forget_streams(&a);
	three_faults_at(&a, 100);
	CU_ASSERT_EQUAL(drain(&a), 0);
	fault(&a, 103); /* under way: somebody else asked for it a moment ago */
	CU_ASSERT_EQUAL(drain(&a), 0);
	ahead_fault(&a, (struct gpage){104}, true);
	CU_ASSERT(names(&a, 105, 1, AHEAD_WINDOW_MIN));
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(the_third_fault_in_a_row_makes_a_stream),
		UNIT_CASE(it_goes_downwards_too),
		UNIT_CASE(the_window_doubles_as_it_is_used),
		UNIT_CASE(a_fault_within_the_window_carries_it_on),
		UNIT_CASE(a_stream_that_lost_its_pages_asks_anew),
		UNIT_CASE(random_faults_are_no_stream),
		UNIT_CASE(eight_streams_go_on_side_by_side),
		UNIT_CASE(they_take_turns),
		UNIT_CASE(the_space_has_ends),
		UNIT_CASE(what_came_in_vain_ends_the_window),
		UNIT_CASE(but_what_was_here_already_is),
		UNIT_CASE(a_stream_that_passes_uses_what_it_passes),
		UNIT_CASE(a_long_stream_stops_there_too),
		UNIT_CASE(who_gets_there_asks_for_them),
	};

	return unit_main("reading ahead", cases, UNIT_COUNT(cases));
}
