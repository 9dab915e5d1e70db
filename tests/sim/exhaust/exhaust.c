/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/exhaust/exhaust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dsm/core/bug.h"
#include "tests/sim/exhaust/search.h"
#include "tests/sim/guard.h"

static double seconds_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int bad(const char *text)
{
	fprintf(stderr, "cellsim: --exhaust: %s\n", text);
	return EXHAUST_USAGE;
}

static int options_check(const struct options *o)
{
	if (o->members > EXHAUST_MEMBERS_MAX)
		return bad("--members must be 6 at most");
	if (o->pages > EXHAUST_PAGES_MAX)
		return bad("--pages must be 3 at most");
	if (o->losses >= o->members)
		return bad("--losses must leave a member");
	if (o->members > 1 && (o->leaves >= o->members || o->joins >= o->members))
		return bad("--leaves and --joins must be less than --members");
	if (o->leaves && (o->moves == OPTIONS_ANY || o->same_home))
		return bad("--leaves goes neither with --moves any nor with --same-home");
	if (o->sets > o->pages)
		return bad("--sets must be --pages at most");
	if (o->sets && (o->losses || o->acquires || o->moves || o->leaves || o->joins))
		return bad("--sets goes with no --losses, --acquires, --moves, --leaves, --joins");
	if (o->whole && o->pages > 1 && !o->same_home)
		return bad("--whole with more than one page needs --same-home");
	if (o->whole && o->moves == OPTIONS_ANY)
		return bad("--whole goes not with --moves any: only the first home takes a chunk");
	if (o->same_home && o->pages > 2)
		return bad("--same-home is for two pages");
	return 0;
}

static void search_open(struct search *s, const struct options *o, struct world *w)
{
	model_open(&s->x, o, w);
	packed_init(&s->key);
	packed_init(&s->x.candidate);
	store_open(&s->store, 2 * s->x.members + 1, (size_t)o->memory_mib << 20);
}

static void search_close(struct search *s)
{
	store_close(&s->store);
	packed_free(&s->key);
	packed_free(&s->x.candidate);
	model_close(&s->x);
}

/* Moves of the run to the violation. */
static uint32_t length(const struct search *s)
{
	return show_length(s, s->made.parent) + s->making;
}

/* The run again, with words. */
static void show_failure(void *arg)
{
	struct search *s = arg;
	show_run(s, s->made.parent, s->making ? &s->made.move : NULL);
}

static struct search *explore(const struct options *o, struct world *w)
{
	struct search *s = calloc(1, sizeof(*s));
	const double begin = seconds_now();
	if (!s)
		abort();
	search_open(s, o, w);
	search_run(s);
	s->seconds = seconds_now() - begin;
	return s;
}

static int verdict(const struct search *s)
{
	if (s->x.w->failure.set)
		return EXHAUST_VIOLATED;
	return s->rest.known ? EXHAUST_CLEAN : EXHAUST_NOT_ALL;
}

static int explore_and_say(const struct options *o, struct world *w)
{
	struct search *s = explore(o, w);
	if (w->failure.set) {
		const struct failure f = w->failure;
		guard_run(show_failure, s);
		if (!w->failure.set) /* else: the same, under the names of the run */
			w->failure = f;
		fprintf(stderr, "after %u moves, page %d: %s violated: %s\n", length(s),
			w->failure.page, w->failure.invariant, w->failure.text);
	}
	show_figures(s);
	const int status = verdict(s);
	search_close(s);
	free(s);
	return status;
}

/* ---- planted bugs ---- */

static bool find_bug_with(const struct options *o, struct world *w, const char *name)
{
	struct search *s = explore(o, w);
	const struct failure *f = &w->failure;
	const bool found = f->set;
	if (found)
		printf("%-24s found: %u members, %u moves, %u states, %s: %s\n", name, o->members,
		       length(s), s->store.n, f->invariant, f->text);
	search_close(s);
	free(s);
	return found;
}

/* The smallest rack that shows it. */
static bool find_bug(const struct options *o, struct world *w, const char *name)
{
	struct options smaller = *o;
	for (smaller.members = o->losses > 1 ? o->losses + 1 : 2; smaller.members <= o->members;
	     smaller.members++)
		if (find_bug_with(&smaller, w, name))
			return true;
	printf("%-24s NOT found\n", name);
	return false;
}

/* What a rack must have for a bug to show there; the others show in any. Those that show only with
 * devices, other epochs, long queues or in time, are left to the simulator. */
struct shows {
	const char *name;
	unsigned moves, leaves, joins, losses, sets;
	bool whole, nowhere;
};

static const struct shows shows[] = {
	{"handover_forgets_sharers", .moves = 1},
	{"handover_loses_queue", .moves = 1},
	{"move_without_waiting", .moves = 1},
	{"move_without_fence", .moves = 1},
	{"unblock_where_asked", .moves = 1},
	{"bye_before_drops", .leaves = 1},
	{"newcomer_taken_late", .joins = 1},
	{"newcomer_without_heirs", .joins = 1, .leaves = 1},
	{"home_moves_unheard", .joins = 1, .moves = 1},
	{"loss_before_here", .joins = 1, .losses = 1},
	{"hold_counts_a_page", .sets = 2},
	{"window_never_grows", .sets = 2},
	{"split_after_grant", .whole = true},
	{"whole_taken_for_fresh", .whole = true},
	{"whole_moves_as_nothing", .whole = true, .moves = 1},
	{"old_epoch_accepted", .nowhere = true},
	{"release_serves_nobody", .nowhere = true},
	{"queue_is_a_stack", .nowhere = true},
	{"loss_tells_no_device", .nowhere = true},
};

static struct shows where_shown(const char *name)
{
	for (unsigned i = 0; i < sizeof(shows) / sizeof(shows[0]); i++)
		if (!strcmp(name, shows[i].name))
			return shows[i];
	return (struct shows){.name = name};
}

/* Each planted bug must break an invariant in a rack of this size, or a smaller one. */
static int check_bugs(const struct options *o, struct world *w)
{
	int status = EXHAUST_CLEAN;
	for (unsigned i = 0; dsm_bug_names[i]; i++) {
		const struct shows in = where_shown(dsm_bug_names[i]);
		struct options with = *o;
		if (in.nowhere)
			continue;
		with.moves = in.moves;
		with.leaves = in.leaves;
		with.joins = in.joins;
		with.losses = in.losses ? in.losses : o->losses;
		with.sets = in.sets;
		with.whole = in.whole;
		if (in.sets)
			with.pages = in.sets;
		dsm_bug_select(in.name);
		if (!find_bug(&with, w, in.name))
			status = EXHAUST_VIOLATED;
	}
	dsm_bug_select(NULL);
	return status;
}

int exhaust_main(const struct options *o)
{
	static struct world world;
	const int status = options_check(o);
	if (status)
		return status;
	return o->check_bugs ? check_bugs(o, &world) : explore_and_say(o, &world);
}
