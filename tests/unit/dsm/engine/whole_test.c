/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole chunks, with real processes: home uses its chunk alone, without a fault a page; others read
 * it, write it, get its home; whatever they see is what was written last.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum {
	CHUNKS = 12, /* four homed at each of three members */
	PAGES = CHUNKS * DSM_CHUNK_PAGES,
	WORDS = 3,
	THREADS = 2,
	RUN_MS = 1500,
	SETTLE_MS = 10000,
	CHUNK = DSM_CHUNK_PAGES,
};

static _Atomic uint64_t *word(const struct rack_member *m, uint64_t page, unsigned i)
{
	return (_Atomic uint64_t *)((uint8_t *)rack_page(m, page) + i * 1024);
}

static struct dsm_stats stats(const struct rack_member *m)
{
	struct dsm_stats s;

	dsm_stats(m->dsm, &s);
	return s;
}

static bool is_mine(const struct rack_member *m, uint64_t page)
{
	return page / CHUNK % m->members == m->self;
}

static void write_mine(struct rack_member *m)
{
	for (uint64_t p = 0; p < PAGES; p++)
		if (is_mine(m, p))
			atomic_store(word(m, p, 1), p + 1);
}

/* ---- alone ---- */

static void count_faults(struct rack_member *m)
{
	struct dsm_bucket bucket[CHUNKS];
	struct dsm_stats s;

	write_mine(m);
	s = stats(m);
	EXPECT(m->rack, s.core.whole == CHUNKS / RACK_MEMBERS);
	EXPECT(m->rack, s.core.split == 0);
	EXPECT(m->rack, s.core.write_local + s.core.read_local == 0); /* a page */
	EXPECT(m->rack, s.resident == PAGES / RACK_MEMBERS && s.owned == s.resident);
	dsm_map(m->dsm, CHUNKS, bucket);
	for (unsigned c = 0; c < CHUNKS; c++) {
		uint32_t all = is_mine(m, c * CHUNK) ? CHUNK : 0;

		EXPECT(m->rack, bucket[c].exclusive == all && bucket[c].owned == all);
		EXPECT(m->rack, bucket[c].shared == 0);
	}
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = 0; p < PAGES; p++)
		if (is_mine(m, p))
			EXPECT(m->rack, atomic_load(word(m, p, 1)) == p + 1);
	rack_leave(m);
}

static void a_home_alone_faults_once_a_chunk(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, count_faults);
}

/* ---- with others ---- */

static void read_all(struct rack_member *m, unsigned step)
{
	for (uint64_t i = 0; i < PAGES; i += step) {
		uint64_t p = (i * 7 + m->self * 31) % PAGES;

		EXPECT(m->rack, atomic_load(word(m, p, 1)) == p + 1);
		EXPECT(m->rack, atomic_load(word(m, p, 2)) == 0);
	}
}

static void share(struct rack_member *m)
{
	struct dsm_stats s;

	write_mine(m);
	EXPECT(m->rack, rack_barrier(m));
	read_all(m, 3);
	EXPECT(m->rack, rack_barrier(m));
	s = stats(m);
	EXPECT(m->rack, s.core.whole == s.core.split);
	for (uint64_t p = m->self; p < PAGES; p += 3 * m->members) /* pages of all homes */
		atomic_store(word(m, p, 0), p + 2);
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = 0; p < PAGES; p += 3)
		for (uint64_t q = p; q < p + m->members && q < PAGES; q++)
			EXPECT(m->rack, atomic_load(word(m, q, 0)) ==
						(q % (3 * m->members) < m->members ? q + 2 : 0));
	read_all(m, 5);
	rack_leave(m);
}

static void others_read_and_write_it(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, share);
}

/* Pages of the chunk that nobody wrote. */
static void read_zeros(struct rack_member *m)
{
	enum { READ = 100 };
	uint64_t before;

	if (m->self == 0)
		atomic_store(word(m, 0, 1), 1);
	EXPECT(m->rack, rack_barrier(m));
	before = stats(m).transport.bytes_in;
	for (uint64_t p = 1; p <= READ && m->self == 1; p++) {
		EXPECT(m->rack, atomic_load(word(m, p * 5, 2)) == 0);
		EXPECT(m->rack, atomic_fetch_add(word(m, p * 5, 1), p) == 0);
	}
	if (m->self == 1)
		EXPECT(m->rack, stats(m).transport.bytes_in - before < READ * DSM_PAGE_SIZE / 2);
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = 1; p <= READ; p++)
		EXPECT(m->rack, atomic_load(word(m, p * 5, 1)) == p);
	rack_leave(m);
}

static void zeros_take_no_bytes(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, read_zeros);
}

/* ---- homes that move ---- */

static bool moved(struct rack_member *m, uint64_t n)
{
	uint64_t end = clock_ms() + SETTLE_MS;

	while (clock_ms() < end && stats(m).core.moved_in < n)
		usleep(1000);
	return stats(m).core.moved_in >= n;
}

static void move(struct rack_member *m)
{
	const struct member_id next = {(uint8_t)((m->self + 1) % m->members)};

	write_mine(m);
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t c = 0; c < CHUNKS; c++)
		if (is_mine(m, c * CHUNK))
			dsm_move_home(m->dsm, (struct gpage){c * CHUNK}, next);
	EXPECT(m->rack, moved(m, CHUNKS / RACK_MEMBERS));
	EXPECT(m->rack, rack_barrier(m));
	EXPECT(m->rack, stats(m).core.split == CHUNKS / RACK_MEMBERS);
	EXPECT(m->rack, stats(m).owned == PAGES / RACK_MEMBERS); /* homes moved, pages did not */
	read_all(m, 3);
	rack_leave(m);
}

static void its_home_moves(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, move);
}

/* ---- while it is written ---- */

struct worker {
	struct rack_member *m;
	unsigned index;
	pthread_t thread;
};

/* Counted twice: in the space and beside it. */
static atomic_ullong *beside(const struct rack_member *m, uint64_t page)
{
	return &m->rack->counter[page / CHUNK];
}

/* Home all over its chunk, others on a few pages of it, later and later. */
static void *count_up(void *context)
{
	struct worker *w = context;
	struct rack_member *m = w->m;
	uint64_t begin = clock_ms(), now = begin;
	unsigned seed = m->self * 10u + w->index;

	for (; now < begin + RUN_MS; now = clock_ms()) {
		uint64_t chunk = (uint64_t)rand_r(&seed) % CHUNKS;
		uint64_t page = chunk * CHUNK + (uint64_t)rand_r(&seed) % CHUNK;

		if (!is_mine(m, page) && now < begin + RUN_MS * chunk / CHUNKS)
			continue;
		if (!is_mine(m, page))
			page -= page % 64;
		atomic_fetch_add(word(m, page, 1), 1);
		atomic_fetch_add(beside(m, page), 1);
	}
	return NULL;
}

static void write_while_split(struct rack_member *m)
{
	struct worker w[THREADS];
	uint64_t sum;

	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.m = m, .index = i};
		pthread_create(&w[i].thread, NULL, count_up, &w[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
	EXPECT(m->rack, rack_barrier(m));
	EXPECT(m->rack, stats(m).core.split > 0);
	for (uint64_t c = 0; c < CHUNKS; c++) {
		sum = 0;
		for (uint64_t p = c * CHUNK; p < (c + 1) * CHUNK; p++)
			sum += atomic_load(word(m, p, 1));
		EXPECT(m->rack, sum == atomic_load(beside(m, c * CHUNK)));
	}
	rack_leave(m);
}

static void no_write_is_lost_while_it_is_split(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, write_while_split);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_home_alone_faults_once_a_chunk),
		UNIT_CASE(others_read_and_write_it),
		UNIT_CASE(zeros_take_no_bytes),
		UNIT_CASE(its_home_moves),
		UNIT_CASE(no_write_is_lost_while_it_is_split),
	};

	return unit_main("dsm whole", cases, UNIT_COUNT(cases));
}
