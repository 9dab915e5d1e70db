/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/trouble.h"

#include <inttypes.h>

#include "tests/sim/audit.h"
#include "tests/sim/step.h"
#include "tests/sim/world.h"

enum { STORM_MAX = 100, MOVE_TRIES = 4 };

void trouble_again(struct world *w, unsigned m, enum clock_kind kind, uint64_t gap)
{
	if (!gap || w->draining || (w->dead | w->ended) & member_bit(m))
		return;
	clock_push(&w->clock, (struct clock_event){.time = w->now + 1 +
							   rng_below(&w->rng, (uint32_t)(2 * gap)),
						   .kind = (uint8_t)kind,
						   .member = (uint8_t)m});
}

void trouble_start(struct world *w, unsigned m)
{
	if (w->absent & member_bit(m))
		return;
	trouble_again(w, m, CLOCK_EVICT, w->tuning.evict_gap);
	trouble_again(w, m, CLOCK_MOVE, w->tuning.move_gap);
	trouble_again(w, m, CLOCK_STORM, w->tuning.storm_gap);
	trouble_again(w, m, CLOCK_STALE, w->tuning.stale_gap);
	trouble_again(w, m, CLOCK_ODD, w->tuning.odd_gap);
	trouble_again(w, m, CLOCK_SPURIOUS, w->tuning.spurious_gap);
}

static void evict(struct world *w, unsigned m, uint16_t page)
{
	struct frame *f = &w->members[m].memory.frames[page];
	if (f->present)
		w->figures->done[SIM_EVICT]++;
	f->given_back = true;
	struct dsm_event ev = {.type = DSM_EV_EVICT,
			       .evict = {.page = {w->space_page[page]},
					 .discard = rng_chance(&w->rng, w->tuning.discard)}};
	if (ev.evict.discard && f->present)
		w->figures->done[SIM_DISCARD]++;
	const bool evicts = audit_evicts(w, m, &ev);
	const uint64_t before = audit_given_back(w, m);
	step_give(w, m, &ev, NULL);
	audit_evicted(w, m, page, evicts, before);
}

void trouble_evict(struct world *w, unsigned m)
{
	evict(w, m, thread_draw_page(w));
	trouble_again(w, m, CLOCK_EVICT, w->tuning.evict_gap);
}

/* Anybody, rather one that is just coming. */
static uint8_t draw_new_home(struct world *w)
{
	if (w->newcomer && rng_chance(&w->rng, 300))
		return (uint8_t)(w->newcomer - 1);
	return (uint8_t)rng_below(&w->rng, w->options->members);
}

/* Mostly of a chunk whose home is here; sometimes of another, to where it is already, or to one
 * that is not there: nothing may come of that. */
static void move(struct world *w, unsigned m, uint8_t to)
{
	uint16_t page = thread_draw_page(w);
	for (unsigned tries = 0; tries < MOVE_TRIES && !world_is_home(w, m, page); tries++)
		page = thread_draw_page(w);
	struct dsm_event ev = {
		.type = DSM_EV_MOVE,
		.move = {.page = {w->space_page[page]}, .to = {to}},
	};
	const bool heed = audit_moves(w, m, &ev);
	step_give(w, m, &ev, NULL);
	if (heed && !w->members[m].ended)
		audit_moved(w, m, &ev);
}

void trouble_move(struct world *w, unsigned m)
{
	move(w, m, draw_new_home(w));
	trouble_again(w, m, CLOCK_MOVE, w->tuning.move_gap);
}

void trouble_move_to(struct world *w, unsigned to)
{
	const dsm_set others = world_living(w) & ~w->paused & ~w->stopping & ~member_bit(to);
	if (others && w->tuning.move_gap)
		move(w, (unsigned)__builtin_ctzll(others), (uint8_t)to);
}

/* Fault messages whose threads were woken long ago, and evictions among them: more of them than a
 * member may have transactions. */
void trouble_storm(struct world *w, unsigned m)
{
	const unsigned pages = w->options->pages;
	const unsigned first = rng_below(&w->rng, pages);
	const unsigned n = (unsigned)rng_between(&w->rng, 1, pages < STORM_MAX ? pages : STORM_MAX);
	const bool write = rng_chance(&w->rng, 500);
	const uint32_t evictions =
		w->tuning.evict_gap ? (uint32_t)rng_pick(&w->rng, 0, 100, 500) : 0;
	for (unsigned i = 0; i < n; i++)
		clock_push(&w->clock, (struct clock_event){
					      .time = w->now + rng_below(&w->rng, 100),
					      .kind = CLOCK_HINT,
					      .member = (uint8_t)m,
					      .page = (uint16_t)((first + i) % pages),
					      .index = rng_chance(&w->rng, evictions),
					      .write = write,
				      });
	trouble_again(w, m, CLOCK_STORM, w->tuning.storm_gap);
}

void trouble_hint(struct world *w, const struct clock_event *event)
{
	struct dsm_event ev = {
		.type = DSM_EV_FAULT,
		.fault = {.page = {w->space_page[event->page]}, .write = event->write},
	};
	if (w->tuning.strangers)
		ev.fault.thread = 2000 + rng_below(&w->enemy, w->tuning.strangers);
	if (event->index)
		evict(w, event->member, event->page);
	else
		step_give(w, event->member, &ev, NULL);
}

/* The youngest message some member sent to m, as if it had been sent in another epoch. */
void trouble_stale(struct world *w, unsigned m)
{
	const unsigned from = rng_below(&w->rng, w->options->members);
	const struct link *link = links_at(&w->links, from, m);
	trouble_again(w, m, CLOCK_STALE, w->tuning.stale_gap);
	if (!link->used)
		return;
	struct letter letter = link->sample;
	letter.msg.epoch.v +=
		rng_chance(&w->rng, 800) ? UINT32_MAX : (uint32_t)rng_between(&w->rng, 1, 9);
	trouble_give_stale(w, m, from, &letter);
}

void trouble_give_stale(struct world *w, unsigned m, unsigned from, const struct letter *letter)
{
	struct member *mb = &w->members[m];
	struct dsm_core_stats before, after;
	if ((w->left | w->absent) & member_bit(m))
		return;
	dsm_core_stats(mb->core, &before);
	w->figures->done[SIM_EPOCH]++;
	struct dsm_event ev = {.type = DSM_EV_MSG,
			       .msg = {.from = {(uint8_t)from}, .msg = letter->msg}};
	step_give(w, m, &ev, letter);
	dsm_core_stats(mb->core, &after);
	if (mb->ended)
		return;
	mb->stale_given++;
	if (after.stale_epoch != before.stale_epoch + 1)
		world_fail(w, "I7", -1, "m%u did not drop a message of another epoch", m);
}

static struct dsm_event odd_move(struct world *w)
{
	const bool outside = rng_chance(&w->rng, 500);
	const uint8_t to = (uint8_t)(outside ? 0 : w->options->members);
	return (struct dsm_event){
		.type = DSM_EV_MOVE,
		.move = {.page = {outside ? w->space_pages : w->space_page[0]}, .to = {to}}};
}

/* An acquire of no page or too many, outside the space, or that touches a local range. */
static struct dsm_event odd_acquire(struct world *w)
{
	const struct dsm_range *local = &w->local[rng_below(&w->rng, WORLD_LOCALS)];
	const uint32_t pages = (uint32_t)rng_between(&w->rng, 1, DSM_ACQUIRE_PAGES_MAX);
	struct dsm_event ev = {.type = DSM_EV_ACQUIRE, .acquire = {.token = DEVICE_NONE}};
	switch (rng_below(&w->rng, 4)) {
	case 0:
		ev.acquire.pages = rng_chance(&w->rng, 500) ? 0 : DSM_ACQUIRE_PAGES_MAX + 1;
		break;
	case 1:
		ev.acquire.page.v = w->space_pages + rng_below(&w->rng, 2);
		ev.acquire.pages = pages;
		break;
	case 2:
		ev.acquire.page.v = w->space_pages - 1; /* behind the local range */
		ev.acquire.pages = 2;
		break;
	default:
		ev.acquire.page.v = rng_chance(&w->rng, 500) ? local->first - 1
							     : local->first + local->pages - 1;
		ev.acquire.pages = 2;
	}
	return ev;
}

static void check_told(struct world *w, unsigned m, const struct dsm_event *ev)
{
	const struct member *mb = &w->members[m];
	if (ev->type == DSM_EV_ACQUIRE && !mb->odd_told && !mb->paused && !mb->ended)
		world_fail(w, "I7", -1, "m%u does not refuse an acquire", m);
}

/* Faults outside the space and in a local range, and other events that are to be refused. */
void trouble_odd(struct world *w, unsigned m)
{
	const struct dsm_range *local = &w->local[rng_below(&w->rng, WORLD_LOCALS)];
	const uint64_t page =
		rng_chance(&w->rng, 500) ? local->first + rng_below(&w->rng, (uint32_t)local->pages)
		: rng_chance(&w->rng, 500) ? w->space_pages
					   : w->space_pages + rng_next(&w->rng) % UINT32_MAX;
	struct dsm_event ev = {.type = DSM_EV_FAULT,
			       .fault = {.page = {page}, .write = rng_chance(&w->rng, 500)}};
	if (rng_chance(&w->rng, 300))
		ev = (struct dsm_event){.type = DSM_EV_EVICT, .evict = {.page = {page}}};
	if (rng_chance(&w->rng, 200)) /* nobody, or itself, is said to be the sender; or lost */
		ev = (struct dsm_event){
			.type = DSM_EV_MSG,
			.msg = {.from = {(uint8_t)(rng_chance(&w->rng, 500) ? m
									    : w->options->members)},
				.msg = {.type = PAGE_GET_S, .epoch = {w->tuning.epoch}}}};
	else if (rng_chance(&w->rng, 100))
		ev = (struct dsm_event){.type = DSM_EV_LOST,
					.lost = {.member = {(uint8_t)w->options->members}}};
	else if (rng_chance(&w->rng, 200)) /* a number that is used, or none */
		ev = (struct dsm_event){
			.type = DSM_EV_JOIN,
			.join = {{(uint8_t)(rng_chance(&w->rng, 500) ? m : w->options->members)}}};
	else if (rng_chance(&w->rng, 100))
		ev = (struct dsm_event){.type = DSM_EV_RELEASE, .release = {.token = UINT32_MAX}};
	else if (rng_chance(&w->rng, 100))
		ev = odd_move(w);
	else if (rng_chance(&w->rng, 200))
		ev = odd_acquire(w);
	w->members[m].odd_told = false;
	w->figures->done[SIM_EPOCH]++;
	if (!w->members[m].ended)
		w->members[m].odd_given++;
	const struct letter empty = {0};
	step_give(w, m, &ev, &empty);
	check_told(w, m, &ev);
	trouble_again(w, m, CLOCK_ODD, w->tuning.odd_gap);
}

void trouble_spurious(struct world *w, unsigned m)
{
	struct dsm_event ev = {.type = DSM_EV_TIMER};
	step_give(w, m, &ev, NULL);
	trouble_again(w, m, CLOCK_SPURIOUS, w->tuning.spurious_gap);
}
