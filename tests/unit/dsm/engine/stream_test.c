/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions that are read page after page: read ahead. Every word is checked, whoever is
 * home, whichever way it goes, and while others write.
 */
#include <string.h>

#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum {
	PAGES = 6 * DSM_CHUNK_PAGES, /* two chunks at home at each of three members */
	WORDS = DSM_PAGE_SIZE / sizeof(uint64_t),
	OWNER = 1,
	RUN_MS = 2000,
};

static uint64_t content(uint64_t page, unsigned word)
{
	return page * 0x9e3779b97f4a7c15 + word * 0xbf58476d1ce4e5b9 + 1;
}

static bool good(const struct rack_member *m, uint64_t page)
{
	const volatile uint64_t *at = rack_page(m, page);

	for (unsigned i = 0; i < WORDS; i++)
		if (at[i] != content(page, i))
			return false;
	return true;
}

static void write_region(const struct rack_member *m)
{
	for (uint64_t p = 0; p < PAGES; p++)
		for (unsigned i = 0; i < WORDS; i++)
			((uint64_t *)rack_page(m, p))[i] = content(p, i);
}

static void check_region(const struct rack_member *m, bool down)
{
	for (uint64_t p = 0; p < PAGES; p++) {
		uint64_t page = down ? PAGES - 1 - p : p;

		if (!good(m, page)) {
			EXPECT(m->rack, !"a page of the stream is not what its owner wrote");
			return;
		}
	}
}

/* One reads upwards, another one down. */
static void read_what_one_wrote(struct rack_member *m)
{
	struct dsm_stats before, after;

	if (m->self == OWNER)
		write_region(m);
	EXPECT(m->rack, rack_barrier(m));
	dsm_stats(m->dsm, &before);
	if (m->self != OWNER)
		check_region(m, m->self > OWNER);
	dsm_stats(m->dsm, &after);
	EXPECT(m->rack, after.core.refused == 0);
	if (m->self != OWNER) {
		EXPECT(m->rack, after.asked_ahead > PAGES / 2);
		/* most of them came without a fault of their own */
		EXPECT(m->rack, after.faults_timed - before.faults_timed < PAGES / 2);
	}
	EXPECT(m->rack, rack_barrier(m));
	rack_leave(m);
}

static void a_region_reads_as_its_owner_wrote_it(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, read_what_one_wrote);
}

/* ---- while others write ---- */

enum { COUNTED = 200 }; /* pages; all words of one are raised together */

static void raise_words(const struct rack_member *m, uint64_t page)
{
	_Atomic uint64_t *at = rack_page(m, page);

	for (unsigned i = 0; i < WORDS; i += 64)
		atomic_fetch_add(&at[i], 1);
	atomic_fetch_add(&m->rack->counter[page], 1);
}

/* What one reader sees of a word never goes back, and no word is more than a raise behind one that
 * was read before it and is raised after it. */
static void scan(const struct rack_member *m, uint64_t seen[COUNTED])
{
	for (uint64_t p = 0; p < COUNTED; p++) {
		_Atomic uint64_t *at = rack_page(m, p);
		uint64_t last = atomic_load(&at[WORDS - 64]), first = atomic_load(&at[0]);

		EXPECT(m->rack, first >= last);
		EXPECT(m->rack, last >= seen[p]);
		seen[p] = last;
	}
}

/* Each page is raised by one member at a time, so that a raise that was lost shows at the end. */
static void write_and_scan(struct rack_member *m)
{
	static uint64_t seen[COUNTED];
	uint64_t end = clock_ms() + RUN_MS, rounds = 0;

	for (; clock_ms() < end; rounds++) {
		if (m->self == 0) {
			scan(m, seen);
			continue;
		}
		for (uint64_t p = m->self - 1; p < COUNTED && clock_ms() < end; p += 2)
			raise_words(m, p);
	}
	EXPECT(m->rack, rounds > 1);
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = 0; p < COUNTED; p++)
		for (unsigned i = 0; i < WORDS; i += 64)
			EXPECT(m->rack, atomic_load((_Atomic uint64_t *)rack_page(m, p) + i) ==
						atomic_load(&m->rack->counter[p]));
	EXPECT(m->rack, rack_barrier(m));
	rack_leave(m);
}

static void a_stream_over_pages_that_others_write_sees_them_in_order(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, write_and_scan);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_region_reads_as_its_owner_wrote_it),
		UNIT_CASE(a_stream_over_pages_that_others_write_sees_them_in_order),
	};

	return unit_main("dsm streams", cases, UNIT_COUNT(cases));
}
