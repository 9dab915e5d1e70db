/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/local.h"

#include <sys/mman.h>

#include "tests/bench/floor.h"
#include "tests/bench/pages.h"
#include "tests/bench/team.h"

enum {
	MEASURER = 0,
	CHUNK_WORDS = 2 << 20 >> 3,
	CHUNKS = 128, /* 256 MiB */
	READS = 512,  /* a round */
	PAGES = CHUNKS * 512,
};

uint64_t local_pages(const struct seat *s)
{
	return (uint64_t)PAGES * s->members;
}

/* The n-th 8 bytes of our chunks, in memory laid out as the space. */
static volatile uint64_t *word_at(const struct seat *s, void *base, uint64_t n)
{
	uint64_t chunk = n / CHUNK_WORDS;

	return (volatile uint64_t *)base + chunk * s->members * CHUNK_WORDS + n % CHUNK_WORDS;
}

/* The first words of all pages. */
static void fill(const struct seat *s, void *base)
{
	for (uint64_t i = 0; i < PAGES; i++)
		*word_at(s, base, i * (FLOOR_PAGE / 8)) = pages_content(pages_of(s, MEASURER, i));
}

void local_prepare(struct seat *s)
{
	if (s->self == MEASURER && !s->pair)
		fill(s, s->base);
}

/* ns a read. */
static double random_reads(struct seat *s, void *base)
{
	uint64_t x = s->pair + 1, sum = 0, n = (uint64_t)s->rounds * READS, began = floor_now();
	struct gpage page;

	for (uint64_t i = 0; i < n; i++) {
		x = x * 6364136223846793005 + 1442695040888963407;
		sum += *word_at(s, base, (x >> 33) % ((uint64_t)CHUNKS * CHUNK_WORDS));
	}
	began = floor_now() - began;
	page = pages_of(s, MEASURER, x % PAGES);
	pages_check(s, page, *word_at(s, base, x % PAGES * (FLOOR_PAGE / 8)), pages_content(page));
	return sum ? (double)began / (double)n : 0;
}

double local_value(struct seat *s)
{
	return s->self == MEASURER ? random_reads(s, s->base) : 0;
}

/* Ordinary memory, of which the same chunks are used. */
double local_floor(struct seat *s)
{
	static uint8_t *base;
	size_t bytes = local_pages(s) * FLOOR_PAGE, huge = CHUNK_WORDS * 8;

	if (s->self != MEASURER)
		return 0;
	if (!base) {
		base = mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (base == MAP_FAILED)
			team_fail(s, "no memory for the floor: %m");
		base += huge - (uintptr_t)base % huge;
		madvise(base, bytes, MADV_HUGEPAGE);
		fill(s, base);
	}
	return random_reads(s, base);
}
