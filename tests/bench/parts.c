/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/parts.h"

#include "tests/bench/floor.h"
#include "tests/bench/samples.h"
#include "tests/bench/team.h"

double parts_median_us(const uint64_t *ns, unsigned n)
{
	static uint64_t copy[BENCH_ROUNDS_MAX];

	for (unsigned i = 0; i < n; i++)
		copy[i] = ns[i];
	return samples_quantile(copy, n, 0.5) / 1000;
}

double parts_exchange(struct seat *s, size_t reply)
{
	static uint64_t ns[BENCH_ROUNDS_MAX];
	int rc = 0;

	team_meet(s);
	if (s->self == MEASURER)
		rc = floor_call(s->link, FLOOR_ASK, reply, ns, s->rounds);
	else if (s->self == OTHER)
		rc = floor_answer(s->link, FLOOR_ASK, reply, s->rounds);
	team_meet(s);
	if (rc)
		team_fail(s, "the exchange of the floor failed: %m");
	return s->self == MEASURER ? parts_median_us(ns, s->rounds) : 0;
}

double parts_fault(struct seat *s)
{
	static uint64_t ns[BENCH_ROUNDS_MAX];

	if (s->self != MEASURER)
		return 0;
	if (!s->faults && floor_faults_open(s->options->inline_faults ? FLOOR_INLINE : FLOOR_THREAD,
					    s->core, BENCH_ROUNDS_MAX, &s->faults))
		team_fail(s, "no memory for the floor's faults: %m");
	if (floor_faults_run(s->faults, ns, s->rounds))
		team_fail(s, "the floor's faults failed: %m");
	return parts_median_us(ns, s->rounds);
}

double parts_page(struct seat *s)
{
	double fault = parts_fault(s);

	return fault + parts_exchange(s, FLOOR_REPLY);
}

double parts_right(struct seat *s)
{
	double fault = parts_fault(s);

	return fault + parts_exchange(s, FLOOR_ASK);
}

double parts_message(struct seat *s)
{
	return parts_exchange(s, FLOOR_ASK);
}
