/* SPDX-License-Identifier: Apache-2.0 */
/* Breadth first: the states in the order they were found, so that a violation is found by a
 * shortest run. */
#include "tests/sim/exhaust/search.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/guard.h"

enum {
	EXHAUST_PROBE = 1000,	/* every so many transitions the reductions are put to the test */
	EXHAUST_LEAK_PROBE = 64 /* ... and every so many probes what images lack */
};

/* ---- are the reductions sound? ---- */

/* What a move makes of an image. False: it cannot be made, or breaks an invariant. */
static bool outcome(struct search *s, const struct exhaust_image *from, struct move mv,
		    struct packed *out)
{
	struct symmetry by;
	model_install(&s->x, from);
	if (!move_possible(&s->x, mv))
		return false;
	move_make(&s->x, mv);
	if (s->x.w->failure.set)
		return false;
	canonicalise(&s->x, out, &by);
	return true;
}

static void probe_move(struct search *s, const struct exhaust_image *raw,
		       const struct exhaust_image *canonical, const struct symmetry *back,
		       struct move mv)
{
	static struct packed a, b;
	static bool ready;
	if (!ready) {
		packed_init(&a);
		packed_init(&b);
		ready = true;
	}
	const bool first = outcome(s, canonical, mv, &a);
	const bool second = outcome(s, raw, relabel_move(back, mv), &b);
	s->x.w->failure.set = false; /* the search will come to it */
	if (first != second || (first && packed_compare(&a, &b)))
		world_fail(s->x.w, "reduction", -1,
			   "a state and its canonical form differ after %s of m%u",
			   move_kinds[mv.kind].name, mv.member);
}

static void probe_back(struct search *s)
{
	model_back(&s->x, &s->here, s->made.move.member);
	if (!model_is_back(&s->x, &s->here))
		world_fail(s->x.w, "reduction", -1, "not all that %s of m%u did is put back",
			   move_kinds[s->made.move.kind].name, s->made.move.member);
}

/* The rack as it is now, and the canonical form of it: both must go on alike. */
static void probe(struct search *s, const struct symmetry *by)
{
	static struct exhaust_image raw, canonical;
	const struct symmetry back = symmetry_inverse(&s->x, by);
	struct move mv[EXHAUST_MOVES_MAX];
	bool system;
	if (s->probes++ % EXHAUST_LEAK_PROBE == 0 && model_leaks(&s->x))
		world_fail(s->x.w, "reduction", -1, "the core keeps something no image holds");
	model_capture(&s->x, &raw);
	const unsigned n_raw = moves_possible(&s->x, mv, &system);
	probe_back(s);
	if (s->x.w->failure.set)
		return;
	unpack(&s->x, &s->key, &canonical);
	model_install(&s->x, &canonical);
	const unsigned n = moves_possible(&s->x, mv, &system);
	if (n != n_raw)
		world_fail(s->x.w, "reduction", -1,
			   "%u moves are possible in a state, %u in its canonical form", n_raw, n);
	for (unsigned i = 0; i < n && !s->x.w->failure.set; i++)
		probe_move(s, &raw, &canonical, &back, mv[i]);
	s->astray = true;
}

static bool time_to_probe(const struct search *s)
{
	return s->x.options->check_reductions || s->transitions % EXHAUST_PROBE == 1;
}

/* ---- expansion ---- */

/* Nothing is under way, nobody waits. */
static void check_at_rest(struct search *s)
{
	s->rests++;
	s->astray = true; /* the checks note what they saw */
	check_rest(s->x.w);
	for (unsigned m = 0; m < s->x.members && !s->x.w->dead; m++)
		for (unsigned p = 0; p < s->x.pages; p++)
			if (s->x.need[m][p])
				world_fail(s->x.w, "I5", (int)p,
					   "a thread of m%u waits, and nothing will wake it", m);
}

/* The state the rack is in now is reached by s->made. */
static uint32_t reach(struct search *s)
{
	struct symmetry by;
	bool fresh;
	canonicalise(&s->x, &s->key, &by);
	const uint32_t state = store_add(&s->store, &s->key, &s->made, &fresh);
	if (s->making && time_to_probe(s))
		probe(s, &by);
	return state;
}

/* False: the search is over. */
static bool make(struct search *s, struct move mv)
{
	s->made.move = mv;
	s->making = true;
	s->transitions++;
	move_make(&s->x, mv);
	if (s->x.w->failure.set)
		return false;
	const uint32_t to = reach(s);
	if (to == STORE_NONE || s->x.w->failure.set)
		return false;
	return !move_kinds[mv.kind].system || store_edge(&s->store, to);
}

static void load(struct search *s, uint32_t state)
{
	store_get(&s->store, state, &s->key);
	unpack(&s->x, &s->key, &s->here);
	model_stay(&s->x, &s->here);
	s->made.parent = state;
	s->making = false;
	s->astray = false;
}

/* Where the rack was before a move of that member. */
static void put_back(struct search *s, unsigned member)
{
	if (s->astray)
		model_stay(&s->x, &s->here);
	else
		model_back(&s->x, &s->here, member);
	s->astray = false;
}

static bool expand(struct search *s, uint32_t state)
{
	struct move mv[EXHAUST_MOVES_MAX];
	bool system;
	load(s, state);
	const unsigned n = moves_possible(&s->x, mv, &system);
	if (!store_begin(&s->store))
		return false;
	if (!system)
		check_at_rest(s);
	if (s->x.w->failure.set)
		return false;
	for (unsigned i = 0; i < n; i++) {
		put_back(s, s->made.move.member);
		if (!make(s, mv[i]))
			return false;
	}
	return true;
}

static void explore(void *arg)
{
	struct search *s = arg;
	model_capture(&s->x, &s->start);
	s->made = (struct origin){.parent = STORE_NONE};
	reach(s);
	uint32_t state = 0, level_end = 1;
	while (state < s->store.n && expand(s, state)) {
		if (++state < level_end || state == s->store.n)
			continue;
		level_end = s->store.n;
		s->depth++;
	}
	s->rest.known = state == s->store.n;
}

void search_run(struct search *s)
{
	if (!guard_run(explore, s))
		world_fail(s->x.w, "A0", -1, "an assert failed");
	if (s->rest.known && !s->x.w->failure.set)
		rest_check(s);
}
