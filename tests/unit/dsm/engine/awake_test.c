/* SPDX-License-Identifier: Apache-2.0 */
/* When the shard stays awake (dsm/awake.h), in made-up times. */
#include "dsm/awake.h"

#include "tests/unit/unit.h"

enum { US = 1000, MS = 1000000 };

/* Long after the machine was started. */
static const uint64_t start = 3600ull * 1000 * MS;

static void it_stays_awake_for_who_waits(void)
{
	struct awake a = {0};

	CU_ASSERT(!awake_stays(&a, true, start));
	awake_asked(&a, start);
	CU_ASSERT(awake_stays(&a, true, start));
	CU_ASSERT(awake_stays(&a, true, start + AWAKE_NS - 1));
	CU_ASSERT(!awake_stays(&a, true, start + AWAKE_NS));
	CU_ASSERT(!awake_stays(&a, false, start + 1)); /* answered at once */
}

static void it_stays_awake_where_messages_are_dense(void)
{
	struct awake a = {0};

	awake_heard(&a, start);
	CU_ASSERT(!awake_stays(&a, false, start));
	awake_heard(&a, start + AWAKE_NS - 1);
	CU_ASSERT(awake_stays(&a, false, start + AWAKE_NS));
	CU_ASSERT(!awake_stays(&a, false, start + 2 * AWAKE_NS));
	awake_heard(&a, start + AWAKE_MAX_NS + AWAKE_NS);
	CU_ASSERT(!awake_stays(&a, false, start + AWAKE_MAX_NS + AWAKE_NS));
}

/* Messages that come a little too late are waited for longer, those that come much later not. */
static void a_while_follows_what_comes(void)
{
	const uint64_t apart = 3 * AWAKE_NS;
	uint64_t at = start;
	struct awake a = {0};

	awake_heard(&a, at);
	awake_heard(&a, at += apart);
	CU_ASSERT(!awake_stays(&a, false, at));
	awake_heard(&a, at += apart); /* 4 x AWAKE_NS by now */
	CU_ASSERT(awake_stays(&a, false, at + 4 * AWAKE_NS - 1));
	CU_ASSERT(!awake_stays(&a, false, at + 4 * AWAKE_NS));
	awake_asked(&a, at);
	CU_ASSERT(awake_stays(&a, true, at + 4 * AWAKE_NS - 1));
	awake_heard(&a, at += AWAKE_MAX_NS - 1); /* never more than the most */
	awake_heard(&a, at += AWAKE_MAX_NS - 1);
	CU_ASSERT(awake_stays(&a, false, at + AWAKE_MAX_NS - 1));
	CU_ASSERT(!awake_stays(&a, false, at + AWAKE_MAX_NS));
	awake_heard(&a, at += AWAKE_MAX_NS);
	awake_heard(&a, at += 1);
	CU_ASSERT(awake_stays(&a, false, at + AWAKE_NS - 1));
	CU_ASSERT(!awake_stays(&a, false, at + AWAKE_NS));
}

static void it_leaves_the_core_to_a_thread_it_woke(void)
{
	const uint64_t woke = start + 20 * US;
	struct awake a = {0};

	awake_heard(&a, start);
	awake_heard(&a, start + 10 * US);
	awake_woke(&a, woke);
	CU_ASSERT(!awake_stays(&a, false, woke));
	for (uint64_t at = woke; at < woke + AWAKE_BUSY_NS; at += 10 * US) {
		awake_heard(&a, at);
		CU_ASSERT(!awake_stays(&a, false, at));
	}
	awake_asked(&a, woke + 10 * US);
	CU_ASSERT(awake_stays(&a, true, woke + 20 * US)); /* it waits again */
	awake_heard(&a, woke + AWAKE_BUSY_NS);
	CU_ASSERT(awake_stays(&a, false, woke + AWAKE_BUSY_NS));
}

/* Was away, and says for how long it sleeps then. */
static uint64_t sleeps_after(struct awake *a, uint64_t now)
{
	uint64_t least = 1, most = 4ull * AWAKE_SLEEPY_MAX_NS;

	awake_displaced(a, now);
	while (least < most) {
		uint64_t at = (least + most) / 2;

		awake_asked(a, now + at);
		if (awake_stays(a, true, now + at))
			most = at;
		else
			least = at + 1;
	}
	return least;
}

static void it_sleeps_where_the_core_is_wanted(void)
{
	struct awake a = {0};
	uint64_t now = start, expected = AWAKE_SLEEPY_NS;

	CU_ASSERT(!awake_was_away(now - AWAKE_AWAY_NS, now)); /* a slow system call */
	CU_ASSERT(awake_was_away(now - AWAKE_AWAY_NS - 1, now));
	awake_asked(&a, now);
	CU_ASSERT(awake_stays(&a, true, now));
	for (int i = 0; i < 12; i++) {
		CU_ASSERT_EQUAL(sleeps_after(&a, now), expected);
		now += expected + AWAKE_AWAY_NS;
		expected = 2 * expected < AWAKE_SLEEPY_MAX_NS ? 2 * expected : AWAKE_SLEEPY_MAX_NS;
	}
	now += AWAKE_SLEEPY_MAX_NS + 1ull * AWAKE_SLEEPY_MAX_NS; /* quiet for a while */
	CU_ASSERT_EQUAL(sleeps_after(&a, now), AWAKE_SLEEPY_NS);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(it_stays_awake_for_who_waits),
		UNIT_CASE(it_stays_awake_where_messages_are_dense),
		UNIT_CASE(a_while_follows_what_comes),
		UNIT_CASE(it_leaves_the_core_to_a_thread_it_woke),
		UNIT_CASE(it_sleeps_where_the_core_is_wanted),
	};

	return unit_main("dsm awake", cases, UNIT_COUNT(cases));
}
