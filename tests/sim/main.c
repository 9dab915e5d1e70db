/* SPDX-License-Identifier: Apache-2.0 */
/* cellsim: see tests/sim/README.md. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dsm/core/bug.h"
#include "proto/base/err.h"
#include "tests/sim/exhaust/exhaust.h"
#include "tests/sim/options.h"
#include "tests/sim/replay.h"
#include "tests/sim/shrink.h"
#include "tests/sim/path.h"
#include "tests/sim/report.h"
#include "tests/sim/rack.h"

/* For people only: JSON stays JSON. */
#define say(rack, ...)                                                                             \
	do {                                                                                       \
		if (!(rack)->options.json)                                                         \
			printf(__VA_ARGS__);                                                       \
	} while (0)

enum { SHRINK_STEPS = 3000000 };
enum { EXIT_CLEAN = 0, EXIT_VIOLATED = 1, EXIT_USAGE = 2 };

static double seconds_of(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void not_replayed(struct rack *rack, uint64_t seed)
{
	rack->failure = (struct failure){.set = true,
					 .seed = seed,
					 .step = rack->steps,
					 .invariant = "replay",
					 .page = -1,
					 .text = "the seed did not replay"};
}

/* Runs a seed again, this time writing; what comes out must be the same. */
static bool replay(struct rack *rack, uint64_t seed)
{
	const struct figures figures = rack->figures;
	const struct failure first = rack->failure;
	const uint64_t digest = rack->digest;
	rack_run(rack, seed, TRANSCRIPT_KEEP);
	rack->figures = figures;
	if (rack->digest == digest && rack->failure.step == first.step)
		return true;
	not_replayed(rack, seed);
	return false;
}

/* Of the first seed that fails: what led to it, as short as can be found. On stderr. */
static void show_shortest(const struct rack *rack)
{
	struct shrunk shortest;
	shrink(&shortest, &rack->options, &rack->failure, SHRINK_STEPS);
	shrink_transcript(&shortest, stderr);
	fprintf(stderr, "shortest: %" PRIu64 " lines, %s: ", shortest.lines,
		shortest.failure.invariant);
	shrink_command(&shortest, stderr);
	fputc('\n', stderr);
}

static void run_seeds(struct rack *rack, struct report *r)
{
	for (uint64_t seed = rack->options.seed_first;
	     seed <= rack->options.seed_last && r->violations < REPORT_FAILURES_MAX; seed++) {
		r->seeds++;
		if (rack_run(rack, seed, TRANSCRIPT_OFF))
			continue;
		replay(rack, seed);
		report_failure(r, rack);
		if (rack->options.first_only)
			break;
		if (r->violations == 1)
			show_shortest(rack);
	}
}

/* Three runs: one silent, two that write. */
static bool replays(struct rack *rack, uint64_t seed)
{
	rack_run(rack, seed, TRANSCRIPT_OFF);
	const struct failure failure = rack->failure;
	bool same = replay(rack, seed);
	const uint64_t digest = rack->transcript.digest, lines = rack->transcript.lines;
	same = replay(rack, seed) && same;
	same = same && rack->transcript.digest == digest && rack->transcript.lines == lines;
	say(rack, "seed %" PRIu64 ": %" PRIu64 " lines, digest %016" PRIx64 "%s\n", seed, lines,
	    digest, same ? "" : " DIFFERS");
	rack->failure = failure;
	return same;
}

static void run_replays(struct rack *rack, struct report *r)
{
	for (uint64_t seed = rack->options.seed_first; seed <= rack->options.seed_last; seed++) {
		r->seeds++;
		if (!replays(rack, seed))
			not_replayed(rack, seed);
		if (rack->failure.set)
			report_failure(r, rack);
	}
}

static void trace(struct rack *rack, struct report *r)
{
	r->seeds++;
	if (!rack_run(rack, rack->options.trace_seed, TRANSCRIPT_PRINT)) {
		r->violations++;
		r->failures[0] = rack->failure;
	}
}

static void list_bugs(void)
{
	for (unsigned i = 0; dsm_bug_names[i]; i++)
		puts(dsm_bug_names[i]);
}

static void say_shortest(const struct rack *rack, const char *bug, const struct failure *failure)
{
	struct shrunk shortest;
	if (rack->options.json)
		return;
	struct options options = rack->options;
	options.bug = bug;
	shrink(&shortest, &options, failure, SHRINK_STEPS / 10);
	printf("%-24s shortest: %" PRIu64 " lines, %s: ", "", shortest.lines,
	       shortest.failure.invariant);
	shrink_command(&shortest, stdout);
	putchar('\n');
}

/* Looks for the bug that is switched on; the seed that finds it must find it again. */
static bool find_bug(struct rack *rack, struct report *r, const char *name)
{
	for (uint64_t seed = rack->options.seed_first; seed <= rack->options.seed_last; seed++) {
		r->seeds++;
		if (rack_run(rack, seed, TRANSCRIPT_OFF))
			continue;
		const struct failure failure = rack->failure;
		const bool same = replay(rack, seed);
		say(rack, "%-24s found: seed %" PRIu64 ", step %" PRIu64 ", %s: %s\n", name, seed,
		    rack->failure.step, rack->failure.invariant, rack->failure.text);
		say_shortest(rack, name, &failure);
		return same;
	}
	rack->failure = (struct failure){.set = true, .invariant = "bugs", .page = -1};
	snprintf(rack->failure.text, sizeof(rack->failure.text), "no seed found %s", name);
	return false;
}

/* Every planted bug must be found; says by which invariant. */
static void check_bugs(struct rack *rack, struct report *r)
{
	for (unsigned i = 0; dsm_bug_names[i]; i++) {
		dsm_bug_select(dsm_bug_names[i]);
		if (!find_bug(rack, r, dsm_bug_names[i]))
			report_failure(r, rack);
	}
	dsm_bug_select(NULL);
}

static void run(struct rack *rack, struct report *r)
{
	const double begin = seconds_of(CLOCK_MONOTONIC);
	const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	if (rack->options.trace)
		trace(rack, r);
	else if (rack->options.check_bugs)
		check_bugs(rack, r);
	else if (rack->options.check_replay)
		run_replays(rack, r);
	else
		run_seeds(rack, r);
	r->seconds = seconds_of(CLOCK_MONOTONIC) - begin;
	r->cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (rack->options.floors)
		report_floors(r, rack);
}

int main(int argc, char **argv)
{
	static struct rack rack;
	static struct report figures;
	struct options options;
	if (argc > 1 && !strcmp(argv[1], "--replay"))
		return replay_main(argc - 2, argv + 2);
	if (options_parse(&options, argc, argv))
		return EXIT_USAGE;
	if (options.help || options.list_bugs) {
		options.help ? options_usage() : list_bugs();
		return EXIT_CLEAN;
	}
	if (dsm_bug_select(options.bug)) {
		fprintf(stderr, "cellsim: --bug: no bug is named '%s' (--list-bugs)\n",
			options.bug);
		return EXIT_USAGE;
	}
	if (options.path)
		return path_check() ? EXIT_CLEAN : EXIT_VIOLATED;
	if (options.exhaust)
		return exhaust_main(&options);
	setvbuf(stdout, NULL, _IOLBF, 0);
	rack_init(&rack, &options);
	run(&rack, &figures);
	report_print(&figures, &rack);
	rack_free(&rack);
	return figures.violations ? EXIT_VIOLATED : EXIT_CLEAN;
}
