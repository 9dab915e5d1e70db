/* SPDX-License-Identifier: Apache-2.0 */
/* cellsim: see tests/sim/README.md. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "dsm/core/bug.h"
#include "proto/base/err.h"
#include "tests/sim/options.h"
#include "tests/sim/report.h"
#include "tests/sim/world.h"

/* For people only: JSON stays JSON. */
#define say(w, ...)                                                                                \
	do {                                                                                       \
		if (!(w)->options->json)                                                           \
			printf(__VA_ARGS__);                                                       \
	} while (0)

enum { EXIT_CLEAN = 0, EXIT_VIOLATED = 1, EXIT_USAGE = 2 };

static double seconds_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void not_replayed(struct world *w, uint64_t seed)
{
	w->failure = (struct failure){.set = true,
				      .seed = seed,
				      .step = w->steps,
				      .invariant = "replay",
				      .page = -1,
				      .text = "the seed did not replay"};
}

/* Runs a seed again, this time writing; what comes out must be the same. */
static bool replay(struct world *w, uint64_t seed)
{
	const struct figures figures = w->figures;
	const struct failure first = w->failure;
	const uint64_t digest = w->digest;
	world_run(w, seed, TRANSCRIPT_KEEP);
	w->figures = figures;
	if (w->digest == digest && w->failure.step == first.step)
		return true;
	not_replayed(w, seed);
	return false;
}

static void run_seeds(struct world *w, struct report *r)
{
	for (uint64_t seed = w->options->seed_first;
	     seed <= w->options->seed_last && r->violations < REPORT_FAILURES_MAX; seed++) {
		r->seeds++;
		if (world_run(w, seed, TRANSCRIPT_OFF))
			continue;
		replay(w, seed);
		report_failure(r, w);
	}
}

/* Three runs: one silent, two that write. */
static bool replays(struct world *w, uint64_t seed)
{
	world_run(w, seed, TRANSCRIPT_OFF);
	const struct failure failure = w->failure;
	bool same = replay(w, seed);
	const uint64_t digest = w->transcript.digest, lines = w->transcript.lines;
	same = replay(w, seed) && same;
	same = same && w->transcript.digest == digest && w->transcript.lines == lines;
	say(w, "seed %" PRIu64 ": %" PRIu64 " lines, digest %016" PRIx64 "%s\n", seed, lines,
	    digest, same ? "" : " DIFFERS");
	w->failure = failure;
	return same;
}

static void run_replays(struct world *w, struct report *r)
{
	for (uint64_t seed = w->options->seed_first; seed <= w->options->seed_last; seed++) {
		r->seeds++;
		if (!replays(w, seed))
			not_replayed(w, seed);
		if (w->failure.set)
			report_failure(r, w);
	}
}

static void trace(struct world *w, struct report *r)
{
	r->seeds++;
	if (!world_run(w, w->options->trace_seed, TRANSCRIPT_PRINT)) {
		r->violations++;
		r->failures[0] = w->failure;
	}
}

static void list_bugs(void)
{
	for (unsigned i = 0; dsm_bug_names[i]; i++)
		puts(dsm_bug_names[i]);
}

/* Looks for the bug that is switched on; the seed that finds it must find it again. */
static bool find_bug(struct world *w, struct report *r, const char *name)
{
	for (uint64_t seed = w->options->seed_first; seed <= w->options->seed_last; seed++) {
		r->seeds++;
		if (world_run(w, seed, TRANSCRIPT_OFF))
			continue;
		const bool same = replay(w, seed);
		say(w, "%-24s found: seed %" PRIu64 ", step %" PRIu64 ", %s: %s\n", name, seed,
		    w->failure.step, w->failure.invariant, w->failure.text);
		return same;
	}
	w->failure = (struct failure){.set = true, .invariant = "bugs", .page = -1};
	snprintf(w->failure.text, sizeof(w->failure.text), "no seed found %s", name);
	return false;
}

/* Every planted bug must be found; says by which invariant. */
static void check_bugs(struct world *w, struct report *r)
{
	for (unsigned i = 0; dsm_bug_names[i]; i++) {
		dsm_bug_select(dsm_bug_names[i]);
		if (!find_bug(w, r, dsm_bug_names[i]))
			report_failure(r, w);
	}
	dsm_bug_select(NULL);
}

static void run(struct world *w, struct report *r)
{
	const double begin = seconds_now();
	if (w->options->trace)
		trace(w, r);
	else if (w->options->check_bugs)
		check_bugs(w, r);
	else if (w->options->check_replay)
		run_replays(w, r);
	else
		run_seeds(w, r);
	r->seconds = seconds_now() - begin;
}

int main(int argc, char **argv)
{
	static struct world world;
	static struct report figures;
	struct options options;
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
	world_init(&world, &options);
	run(&world, &figures);
	report_print(&figures, &world);
	world_free(&world);
	return figures.violations ? EXIT_VIOLATED : EXIT_CLEAN;
}
