/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one remote page costs between two processes, and where the time goes:  test-dsm-latency
 * [PAGES]
 *
 *   read   member 1 reads a page that member 0 owns (GET_S, a copy comes)
 *   take   member 1 writes a page that member 0 owns (GET_X, the page comes)
 *   bounce both write one page in turn
 *
 * The thread's own clock gives the whole; the engine's figures (struct dsm_stats) give queue, reply
 * and install; what is left is raising the fault and running on after the wake. Checks the data
 * only.
 */
#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum { PAGES_MAX = 100000 };

static uint64_t pages = 500;

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

static void print(const char *what, uint64_t *ns, uint64_t n, const struct dsm_stats *a,
		  const struct dsm_stats *b)
{
	uint64_t faults = b->faults_timed - a->faults_timed, sum = 0;

	assert(n);
	for (uint64_t i = 0; i < n; i++)
		sum += ns[i];
	qsort(ns, n, sizeof(ns[0]), compare);
	printf("\n  %-6s us: min %.1f  p10 %.1f  p50 %.1f  p90 %.1f  p99 %.1f  mean %.1f", what,
	       us(ns[0]), us(ns[n / 10]), us(ns[n / 2]), us(ns[n * 9 / 10]), us(ns[n * 99 / 100]),
	       us(sum / n));
	if (!faults)
		return;
	printf("\n         mean of %llu: raise and resume %.1f  queue %.1f  reply %.1f  install "
	       "%.1f",
	       (unsigned long long)faults,
	       us(sum / n) - us((b->fault_ns_sum - a->fault_ns_sum) / faults),
	       us((b->queue_ns_sum - a->queue_ns_sum) / faults),
	       us((b->reply_ns_sum - a->reply_ns_sum) / faults),
	       us((b->install_ns_sum - a->install_ns_sum) / faults));
}

static void measure(struct rack_member *m, const char *what, uint64_t first, bool write)
{
	static uint64_t ns[PAGES_MAX];
	struct dsm_stats before, after;

	dsm_stats(m->dsm, &before);
	for (uint64_t i = 0; i < pages; i++) {
		_Atomic uint64_t *word = rack_page(m, first + i);
		uint64_t start = clock_ns(), value;

		value = write ? atomic_fetch_add(word, 1) : atomic_load(word);
		ns[i] = clock_ns() - start;
		EXPECT(m->rack, value == first + i + 1);
	}
	dsm_stats(m->dsm, &after);
	print(what, ns, pages, &before, &after);
}

static void bounce(struct rack_member *m)
{
	_Atomic uint64_t *turn = rack_page(m, 2 * pages);
	uint64_t rounds = pages < 1000 ? pages : 1000, start = clock_ns();

	assert(rounds);
	for (uint64_t done = 0; done < rounds;) {
		uint64_t now = atomic_load(turn);

		if (now % 2 != m->self) {
			sched_yield();
			continue;
		}
		atomic_store(turn, now + 1);
		done++;
	}
	if (m->self == 1)
		printf("\n  bounce us: %.1f a turn\n", us((clock_ns() - start) / (2 * rounds)));
}

static void latency(struct rack_member *m)
{
	for (uint64_t p = 0; p < 2 * pages && m->self == 0; p++)
		atomic_store((_Atomic uint64_t *)rack_page(m, p), p + 1);
	EXPECT(m->rack, rack_barrier(m));
	if (m->self == 1) {
		measure(m, "read", 0, false);
		measure(m, "take", pages, true);
	}
	EXPECT(m->rack, rack_barrier(m));
	bounce(m);
	fflush(stdout);
	rack_leave(m);
}

static void one_remote_page(void)
{
	rack_run(2, &(struct rack_config){.pages = 2 * pages + 1}, latency);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {UNIT_CASE(one_remote_page)};

	if (argc > 1)
		pages = strtoull(argv[1], NULL, 10);
	if (pages < 100 || pages > PAGES_MAX) {
		fprintf(stderr, "usage: %s [PAGES, 100 to %d]\n", argv[0], PAGES_MAX);
		return 2;
	}
	return unit_main("dsm latency", cases, UNIT_COUNT(cases));
}
