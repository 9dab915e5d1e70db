/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/pages.h"

#include "tests/bench/floor.h"
#include "tests/bench/team.h"

enum { CHUNK = 512 };

static uint64_t for_pairs(const struct seat *s, uint64_t pairs)
{
	uint64_t chunks = (pairs * s->rounds + CHUNK - 1) / CHUNK;

	return chunks * s->members * CHUNK;
}

uint64_t pages_all(const struct seat *s)
{
	return for_pairs(s, s->options->pairs);
}

uint64_t pages_twice(const struct seat *s)
{
	return for_pairs(s, 2 * (uint64_t)s->options->pairs);
}

uint64_t pages_chunk_each(const struct seat *s)
{
	return (uint64_t)s->members * CHUNK;
}

struct gpage pages_of(const struct seat *s, unsigned home, uint64_t i)
{
	return (struct gpage){(home + i / CHUNK * s->members) * CHUNK + i % CHUNK};
}

static unsigned common_divisor(unsigned a, unsigned b)
{
	return b ? common_divisor(b, a % b) : a;
}

struct gpage pages_fresh(const struct seat *s, unsigned home, unsigned round)
{
	return pages_of(s, home, (uint64_t)s->pair * s->rounds + round);
}

/* Steps of a golden section; one that comes to every page. */
struct gpage pages_scattered(const struct seat *s, unsigned home, unsigned round)
{
	unsigned n = s->rounds, step = (unsigned)(n * 0.618) | 1;

	while (common_divisor(n, step) != 1)
		step += 2;
	return pages_fresh(s, home, (unsigned)((uint64_t)round * step % n));
}

volatile uint64_t *pages_word_in(const struct seat *s, unsigned space, struct gpage page)
{
	return (volatile uint64_t *)(s->bases[space] + page.v * FLOOR_PAGE);
}

volatile uint64_t *pages_word(const struct seat *s, struct gpage page)
{
	return pages_word_in(s, 0, page);
}

uint64_t pages_content(struct gpage page)
{
	return page.v * 0x9e3779b97f4a7c15 | 1;
}

void pages_check(struct seat *s, struct gpage page, uint64_t seen, uint64_t right)
{
	if (seen != right)
		team_fail(s, "page 0x%llx reads %llx, not %llx", (unsigned long long)page.v,
			  (unsigned long long)seen, (unsigned long long)right);
	s->board->checked++;
}

void pages_write(struct seat *s, unsigned home)
{
	for (unsigned i = 0; i < s->rounds; i++)
		*pages_word(s, pages_fresh(s, home, i)) = pages_content(pages_fresh(s, home, i));
}

void pages_read(struct seat *s, unsigned home)
{
	for (unsigned i = 0; i < s->rounds; i++)
		pages_check(s, pages_fresh(s, home, i), *pages_word(s, pages_fresh(s, home, i)),
			    pages_content(pages_fresh(s, home, i)));
}
