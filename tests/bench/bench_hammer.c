/* SPDX-License-Identifier: Apache-2.0 */
/* Members that all write one page as fast as they can: what the hold time is for. */
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"
#include "tests/bench/pages.h"
#include "tests/bench/parts.h"
#include "tests/bench/team.h"

enum {
	WORD_EVERY = 16, /* words: no two members write one cache line */
	CLOCK_EVERY = 16 /* writes */
};

static volatile uint64_t *word_of(const struct seat *s, unsigned space, unsigned member)
{
	return pages_word_in(s, space, pages_of(s, OTHER, 0)) + (size_t)member * WORD_EVERY;
}

/* Raises this member's word for so long; how often it did. */
static uint64_t raise_for(volatile uint64_t *word, uint64_t ns)
{
	uint64_t end = floor_now() + ns, n = 0;

	while (floor_now() < end)
		for (unsigned i = 0; i < CLOCK_EVERY; i++, n++)
			++*word;
	return n;
}

/* Each word is what its member says it raised it to. */
static void check_words(struct seat *s, unsigned space)
{
	for (unsigned m = 0; m < s->members; m++)
		pages_check(s, pages_of(s, OTHER, 0), *word_of(s, space, m),
			    atomic_load(&s->board->word[m]));
}

/* Writes a second of all members; a round is a millisecond. */
static double hammer(struct seat *s, unsigned space)
{
	static uint64_t raised[BENCH_SPACES_MAX];
	uint64_t ns = s->rounds * 1000000ull, before = 0, after = 0;

	atomic_store(&s->board->word[s->self], raised[space]);
	team_meet(s);
	for (unsigned m = 0; m < s->members; m++)
		before += atomic_load(&s->board->word[m]);
	team_meet(s);
	raised[space] += raise_for(word_of(s, space, s->self), ns);
	atomic_store(&s->board->word[s->self], raised[space]);
	team_meet(s);
	for (unsigned m = 0; m < s->members; m++)
		after += atomic_load(&s->board->word[m]);
	if (s->self == MEASURER)
		check_words(s, space);
	return (double)(after - before) / (double)ns * 1e9;
}

static double with_hold(struct seat *s)
{
	return hammer(s, 0);
}

static double without_hold(struct seat *s)
{
	return hammer(s, 1);
}

const struct bench hammer_benches[] = {
	{.name = "hammer",
	 .text = "writes of all members to one page, each to its own word; floor: with the "
		 "shortest hold time there is, 20 us. A round is 1 ms",
	 .kind = BENCH_RATE,
	 .unit = "1/s",
	 .members = 2,
	 .rounds = 100,
	 .second_hold_us = 1,
	 .pages = pages_chunk_each,
	 .value = with_hold,
	 .floor = without_hold},
	{0},
};
