/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/tuning.h"

#include "tests/sim/thread.h"

enum { US = 1000, PATIENCE_US = 50 };

static void draw_load(struct tuning *t, const struct options *o, struct rng *r)
{
	t->threads =
		o->members > 16 ? (unsigned)rng_pick(r, 1, 2) : (unsigned)rng_pick(r, 1, 2, 3, 4);
	t->devices = (unsigned)rng_pick(r, 0, 0, 1, 2);
	t->group = (unsigned)rng_pick(r, 1, 1, 2, 4, 16);
	t->write = (uint32_t)rng_pick(r, 50, 200, 400, 700, 1000);
	t->hot = (uint32_t)rng_pick(r, 0, 400, 700, 950);
	t->hot_pages = (unsigned)rng_pick(r, 1, 2, 4);
	t->sets = (uint32_t)rng_pick(r, 0, 50, 300, 900);
	t->set_pages = (unsigned)rng_pick(r, 2, 3, 4, THREAD_SET_MAX);
	t->think = rng_pick(r, 1, 5, 20, 100) * US;
	t->storm_gap = rng_pick(r, 0, 0, 200, 2000) * US * (1 + o->members / 4);
	t->strangers = (unsigned)rng_pick(r, 0, 0, 20, 100);
	t->device_gap = rng_pick(r, 20, 100, 1000) * US;
	t->device_use = rng_pick(r, 1, 30, 300) * US;
}

static void draw_network(struct tuning *t, const struct options *o, struct rng *r)
{
	t->base = rng_pick(r, 1, 5, 10, 300) * US;
	if (o->faults & (1 << SIM_DELAY | 1 << SIM_REORDER)) {
		t->jitter = rng_pick(r, 0, 1, 10, 60) * US;
		t->tail = (uint32_t)rng_pick(r, 0, 10, 50);
		t->tail_delay = rng_pick(r, 100, 500, 3000) * US;
	}
}

static void draw_slowness(struct tuning *t, struct rng *r, uint64_t share)
{
	t->pause = (uint32_t)rng_pick(r, 0, 2, 20, 200);
	t->pause_time = t->pause == 2	 ? rng_pick(r, 100, 2000) * US
			: t->pause == 20 ? rng_pick(r, 10, 200) * US
					 : rng_pick(r, 1, 20) * US;
	t->wake_delay = rng_pick(r, 1, 3, 50, 500) * US;
	t->timer_delay = rng_pick(r, 1, 20, 300) * US;
	t->spurious_gap = rng_pick(r, 0, 10, 200) * US * share;
}

static void draw_loss(struct tuning *t, const struct options *o, struct rng *r)
{
	const bool crash = o->faults & 1 << SIM_CRASH && rng_chance(r, 400);
	const bool cut = o->faults & 1 << SIM_PARTITION && rng_chance(r, 400);
	if (o->faults & 1 << SIM_FORGE && o->members > 1 && rng_chance(r, 300))
		t->forge_step = rng_between(r, 1, o->steps);
	if (o->members < 2 || !(crash || cut))
		return;
	t->loss_step = rng_between(r, 1, o->steps);
	t->silence = rng_pick(r, 100, 3000, 30000) * US;
	if (crash)
		t->crashes = o->members > 2 && rng_chance(r, 300) ? 2 : 1;
}

static void draw_trouble(struct tuning *t, const struct options *o, struct rng *r)
{
	const uint64_t share =
		1 + o->members / 4; /* so that many members do not mean nothing but trouble */
	t->wake_delay = rng_pick(r, 1, 3) * US;
	t->timer_delay = 1 * US;
	t->rests = (unsigned)rng_pick(r, 1, 2, 4);
	if (o->faults & 1 << SIM_EVICT)
		t->evict_gap = rng_pick(r, 0, 10, 50, 200, 1000) * US * share;
	if (o->faults & 1 << SIM_DISCARD)
		t->discard = (uint32_t)rng_pick(r, 0, 100, 500);
	if (o->faults & 1 << SIM_MOVE)
		t->move_gap = rng_pick(r, 0, 100, 300, 1000, 5000) * US * share;
	if (o->faults & 1 << SIM_EPOCH) {
		t->stale_gap = rng_pick(r, 0, 100, 1000) * US * share;
		t->odd_gap = rng_pick(r, 0, 1000) * US * share;
	}
	draw_loss(t, o, r);
	if (o->faults & 1 << SIM_SLOW)
		draw_slowness(t, r, share);
}

uint64_t tuning_patience(const struct tuning *t)
{
	return (uint64_t)(t->hold_us > PATIENCE_US ? t->hold_us : PATIENCE_US) * US;
}

/*
 * Some racks have threads that always come later than a plain hold lasts. Where nothing tells the
 * core that a thread could not use its pages - they are only read, or others here write them - it
 * grants it four times its patience (R41); where it can be told, up to 64 times.
 */
static void draw_lateness(struct tuning *t, struct rng *r)
{
	const uint64_t patience = tuning_patience(t);
	t->wake_least = rng_pick(r, 0, 0, 0, 1, 3, 20) * patience;
	if (t->wake_least <= 3 * patience)
		return;
	t->threads = 1;
	t->devices = 0;
	t->write = 1000;
}

static void draw_leaving(struct tuning *t, const struct options *o, struct rng *r)
{
	if (!(o->faults & 1 << SIM_LEAVE) || o->members < 2)
		return;
	t->leave_gap = rng_pick(r, 0, 50, 300, 2000) * US * o->members;
	if (t->forge_step)
		t->leave_gap = 0;
}

/* The others may all come before the steps are used up, or hardly one. */
static void draw_joining(struct tuning *t, const struct options *o, struct rng *r)
{
	if (!(o->faults & 1 << SIM_JOIN) || o->members < 2)
		return;
	t->join_gap = rng_pick(r, 0, 50, 300, 2000) * US * o->members;
	const unsigned founders = (unsigned)rng_between(r, 1, o->members - 1);
	if (t->forge_step)
		t->join_gap = 0;
	t->founders = t->join_gap ? founders : 0;
}

/* Members are few: who leaves or comes does so early. */
static void draw_loss_in_change(struct tuning *t, struct rng *r)
{
	if (!t->loss_step || !(t->leave_gap || t->join_gap) || rng_chance(r, 500))
		return;
	t->strike = (uint32_t)rng_pick(r, 20, 50, 200);
	t->loss_step = 1;
}

void tuning_draw(struct tuning *out, const struct options *o, struct rng *r)
{
	*out = (struct tuning){0};
	draw_load(out, o, r);
	draw_network(out, o, r);
	draw_trouble(out, o, r);
	/* While homes move, what is forged may be what an honest member with an old map sends. */
	if (out->forge_step)
		out->move_gap = 0;
	draw_leaving(out, o, r);
	out->hold_us = (uint32_t)rng_pick(r, 0, 0, 10, 50, 200, 1000);
	if (o->hold_us >= 0)
		out->hold_us = (uint32_t)o->hold_us;
	if (o->faults & 1 << SIM_SLOW)
		draw_lateness(out, r);
	out->acquire_us = (uint32_t)rng_pick(r, 50, 300, 2000);
	out->epoch = (uint32_t)rng_pick(r, 1, 2, 0, UINT32_MAX, 0x80000000u, 77);
	draw_joining(out, o, r);
	draw_loss_in_change(out, r);
	if (o->faults & 1 << SIM_WHOLE)
		out->whole = rng_chance(r, 500);
	out->compact = out->whole && (out->move_gap || out->leave_gap);
}
