/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/memory.h"

#include <stdio.h>

#include "tests/bench/floor.h"
#include "tests/bench/mappings.h"
#include "tests/bench/pages.h"
#include "tests/bench/parts.h"
#include "tests/bench/team.h"

enum {
	CHUNK = 512,
	USED = 32 * CHUNK, /* pages of each member */
	WARM = 128 * CHUNK,
	MORE_CHUNKS = 1024, /* ... of which nobody touches the last: */
	UNUSED_CHUNKS = 512,
	STEP = 10127, /* odd */
};

#define WORTH_TELLING 0.01 /* bytes a page */

uint64_t memory_pages(const struct seat *s)
{
	return (uint64_t)s->members * USED + MORE_CHUNKS * CHUNK;
}

/* In bytes: all of this process, and by part. */
struct sizes {
	double all, part[MAPPINGS_PARTS];
};

/* Walks the page tables: what statm says is short of some pages each processor has not told yet. */
static double resident_bytes(void)
{
	unsigned long long kib = 0;
	char line[256];
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Rss: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return (double)kib * 1024;
}

static struct sizes sizes_now(const struct mappings_part *part, unsigned n)
{
	struct sizes z = {.all = resident_bytes()};

	for (unsigned i = 0; i < n; i++)
		z.part[i] = mappings_resident(part[i].at, part[i].bytes);
	return z;
}

/* What a member grew by, for each page; the pages themselves are at the one that touched them. */
static struct sizes growth(const struct sizes *before, const struct sizes *after, double pages_here)
{
	struct sizes g;

	g.all = (after->all - before->all) / USED - pages_here * FLOOR_PAGE;
	for (unsigned i = 0; i < MAPPINGS_PARTS; i++)
		g.part[i] = (after->part[i] - before->part[i]) / USED;
	return g;
}

/* Reads the first pages of a home; they were never written. In an order that is no stream: reading
 * ahead would go on into the next chunk. */
static void touch(struct seat *s, unsigned home, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (*pages_word(s, pages_of(s, home, first + i * STEP % n)))
			team_fail(s, "a page nobody wrote is not zero");
}

/* What comes once however many pages follow: buffers, stacks. Of a chunk far from the others. */
static void warm(struct seat *s)
{
	team_meet(s);
	for (unsigned home = MEASURER; home <= OTHER && s->self == MEASURER; home++)
		touch(s, home, WARM, CHUNK);
	team_meet(s);
}

static void tell_growth(struct seat *s, const struct mappings_part *part, unsigned n,
			const struct sizes *g, const char *what,
			void (*say)(const struct seat *, const char *, double, const char *))
{
	double rest = g->all;
	char line[2 * MAPPINGS_NAME];

	say(s, what, g->all, "B");
	for (unsigned i = 0; i < n; i++) {
		rest -= g->part[i];
		snprintf(line, sizeof(line), "  of it: %s", part[i].name);
		if (g->part[i] >= WORTH_TELLING)
			say(s, line, g->part[i], "B");
	}
	say(s, "  of it: heap and stacks", rest, "B");
}

/* Entries of the chunks nobody touched. */
static double untouched_chunk(const struct seat *s, const struct mappings_part *part)
{
	const uint64_t pages = memory_pages(s);
	double sum = 0;

	for (unsigned i = MAPPINGS_HOLDERS; i <= MAPPINGS_CHUNKS; i++) {
		size_t unused = part[i].bytes / (pages / CHUNK) * UNUSED_CHUNKS;

		sum += mappings_resident((const uint8_t *)part[i].at + part[i].bytes - unused,
					 unused);
	}
	return sum / UNUSED_CHUNKS;
}

void memory_tell(struct seat *s,
		 void (*say)(const struct seat *, const char *, double, const char *))
{
	struct mappings_part part[MAPPINGS_PARTS];
	struct sizes before, theirs, after, g;
	unsigned n = mappings_parts(s, part);

	warm(s);
	sizes_now(part, n); /* measuring takes memory, too, once */
	before = sizes_now(part, n);
	team_meet(s);
	if (s->self == MEASURER)
		touch(s, OTHER, 0, USED);
	team_meet(s);
	theirs = sizes_now(part, n);
	if (s->self == OTHER) {
		g = growth(&before, &theirs, 0);
		tell_growth(s, part, n, &g, "memory a touched page costs its home", say);
		fflush(stdout);
	}
	team_meet(s);
	if (s->self != MEASURER)
		return;
	touch(s, MEASURER, 0, USED);
	after = sizes_now(part, n);
	g = growth(&before, &theirs, 1);
	tell_growth(s, part, n, &g, "memory a touched page costs its holder, beside the page", say);
	g = growth(&theirs, &after,
		   0); /* whole chunks, read alone: the kernel's one page of zeros */
	tell_growth(s, part, n, &g, "memory a page costs that its home alone touched", say);
	say(s, "memory a chunk costs that nobody touched", untouched_chunk(s, part), "B");
	fflush(stdout);
}
