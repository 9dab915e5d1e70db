/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counting of litmus outcomes against a naive oracle that looks at every frame: whenever any
 * frame has the target outcome, the counted frames show it, too; and what they count is there.
 */
#include <stdlib.h>
#include <string.h>

#include "node/guest/programs/litmus.h"
#include "tests/unit/unit.h"

enum { LOCATIONS = 3, TURNS = 5, WORLDS = 20000 };

static uint32_t seen[LITMUS_REGISTERS][LOCATIONS * TURNS];

/* Values a load may have seen in turn after turn: they never go back. */
static void draw_records(unsigned registers)
{
	for (unsigned i = 0; i < registers; i++)
		for (unsigned l = 0; l < LOCATIONS; l++) {
			unsigned value = 0;

			for (unsigned k = 0; k < TURNS; k++) {
				if (rand() % 2)
					value += (unsigned)rand() % 3;
				value = value > TURNS ? TURNS : value;
				seen[i][k * LOCATIONS + l] = value;
			}
		}
}

static unsigned outcome(const struct litmus_test *test, unsigned l, const unsigned *turn)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < test->registers; i++) {
		unsigned k = turn[test->reg[i].thread] - 1;

		if (seen[i][k * LOCATIONS + l] >= turn[test->reg[i].writer])
			bits |= 1u << i;
	}
	return bits;
}

static unsigned power(unsigned base, unsigned n)
{
	return n ? base * power(base, n - 1) : 1;
}

static void count_all(const struct litmus_test *test, uint64_t counts[LITMUS_OUTCOMES])
{
	for (unsigned l = 0; l < LOCATIONS; l++)
		for (unsigned frame = 0; frame < power(TURNS, test->threads); frame++) {
			unsigned turn[LITMUS_THREADS], rest = frame;

			for (unsigned t = 0; t < test->threads; t++, rest /= TURNS)
				turn[t] = 1 + rest % TURNS;
			counts[outcome(test, l, turn)]++;
		}
}

static void frames_looked_at_find_the_target(void)
{
	struct litmus_record record = {.locations = LOCATIONS, .turns = TURNS};

	srand(1);
	for (unsigned i = 0; i < LITMUS_REGISTERS; i++)
		record.seen[i] = seen[i];
	for (unsigned t = 0; t < litmus_tests_count; t++) {
		const struct litmus_test *test = &litmus_tests[t];
		unsigned with = 0, wrong = 0;

		for (unsigned world = 0; world < WORLDS / power(4, test->threads - 2); world++) {
			uint64_t some[LITMUS_OUTCOMES] = {0}, all[LITMUS_OUTCOMES] = {0}, sum = 0;
			uint64_t frames;

			draw_records(test->registers);
			frames = litmus_count(test, &record, some);
			count_all(test, all);
			with += all[test->target] > 0;
			wrong += !some[test->target] != !all[test->target];
			for (unsigned o = 0; o < LITMUS_OUTCOMES; o++) {
				wrong += some[o] && !all[o];
				sum += some[o];
			}
			wrong += sum != frames;
		}
		CU_ASSERT_EQUAL(wrong, 0);
		CU_ASSERT(with > 10);
	}
}

/* One turn a location: every location is one frame. */
static void a_single_round_is_a_frame(void)
{
	struct litmus_record record = {.locations = 4, .turns = 1, .seen = {seen[0], seen[1]}};
	uint64_t counts[LITMUS_OUTCOMES] = {0};

	memcpy(seen[0], (uint32_t[]){0, 1, 0, 1}, 4 * sizeof(uint32_t));
	memcpy(seen[1], (uint32_t[]){0, 0, 1, 1}, 4 * sizeof(uint32_t));
	for (unsigned t = 0; t < litmus_tests_count && litmus_tests[t].registers == 2; t++) {
		memset(counts, 0, sizeof(counts));
		CU_ASSERT_EQUAL(litmus_count(&litmus_tests[t], &record, counts), 4);
		for (unsigned o = 0; o < 4; o++)
			CU_ASSERT_EQUAL(counts[o], 1);
	}
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(frames_looked_at_find_the_target),
		UNIT_CASE(a_single_round_is_a_frame),
	};

	return unit_main("litmus count", cases, UNIT_COUNT(cases));
}
