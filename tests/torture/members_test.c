/* SPDX-License-Identifier: Apache-2.0 */
/* usage: test-torture-members [SECONDS [SEED]]. Native members under torture: undisturbed, stopped
 * and continued, over bad links, cut off. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/torture/members.h"
#include "tests/unit/unit.h"

enum { PAGES = 600, PATIENCE_MS = 60000 };

static uint32_t run_ms = 4000;
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

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(memory_is_right),
		UNIT_CASE(memory_is_right_over_wild_links),
	};

	if (argc > 1)
		run_ms = (uint32_t)strtoul(argv[1], NULL, 10) * 1000;
	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)getpid();
	return unit_main("torture of native members", cases, UNIT_COUNT(cases));
}
