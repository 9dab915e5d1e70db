/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions that are read page after page: read ahead and in runs. Every word is checked, whoever is
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
	if (m->self < OWNER) /* upwards: in runs */
		EXPECT(m->rack,
		       after.transport.messages_in - before.transport.messages_in < PAGES * 3 / 4);
	EXPECT(m->rack, rack_barrier(m));
	rack_leave(m);
}

static void a_region_reads_as_its_owner_wrote_it(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, read_what_one_wrote);
}

/* ---- while others write ---- */

enum { COUNTED = 192, EVERY = 64 }; /* pages; words of a page that count are so far apart */

static _Atomic uint64_t *word(const struct rack_member *m, uint64_t page, unsigned i)
{
	return (_Atomic uint64_t *)rack_page(m, page) + i;
}

/* First all words in the space, then the count beside it. */
static void raise_page(const struct rack_member *m, uint64_t page)
{
	for (unsigned i = 0; i < WORDS; i += EVERY)
		atomic_fetch_add(word(m, page, i), 1);
	atomic_fetch_add(&m->rack->counter[page], 1);
}

/* A write that is over is seen by whoever reads after it. */
static void scan(const struct rack_member *m)
{
	for (uint64_t p = 0; p < COUNTED; p++) {
		uint64_t least = atomic_load(&m->rack->counter[p]);

		for (unsigned i = 0; i < WORDS; i += EVERY)
			EXPECT(m->rack, atomic_load(word(m, p, i)) >= least);
	}
}

/* One writes some pages in a row again and again, another one all of them, the third reads. */
static void write_and_scan(struct rack_member *m)
{
	uint64_t end = clock_ms() + RUN_MS, rounds = 0;

	for (; clock_ms() < end; rounds++) {
		if (m->self == 0)
			scan(m);
		for (uint64_t p = 0; p < COUNTED && m->self == 2; p++)
			raise_page(m, p);
		for (uint64_t n = 0; n < 200 && m->self == OWNER; n++)
			for (uint64_t p = 0; p < COUNTED / 2; p++)
				raise_page(m, p);
	}
	EXPECT(m->rack, rounds > 0);
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = 0; p < COUNTED; p++)
		for (unsigned i = 0; i < WORDS; i += EVERY)
			EXPECT(m->rack,
			       atomic_load(word(m, p, i)) == atomic_load(&m->rack->counter[p]));
	EXPECT(m->rack, rack_barrier(m));
	rack_leave(m);
}

static void a_stream_sees_every_write_that_is_over(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, write_and_scan);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_region_reads_as_its_owner_wrote_it),
		UNIT_CASE(a_stream_sees_every_write_that_is_over),
	};

	return unit_main("dsm streams", cases, UNIT_COUNT(cases));
}
