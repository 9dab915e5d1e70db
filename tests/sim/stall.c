/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/stall.h"

#include <string.h>

#include "dsm/core/internal.h"
#include "tests/sim/audit.h"
#include "tests/sim/world.h"

enum { TROUBLE = 2, DOUBT_MAX = 4, STUCK_MAX = 64 };

/* A thread, and its set. */
struct stalled {
	struct dsm_thread t;
	struct dsm_collection set;
};

/* The threads of the member that takes a step. */
static struct {
	struct stalled v[DSM_THREADS_MAX];
	uint32_t n;
	const struct dsm_core *core; /* as it was before */
	uint64_t now, patience;
	uint32_t id;	/* of the thread that stalls; 0: none does, or it is not known */
	int who;	/* its place; -1: somebody's whose last fault is the oldest */
	bool collected; /* its set is to be */
	/* What the set of a thread that starts over left to be asked for. */
	bool asked_again, again_write, under_way;
	uint32_t again;
	bool fresh;  /* the first window of the set that is collected is not open yet */
	bool unsure; /* not compared */
} x;

static bool wants_to_write(const struct dsm_collection *c, uint64_t page)
{
	for (unsigned i = 0; i < c->pages; i++)
		if (c->page[i] == page)
			return c->write >> i & 1;
	return false;
}

/* ---- R42 ---- */

static void take_proof(const struct world *w, unsigned m, const struct dsm_proof *proof)
{
	const uint16_t page = world_page(w, proof->page);
	unsigned writers = w->members[m].memory.frames[page].lent;
	for (unsigned i = 0; i < DSM_ACQUIRES_MAX; i++)
		writers += x.core->collection[i].state != COLLECTION_IDLE &&
			   wants_to_write(&x.core->collection[i], proof->page.v);
	for (uint32_t i = 0; i < x.n; i++)
		writers += wants_to_write(&x.v[i].set, proof->page.v);
	for (uint32_t i = 0; i < x.n; i++) {
		struct dsm_thread *t = &x.v[i].t;
		if (!wants_to_write(&x.v[i].set, proof->page.v))
			continue;
		if (!proof->written)
			t->unwritten = true;
		else if (writers == 1)
			t->written = true;
		else
			t->shared = true;
	}
}

static bool ran_long(const struct dsm_thread *t)
{
	const uint32_t granted = dsm_holder_seen(x.core, (uint32_t)(t->stalled)).granted_us;
	const uint64_t here = (uint32_t)((uint32_t)(x.now / 1000) - granted) * (uint64_t)1000;
	const uint64_t most = STUCK_MAX * x.patience;
	return here > most && x.now - t->last > most;
}

/* ---- R40, R41 ---- */

/* What it stalled on until now is asked for again; if that is the same page, it may come at once.
 */
static void ask_again(const struct stalled *s)
{
	if (s->set.state != COLLECTION_WANTS)
		return;
	x.asked_again = true;
	x.again = s->t.stalled;
	x.again_write = wants_to_write(&s->set, s->t.stalled);
	x.under_way = dsm_holder_seen(x.core, (uint32_t)(x.again)).txn;
}

static void start_over(struct stalled *s)
{
	ask_again(s);
	s->set = (struct dsm_collection){0};
	s->t.rounds = 0;
	s->t.written = s->t.unwritten = s->t.shared = false;
}

static unsigned insert(struct stalled *s, uint32_t page)
{
	struct dsm_collection *c = &s->set;
	unsigned at = c->pages;
	for (; at > 0 && c->page[at - 1] > page; at--) {
		c->page[at] = c->page[at - 1];
		s->t.seen[at] = s->t.seen[at - 1];
		c->write = (uint16_t)((c->write & ~(1u << at)) | (c->write >> (at - 1) & 1) << at);
	}
	c->page[at] = page;
	c->write &= (uint16_t) ~(1u << at);
	c->pages++;
	return at;
}

static void came_back(struct dsm_thread *t)
{
	const bool stuck = t->unwritten && !t->shared;
	const unsigned most = stuck ? STUCK_MAX : DOUBT_MAX;
	const unsigned more = t->rounds + (stuck ? 2 : 1);
	if (t->rounds < most)
		t->rounds = (uint8_t)(more < most ? more : most);
	t->unwritten = t->shared = false;
}

static void take_fault(struct stalled *s, uint32_t page, bool write)
{
	const uint32_t granted = dsm_holder_seen(x.core, (uint32_t)(page)).granted_us;
	unsigned at = 0;
	if (s->t.written || ran_long(&s->t))
		start_over(s);
	while (at < s->set.pages && s->set.page[at] != page)
		at++;
	if (at == s->set.pages) {
		if (s->set.pages == DSM_ACQUIRE_PAGES_MAX)
			start_over(s);
		s->t.rounds /= 2;
		at = insert(s, page);
	} else if ((!write || s->set.write >> at & 1) && s->set.state != COLLECTION_WANTS &&
		   s->t.seen[at] != granted) {
		came_back(&s->t);
	}
	if (write)
		s->set.write |= (uint16_t)(1u << at);
	s->t.seen[at] = granted;
	s->t.stalled = page;
	s->t.last = x.now;
	x.fresh = s->set.state != COLLECTION_WANTS && s->set.until <= x.now;
	x.collected = s->t.rounds >= TROUBLE || s->set.state == COLLECTION_WANTS;
}

static void begin(struct stalled *s, uint32_t id)
{
	*s = (struct stalled){.t = {.id = id, .last = x.now}};
}

/* ---- before and after ---- */

static bool is_refused(const struct world *w, unsigned m, const struct dsm_event *event)
{
	const uint16_t page = world_page(w, event->fault.page);
	return page == WORLD_NO_PAGE || audit_takes(w, m, event->fault.page.v) ||
	       dsm_is_leaving(x.core) || thread_may(w, m, page, event->fault.write) ||
	       (event->fault.write &&
		dsm_holder_seen(x.core, (uint32_t)(event->fault.page.v)).state == DSM_E);
}

void stall_before(const struct world *w, unsigned m, const struct dsm_event *event)
{
	static struct stalled new;
	x.unsure = !event->proofs && (event->type != DSM_EV_FAULT || !event->fault.thread);
	if (x.unsure)
		return; /* nothing follows from it */
	x.core = w->members[m].core;
	x.n = x.core->threads;
	x.now = event->now;
	x.patience = tuning_patience(&w->tuning);
	x.id = 0;
	x.collected = x.asked_again = false;
	for (uint32_t i = 0; i < x.n; i++)
		x.v[i] = (struct stalled){x.core->thread[i],
					  x.core->collection[DSM_ACQUIRES_MAX + i]};
	for (unsigned i = 0; i < event->proofs; i++)
		take_proof(w, m, &event->proof[i]);
	if (event->type != DSM_EV_FAULT || !event->fault.thread || is_refused(w, m, event))
		return;
	x.id = event->fault.thread;
	x.who = 0;
	while ((uint32_t)x.who < x.n && x.v[x.who].t.id != x.id)
		x.who++;
	if (x.who == DSM_THREADS_MAX)
		x.who = -1;
	else if ((uint32_t)x.who == x.n)
		begin(&x.v[x.n++], x.id);
	if (x.who < 0)
		begin(&new, x.id);
	take_fault(x.who < 0 ? &new : &x.v[x.who], (uint32_t)event->fault.page.v,
		   event->fault.write);
	if (x.who >= 0)
		return;
	/* Any of those that are silent for longest may have lost its place. */
	for (int i = 0; i < DSM_THREADS_MAX; i++)
		if (x.who < 0 || x.v[i].t.last < x.v[x.who].t.last)
			x.who = i;
	for (int i = 0; i < DSM_THREADS_MAX; i++)
		if (x.v[i].t.last == x.v[x.who].t.last && i != x.who)
			x.unsure = true;
	ask_again(&x.v[x.who]);
	x.v[x.who] = new;
}

static bool same_thread(const struct dsm_thread *a, const struct dsm_thread *b, unsigned pages)
{
	return a->id == b->id && a->rounds == b->rounds && a->written == b->written &&
	       a->unwritten == b->unwritten && a->shared == b->shared && a->stalled == b->stalled &&
	       a->last == b->last && !memcmp(a->seen, b->seen, pages * sizeof(a->seen[0]));
}

static bool same_set(const struct dsm_collection *a, const struct dsm_collection *b)
{
	return a->pages == b->pages && a->write == b->write && a->asked &&
	       !memcmp(a->page, b->page, a->pages * sizeof(a->page[0]));
}

/* What a set that is to be collected holds, and for how long. */
static bool is_collected(const struct dsm_collection *c, const struct dsm_thread *t)
{
	const uint64_t rounds = t->rounds ? t->rounds : 1;
	return c->state != COLLECTION_IDLE && c->window == c->pages * x.patience &&
	       c->last == rounds * x.patience;
}

/* Or it came at once: then who waits was woken. */
static bool is_asked_for(const struct dsm_core *core, const struct dsm_effects *fx)
{
	const struct dsm_holder seen = dsm_holder_seen(core, x.again), *h = &seen;
	if (dsm_may(h, x.again_write) || x.under_way || h->txn)
		return true;
	for (uint32_t i = 0; i < fx->n; i++)
		if (fx->v[i].type == DSM_FX_WAKE && fx->v[i].page.v == x.again)
			return true;
	return h->backlog && (!x.again_write || h->want_write);
}

void stall_after(struct world *w, unsigned m)
{
	const struct dsm_core *core = x.core;
	if (x.unsure || core->ending || core->leave.state != LEAVE_NOT)
		return;
	if (x.asked_again && !is_asked_for(core, w->members[m].fx))
		world_fail(w, "I15", -1, "m%u forgets what a thread stalled on", m);
	if (core->threads != x.n)
		world_fail(w, "I15", -1, "m%u knows %u threads that stall, it should know %u", m,
			   core->threads, x.n);
	for (uint32_t i = 0; i < x.n && !w->failure.set; i++) {
		const struct dsm_collection *set = &core->collection[DSM_ACQUIRES_MAX + i];
		const bool stalls = x.id && (int)i == x.who;
		if (stalls && x.asked_again)
			memcpy(x.v[i].t.seen, core->thread[i].seen, sizeof(x.v[i].t.seen));
		if (!same_thread(&core->thread[i], &x.v[i].t, x.v[i].set.pages) ||
		    !same_set(set, &x.v[i].set))
			world_fail(w, "I15", -1, "m%u takes thread %u for another than it is", m,
				   x.v[i].t.id);
		else if (stalls && x.collected && !is_collected(set, &core->thread[i]))
			world_fail(w, "I15", -1, "m%u does not collect the set of thread %u", m,
				   x.v[i].t.id);
		else if (stalls && x.collected && x.fresh && set->tries != x.v[i].set.tries)
			world_fail(w, "I15", -1, "m%u begins with a longer window", m);
		else if (stalls && !x.collected && set->state == COLLECTION_WANTS)
			world_fail(w, "I15", -1,
				   "m%u collects the set of thread %u, that is no trouble", m,
				   x.v[i].t.id);
	}
}
