/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A life of a space: threads, devices and troubles are set going; events are taken from the clock
 * until the steps are used up, or everybody has said LOST. A few times on the way all load stops
 * and everything under way must come to its end (a rest): whatever still waits then waits for ever.
 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/audit.h"
#include "tests/sim/change.h"
#include "tests/sim/forge.h"
#include "tests/sim/harmless.h"
#include "tests/sim/hostile.h"
#include "tests/sim/loss.h"
#include "tests/sim/step.h"
#include "tests/sim/trouble.h"

enum {
	WAIT_CHECK_PERIOD = 1024, /* events */
	EVENTS_PER_STEP = 50,
	TIMERS_MAX = 5000, /* one after another: more than any number of holds asks for */
	DRAIN_EVENTS_MAX = 5000000,
};

void world_fail(struct world *w, const char *invariant, int page, const char *fmt, ...)
{
	struct failure *f = &w->failure;
	if (f->set)
		return;
	*f = (struct failure){.set = true,
			      .seed = w->seed,
			      .step = w->steps,
			      .invariant = invariant,
			      .page = page};
	va_list args;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	world_say(w, "!! %s violated, page %d: %s", invariant, page, f->text);
}

/* ---- layout ---- */

uint16_t world_page(const struct world *w, struct gpage page)
{
	const unsigned group = w->tuning.group;
	if (w->tuning.compact)
		return page.v < w->options->pages ? (uint16_t)page.v : WORLD_NO_PAGE;
	const uint64_t chunks = group == 1 ? 1 : 2;
	uint64_t first = page.v / (chunks * DSM_CHUNK_PAGES) * group;
	for (uint64_t used = first; used < first + group && used < w->options->pages; used++)
		if (w->space_page[used] == page.v)
			return (uint16_t)used;
	return WORLD_NO_PAGE;
}

bool world_is_home(const struct world *w, unsigned m, uint16_t page)
{
	struct dsm_dir dir;
	if (w->absent & member_bit(m))
		return false;
	return dsm_core_dir(w->members[m].core, (struct gpage){w->space_page[page]}, &dir);
}

unsigned world_home(struct world *w, uint16_t page)
{
	struct book *b = &w->books[page];
	if (world_is_home(w, b->home, page))
		return b->home;
	for (unsigned m = 0; m < w->options->members; m++) {
		if (!world_is_home(w, m, page))
			continue;
		b->home = (uint8_t)m;
		return m;
	}
	return WORLD_NO_HOME;
}

/* ---- one event ---- */

/* Things the engine thread of a member does wait while it is slow; its other threads go on. */
static bool waits_for_engine(const struct clock_event *ev)
{
	return ev->kind != CLOCK_THREAD && ev->kind != CLOCK_RESUME;
}

static void block(struct member *mb, const struct clock_event *ev)
{
	if (mb->n_blocked == mb->blocked_room) {
		mb->blocked_room = mb->blocked_room ? 2 * mb->blocked_room : 64;
		mb->blocked = realloc(mb->blocked, mb->blocked_room * sizeof(*mb->blocked));
		if (!mb->blocked)
			abort();
	}
	mb->blocked[mb->n_blocked++] = *ev;
}

static void run_timer(struct world *w, const struct clock_event *ev)
{
	struct member *mb = &w->members[ev->member];
	if (ev->generation != mb->timer)
		return;
	mb->deadline = UINT64_MAX;
	if (++mb->timers > TIMERS_MAX)
		world_fail(w, "I5", -1, "m%u asks for one timer after another", ev->member);
	struct dsm_event event = {.type = DSM_EV_TIMER};
	step_give(w, ev->member, &event, NULL);
}

static void run_letter(struct world *w, const struct clock_event *ev)
{
	if (!links_at(&w->links, ev->other, ev->member)->n)
		return; /* died with its sender */
	const struct letter letter = link_take(w, ev->other, ev->member);
	if (w->left & member_bit(ev->member) && letter.msg.type == PAGE_MEMBER_LOST)
		return; /* too late for it */
	if (w->left & member_bit(ev->member)) {
		world_fail(w, "I11", -1, "m%u sends %s to m%u, which has left", ev->other,
			   page_type_name(letter.msg.type), ev->member);
		return;
	}
	harmless_try(w, ev->member);
	hostile_try(w, ev->other, ev->member, &letter);
	if (!forge_letter(w, ev->other, ev->member, &letter))
		step_letter(w, ev->other, ev->member, &letter);
}

/* What may still happen to a member that was told to leave. */
static bool concerns_leaver(const struct clock_event *ev)
{
	return ev->kind == CLOCK_LETTER || ev->kind == CLOCK_TIMER || ev->kind == CLOCK_SPURIOUS ||
	       ev->kind == CLOCK_RESUME || ev->kind == CLOCK_LOST || ev->kind == CLOCK_ZOMBIE;
}

static bool brings_member(const struct clock_event *ev)
{
	return ev->kind == CLOCK_COME || ev->kind == CLOCK_BIRTH;
}

/* Its engine is busy, or it has none yet. */
static bool must_wait(const struct world *w, const struct clock_event *ev)
{
	if (w->absent & member_bit(ev->member))
		return !brings_member(ev);
	return w->members[ev->member].paused && waits_for_engine(ev);
}

static void dispatch(struct world *w, const struct clock_event *ev)
{
	const unsigned m = ev->member;
	if (w->dead & member_bit(m))
		return;
	if (w->leaving & member_bit(m) && !concerns_leaver(ev))
		return;
	if (must_wait(w, ev)) {
		block(&w->members[m], ev);
		return;
	}
	switch ((enum clock_kind)ev->kind) {
	case CLOCK_LETTER:
		run_letter(w, ev);
		break;
	case CLOCK_THREAD:
		thread_run(w, m, ev->index);
		break;
	case CLOCK_FAULT:
		thread_fault(w, ev);
		break;
	case CLOCK_TIMER:
		run_timer(w, ev);
		break;
	case CLOCK_SPURIOUS:
		trouble_spurious(w, m);
		break;
	case CLOCK_RESUME:
		step_resume(w, m);
		break;
	case CLOCK_DEVICE:
		device_run(w, m, ev->index);
		break;
	case CLOCK_EVICT:
		trouble_evict(w, m);
		break;
	case CLOCK_MOVE:
		trouble_move(w, m);
		break;
	case CLOCK_LEAVE:
		change_leave(w, m);
		break;
	case CLOCK_COME:
		change_come(w, m);
		break;
	case CLOCK_JOIN:
		change_join(w, ev);
		break;
	case CLOCK_BIRTH:
		change_birth(w, m);
		break;
	case CLOCK_STALE:
		trouble_stale(w, m);
		break;
	case CLOCK_STORM:
		trouble_storm(w, m);
		break;
	case CLOCK_HINT:
		trouble_hint(w, ev);
		break;
	case CLOCK_ODD:
		trouble_odd(w, m);
		break;
	case CLOCK_LOST:
		loss_lost(w, m, ev->other);
		break;
	case CLOCK_ZOMBIE:
		loss_zombie(w, ev);
		break;
	}
}

/* ---- a whole life ---- */

void world_start_member(struct world *w, unsigned m)
{
	if (w->draining || (w->dead | w->ended | w->stopping | w->absent) & member_bit(m))
		return;
	for (unsigned i = 0; i < w->tuning.threads; i++)
		thread_start(w, m, i);
	for (unsigned i = 0; i < w->tuning.devices; i++)
		device_start(w, m, i);
}

static void start_load(struct world *w)
{
	w->draining = false;
	w->events = 0;
	w->load_steps = w->steps;
	for (unsigned m = 0; m < w->options->members; m++)
		world_start_member(w, m);
	for (unsigned m = 0; m < w->options->members; m++) {
		trouble_start(w, m);
		change_start(w, m);
	}
}

/* Alone it finds everything here. It may look for a while. */
static void watch_loneliness(struct world *w)
{
	const dsm_set living = world_living(w);
	if (w->lonely || !w->left || living & (living - 1) || w->newcomer || w->doomed ||
	    (w->tuning.join_gap && w->absent))
		return;
	w->lonely = true;
	w->lonely_step = w->steps + rng_pick(&w->rng, 1, 20, 200);
}

static bool load_is_over(const struct world *w)
{
	if (w->lonely && w->steps >= w->lonely_step)
		return true;
	const uint64_t steps = w->options->steps * (w->rests + 1) / w->tuning.rests;
	if (w->steps >= steps || (w->doomed && !world_living(w)))
		return true;
	/* Threads that have all they need give cores nothing to do: then time is up, too. */
	return w->events >= EVENTS_PER_STEP * (steps - w->load_steps);
}

static void stop_load(struct world *w)
{
	w->draining = true;
	w->events = 0;
}

static void check_inside(struct world *w)
{
	for (unsigned m = 0; m < w->options->members && !w->doomed; m++)
		if (!w->members[m].ended && !(w->absent & member_bit(m))) {
			count_check(w, m);
			audit_rest(w, m);
		}
}

static void end_rest(struct world *w)
{
	check_rest(w);
	check_inside(w);
	w->rests++;
	if (w->doomed || w->lonely || w->rests >= w->tuning.rests)
		w->done = true;
	else
		start_load(w);
}

bool world_turn(struct world *w)
{
	struct clock_event ev;
	watch_loneliness(w);
	if (!w->draining && load_is_over(w))
		stop_load(w);
	if (clock_pop(&w->clock, &ev)) {
		w->now = ev.time;
		w->events++;
		dispatch(w, &ev);
		if (ev.kind != CLOCK_THREAD && !(w->absent & member_bit(ev.member)))
			audit_step(w, ev.member);
	} else {
		stop_load(w);
		end_rest(w);
	}
	if (w->events % WAIT_CHECK_PERIOD == 0)
		check_waits(w);
	if (w->draining && w->events >= DRAIN_EVENTS_MAX)
		world_fail(w, "I5", -1, "the space does not come to rest");
	return !w->failure.set && !w->done;
}

uint64_t world_due(const struct world *w)
{
	const uint64_t due = clock_due(&w->clock);
	return due == UINT64_MAX ? w->now : due;
}

dsm_set world_living(const struct world *w)
{
	const dsm_set all = UINT64_MAX >> (DSM_MEMBERS_MAX - w->options->members);
	return all & ~(w->dead | w->ended | w->absent | w->left);
}

dsm_set world_concerned(const struct world *w)
{
	const dsm_set newcomer = w->newcomer ? member_bit(w->newcomer - 1u) : 0;
	return (world_living(w) | newcomer) & ~w->dead;
}

static void tuning_say(struct world *w)
{
	const struct tuning *t = &w->tuning;
	world_say(w,
		  "seed %" PRIu64
		  ", epoch %u, %u members, %u at first: threads %u devices %u group %u write %u "
		  "hot %u/%u sets %u think %" PRIu64 " hold %u us acquire %u us",
		  w->seed, t->epoch, w->options->members, w->founders, t->threads, t->devices,
		  t->group, t->write, t->hot, t->hot_pages, t->sets, t->think, t->hold_us,
		  t->acquire_us);
	world_say(w,
		  "delay %" PRIu64 "+%" PRIu64 ", %u: %" PRIu64 "; evict %" PRIu64 " loss %" PRIu64
		  " crashes %u pause %u: %" PRIu64 " wake %" PRIu64 " timer %" PRIu64,
		  t->base, t->jitter, t->tail, t->tail_delay, t->evict_gap, t->loss_step,
		  t->crashes, t->pause, t->pause_time, t->wake_delay, t->timer_delay);
}

void world_begin(struct world *w)
{
	tuning_say(w);
	start_load(w);
}

void world_gather(struct world *w)
{
	for (unsigned m = 0; m < w->options->members; m++) {
		struct dsm_core_stats stats;
		if (w->absent & member_bit(m))
			continue;
		dsm_core_stats(w->members[m].core, &stats);
		w->figures->requests += stats.read_local + stats.read_remote + stats.write_local +
					stats.write_remote + stats.upgrade_local +
					stats.upgrade_remote;
		w->figures->collided += stats.queued;
		w->figures->held_back += stats.deferred;
		w->figures->stale_version += stats.stale_version;
		w->figures->redirected += stats.redirected;
		w->figures->done[SIM_MOVE] += stats.moved_out;
		w->figures->done[SIM_WHOLE] += stats.split;
	}
	w->figures->steps += w->steps;
}
