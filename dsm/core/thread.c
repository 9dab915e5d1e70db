/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stalled threads. One instruction may need several pages at the same time, and faults on them one
 * by one, in any order; and a woken thread may come so late that its page is gone again. Of each
 * thread the core remembers the pages it stalled on since it last got on: its set (R40).
 *
 * Most threads get on at once: then the set is only remembered, and a fault asks for its page, no
 * more. A thread that comes back to pages that were here and left is in trouble: its set is
 * collected (collect.c) and held for a last window, which is the longer the oftener it came back
 * (R41). Whether it got on nobody says; proofs of it are a page only it wants that was written, and
 * a long time without a stall (R42).
 */
#include "dsm/core/internal.h"

enum {
	ROUNDS_TROUBLE = 2, /* from here on the set is collected */
	ROUNDS_DOUBT = 4,   /* most, where a thread may well have got on */
	ROUNDS_MAX = 64,
};

static struct dsm_collection *set_of(const struct dsm_core *core, const struct dsm_thread *t)
{
	ptrdiff_t index = t - core->thread;

	return (struct dsm_collection *)&core->collection[DSM_ACQUIRES_MAX + index];
}

/* ---- the table ---- */

static struct dsm_thread *find(struct dsm_core *core, uint32_t id)
{
	for (uint32_t i = 0; i < core->threads; i++)
		if (core->thread[i].id == id)
			return &core->thread[i];
	return NULL;
}

static struct dsm_thread *longest_silent(struct dsm_core *core)
{
	struct dsm_thread *t = &core->thread[0];

	for (uint32_t i = 1; i < core->threads; i++)
		if (core->thread[i].last < t->last)
			t = &core->thread[i];
	return t;
}

/* The page it is stalled on may have been left to its collection: then it is asked for now. */
static void drop_set(struct dsm_core *core, struct dsm_thread *t)
{
	struct dsm_collection *c = set_of(core, t);
	uint8_t i = dsm_collection_find(c, t->stalled);
	bool write = c->write >> i & 1;

	bool wanted = c->state == COLLECTION_WANTS;

	dsm_collection_end(core, c);
	*c = (struct dsm_collection){.asked = true};
	if (wanted)
		dsm_demand(core, t->stalled, write);
}

static struct dsm_thread *find_or_begin(struct dsm_core *core, uint32_t id)
{
	struct dsm_thread *t = find(core, id);

	if (t)
		return t;
	if (core->threads < DSM_THREADS_MAX) {
		t = &core->thread[core->threads++];
	} else {
		t = longest_silent(core);
		drop_set(core, t);
	}
	*t = (struct dsm_thread){.id = id, .last = core->now};
	set_of(core, t)->asked = true; /* pages come one by one, the lowest first */
	return t;
}

/* ---- the set ---- */

/* It got on: what it needs now is not known yet. */
static void start_over(struct dsm_core *core, struct dsm_thread *t)
{
	drop_set(core, t);
	t->rounds = 0;
	t->written = t->unwritten = t->shared = false;
}

/* Pages above the new one, if it is missing, are not held any more: the order is (R26). */
static uint8_t add(struct dsm_core *core, struct dsm_thread *t, struct dsm_collection *c,
		   uint32_t page)
{
	uint8_t at = 0;

	while (at < c->pages && c->page[at] < page)
		at++;
	dsm_collection_shrink(core, c, at);
	for (uint8_t i = c->pages; i > at; i--) {
		c->page[i] = c->page[i - 1];
		t->seen[i] = t->seen[i - 1];
	}
	c->write = (uint16_t)((c->write & ((1u << at) - 1)) | (c->write >> at) << (at + 1));
	c->page[at] = page;
	c->pages++;
	return at;
}

/* R40: perhaps it got on, perhaps its instruction needs one more. */
static uint8_t add_new(struct dsm_core *core, struct dsm_thread *t, uint32_t page)
{
	struct dsm_collection *c = set_of(core, t);

	if (c->pages == DSM_ACQUIRE_PAGES_MAX || DSM_BUG(hold_counts_a_page))
		start_over(core, t);
	t->rounds /= 2;
	return add(core, t, c, page);
}

/* R41: back to a page that was here and left. */
static void came_back(struct dsm_thread *t)
{
	bool stuck = t->unwritten && !t->shared;
	uint8_t most = stuck ? ROUNDS_MAX : ROUNDS_DOUBT;
	uint8_t more = t->rounds + (stuck ? 2 : 1);

	if (t->rounds < most)
		t->rounds = more < most ? more : most;
	t->unwritten = t->shared = false;
}

static void collect(struct dsm_core *core, struct dsm_thread *t)
{
	struct dsm_collection *c = set_of(core, t);
	uint64_t rounds = DSM_BUG(window_never_grows) || !t->rounds ? 1 : t->rounds;

	if (c->state != COLLECTION_WANTS && c->until <= core->now) {
		dsm_collection_shrink(core, c, 0);
		c->until = 0;
	}
	c->window = dsm_patience(core) * c->pages;
	c->last = dsm_patience(core) * rounds;
	dsm_collection_start(core, c);
}

/* ---- stalls ---- */

/* R42: it ran for longer than it may ever be late. */
static bool ran_long(struct dsm_core *core, const struct dsm_thread *t)
{
	uint32_t us = (uint32_t)(core->now / 1000) - dsm_holder(core, t->stalled)->granted_us;
	uint64_t here = us * (uint64_t)1000, silent = core->now - t->last;

	return (here < silent ? here : silent) > dsm_patience(core) * ROUNDS_MAX;
}

static bool was_here(struct dsm_core *core, const struct dsm_thread *t, uint8_t i)
{
	return t->seen[i] != dsm_holder(core, set_of(core, t)->page[i])->granted_us;
}

bool dsm_thread_stalled(struct dsm_core *core, uint32_t id, uint32_t page, bool write)
{
	struct dsm_collection *c;
	struct dsm_thread *t;
	uint8_t i;

	if (!id)
		return false;
	t = find_or_begin(core, id);
	c = set_of(core, t);
	if (t->written || ran_long(core, t))
		start_over(core, t);
	i = dsm_collection_find(c, page);
	if (i == c->pages)
		i = add_new(core, t, page);
	else if (write && !(c->write >> i & 1))
		dsm_collection_shrink(core, c, i);
	else if (c->state != COLLECTION_WANTS && was_here(core, t, i))
		came_back(t);
	c->write |= (uint16_t)(write << i);
	t->seen[i] = dsm_holder(core, page)->granted_us;
	t->stalled = page;
	t->last = core->now;
	if (t->rounds < ROUNDS_TROUBLE && c->state != COLLECTION_WANTS)
		return false;
	collect(core, t);
	return true;
}

void dsm_thread_ready(struct dsm_core *core, unsigned index)
{
	const struct dsm_collection *c = set_of(core, &core->thread[index]);

	for (uint8_t i = 0; i < c->pages; i++)
		dsm_fx(core, DSM_FX_WAKE, c->page[i]);
}

/* ---- proofs ---- */

static bool wants_to_write(const struct dsm_collection *c, uint32_t page)
{
	uint8_t i = dsm_collection_find(c, page);

	return i < c->pages && c->write >> i & 1;
}

/* Threads, and devices that acquired or acquire it. */
static unsigned writers(const struct dsm_core *core, uint32_t page)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < DSM_ACQUIRES_MAX; i++)
		n += core->collection[i].state != COLLECTION_IDLE &&
		     wants_to_write(&core->collection[i], page);
	for (uint32_t i = 0; i < core->threads; i++)
		n += wants_to_write(set_of(core, &core->thread[i]), page);
	return n;
}

/* R42 */
void dsm_threads_proof(struct dsm_core *core, const struct dsm_proof *proof)
{
	uint32_t page = (uint32_t)proof->page.v;
	bool alone = proof->written && !dsm_holder(core, page)->lent && writers(core, page) == 1;

	for (uint32_t i = 0; i < core->threads; i++) {
		struct dsm_thread *t = &core->thread[i];

		if (!wants_to_write(set_of(core, t), page))
			continue;
		t->written |= alone;
		t->shared |= proof->written && !alone;
		t->unwritten |= !proof->written;
	}
}
