/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory ordering of real vCPUs whose pages travel between cells: the guest `litmus` in a VM over
 * four cell-vm processes. vCPUs 0 and 4 are on cell 0, vCPU k is on cell k.
 *
 * Nothing that x86-TSO forbids may be seen. To have proved something, a run must also have moved
 * pages, and the outcome that only a store buffer explains must have been seen: by two vCPUs of one
 * cell, while a third one takes their pages away. Across cells that outcome cannot be
 * (dsm/PROTOCOL.md, "Memory ordering"); it is counted there, and must be 0. And with a bug planted
 * into the engine something forbidden must be seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/guests/rack.h"
#include "tests/unit/unit.h"

#if LONG
#define ITERATIONS "5000000"
#define ROUNDS	   "100000"
enum { RUN_MS = 1500000 };
#else
#define ITERATIONS "1000000"
#define ROUNDS	   "10000"
enum { RUN_MS = 280000 };
#endif

enum {
	MEMBERS = 4,
	VCPUS = 5,
	STALLS_LEAST = 50, /* of a test: fewer, and its pages hardly travelled */
	SAME_CELL_TRIES = 20,
	BUG_TRIES = 60,
	BUG_MS = 20000, /* a VM with a broken memory may well hang */
};

static struct rack rack;

struct result {
	char test[16];
	unsigned long long n, frames, stalls, ms, relaxed, forbidden;
};

/* The next result line at *at; false: no more. */
static bool next_result(const char **at, struct result *r)
{
	const char *line = strstr(*at, "result litmus ");

	if (!line || !strchr(line, '\n'))
		return false;
	*at = strchr(line, '\n');
	return sscanf(line,
		      "result litmus mode=%*s test=%15s place=%*s n=%llu frames=%llu stalls=%llu "
		      "ms=%llu relaxed=%llu forbidden=%llu",
		      r->test, &r->n, &r->frames, &r->stalls, &r->ms, &r->relaxed,
		      &r->forbidden) == 7;
}

/* Starts the guest and waits for done; its console is rack.console until finish(). */
static bool run_guest(const char *cell_vm, char *const *args, bool (*done)(const struct rack *),
		      int ms)
{
	static struct rack_config c;
	uint64_t start = clock_ms();
	bool in_time;

	c = (struct rack_config){
		.cell_vm = cell_vm,
		.members = MEMBERS,
		.vcpus = VCPUS,
		.place = {0, 1, 2, 3, 0},
		.memory = 64 << 20,
		.guest = "guests/litmus.elf",
		.args = 4,
		.arg = (char **)args,
	};
	rack_open(&rack, &c);
	in_time = rack_until(&rack, done, ms);
	fputs(rack.console, stdout);
	printf("litmus %s %s %s %s: %d ms\n", args[0], args[1], args[2], args[3],
	       (int)(clock_ms() - start));
	return in_time;
}

static void finish(void)
{
	rack_close(&rack);
}

/* The VM ended by its guest's word, and all its processes in order. */
static void finish_in_order(void)
{
	for (unsigned i = 0; i < MEMBERS; i++) {
		const Cellular__FragReport *r = rack.fragment[i].report;

		CU_ASSERT_TRUE(r && r->reason && r->reason->cause == CELLULAR__END_CAUSE__END_EXIT);
	}
	finish();
	for (unsigned i = 0; i < MEMBERS; i++)
		CU_ASSERT_EQUAL(rack.fragment[i].status, 0);
}

/* All results of a run over cells. */
static void check_across(unsigned tests)
{
	const char *at = rack.console;
	unsigned n = 0;
	struct result r;

	for (; next_result(&at, &r); n++) {
		CU_ASSERT_EQUAL(r.forbidden, 0);
		if (r.relaxed) {
			CU_FAIL("a store buffer seen across cells");
			fprintf(stderr,
				"%s: %llu times an outcome that dsm/PROTOCOL.md proves to be "
				"impossible across cells\n",
				r.test, r.relaxed);
		}
		if (r.stalls >= STALLS_LEAST)
			continue;
		CU_FAIL("proved nothing");
		fprintf(stderr, "%s: proved nothing: only %llu waits for a page\n", r.test,
			r.stalls);
	}
	CU_ASSERT_EQUAL(n, tests);
}

enum { TESTS = 10 };

static void nothing_forbidden_in_perpetual_tests(void)
{
	char *args[] = {(char *)"perpetual", (char *)ITERATIONS, (char *)"all", (char *)"0,1,2,3"};

	CU_ASSERT_TRUE(run_guest(NULL, args, rack_stopped, RUN_MS));
	check_across(TESTS);
	finish_in_order();
}

static void nothing_forbidden_in_jittered_rounds(void)
{
	char *args[] = {(char *)"rounds", (char *)ROUNDS, (char *)"all", (char *)"0,1,2,3"};

	CU_ASSERT_TRUE(run_guest(NULL, args, rack_stopped, RUN_MS));
	check_across(TESTS);
	finish_in_order();
}

/* What was relaxed in a run within one cell; forbidden must be nothing. */
static unsigned long long relaxed_in_one_cell(const char *test)
{
	char *args[] = {(char *)"perpetual", (char *)"1000000", (char *)test, (char *)"0,4/1"};
	struct result r = {0};
	const char *at;

	CU_ASSERT_TRUE(run_guest(NULL, args, rack_stopped, RUN_MS));
	at = rack.console;
	CU_ASSERT_TRUE(next_result(&at, &r));
	CU_ASSERT_EQUAL(r.forbidden, 0);
	finish_in_order();
	return r.relaxed;
}

static void a_store_buffer_shows_and_a_fence_hides_it(void)
{
	unsigned long long relaxed = 0;

	for (int i = 0; i < SAME_CELL_TRIES && !relaxed; i++)
		relaxed = relaxed_in_one_cell("SB");
	if (!relaxed) {
		CU_FAIL("proved nothing");
		fprintf(stderr, "SB: proved nothing: the allowed outcome a=0 b=0 was never seen\n");
	}
	relaxed_in_one_cell("SB+mfence");
	relaxed_in_one_cell("SB+xchg");
	relaxed_in_one_cell("SB+lock");
}

static bool forbidden_seen(const struct rack *r)
{
	const char *at = r->console;
	struct result result;

	while (next_result(&at, &result))
		if (result.forbidden)
			return true;
	return false;
}

static bool bug_seen_or_over(const struct rack *r)
{
	return forbidden_seen(r) || rack_stopped(r);
}

static void an_early_write_is_found(void)
{
	char *args[] = {(char *)"perpetual", (char *)"1000000", (char *)"SB+mfence",
			(char *)"0,1,2,3"};
	bool found = false;

	setenv("CELLULAR_BUG", "write_before_last_ack", 1);
	for (int i = 0; i < BUG_TRIES && !found; i++) {
		run_guest("tests/cell-vm-bugs", args, bug_seen_or_over, BUG_MS);
		found = forbidden_seen(&rack);
		finish();
	}
	unsetenv("CELLULAR_BUG");
	CU_ASSERT_TRUE(found);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_store_buffer_shows_and_a_fence_hides_it),
		UNIT_CASE(an_early_write_is_found),
		UNIT_CASE(nothing_forbidden_in_perpetual_tests),
		UNIT_CASE(nothing_forbidden_in_jittered_rounds),
	};
	const char *why = rack_impossible();

	if (why)
		unit_skip("%s", why);
	return unit_main("litmus", cases, why ? 0 : UNIT_COUNT(cases));
}
