/* SPDX-License-Identifier: Apache-2.0 */
/*
 * M14 and M15 of dsm/mem.h, on the real userfaultfd: what a whole chunk is, and that a split loses
 * nothing, while threads write all over the chunk and pages are taken and given back.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "dsm/whole.h"
#include "proto/base/clock.h"
#include "tests/unit/unit.h"
#include "toucher.h"

enum {
	CHUNK = DSM_CHUNK_PAGES,
	PAGES = 3 * CHUNK, /* the middle one becomes whole: it has neighbours */
	FIRST = CHUNK,
	WRITERS = 3,
	TAKEN = 40,  /* pages taken a round, all over the chunk */
	SPLITS = 60, /* at most */
	SPLITS_AT_LEAST = 8,
	RUN_MS = 3000,
	SPREAD = 64 / sizeof(uint64_t),
};

static struct gpage page(uint64_t v)
{
	return (struct gpage){v};
}

#define OK(call) CU_ASSERT_EQUAL(call, ERR_OK)

static struct mem *open_or_skip(void)
{
	return mem_or_skip(&(struct mem_config){.pages = PAGES});
}

/* ---- M14 ---- */

static void m14_a_whole_chunk_raises_no_fault(void)
{
	struct mem *m = open_or_skip();
	struct toucher t;

	if (!m)
		return;
	OK(mem_uffd.whole(m, page(FIRST), CHUNK, NULL));
	for (uint64_t p = FIRST; p < FIRST + CHUNK; p += 37) {
		CU_ASSERT_EQUAL(page_at(m, p)[5], 0);
		touch_write(&t, page_at(m, p), 9);
		CU_ASSERT_FATAL(touch_done(&t));
	}
	CU_ASSERT(no_fault(m));
	mem_uffd.close(m);
}

static void m14_its_neighbours_do(void)
{
	static const uint64_t neighbour[] = {FIRST - 1, FIRST + CHUNK};
	struct mem *m = open_or_skip();
	struct mem_fault f;
	struct toucher t;

	if (!m)
		return;
	OK(mem_uffd.whole(m, page(FIRST), CHUNK, NULL));
	for (int i = 0; i < 2; i++) {
		touch_write(&t, page_at(m, neighbour[i]), 1);
		CU_ASSERT_FATAL(next_fault(m, &f));
		CU_ASSERT_EQUAL(f.page.v, neighbour[i]);
		OK(mem_uffd.install(m, f.page, true, NULL, NULL));
		OK(mem_uffd.wake(m, f.page, NULL));
		CU_ASSERT_FATAL(touch_done(&t));
	}
	mem_uffd.close(m);
}

static void m14_who_waited_goes_on(void)
{
	struct mem *m = open_or_skip();
	struct toucher a, b;
	struct mem_fault f;

	if (!m)
		return;
	touch_write(&a, page_at(m, FIRST + 3), 3);
	touch_read(&b, page_at(m, FIRST + 300));
	CU_ASSERT_FATAL(next_fault(m, &f));
	CU_ASSERT(touch_waits(&b));
	OK(mem_uffd.whole(m, page(FIRST), CHUNK, NULL));
	CU_ASSERT_FATAL(touch_done(&a));
	CU_ASSERT_FATAL(touch_done(&b));
	CU_ASSERT_EQUAL(page_at(m, FIRST + 3)[0], 3);
	CU_ASSERT_EQUAL(b.value, 0);
	mem_uffd.close(m);
}

/* ---- M15 ---- */

/* After the split a page is as one that was installed to be written. */
static void is_ordinary(struct mem *m, uint64_t p, uint8_t value)
{
	static uint8_t out[DSM_PAGE_SIZE];
	struct mem_fault f;
	struct toucher t;

	OK(mem_uffd.protect(m, page(p), NULL));
	OK(mem_uffd.read_out(m, page(p), out, NULL));
	CU_ASSERT_EQUAL(out[0], value);
	touch_write(&t, page_at(m, p), 4);
	CU_ASSERT_FATAL(next_fault(m, &f));
	CU_ASSERT_EQUAL(f.page.v, p);
	CU_ASSERT(f.write);
	OK(mem_uffd.drop(m, page(p), NULL));
	OK(mem_uffd.install(m, page(p), true, out, NULL));
	OK(mem_uffd.wake(m, page(p), NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	CU_ASSERT_EQUAL(page_at(m, p)[0], 4);
}

static bool all_there(struct mem *m)
{
	static unsigned char in[CHUNK];

	return mincore(page_at(m, FIRST), (size_t)CHUNK << DSM_PAGE_SHIFT, in) == 0 &&
	       !memchr(in, 0, CHUNK);
}

static void m15_every_page_is_there_after_the_split(void)
{
	struct mem *m = open_or_skip();

	if (!m)
		return;
	OK(mem_uffd.whole(m, page(FIRST), CHUNK, NULL));
	page_at(m, FIRST + 7)[0] = 7;
	OK(mem_uffd.split(m, page(FIRST), CHUNK, NULL));
	CU_ASSERT_FATAL(all_there(m));
	page_at(m, FIRST + 8)[0] = 8;
	CU_ASSERT(no_fault(m));
	is_ordinary(m, FIRST + 7, 7);
	is_ordinary(m, FIRST + 8, 8);
	is_ordinary(m, FIRST + CHUNK - 1, 0);
	mem_uffd.close(m);
}

/* Where no huge page was to be had: pages one by one, and most of them never touched. */
static void m15_small_pages_too(void)
{
	struct mem *m = open_or_skip();

	if (!m)
		return;
	OK(mem_uffd.whole(m, page(FIRST), CHUNK, NULL));
	madvise(page_at(m, FIRST), (size_t)CHUNK << DSM_PAGE_SHIFT, MADV_NOHUGEPAGE);
	page_at(m, FIRST + 7)[0] = 7;
	OK(mem_uffd.split(m, page(FIRST), CHUNK, NULL));
	CU_ASSERT_FATAL(all_there(m));
	is_ordinary(m, FIRST + 7, 7);
	is_ordinary(m, FIRST + 9, 0);
	mem_uffd.close(m);
}

/* Of a chunk that was only read the kernel may have one huge page of zeros. */
static void m15_zeros_that_were_only_read(void)
{
	struct mem *m = open_or_skip();
	const void *bytes = NULL;

	if (!m)
		return;
	OK(mem_uffd.whole(m, page(FIRST), CHUNK, NULL));
	CU_ASSERT_EQUAL(page_at(m, FIRST + 7)[0], 0);
	OK(mem_uffd.split(m, page(FIRST), CHUNK, NULL));
	CU_ASSERT_FATAL(all_there(m));
	if (mem_uffd.take(m, page(FIRST + 20), 1, &bytes))
		CU_ASSERT_EQUAL(((const uint8_t *)bytes)[100], 0);
	is_ordinary(m, FIRST + 7, 0);
	is_ordinary(m, FIRST + 8, 0);
	mem_uffd.close(m);
}

/* ---- where the process may have no more mappings ---- */

static unsigned mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned n = 0;

	for (int c; f && (c = fgetc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

/* Small pages, without a fault all the same; and it is split as others. */
static void beyond_the_bound_it_has_small_pages(void)
{
	struct mem *m = open_or_skip();
	struct whole w;
	unsigned before;

	if (!m)
		return;
	whole_open(&w, mem_uffd.fd(m));
	CU_ASSERT(w.most > 0);
	w.most = 0;
	before = mappings();
	OK(whole_take(&w, page_at(m, FIRST), (size_t)CHUNK << DSM_PAGE_SHIFT, NULL));
	CU_ASSERT_EQUAL(mappings(), before);
	CU_ASSERT_EQUAL(w.taken, 0);
	page_at(m, FIRST + 7)[0] = 7;
	CU_ASSERT_EQUAL(page_at(m, FIRST + 9)[0], 0);
	CU_ASSERT(no_fault(m));
	OK(whole_split(&w, page_at(m, FIRST), (size_t)CHUNK << DSM_PAGE_SHIFT, NULL));
	is_ordinary(m, FIRST + 7, 7);
	is_ordinary(m, FIRST + 9, 0);
	mem_uffd.close(m);
}

/* Two more a chunk, however they lie: the bound counts on that. */
static void a_whole_chunk_needs_two_mappings(void)
{
	struct mem *m = mem_or_skip(&(struct mem_config){.pages = 9 * CHUNK});
	unsigned before = mappings();

	if (!m)
		return;
	for (unsigned c = 1; c < 9; c += c == 3 ? 1 : 2) { /* 1, 3, 4, 6, 8 */
		OK(mem_uffd.whole(m, page(c * CHUNK), CHUNK, NULL));
		page_at(m, c * CHUNK)[0] = 1;
	}
	CU_ASSERT(mappings() <= before + 10);
	OK(mem_uffd.split(m, page(3 * CHUNK), CHUNK, NULL));
	OK(mem_uffd.split(m, page(6 * CHUNK), CHUNK, NULL));
	CU_ASSERT(mappings() <= before + 10);
	mem_uffd.close(m);
}

/* ---- nothing is lost ---- */

struct writer {
	pthread_t thread;
	struct mem *m;
	unsigned index;
	atomic_bool *stop;
	uint64_t made[CHUNK];
};

/* Each writer has a word of its own in every page. */
static volatile uint64_t *word(struct mem *m, unsigned writer, uint64_t p)
{
	return (volatile uint64_t *)page_at(m, FIRST + p) + writer * SPREAD;
}

static void *increment(void *context)
{
	struct writer *w = context;
	uint32_t x = w->index + 1;

	while (!atomic_load_explicit(w->stop, memory_order_relaxed)) {
		uint64_t p = (x = x * 1664525 + 1013904223) >> 16 & (CHUNK - 1);

		*word(w->m, w->index, p) += 1;
		w->made[p]++;
	}
	return NULL;
}

static void let_writers_run(void)
{
	const struct timespec moment = {.tv_nsec = 50000};

	nanosleep(&moment, NULL);
}

static void answer(struct mem *m, struct mem_fault *f, int n)
{
	for (int i = 0; i < n; i++)
		OK(mem_uffd.wake(m, f[i].page, NULL));
}

/* Takes a page from the writers and gives it back. */
static void pass(struct mem *m, uint64_t p)
{
	static uint8_t slot[DSM_PAGE_SIZE];
	struct mem_fault f[16];
	const void *bytes;
	int n;

	if (p % 2 == 0 && mem_uffd.take(m, page(FIRST + p), 1, &bytes) == 1) {
		memcpy(slot, bytes, DSM_PAGE_SIZE);
	} else {
		OK(mem_uffd.protect(m, page(FIRST + p), NULL));
		OK(mem_uffd.read_out(m, page(FIRST + p), slot, NULL));
		OK(mem_uffd.drop(m, page(FIRST + p), NULL));
	}
	OK(mem_uffd.install(m, page(FIRST + p), true, slot, NULL));
	OK(mem_uffd.wake(m, page(FIRST + p), NULL));
	while ((n = mem_uffd.faults(m, f, 16)) > 0)
		answer(m, f, n);
}

static uint64_t lost(struct mem *m, struct writer *w)
{
	uint64_t n = 0;

	for (uint64_t p = 0; p < CHUNK; p++)
		n += w->made[p] - *word(m, w->index, p);
	return n;
}

/* A chunk's life: whole, written by all, split under them, pages passed on. */
static uint64_t split_under_writers(unsigned seed, bool small)
{
	static struct writer writer[WRITERS];
	struct mem *m = open_or_skip();
	atomic_bool stop = false;
	uint64_t n = 0;

	if (!m)
		return 0;
	OK(mem_uffd.whole(m, page(FIRST), CHUNK, NULL));
	if (small)
		madvise(page_at(m, FIRST), (size_t)CHUNK << DSM_PAGE_SHIFT, MADV_NOHUGEPAGE);
	memset(writer, 0, sizeof(writer));
	for (unsigned i = 0; i < WRITERS; i++) {
		writer[i] = (struct writer){.m = m, .index = i, .stop = &stop};
		CU_ASSERT_EQUAL_FATAL(
			pthread_create(&writer[i].thread, NULL, increment, &writer[i]), 0);
	}
	setpriority(PRIO_PROCESS, 0, -20);
	let_writers_run();
	OK(mem_uffd.split(m, page(FIRST), CHUNK, NULL));
	for (unsigned i = 0; i < TAKEN; i++)
		pass(m, (seed + i * 97) % CHUNK);
	atomic_store(&stop, true);
	setpriority(PRIO_PROCESS, 0, 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		pthread_join(writer[i].thread, NULL);
		n += lost(m, &writer[i]);
	}
	mem_uffd.close(m);
	return n;
}

static void m15_a_split_loses_nothing(void)
{
	uint64_t end = clock_ms() + RUN_MS;
	unsigned i = 0;

	for (; i < SPLITS_AT_LEAST || (i < SPLITS && clock_ms() < end); i++)
		CU_ASSERT_EQUAL(split_under_writers(i, i % 4 == 3), 0);
	CU_ASSERT(i >= SPLITS_AT_LEAST);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(m14_a_whole_chunk_raises_no_fault),
		UNIT_CASE(m14_its_neighbours_do),
		UNIT_CASE(m14_who_waited_goes_on),
		UNIT_CASE(m15_every_page_is_there_after_the_split),
		UNIT_CASE(m15_small_pages_too),
		UNIT_CASE(m15_zeros_that_were_only_read),
		UNIT_CASE(beyond_the_bound_it_has_small_pages),
		UNIT_CASE(a_whole_chunk_needs_two_mappings),
		UNIT_CASE(m15_a_split_loses_nothing),
	};

	return unit_main("mem whole", cases, UNIT_COUNT(cases));
}
