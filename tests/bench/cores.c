/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdbool.h>

#include "tests/bench/team.h"

static cpu_set_t allowed(void)
{
	static cpu_set_t set; /* as it was before anybody was pinned */
	static bool known;

	if (!known)
		known = sched_getaffinity(0, sizeof(set), &set) == 0;
	return set;
}

unsigned team_cores(void)
{
	cpu_set_t set = allowed();
	int n = CPU_COUNT(&set);

	return n > 0 ? (unsigned)n : 1;
}

int team_core(unsigned n)
{
	cpu_set_t set = allowed();

	n %= team_cores();
	for (int core = 0; core < CPU_SETSIZE; core++)
		if (CPU_ISSET(core, &set) && n-- == 0)
			return core;
	return 0;
}

void team_pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}
