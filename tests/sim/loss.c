/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/loss.h"

#include <inttypes.h>

#include "tests/sim/step.h"
#include "tests/sim/trouble.h"
#include "tests/sim/world.h"

/* One said good-bye to the other: who has all it waits for does not miss it any more. Who has not
 * says so (step.c), and dooms the space then. */
static bool parted(struct world *w, unsigned a, unsigned b)
{
	return links_at(&w->links, a, b)->farewell || links_at(&w->links, b, a)->farewell;
}

static bool missed(struct world *w, unsigned m)
{
	const dsm_set others = world_concerned(w) & ~member_bit(m);
	if (!(others & ~w->leaving)) /* nothing of the space is left */
		return true;
	for (dsm_set set = others; set; set &= set - 1)
		if (!parted(w, m, (unsigned)__builtin_ctzll(set)))
			return true;
	return false;
}

void loss_suspect(struct world *w, dsm_set members)
{
	w->suspects |= members;
	w->doomed = true;
}

void loss_die(struct world *w, unsigned m)
{
	struct member *mb = &w->members[m];
	const bool concerns = world_concerned(w) & member_bit(m);
	if (w->dead & member_bit(m))
		return;
	if (!concerns && w->absent & member_bit(m)) { /* it will never come */
		w->dead |= member_bit(m);
		return;
	}
	world_say(w, "%12" PRIu64 "          m%u dies", w->now, m);
	w->figures->done[SIM_CRASH]++;
	w->doomed |= concerns && missed(w, m);
	memory_die(w, m);
	mb->paused = false;
	mb->n_blocked = 0;
	w->paused &= ~member_bit(m);
	w->dead |= member_bit(m);
	w->suspects |= member_bit(m);
	for (unsigned other = 0; other < w->options->members; other++) {
		if (other == m)
			continue;
		link_drain(w, other, m);
		if (!(w->dead & member_bit(other)))
			link_cut(w, m, other);
	}
}

void loss_cut(struct world *w, unsigned from, unsigned to)
{
	const dsm_set concerned = world_concerned(w) | w->ended;
	if (!(concerned & member_bit(from)) || !(concerned & member_bit(to)) ||
	    links_at(&w->links, from, to)->cut)
		return;
	world_say(w, "%12" PRIu64 "          the link from m%u to m%u is cut", w->now, from, to);
	w->figures->done[SIM_PARTITION]++;
	w->suspects |= member_bit(from) | member_bit(to);
	w->doomed |= !parted(w, from, to);
	link_cut(w, from, to);
	clock_push(&w->clock, (struct clock_event){
				      .time = w->now + rng_below(&w->rng, 2 * (uint32_t)w->silence),
				      .kind = CLOCK_LOST,
				      .member = (uint8_t)from,
				      .other = (uint8_t)to});
}

void loss_lost(struct world *w, unsigned m, unsigned lost)
{
	struct dsm_event ev = {.type = DSM_EV_LOST,
			       .lost = {.member = {(uint8_t)lost}, .reason = ERR_LOST}};
	step_give(w, m, &ev, NULL);
}

/* ---- what comes back ---- */

void loss_stray(struct world *w, unsigned from, unsigned to, const struct letter *letter)
{
	w->strays[w->n_strays++ % STRAYS_MAX] =
		(struct stray){.letter = *letter, .from = (uint8_t)from, .to = (uint8_t)to};
}

/* The member that lives where member m of the life before lived; -1: none. */
static int member_there(const struct world *w, uint8_t cell)
{
	for (unsigned m = 0; m < w->options->members; m++)
		if (w->cell[m] == cell && !((w->absent | w->left) & member_bit(m)))
			return (int)m;
	return -1;
}

void loss_send_strays(struct world *w)
{
	struct world *next = w->after;
	if (!next || next->done || next->options->members < 2)
		return;
	if (w->n_strays > w->strays_sent + STRAYS_MAX)
		w->strays_sent = w->n_strays - STRAYS_MAX; /* the older ones are gone */
	for (; w->strays_sent < w->n_strays; w->strays_sent++) {
		const unsigned index = w->strays_sent % STRAYS_MAX;
		const int to = member_there(next, w->cell[w->strays[index].to]);
		if (to < 0)
			continue;
		const uint64_t now = w->now > next->now ? w->now : next->now;
		clock_push(&next->clock, (struct clock_event){
						 .time = now + rng_below(&next->rng, 2000000),
						 .kind = CLOCK_ZOMBIE,
						 .member = (uint8_t)to,
						 .index = (uint16_t)index,
					 });
	}
}

/* One that m knows; -1: nobody else began yet. */
static int some_other(const struct world *w, unsigned m, unsigned wanted)
{
	const unsigned members = w->options->members;
	for (unsigned i = 0; i < members; i++) {
		const unsigned other = (wanted + i) % members;
		if (other != m && !(w->absent & member_bit(other)))
			return (int)other;
	}
	return -1;
}

/* A member of the life before that goes on still is told of the life after it. */
static void answer_zombie(struct world *w, unsigned m, unsigned from)
{
	struct world *old = w->before;
	const struct link *link = links_at(&w->links, from, m);
	const dsm_set zombies = world_living(old) & ~old->paused;
	if (!zombies || old->done || !link->used)
		return;
	const unsigned zombie = (unsigned)__builtin_ctzll(zombies);
	const int sender = some_other(old, zombie, from);
	if (sender < 0)
		return;
	w->figures->zombies++;
	trouble_give_stale(old, zombie, (unsigned)sender, &link->sample);
}

void loss_zombie(struct world *w, const struct clock_event *event)
{
	const struct stray *s = &w->before->strays[event->index];
	const unsigned m = event->member;
	const int from = some_other(w, m, s->from);
	if (from < 0)
		return;
	w->figures->zombies++;
	trouble_give_stale(w, m, (unsigned)from, &s->letter);
	if (!w->failure.set)
		answer_zombie(w, m, (unsigned)from);
}
