/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/audit.h"
#include "tests/sim/change.h"

#include <inttypes.h>

#include "tests/sim/build.h"
#include "tests/sim/step.h"
#include "tests/sim/trouble.h"
#include "tests/sim/world.h"

static void later(struct world *w, struct clock_event ev)
{
	const uint64_t gap = 2 * (1 + w->tuning.base + w->tuning.jitter);
	ev.time = w->now + 1 + rng_below(&w->rng, (uint32_t)gap);
	clock_push(&w->clock, ev);
}

void change_start(struct world *w, unsigned m)
{
	if (w->absent & member_bit(m))
		trouble_again(w, m, CLOCK_COME, w->tuning.join_gap);
	else
		trouble_again(w, m, CLOCK_LEAVE, w->tuning.leave_gap);
}

/* Gives an event that a core may refuse, for it is not the time. False: it did. */
static bool order(struct world *w, unsigned m, struct dsm_event ev)
{
	struct dsm_core_stats before, after;
	const bool refuse = audit_refuses(w, m, &ev);
	dsm_core_stats(w->members[m].core, &before);
	step_give(w, m, &ev, NULL);
	dsm_core_stats(w->members[m].core, &after);
	w->members[m].odd_given += refuse;
	if (after.refused != before.refused + refuse)
		world_fail(w, "I7", -1, "m%u %s to let a member come or go", m,
			   refuse ? "agrees" : "refuses");
	return !refuse;
}

static bool has_letters(struct world *w, unsigned m)
{
	for (unsigned to = 0; to < w->options->members; to++)
		if (links_at(&w->links, m, to)->n)
			return true;
	return false;
}

dsm_set change_under_way(struct world *w)
{
	dsm_set out = w->leaving & ~w->left;
	if (w->newcomer)
		out |= member_bit(w->newcomer - 1u);
	for (dsm_set set = w->left; set; set &= set - 1)
		if (has_letters(w, (unsigned)__builtin_ctzll(set)))
			out |= set & -set;
	return out & ~w->dead;
}

/* ---- leaving ---- */

static bool is_idle(const struct world *w, unsigned m)
{
	for (unsigned i = 0; i < w->tuning.threads; i++)
		if (w->members[m].threads[i].state != THREAD_IDLE)
			return false;
	for (unsigned i = 0; i < w->tuning.devices; i++)
		if (w->members[m].devices[i].state == DEVICE_HOLDS)
			return false; /* one that waits is told */
	return true;
}

static dsm_set leavers(const struct world *w)
{
	return w->stopping & ~w->left;
}

/* Somebody stays. Mostly one after the other; if they cross, the core sorts it out. */
static bool may_stop(struct world *w)
{
	const unsigned stay = (unsigned)__builtin_popcountll(world_living(w) & ~w->stopping);
	if (stay < 2 || w->newcomer || w->doomed || w->lonely)
		return false;
	return !leavers(w) || rng_chance(&w->rng, 300);
}

/* A core refuses while it knows of another change: it is asked again. */
static void order_to_leave(struct world *w, unsigned m)
{
	if (rng_chance(&w->rng, 300)) /* its LEAVE and a home cross */
		trouble_move_to(w, m);
	w->leaving |= member_bit(m);
	if (!order(w, m, (struct dsm_event){.type = DSM_EV_LEAVE}))
		w->leaving &= ~member_bit(m);
}

void change_leave(struct world *w, unsigned m)
{
	if (!w->tuning.leave_gap)
		return;
	if (!(w->stopping & member_bit(m)) && !w->draining && may_stop(w))
		w->stopping |= member_bit(m);
	else if (w->stopping & member_bit(m) && is_idle(w, m))
		order_to_leave(w, m);
	if (!(w->leaving & member_bit(m)))
		trouble_again(w, m, CLOCK_LEAVE, w->tuning.leave_gap);
}

/* ---- coming ---- */

static void say_join(struct world *w, unsigned m, unsigned newcomer)
{
	later(w, (struct clock_event){
			 .kind = CLOCK_JOIN, .member = (uint8_t)m, .other = (uint8_t)newcomer});
}

void change_come(struct world *w, unsigned m)
{
	if (w->newcomer || leavers(w) || w->doomed) {
		trouble_again(w, m, CLOCK_COME, w->tuning.join_gap);
		return;
	}
	world_say(w, "%12" PRIu64 "          m%u is to come", w->now, m);
	w->newcomer = (uint8_t)(m + 1);
	w->taken = 0;
	for (dsm_set set = world_living(w); set; set &= set - 1)
		say_join(w, (unsigned)__builtin_ctzll(set), m);
}

/* Who has not heard yet that the last one is gone refuses, and is told again. */
void change_join(struct world *w, const struct clock_event *event)
{
	const unsigned m = event->member, newcomer = event->other;
	const struct dsm_event ev = {.type = DSM_EV_JOIN, .join = {{event->other}}};
	if (w->ended & member_bit(m))
		return;
	if (!order(w, m, ev)) {
		say_join(w, m, newcomer);
		return;
	}
	w->taken |= member_bit(m);
	if (!(world_living(w) & ~w->taken))
		later(w, (struct clock_event){.kind = CLOCK_BIRTH, .member = (uint8_t)newcomer});
}

/* Whoever lives tells it of the others. If nobody does, it does not begin. */
void change_birth(struct world *w, unsigned m)
{
	const dsm_set tellers = world_living(w);
	struct dsm_event first = {.type = DSM_EV_TIMER};
	if (!tellers)
		return;
	build_newcomer(w, m, (unsigned)__builtin_ctzll(tellers));
	world_say(w, "%12" PRIu64 "          m%u begins", w->now, m);
	w->newcomer = 0;
	w->figures->done[SIM_JOIN]++;
	step_give(w, m, &first, NULL);
	step_unblock(w, m); /* what came for it waited (world.c) */
	world_start_member(w, m);
	trouble_start(w, m);
	change_start(w, m);
}
