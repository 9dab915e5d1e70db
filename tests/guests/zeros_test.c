/* SPDX-License-Identifier: Apache-2.0 */
/*
 * M10 of dsm/mem.h, for a whole VM: a fragment dies at any moment, and with it its pages and its
 * userfaultfd. Its own vCPUs and those of the other fragments wait or end; none of them reads
 * zeros.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/guests/rack.h"
#include "tests/unit/unit.h"

enum { LONG_MS = 120000, MEMBERS = 3, ROUNDS = 2 };

static struct rack rack;

static bool steady(const struct rack *r)
{
	return strstr(r->console, "steady\n") || rack_stopped(r);
}

static void survives(unsigned victim, int after_ms)
{
	struct rack_config c = {
		.members = MEMBERS,
		.vcpus = 4,
		.place = {0, 1, 2, 2},
		.memory = 64 << 20,
		.guest = "guests/steady.elf",
	};

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, steady, LONG_MS));
	rack_until(&rack, rack_stopped, after_ms);
	CU_ASSERT_FALSE(rack_stopped(&rack));
	rack_kill(&rack, victim);
	CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LONG_MS));
	for (unsigned i = 0; i < MEMBERS; i++) {
		const Cellular__FragReport *r = rack.fragment[i].report;

		if (i == victim)
			continue;
		CU_ASSERT_TRUE(r && r->reason &&
			       r->reason->cause == CELLULAR__END_CAUSE__END_MEMBER_LOST &&
			       r->reason->member == victim);
		if (r && r->reason)
			printf("member %u: %s\n", i, r->reason->text);
	}
	CU_ASSERT_PTR_NULL(strstr(rack.console, "wrong"));
	rack_close(&rack);
}

static void nobody_reads_zeros_when_a_fragment_dies(void)
{
	for (int round = 0; round < ROUNDS; round++)
		for (unsigned victim = 0; victim < MEMBERS; victim++)
			survives(victim, 50 + 117 * round);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(nobody_reads_zeros_when_a_fragment_dies),
	};

	if (access("/dev/kvm", R_OK | W_OK))
		unit_skip("/dev/kvm: %s", strerror(errno));
	else if (access("/dev/userfaultfd", R_OK | W_OK) && geteuid())
		unit_skip("no right to userfaultfd");
	else
		return unit_main("zeros", cases, UNIT_COUNT(cases));
	return unit_main("zeros", cases, 0);
}
