/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that need several pages at the same instant, on members that take these pages from
 * each other: a word astride two pages, and a move from one such word to another, astride four. The
 * words lie over the edges of chunks, so the two pages of one have different homes. Every
 * instruction must retire (dsm/PROTOCOL.md, "Why nothing waits for ever"): each thread has a fixed
 * number of them to do, and the test's deadline is the bound.
 *
 *	test-dsm-straddle [INSTRUCTIONS]     each thread does so many
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum {
	WORDS = 3, /* astride the edges of four chunks */
	PAGES = (WORDS + 1) * DSM_CHUNK_PAGES,
	THREADS = 2,
	REST_US = 300,
	SHORT_HOLD_US = 20, /* less than the second page takes to come */
};

static unsigned instructions = 150;

struct worker {
	struct rack_member *m;
	unsigned index;
	pthread_t thread;
	uint64_t sum, longest; /* ns, of the instructions */
};

static uint64_t *straddler(const struct rack_member *m, unsigned i)
{
	uint8_t *edge = rack_page(m, (uint64_t)(i + 1) * DSM_CHUNK_PAGES);

	return (uint64_t *)(edge - sizeof(uint64_t) / 2);
}

/*
 * One instruction, two pages to write. No LOCK: hosts slow down locked accesses over two lines to
 * milliseconds each. It is exact all the same as long as one thread of a member does it: a page is
 * taken between two instructions, never within one.
 */
static void add_one(uint64_t *word)
{
	__asm__ volatile("addq $1, (%0)" : : "r"(word) : "memory", "cc");
}

/* One instruction, two pages to read and two to write. */
static void move(const uint64_t *from, uint64_t *to)
{
	__asm__ volatile("movsq" : "+S"(from), "+D"(to) : : "memory");
}

/* After an instruction that began at `since`: the others take the pages while this one rests. */
static void rest(struct worker *w, uint64_t since)
{
	const struct timespec pause = {.tv_nsec = REST_US * 1000};
	uint64_t took = clock_ns() - since;

	w->sum += took;
	if (took > w->longest)
		w->longest = took;
	nanosleep(&pause, NULL);
}

static void *count(void *context)
{
	struct worker *w = context;

	for (unsigned i = 0; i < instructions; i++) {
		uint64_t start = clock_ns();

		add_one(straddler(w->m, w->index));
		rest(w, start);
	}
	return NULL;
}

/* Every word is always one that somebody wrote: all its bytes are alike. (Of two threads of one
 * member one may see half of what the other writes: the word lies on two cache lines.) */
static void *move_about(void *context)
{
	struct worker *w = context;

	for (unsigned i = 0; i < instructions; i++) {
		unsigned from = (w->m->self + w->index + i) % WORDS;
		uint64_t start = clock_ns(), value;

		move(straddler(w->m, from), straddler(w->m, (from + 1) % WORDS));
		rest(w, start);
		memcpy(&value, straddler(w->m, from), sizeof(value));
		EXPECT(w->m->rack, value == (value & 0xff) * 0x0101010101010101);
	}
	return NULL;
}

static void run(struct rack_member *m, const char *what, unsigned threads, void *(*work)(void *))
{
	struct worker worker[THREADS] = {0};
	uint64_t sum = 0, most = 0;

	for (unsigned i = 0; i < threads; i++) {
		worker[i] = (struct worker){.m = m, .index = i};
		EXPECT(m->rack, !pthread_create(&worker[i].thread, NULL, work, &worker[i]));
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(worker[i].thread, NULL);
		sum += worker[i].sum;
		if (worker[i].longest > most)
			most = worker[i].longest;
	}
	printf("\n  member %u, %s, hold %u us: %.0f us an instruction, the longest %.1f ms",
	       m->self, what, m->config->hold_us, (double)sum / 1000 / instructions / threads,
	       (double)most / 1e6);
	fflush(stdout);
}

static void counters(struct rack_member *m)
{
	EXPECT(m->rack, rack_barrier(m));
	run(m, "2 pages", THREADS, count);
	EXPECT(m->rack, rack_barrier(m));
	for (unsigned i = 0; i < THREADS; i++) {
		uint64_t sum;

		memcpy(&sum, straddler(m, i), sizeof(sum)); /* it lies astride */
		EXPECT(m->rack, sum == (uint64_t)m->members * instructions);
	}
	rack_leave(m);
}

static void moves(struct rack_member *m)
{
	if (m->self == 0)
		for (unsigned i = 0; i < WORDS; i++)
			memset(straddler(m, i), (int)(0x11 * (i + 1)), sizeof(uint64_t));
	EXPECT(m->rack, rack_barrier(m));
	run(m, "4 pages", 1, move_about);
	EXPECT(m->rack, rack_barrier(m));
	rack_leave(m);
}

static void a_word_astride_two_pages_is_counted_by_all(void)
{
	rack_run(RACK_MEMBERS, &(struct rack_config){.pages = PAGES, .hold_us = 200}, counters);
}

static void also_where_holds_are_short(void)
{
	rack_run(RACK_MEMBERS, &(struct rack_config){.pages = PAGES, .hold_us = SHORT_HOLD_US},
		 counters);
}

static void a_move_astride_four_pages_retires(void)
{
	rack_run(RACK_MEMBERS, &(struct rack_config){.pages = PAGES, .hold_us = SHORT_HOLD_US},
		 moves);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_word_astride_two_pages_is_counted_by_all),
		UNIT_CASE(also_where_holds_are_short),
		UNIT_CASE(a_move_astride_four_pages_retires),
	};

	if (argc > 1)
		instructions = (unsigned)strtoul(argv[1], NULL, 10);
	return unit_main("dsm-straddle", cases, UNIT_COUNT(cases));
}
