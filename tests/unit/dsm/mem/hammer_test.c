/* SPDX-License-Identifier: Apache-2.0 */
/*
 * M3 under load: one page is taken from three writers and given back, over and over, and every
 * increment they made must be in the page at the end. Each writer owns one word of the page, so the
 * only thing that can lose an increment is the taking. The same with the read before the protection
 * must lose some: that shows that the test can see it.
 */
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/unit/unit.h"
#include "toucher.h"

enum {
	WRITERS = 3,
	ROUNDS = 600,
	ROUNDS_AT_LEAST = 60,
	RUN_MS = 2000,
	ROUNDS_TO_LOSE = 10,
	TRIES = 200,
	CACHE_LINE = 64
};

struct writer {
	pthread_t thread;
	volatile uint64_t *word;
	atomic_bool *stop;
	uint64_t made;
};

struct hammer {
	struct mem *m;
	struct gpage page;
	atomic_bool stop;
	struct writer writer[WRITERS];
	uint8_t slot[DSM_PAGE_SIZE];
	uint64_t unstable; /* read-outs that changed afterwards */
	uint64_t own;	   /* faults of the taking thread itself (M8) */
};

static void *increment(void *context)
{
	struct writer *w = context;

	while (!atomic_load_explicit(w->stop, memory_order_relaxed)) {
		*w->word += 1;
		w->made++;
	}
	return NULL;
}

static void hammer_start(struct hammer *h, struct mem *m)
{
	memset(h, 0, sizeof(*h));
	h->m = m;
	h->page.v = 3;
	CU_ASSERT_EQUAL_FATAL(mem_uffd.install(m, h->page, true, NULL, NULL), ERR_OK);
	for (int i = 0; i < WRITERS; i++) {
		struct writer *w = &h->writer[i];

		w->word = (volatile uint64_t *)(page_at(m, h->page.v) + i * CACHE_LINE);
		w->stop = &h->stop;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&w->thread, NULL, increment, w), 0);
	}
	setpriority(PRIO_PROCESS, 0,
		    -20); /* this thread, as a shard's: else it waits for all writers */
}

/* Sleeping, not yielding: a yield waits for the slices of all three. */
static void let_writers_run(void)
{
	const struct timespec moment = {.tv_nsec = 20000};

	nanosleep(&moment, NULL);
}

static void drain(struct hammer *h)
{
	struct mem_fault f[16];
	int n;

	while ((n = mem_uffd.faults(h->m, f, 16)) > 0)
		for (int i = 0; i < n; i++)
			h->own += f[i].thread == (uint32_t)syscall(SYS_gettid);
}

static void take(struct hammer *h, bool read_first)
{
	uint8_t again[DSM_PAGE_SIZE];

	if (read_first) {
		mem_uffd.read_out(h->m, h->page, h->slot, NULL);
		let_writers_run(); /* widens the window, so that the test is short */
	}
	CU_ASSERT_EQUAL_FATAL(mem_uffd.protect(h->m, h->page, NULL), ERR_OK);
	if (!read_first) {
		mem_uffd.read_out(h->m, h->page, h->slot, NULL);
		let_writers_run();
		mem_uffd.read_out(h->m, h->page, again, NULL);
		h->unstable += memcmp(h->slot, again, sizeof(again)) != 0;
	}
	CU_ASSERT_EQUAL_FATAL(mem_uffd.drop(h->m, h->page, NULL), ERR_OK);
}

/* M13: at once, where the kernel can. */
static void take_at_once(struct hammer *h)
{
	const void *bytes;

	if (!mem_uffd.take(h->m, h->page, 1, &bytes)) {
		take(h, false);
		return;
	}
	memcpy(h->slot, bytes, DSM_PAGE_SIZE);
	let_writers_run();
	h->unstable += memcmp(h->slot, bytes, DSM_PAGE_SIZE) != 0;
}

/* Every third time read-only first, as a reader's grant that is upgraded. */
static void give(struct hammer *h, unsigned round)
{
	bool upgrade = round % 3 == 0;

	CU_ASSERT_EQUAL_FATAL(mem_uffd.install(h->m, h->page, !upgrade, h->slot, NULL), ERR_OK);
	if (upgrade) {
		mem_uffd.wake(h->m, h->page, NULL);
		let_writers_run();
		CU_ASSERT_EQUAL_FATAL(mem_uffd.unprotect(h->m, h->page, NULL), ERR_OK);
	}
	mem_uffd.wake(h->m, h->page, NULL);
	drain(h);
}

/* Increments made that are not in the page. */
static uint64_t hammer_stop(struct hammer *h)
{
	uint64_t lost = 0;

	atomic_store(&h->stop, true);
	setpriority(PRIO_PROCESS, 0, 0);
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(h->writer[i].thread, NULL);
		lost += h->writer[i].made - *h->writer[i].word;
	}
	return lost;
}

/* A busy machine takes long for a round: fewer will do. */
static bool go_on(unsigned round, uint64_t end)
{
	return round < ROUNDS_AT_LEAST || (round < ROUNDS && clock_ms() < end);
}

static void loses_nothing(bool at_once)
{
	uint64_t end = clock_ms() + RUN_MS;
	struct mem *m = mem_or_skip(&(struct mem_config){.pages = 8});
	struct hammer h;

	if (!m)
		return;
	hammer_start(&h, m);
	for (unsigned round = 0; go_on(round, end); round++) {
		let_writers_run();
		if (at_once)
			take_at_once(&h);
		else
			take(&h, false);
		give(&h, round);
	}
	CU_ASSERT_EQUAL(hammer_stop(&h), 0);
	CU_ASSERT_EQUAL(h.unstable, 0);
	CU_ASSERT_EQUAL(h.own, 0);
	for (int i = 0; i < WRITERS; i++)
		CU_ASSERT(h.writer[i].made > 0);
	mem_uffd.close(m);
}

static void m3_protect_read_drop_loses_nothing(void)
{
	loses_nothing(false);
}

static void m13_taking_at_once_loses_nothing(void)
{
	loses_nothing(true);
}

static void m3_reading_before_protecting_loses_writes(void)
{
	struct mem *m = mem_or_skip(&(struct mem_config){.pages = 8});
	uint64_t lost = 0;
	struct hammer h;

	if (!m)
		return;
	for (unsigned tries = 0; !lost && tries < TRIES; tries++) {
		hammer_start(&h, m);
		for (unsigned round = 0; round < ROUNDS_TO_LOSE; round++) {
			let_writers_run();
			take(&h, true);
			give(&h, round);
		}
		lost = hammer_stop(&h);
		mem_uffd.drop(m, h.page, NULL);
	}
	CU_ASSERT(lost > 0);
	mem_uffd.close(m);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(m3_protect_read_drop_loses_nothing),
		UNIT_CASE(m13_taking_at_once_loses_nothing),
		UNIT_CASE(m3_reading_before_protecting_loses_writes),
	};

	return unit_main("mem hammer", cases, UNIT_COUNT(cases));
}
