/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are the floors what the machine does? Each is measured in turns by floor.c and by second.c, and
 * the medians of both are printed. They should be within 15 % of each other on a quiet machine; a
 * factor of two in the median of all turns is a failure on any: one of them does something else.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsm/mem.h"
#include "tests/bench/floor.h"
#include "tests/bench/samples.h"
#include "tests/bench/second.h"
#include "tests/bench/team.h"

enum { TURNS = 9, ROUNDS = 500, SKIPPED = 77 };

static uint64_t ns[ROUNDS];

static double first_fault(enum floor_handler handler)
{
	struct floor_faults *f;
	int rc;

	if (floor_faults_open(handler, team_core(0), ROUNDS, &f))
		return -1;
	rc = floor_faults_run(f, ns, ROUNDS);
	floor_faults_close(f);
	return rc ? -1 : samples_quantile(ns, ROUNDS, 0.5) / 1000;
}

static double first_exchange(size_t reply)
{
	int link[2], rc, status = 1;
	pid_t child;

	if (floor_link(link))
		return -1;
	team_pin(team_core(1)); /* where the other side shall begin */
	child = fork();
	if (child == 0)
		_exit(floor_answer(link[1], FLOOR_ASK, reply, ROUNDS) != 0);
	team_pin(team_core(0));
	rc = floor_call(link[0], FLOOR_ASK, reply, ns, ROUNDS);
	close(link[0]);
	close(link[1]);
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		return -1;
	return rc ? -1 : samples_quantile(ns, ROUNDS, 0.5) / 1000;
}

enum part { THREAD, INLINE, SMALL, PAGE, PARTS };

static const char *const names[PARTS] = {
	[THREAD] = "fault, handler thread sleeps on the same core",
	[INLINE] = "fault, handled by the faulting thread (SIGBUS)",
	[SMALL] = "64 B for 64 B over TCP",
	[PAGE] = "64 B for 4 KiB over TCP",
};

static double first(enum part part)
{
	switch (part) {
	case THREAD:
		return first_fault(FLOOR_THREAD);
	case INLINE:
		return first_fault(FLOOR_INLINE);
	case SMALL:
		return first_exchange(FLOOR_ASK);
	default:
		return first_exchange(FLOOR_REPLY);
	}
}

static double second(enum part part)
{
	if (part == THREAD || part == INLINE)
		return second_fault(part == THREAD, ROUNDS);
	return second_exchange(FLOOR_ASK, part == SMALL ? FLOOR_ASK : FLOOR_REPLY, team_core(1),
			       ROUNDS);
}

/* Who goes first changes from turn to turn. */
static int compare(enum part part)
{
	double a[TURNS], b[TURNS], ratio[TURNS], r;

	for (unsigned i = 0; i < TURNS; i++) {
		a[i] = i % 2 ? 0 : first(part);
		b[i] = second(part);
		if (i % 2)
			a[i] = first(part);
		if (a[i] <= 0 || b[i] <= 0) {
			fprintf(stderr, "%s: not measured: %m\n", names[part]);
			return 1;
		}
		ratio[i] = a[i] / b[i];
	}
	r = samples_median(ratio, TURNS);
	printf("%-48s %7.2f us, second %7.2f us, ratio %.3f: %s\n", names[part],
	       samples_median(a, TURNS), samples_median(b, TURNS), r,
	       r < 0.5 || r > 2	      ? "NOT THE SAME THING"
	       : r < 0.85 || r > 1.15 ? "more than 15 % apart"
				      : "agree");
	return r < 0.5 || r > 2;
}

static bool can_fault(void)
{
	const struct mem_config one = {.pages = 1};
	struct mem *mem = NULL;
	struct err e = {0};

	if (!mem_uffd.open(&one, &mem, &e)) {
		mem_uffd.close(mem);
		return true;
	}
	printf("SKIP: %s\n", e.text);
	return false;
}

int main(void)
{
	int failed = 0;

	if (!can_fault())
		return SKIPPED;
	if (team_cores() < 2) {
		puts("SKIP: both ends of an exchange spin, and there is one core");
		return SKIPPED;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	team_pin(team_core(0));
	for (enum part part = THREAD; part < PARTS; part++)
		failed |= compare(part);
	return failed;
}
