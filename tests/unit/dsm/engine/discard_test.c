/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages whose content nobody wants any more, with real processes: their memory is given back, a
 * read gives zeros or what was there, and what is written afterwards is there for everybody.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum {
	PAGES = 3 * DSM_CHUNK_PAGES, /* a chunk homed at each member */
	HOT_PAGES = 48,		     /* spread over them */
	ROUNDS = 15,
	ROUND_US = 15000,
	WRITES = 900, /* rack.counter: of all, to see that there were some */
	ZEROS,
	DISCARDED,
};

static uint64_t hot(uint64_t i)
{
	return i * (PAGES / HOT_PAGES);
}

static _Atomic uint64_t *word(const struct rack_member *m, uint64_t page, bool last)
{
	return (_Atomic uint64_t *)((uint8_t *)rack_page(m, page) + (last ? DSM_PAGE_SIZE - 8 : 0));
}

/* As the kernel sees it. */
static unsigned pages_in_memory(const struct rack_member *m)
{
	static unsigned char in[PAGES];
	unsigned n = 0;

	EXPECT(m->rack, mincore(m->base, (size_t)PAGES << DSM_PAGE_SHIFT, in) == 0);
	for (unsigned p = 0; p < PAGES; p++)
		n += in[p] & 1;
	return n;
}

/* ---- memory ---- */

/* Member 1 wrote all, whatever their homes; nobody else has a copy. */
static void give_back(struct rack_member *m)
{
	uint64_t end = clock_ms() + RACK_TIMEOUT_MS;

	for (uint64_t p = 0; p < PAGES && m->self == 1; p++)
		atomic_store(word(m, p, false), p + 1);
	EXPECT(m->rack, rack_barrier(m));
	if (m->self == 1) {
		EXPECT(m->rack, pages_in_memory(m) == PAGES);
		usleep(20000); /* until no page is held */
	}
	while (m->self == 1 && pages_in_memory(m) && clock_ms() < end) {
		for (uint64_t p = 0; p < PAGES; p++)
			dsm_discard(m->dsm, (struct gpage){p}); /* a hint */
		usleep(5000);
	}
	EXPECT(m->rack, rack_barrier(m));
	EXPECT(m->rack, pages_in_memory(m) == 0); /* zeros take no memory at home either */
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = m->self; p < PAGES; p += m->members)
		EXPECT(m->rack, atomic_load(word(m, p, false)) == 0);
	rack_leave(m);
}

static void memory_is_given_back(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, give_back);
}

/* ---- content ---- */

struct thread {
	struct rack_member *m;
	atomic_bool stop;
	pthread_t thread[2];
};

/* Values name their page, so that one of another page is seen. */
static uint64_t value_of(uint64_t page, uint64_t number)
{
	return page << 32 | number;
}

static void *use(void *context)
{
	struct thread *t = context;
	struct rack_member *m = t->m;
	unsigned seed = m->self + (unsigned)clock_ns();

	for (uint64_t n = 1; !atomic_load(&t->stop); n++) {
		uint64_t page = hot((uint64_t)rand_r(&seed) % HOT_PAGES), value;
		bool last = rand_r(&seed) % 2;

		if (rand_r(&seed) % 3 == 0) {
			atomic_store(word(m, page, last), value_of(page, n));
			atomic_fetch_add(&m->rack->counter[WRITES], 1);
			continue;
		}
		value = atomic_load(word(m, page, last));
		EXPECT(m->rack, value == 0 || value >> 32 == page);
		atomic_fetch_add(&m->rack->counter[ZEROS], value == 0);
	}
	return NULL;
}

static void *discard(void *context)
{
	struct thread *t = context;
	unsigned seed = t->m->self + 77u;

	while (!atomic_load(&t->stop)) {
		dsm_discard(t->m->dsm, (struct gpage){hot((uint64_t)rand_r(&seed) % HOT_PAGES)});
		usleep(20);
	}
	return NULL;
}

static void discard_and_use(struct rack_member *m)
{
	struct thread t = {.m = m};
	struct dsm_stats s;

	pthread_create(&t.thread[0], NULL, use, &t);
	pthread_create(&t.thread[1], NULL, discard, &t);
	usleep(ROUND_US);
	atomic_store(&t.stop, true);
	pthread_join(t.thread[0], NULL);
	pthread_join(t.thread[1], NULL);
	dsm_stats(m->dsm,
		  &s); /* all orders were carried out, though their messages are under way */
}

/* Rounds: all use and discard the same pages; then nobody discards, one writes every page, and all
 * read just that. */
static void write_after_discards(struct rack_member *m)
{
	struct dsm_stats s;

	for (uint64_t round = 1; round <= ROUNDS; round++) {
		discard_and_use(m);
		EXPECT(m->rack, rack_barrier(m));
		for (uint64_t i = 0; i < HOT_PAGES && round % m->members == m->self; i++)
			for (int last = 0; last < 2; last++)
				atomic_store(word(m, hot(i), last),
					     value_of(hot(i), round << 24 | 0xffffff));
		EXPECT(m->rack, rack_barrier(m));
		for (uint64_t i = 0; i < HOT_PAGES; i++)
			for (int last = 0; last < 2; last++)
				EXPECT(m->rack, atomic_load(word(m, hot(i), last)) ==
							value_of(hot(i), round << 24 | 0xffffff));
		EXPECT(m->rack, rack_barrier(m));
	}
	dsm_stats(m->dsm, &s);
	atomic_fetch_add(&m->rack->counter[DISCARDED], s.core.discarded);
	EXPECT(m->rack, rack_barrier(m));
	if (m->self == 0)
		fprintf(stderr, "%llu writes, %llu pages discarded, %llu reads of zeros\n",
			(unsigned long long)atomic_load(&m->rack->counter[WRITES]),
			(unsigned long long)atomic_load(&m->rack->counter[DISCARDED]),
			(unsigned long long)atomic_load(&m->rack->counter[ZEROS]));
	EXPECT(m->rack, atomic_load(&m->rack->counter[DISCARDED]) > 0);
	EXPECT(m->rack, atomic_load(&m->rack->counter[ZEROS]) > 0);
	rack_leave(m);
}

static void what_is_written_after_a_discard_stays(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, write_after_discards);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(memory_is_given_back),
		UNIT_CASE(what_is_written_after_a_discard_stays),
	};

	return unit_main("dsm discard", cases, UNIT_COUNT(cases));
}
