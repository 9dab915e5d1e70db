/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of a virtual CPU: what a guest pays that runs on several cells. */
#include "tests/bench/bench.h"
#include "tests/bench/floor.h"
#include "tests/bench/pages.h"
#include "tests/bench/parts.h"
#include "tests/bench/team.h"
#include "tests/bench/vcpu.h"

enum { SHARED, LOCAL }; /* windows of the guest */

static struct vcpu_toucher *toucher;
static uint64_t seen[BENCH_ROUNDS_MAX];

static void must(struct seat *s, int rc)
{
	if (rc)
		team_fail(s, "vCPU: %s: %m", vcpu_why);
}

static void vcpu_prepare(struct seat *s)
{
	if (s->self == OTHER)
		pages_write(s, OTHER);
	if (s->self != MEASURER || toucher)
		return;
	if (floor_faults_open(FLOOR_THREAD, s->core, BENCH_ROUNDS_MAX, &s->faults))
		team_fail(s, "no memory for the floor's faults: %m");
	must(s, vcpu_toucher_open(&toucher));
	must(s, vcpu_toucher_window(toucher, SHARED, s->base, s->bench->pages(s) * FLOOR_PAGE));
	must(s, vcpu_toucher_window(toucher, LOCAL, floor_faults_base(s->faults),
				    (size_t)BENCH_ROUNDS_MAX * FLOOR_PAGE));
}

static double vcpu_value(struct seat *s)
{
	if (s->self != MEASURER)
		return 0;
	for (unsigned i = 0; i < s->rounds; i++)
		vcpu_toucher_add(toucher, SHARED, pages_scattered(s, OTHER, i).v * FLOOR_PAGE);
	must(s, vcpu_toucher_run(toucher, s->ns, seen));
	for (unsigned i = 0; i < s->rounds; i++)
		pages_check(s, pages_scattered(s, OTHER, i), seen[i],
			    pages_content(pages_scattered(s, OTHER, i)));
	return parts_median_us(s->ns, s->rounds);
}

/* The same touches of local pages that are absent. */
static double local_touches(struct seat *s)
{
	static uint64_t ns[BENCH_ROUNDS_MAX];

	if (floor_faults_forget(s->faults))
		team_fail(s, "the floor's faults failed: %m");
	for (unsigned i = 0; i < s->rounds; i++)
		vcpu_toucher_add(toucher, LOCAL, (uint64_t)i * FLOOR_PAGE);
	must(s, vcpu_toucher_run(toucher, ns, seen));
	for (unsigned i = 0; i < s->rounds; i++)
		pages_check(s, (struct gpage){i}, seen[i], FLOOR_WORD);
	return parts_median_us(ns, s->rounds);
}

static double vcpu_floor(struct seat *s)
{
	double fault = s->self == MEASURER ? local_touches(s) : 0;

	return fault + parts_exchange(s, FLOOR_REPLY);
}

const struct bench vcpu_benches[] = {
	{.name = "vcpu-read",
	 .text = "first touch by a virtual CPU of a page that another member owns and is home of; "
		 "floor: the same touch of a local absent page + 64 B for 4 KiB over TCP",
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 2,
	 .rounds = 1000,
	 .vcpu = true,
	 .pages = pages_all,
	 .prepare = vcpu_prepare,
	 .value = vcpu_value,
	 .floor = vcpu_floor},
	{0},
};
