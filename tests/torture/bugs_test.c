/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: test-torture-bugs [SEED]. The torture is worth something only if it turns red when memory
 * lies: native members run over a core with one planted bug at a time (dsm/core/bug.h) and links
 * whose delays change all the time. Bugs that spoil data must be seen as wrong values by the
 * workers; others end the space (the core notices that the protocol is broken), or nobody comes to
 * the end of a round. Over the core without a bug the same rig is green.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dsm/core/bug.h"
#include "tests/torture/members.h"
#include "tests/unit/unit.h"

enum {
	PAGES = 300,
	FIND_MS = 60000, /* a bug has so long to show; most need one second */
	STUCK_MS = 4000, /* without a round: nobody comes to an end */
	SEEDS = 20,	 /* tried for a wrong value */
	GOOD_MS = 1500,
	PATIENCE_MS = 60000,
};

/* How links and holds are set. Calm: delays that do not race the holds, for a bug that the core's
 * own checks are quick to find when messages pass each other. */
struct weather {
	uint32_t wild_us, hold_us;
};

static const struct weather wild = {.wild_us = 2000}, calm = {.wild_us = 100, .hold_us = 400};

static uint64_t seed;

/* Runs until it is red or `ms` are over. NULL: without a bug. */
static enum members_state run(const char *bug, const struct weather *weather, uint32_t run_ms,
			      uint32_t ms)
{
	const struct proxy_shape shape = {.wild_us = weather->wild_us};
	struct members_config c = {.name = bug ? bug : "no bug",
				   .seed = seed,
				   .pages = PAGES,
				   .run_ms = run_ms,
				   .hold_us = weather->hold_us,
				   .round_ms = 300};
	enum members_state state = MEMBERS_AT_WORK;
	struct members m;

	CU_ASSERT_EQUAL_FATAL(dsm_bug_select(bug), 0);
	CU_ASSERT_EQUAL_FATAL(proxy_start(MEMBERS_LINKS, seed, &c.proxy, NULL), ERR_OK);
	for (unsigned i = 0; i < MEMBERS_LINKS; i++)
		proxy_shape(c.proxy, i, &shape);
	if (members_start(&m, &c)) {
		state = members_wait(&m, ms);
		fprintf(stderr, "%s: %s after %llu rounds\n", c.name, members_state_name(state),
			(unsigned long long)members_rounds(&m));
		members_end(&m);
	}
	proxy_stop(c.proxy);
	return state;
}

static void without_a_bug_all_is_well(void)
{
	CU_ASSERT_EQUAL(run(NULL, &wild, GOOD_MS, GOOD_MS + PATIENCE_MS), MEMBERS_DONE);
}

/* The core's own checks may be faster than a worker; then the next seed is tried. */
static void shows_wrong_values(const char *bug, const struct weather *weather)
{
	uint64_t first = seed;
	enum members_state state;

	do {
		state = run(bug, weather, FIND_MS, FIND_MS);
		CU_ASSERT_TRUE(state == MEMBERS_WRONG || state == MEMBERS_ENDED);
	} while (state == MEMBERS_ENDED && ++seed < first + SEEDS);
	CU_ASSERT_EQUAL(state, MEMBERS_WRONG);
}

static void bugs_that_spoil_data_are_seen_as_wrong_values(void)
{
	shows_wrong_values("write_before_last_ack", &calm);
	shows_wrong_values("read_before_protect", &wild);
	shows_wrong_values("put_forgets_data", &wild);
}

static void is_caught(const char *bug)
{
	enum members_state state = run(bug, &wild, FIND_MS, FIND_MS);

	CU_ASSERT_TRUE(state == MEMBERS_WRONG || state == MEMBERS_ENDED);
}

static void bugs_that_break_the_protocol_are_caught(void)
{
	is_caught("skip_invalidate");
	is_caught("owner_keeps_page");
	is_caught("stale_put_accepted");
	is_caught("upgrade_without_check");
}

static void a_bug_that_loses_requests_stops_everybody(void)
{
	enum members_state state = run("home_forgets_queue", &wild, FIND_MS, STUCK_MS);

	/* Who is forgotten waits; the core may also notice. */
	CU_ASSERT_TRUE(state == MEMBERS_AT_WORK || state == MEMBERS_ENDED);
	CU_ASSERT_EQUAL(run("endless_hold", &wild, FIND_MS, STUCK_MS), MEMBERS_AT_WORK);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(without_a_bug_all_is_well),
		UNIT_CASE(bugs_that_spoil_data_are_seen_as_wrong_values),
		UNIT_CASE(bugs_that_break_the_protocol_are_caught),
		UNIT_CASE(a_bug_that_loses_requests_stops_everybody),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)getpid();
	return unit_main("torture catches planted bugs", cases, UNIT_COUNT(cases));
}
