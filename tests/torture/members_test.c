/* SPDX-License-Identifier: Apache-2.0 */
/* usage: test-torture-members [SECONDS [SEED]]. Native members under torture: undisturbed, stopped
 * and continued, over bad links, cut off. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/torture/members.h"
#include "tests/unit/unit.h"

enum {
	PAGES = 600,
	PATIENCE_MS = 60000,
	LONG_MS = 1000000, /* longer than anything here */
	STOP_MS = 700,	   /* less than the lease of 3 s */
	SHORT_LEASE_MS = 1000,
	AFTER_MS = 300, /* how long the end is watched */
	VICTIM = 1,
};

static uint32_t run_ms = 2000;
static uint64_t seed;

static struct members_config config(const char *name)
{
	return (struct members_config){
		.name = name, .seed = seed, .pages = PAGES, .run_ms = run_ms, .round_ms = 1000};
}

static void memory_is_right(void)
{
	struct members_config c = config("undisturbed");
	struct members m;

	if (!members_start(&m, &c))
		return;
	CU_ASSERT_EQUAL(members_wait(&m, run_ms + PATIENCE_MS), MEMBERS_DONE);
	members_end(&m);
}

static void memory_is_right_over_wild_links(void)
{
	const struct proxy_shape wild = {.wild_us = 3000, .bytes_per_s = {8 << 20, 0}};
	struct members_config c = config("wild links");
	struct members m;

	CU_ASSERT_EQUAL_FATAL(proxy_start(MEMBERS_LINKS, seed, &c.proxy, NULL), ERR_OK);
	for (unsigned i = 0; i < MEMBERS_LINKS; i++)
		proxy_shape(c.proxy, i, &wild);
	if (members_start(&m, &c)) {
		CU_ASSERT_EQUAL(members_wait(&m, run_ms + PATIENCE_MS), MEMBERS_DONE);
		members_end(&m);
	}
	proxy_stop(c.proxy);
}

static void stopped_members_go_on_with_right_data(void)
{
	struct members_config c = config("stopped for less than the lease");
	struct members m;

	if (!members_start(&m, &c))
		return;
	for (unsigned i = 0; i < MEMBERS; i++) {
		members_wait(&m, STOP_MS / 2);
		kill(m.rack->pid[i], SIGSTOP);
		members_wait(&m, STOP_MS);
		kill(m.rack->pid[i], SIGCONT);
	}
	CU_ASSERT_EQUAL(members_wait(&m, run_ms + PATIENCE_MS), MEMBERS_DONE);
	members_end(&m);
}

static void memory_is_right_while_members_come_and_go(void)
{
	struct members_config c = config("members come and go");
	struct members m;

	c.visitors = true;
	if (!members_start(&m, &c))
		return;
	fprintf(stderr, "%s: %u came and went\n", c.name, members_visit(&m));
	CU_ASSERT_EQUAL(members_wait(&m, run_ms + PATIENCE_MS), MEMBERS_DONE);
	members_end(&m);
}

/* Every member hears of the end, and nobody reads a wrong value before, then or after. */
static void expect_end(struct members *m)
{
	uint64_t end = clock_ms() + PATIENCE_MS;

	while (members_lost(m) < MEMBERS && clock_ms() < end)
		usleep(1000);
	CU_ASSERT_EQUAL(members_lost(m), MEMBERS);
	usleep(AFTER_MS * 1000);
	CU_ASSERT_EQUAL(members_state(m), MEMBERS_ENDED);
	CU_ASSERT_EQUAL(members_wrong(m), 0);
	members_end(m);
}

static void a_member_stopped_too_long_ends_the_space(void)
{
	struct members_config c = config("stopped for more than the lease");
	struct members_config d = config("its neighbour");
	struct members m, neighbour;

	c.run_ms = LONG_MS;
	c.silence_ms = SHORT_LEASE_MS;
	if (!members_start(&m, &c) || !members_start(&neighbour, &d))
		return;
	members_wait(&m, STOP_MS);
	kill(m.rack->pid[VICTIM], SIGSTOP);
	CU_ASSERT_EQUAL(members_wait(&m, PATIENCE_MS), MEMBERS_ENDED);
	usleep(AFTER_MS * 1000);
	kill(m.rack->pid[VICTIM], SIGCONT);
	expect_end(&m);
	CU_ASSERT_EQUAL(members_wait(&neighbour, run_ms + PATIENCE_MS), MEMBERS_DONE);
	members_end(&neighbour);
}

static void a_broken_connection_ends_the_space(void)
{
	struct members_config c = config("cut");
	struct members m;

	c.run_ms = LONG_MS;
	for (unsigned link = 0; link < MEMBERS_LINKS; link++) {
		CU_ASSERT_EQUAL_FATAL(proxy_start(MEMBERS_LINKS, seed, &c.proxy, NULL), ERR_OK);
		if (members_start(&m, &c)) {
			members_wait(&m, STOP_MS / 2);
			proxy_cut(c.proxy, link);
			expect_end(&m);
		}
		proxy_stop(c.proxy);
	}
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(memory_is_right),
		UNIT_CASE(memory_is_right_over_wild_links),
		UNIT_CASE(stopped_members_go_on_with_right_data),
		UNIT_CASE(memory_is_right_while_members_come_and_go),
		UNIT_CASE(a_member_stopped_too_long_ends_the_space),
		UNIT_CASE(a_broken_connection_ends_the_space),
	};

	if (argc > 1)
		run_ms = (uint32_t)strtoul(argv[1], NULL, 10) * 1000;
	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)getpid();
	return unit_main("torture of native members", cases, UNIT_COUNT(cases));
}
