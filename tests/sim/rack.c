/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seed's life: the spaces are created; always the world whose next event is due first takes its
 * turn, until all have come to their end. The first space is the one the options describe; it
 * decides when cells are struck.
 */
#include "tests/sim/rack.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/build.h"
#include "tests/sim/change.h"
#include "tests/sim/guard.h"
#include "tests/sim/loss.h"
#include "tests/sim/probe.h"

enum { SIDE_MEMBERS_MAX = 4, LIFE_STEPS_MIN = 100 };

/* ---- worlds ---- */

static struct world *new_world(struct rack *r, unsigned members)
{
	struct world **place = &r->worlds[r->n++];
	if (*place && (*place)->room < members) {
		world_free(*place);
		free(*place);
		*place = NULL;
	}
	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			abort();
		world_init(*place, &r->options, members);
		(*place)->transcript = &r->transcript;
		(*place)->figures = &r->figures;
	}
	return *place;
}

static void begin(struct rack *r, struct birth *b)
{
	struct world *w = new_world(r, b->members);
	b->seed = r->seed;
	build_world(w, b);
	w->before = b->before;
	if (b->before)
		b->before->after = w;
	else if (b->space)
		w->tuning.loss_step = 0;
	r->figures.worlds++;
	r->figures.again += b->before != NULL;
	world_begin(w);
}

/* Steps are shared out: a rack takes as many as the options say. */
static void begin_spaces(struct rack *r)
{
	const struct options *o = &r->options;
	const unsigned drawn = (unsigned)rng_pick(&r->rng, 0, 0, 1, 2);
	const unsigned sides = o->steps < LIFE_STEPS_MIN ? 0 : drawn;
	const uint64_t side_steps = o->steps / 4;
	struct birth first = {.members = o->members, .steps = o->steps - sides * side_steps};
	for (unsigned m = 0; m < o->members; m++)
		first.cell[m] = (uint8_t)m;
	begin(r, &first);
	r->cells = o->members + 1; /* one that the first space does not use */
	for (unsigned i = 1; i <= sides; i++) {
		struct birth side = {.space = i, .steps = side_steps};
		const unsigned most = r->cells < SIDE_MEMBERS_MAX ? r->cells : SIDE_MEMBERS_MAX;
		const unsigned at = rng_below(&r->rng, r->cells);
		side.members = (unsigned)rng_between(&r->rng, 2, most);
		for (unsigned m = 0; m < side.members; m++)
			side.cell[m] = (uint8_t)((at + m) % r->cells);
		begin(r, &side);
	}
}

/* ---- what strikes cells ---- */

static void kill_cell(struct rack *r, uint8_t cell)
{
	r->gone[cell] = true;
	for (unsigned i = 0; i < r->n; i++)
		for (unsigned m = 0; m < r->worlds[i]->options->members; m++)
			if (r->worlds[i]->cell[m] == cell && !r->worlds[i]->done)
				loss_die(r->worlds[i], m);
}

/* Anybody whose loss concerns the space; rather one that just leaves or comes. */
static unsigned draw_victim(struct world *w)
{
	const dsm_set rather = rng_chance(&w->rng, 500) ? change_under_way(w) : 0;
	const dsm_set victims = rather ? rather : world_concerned(w);
	unsigned m;
	do
		m = rng_below(&w->rng, w->options->members);
	while (!(victims & member_bit(m)));
	return m;
}

static void crash(struct rack *r, struct world *w)
{
	for (unsigned n = w->tuning.crashes; n && world_concerned(w); n--)
		kill_cell(r, w->cell[draw_victim(w)]);
}

/* Cuts the links between the two sides, in one way or both, in one world. */
static void cut_world(struct world *w, const bool *left, const bool *right, unsigned ways)
{
	for (unsigned a = 0; a < w->options->members; a++)
		for (unsigned b = 0; b < w->options->members; b++) {
			if (!left[w->cell[a]] || !right[w->cell[b]])
				continue;
			if (ways & 1)
				loss_cut(w, a, b);
			if (ways & 2)
				loss_cut(w, b, a);
		}
}

/*
 * A pair of cells, or a smaller side from a larger one. The smaller side, or the first of the pair,
 * is taken for lost: the others create their spaces again without it, and it goes on alone for as
 * long as it hears nothing.
 */
static void part(struct rack *r, struct world *w)
{
	bool left[RACK_CELLS_MAX] = {0}, right[RACK_CELLS_MAX] = {0};
	const unsigned n = w->options->members;
	const unsigned lost = (unsigned)rng_between(&w->rng, 1, n > 3 ? n / 2 : 1);
	const unsigned at = rng_below(&w->rng, n);
	const bool pair = rng_chance(&w->rng, 400);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t cell = w->cell[(at + i) % n];
		if (i < (pair ? 1 : lost))
			left[cell] = r->gone[cell] = true;
		else if (!pair || i == 1)
			right[cell] = true;
	}
	const unsigned ways = (unsigned)rng_between(&w->rng, 1, 3);
	for (unsigned i = 0; i < r->n; i++)
		if (!r->worlds[i]->done)
			cut_world(r->worlds[i], left, right, ways);
}

static bool is_time_to_strike(struct world *w)
{
	const struct tuning *t = &w->tuning;
	if (!t->loss_step || w->steps < t->loss_step)
		return false;
	return !t->strike || (change_under_way(w) && rng_chance(&w->rng, t->strike));
}

static void strike(struct rack *r, struct world *w)
{
	for (unsigned i = 0; i < r->n; i++)
		r->worlds[i]->silence = w->tuning.silence;
	r->figures.losses_in_change += change_under_way(w) != 0;
	r->struck = true;
	w->tuning.loss_step = 0;
	if (w->tuning.crashes)
		crash(r, w);
	else
		part(r, w);
}

/* ---- the life after ---- */

static bool all_know(const struct rack *r, const struct world *w)
{
	for (dsm_set living = world_living(w); living; living &= living - 1)
		if (!r->gone[w->cell[__builtin_ctzll(living)]])
			return false;
	return true;
}

static void begin_again(struct rack *r, struct world *w)
{
	struct birth b = {
		.space = (unsigned)(w->name[0] - 'a'),
		.life = (unsigned)(w->name[1] - '0'),
		.steps = w->options->steps - w->steps,
		.epoch = w->tuning.epoch + (uint32_t)rng_between(&r->rng, 1, 2),
		.now = w->now,
		.before = w,
	};
	for (unsigned m = 0; m < w->options->members; m++)
		if (!r->gone[w->cell[m]])
			b.cell[b.members++] = w->cell[m];
	while (b.members < 2 && r->cells < RACK_CELLS_MAX)
		b.cell[b.members++] = (uint8_t)r->cells++;
	begin(r, &b);
}

static void follow_up(struct rack *r, struct world *w)
{
	if (!w->after && w->name[1] < '0' + RACK_LIVES_MAX && r->n < RACK_WORLDS_MAX &&
	    w->steps + LIFE_STEPS_MIN < w->options->steps && (w->done || all_know(r, w)))
		begin_again(r, w);
	loss_send_strays(w);
}

/* ---- a whole seed ---- */

static struct world *next_world(const struct rack *r)
{
	struct world *next = NULL;
	for (unsigned i = 0; i < r->n; i++) {
		struct world *w = r->worlds[i];
		if (!w->done && (!next || world_due(w) < world_due(next)))
			next = w;
	}
	return next;
}

static void live(void *arg)
{
	struct rack *r = arg;
	struct world *w;
	uint64_t taken = 0;
	while ((w = next_world(r)) != NULL && !(r->steps_max && taken >= r->steps_max)) {
		const uint64_t steps = w->steps;
		r->current = w;
		if (is_time_to_strike(w))
			strike(r, w);
		world_turn(w);
		taken += w->steps - steps;
		guard_alive();
		if (w->failure.set || (w->before && w->before->failure.set))
			return;
		if (w->doomed || (w->done && w->lonely))
			follow_up(r, w);
		else if (r->struck)
			r->figures.steps_after_loss += w->steps - steps;
	}
}

static void gather(struct rack *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		struct world *w = r->worlds[i];
		world_gather(w);
		r->steps += w->steps;
		r->digest = rng_mix(r->digest ^ w->digest);
		if (w->links.longest > r->longest)
			r->longest = w->links.longest;
		if (w->failure.set && !r->failure.set)
			r->failure = w->failure;
	}
	r->failure.step = r->failure.set ? r->steps : 0;
}

static void start_seed(struct rack *r, uint64_t seed)
{
	r->seed = seed;
	r->rng.state = rng_mix(seed ^ 0x7261636b);
	r->n = 0;
	r->cells = 0;
	memset(r->gone, 0, sizeof(r->gone));
	r->struck = false;
	r->digest = 0;
	r->steps = 0;
	r->failure = (struct failure){0};
}

bool rack_run(struct rack *r, uint64_t seed, enum transcript_mode mode)
{
	transcript_start(&r->transcript, mode);
	start_seed(r, seed);
	begin_spaces(r);
	probe_configs(r->worlds[0]);
	if (!guard_run(live, r))
		world_fail(r->current, "A0", -1, "%s", guard_why());
	gather(r);
	return !r->failure.set;
}

void rack_init(struct rack *r, const struct options *options)
{
	memset(r, 0, sizeof(*r));
	r->options = *options;
}

void rack_free(struct rack *r)
{
	for (unsigned i = 0; i < RACK_WORLDS_MAX; i++) {
		if (!r->worlds[i])
			continue;
		world_free(r->worlds[i]);
		free(r->worlds[i]);
	}
}
