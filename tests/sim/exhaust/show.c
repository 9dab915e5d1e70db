/* SPDX-License-Identifier: Apache-2.0 */
/* What an exploration says: figures, and the shortest run to a violation in the words of the
 * simulator's transcripts (tests/sim/say.h). */
#include "tests/sim/exhaust/search.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- a run ---- */

uint32_t show_length(const struct search *s, uint32_t state)
{
	uint32_t n = 0;
	while (state && store_origin(&s->store, state)->parent != STORE_NONE) {
		state = store_origin(&s->store, state)->parent;
		n++;
	}
	return n;
}

/* The move as it is called under the names of the run, and what came of it. */
static void say_move(struct search *s, struct move mv)
{
	struct world *w = s->x.w;
	transcript_start(w->transcript, TRANSCRIPT_KEEP);
	if (!move_kinds[mv.kind].system)
		world_say(w, "                      m%u: %s", mv.member, move_kinds[mv.kind].name);
	move_make(&s->x, mv);
	transcript_show_last(w->transcript, stderr);
	w->transcript->mode = TRANSCRIPT_OFF;
}

/* States keep the move that led to them in canonical names; the run is told in names that stay. */
static void replay(struct search *s, const uint32_t *path, uint32_t n, const struct move *last)
{
	struct symmetry by;
	struct packed key;
	packed_init(&key);
	s->x.w->steps = 0;
	model_install(&s->x, &s->start);
	canonicalise(&s->x, &key, &by);
	for (uint32_t i = n; i-- > 0;) {
		const struct symmetry names = symmetry_inverse(&s->x, &by);
		say_move(s, relabel_move(&names, store_origin(&s->store, path[i])->move));
		canonicalise(&s->x, &key, &by);
		store_get(&s->store, path[i], &s->key);
		if (packed_compare(&key, &s->key))
			fprintf(stderr, "this run leads elsewhere: a reduction is not sound\n");
	}
	const struct symmetry names = symmetry_inverse(&s->x, &by);
	if (last)
		say_move(s, relabel_move(&names, *last));
	packed_free(&key);
}

void show_run(struct search *s, uint32_t state, const struct move *last)
{
	const uint32_t n = show_length(s, state);
	uint32_t *path = calloc(n + 1, sizeof(*path));
	if (!path)
		abort();
	for (uint32_t i = 0, at = state; i < n; at = store_origin(&s->store, at)->parent)
		path[i++] = at;
	replay(s, path, n, last);
	free(path);
}

/* ---- figures ---- */

static const char *rest_words(const struct search *s)
{
	if (!s->rest.known)
		return "not known";
	return s->rest.circles ? "reached from every state by every fair schedule"
			       : "reached from every state by every schedule";
}

static const char *moves_words(const struct options *o)
{
	static char words[16];
	snprintf(words, sizeof(words), "%u", o->moves);
	return o->moves == OPTIONS_ANY ? "any" : words;
}

static double mebibytes(const struct search *s)
{
	return (double)store_bytes(&s->store) / 1048576;
}

static void text(const struct search *s)
{
	const struct options *o = s->x.options;
	const bool violated = s->x.w->failure.set;
	printf("%u members, %u pages, %u losses, hold %u us, %u acquires, %s moves, %s: %" PRIu32
	       " states, %" PRIu64 " transitions, depth %" PRIu32 ", %d violations, %.2f s\n",
	       s->x.members, s->x.pages, o->losses, s->x.w->tuning.hold_us, o->acquires,
	       moves_words(o), o->faults & 1 << SIM_EVICT ? "evictions" : "no evictions",
	       s->store.n, s->transitions, s->depth, violated, s->seconds);
	if (o->sets)
		printf("instructions write %u pages at once, threads come %u patiences late\n",
		       o->sets, o->late);
	printf("%.0f transitions/s, %.0f MiB, %u renamings, %" PRIu64
	       " transitions probed without reductions\n",
	       s->seconds > 0 ? (double)s->transitions / s->seconds : 0, mebibytes(s),
	       s->x.symmetries, s->probes);
	if (violated)
		return;
	if (s->rest.known && !s->rest.circles)
		printf("rest: %" PRIu32 " states, %s, after at most %" PRIu32 " moves\n", s->rests,
		       rest_words(s), s->rest.longest);
	else
		printf("rest: %" PRIu32 " states, %s\n", s->rests, rest_words(s));
	if (s->store.full)
		printf("stopped at %" PRIu32
		       " states, memory is used up (--memory-mib %u): not exhaustive\n",
		       s->store.n, o->memory_mib);
}

static void json(const struct search *s)
{
	const struct options *o = s->x.options;
	const struct failure *f = &s->x.w->failure;
	printf("{\"members\": %u, \"pages\": %u, \"losses\": %u, \"hold_us\": %u, \"acquires\": %u"
	       ", \"sets\": %u, \"late\": %u, \"moves\": \"%s\", \"evictions\": %s, \"states\": "
	       "%" PRIu32 ", \"transitions\": %" PRIu64 ", \"depth\": %" PRIu32
	       ", \"violations\": %d, \"seconds\": %.3f",
	       s->x.members, s->x.pages, o->losses, s->x.w->tuning.hold_us, o->acquires, o->sets,
	       o->late, moves_words(o), o->faults & 1 << SIM_EVICT ? "true" : "false", s->store.n,
	       s->transitions, s->depth, f->set, s->seconds);
	printf(", \"memory_mib\": %.1f, \"renamings\": %u, \"probed\": %" PRIu64
	       ", \"exhaustive\": %s, \"rest_states\": %" PRIu32 ", \"rest_always\": %s"
	       ", \"rest_needs_fairness\": %s, \"rest_moves_max\": %" PRIu32,
	       mebibytes(s), s->x.symmetries, s->probes,
	       s->rest.known && !f->set ? "true" : "false", s->rests,
	       s->rest.known && s->rest.stuck == STORE_NONE ? "true" : "false",
	       s->rest.circles ? "true" : "false", s->rest.longest);
	if (f->set)
		printf(", \"failure\": {\"moves\": %" PRIu32
		       ", \"invariant\": \"%s\", \"page\": %d, \"text\": \"%s\"}",
		       show_length(s, s->made.parent) + s->making, f->invariant, f->page, f->text);
	puts("}");
}

void show_figures(const struct search *s)
{
	if (s->x.options->json)
		json(s);
	else
		text(s);
}
