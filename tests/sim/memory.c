/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/say.h"
#include "tests/sim/world.h"

void memory_init(struct memory *m, unsigned pages)
{
	m->frames = calloc(pages, sizeof(*m->frames));
	if (!m->frames)
		abort();
}

void memory_clear(struct memory *m, unsigned pages)
{
	memset(m->frames, 0, pages * sizeof(*m->frames));
	memset(m->slots, 0, sizeof(m->slots));
}

void memory_free(struct memory *m)
{
	free(m->frames);
}

static void set_right(struct world *w, unsigned m, uint16_t page, bool present, bool writable)
{
	struct frame *f = &w->members[m].memory.frames[page];
	struct book *b = &w->books[page];
	const dsm_set bit = member_bit(m);
	f->present = present;
	f->writable = writable;
	b->present = present ? b->present | bit : b->present & ~bit;
	b->writable = writable ? b->writable | bit : b->writable & ~bit;
}

/* Home gives its page away later in this step, and knows at once that this is done (R10). */
static bool is_served_next(const struct world *w, unsigned m, uint16_t page)
{
	const struct member *mb = &w->members[m];
	for (uint32_t i = mb->fx_next; i < mb->fx->n; i++) {
		const struct dsm_effect *fx = &mb->fx->v[i];
		if (fx->type == DSM_FX_SEND && fx->msg.flags & PAGE_FLAG_LAST &&
		    fx->msg.page.v == w->space_page[page])
			return true;
	}
	return false;
}

/* A request for the page waits here, or may: of home's own nothing can be seen. */
static bool may_wait(const struct world *w, unsigned m, uint16_t page)
{
	struct dsm_dir dir;
	return w->members[m].memory.frames[page].asked_for || is_served_next(w, m, page) ||
	       (dsm_core_dir(w->members[m].core, (struct gpage){w->space_page[page]}, &dir) &&
		dir.busy);
}

/*
 * Fresh from others or from the directory: the hold time begins. A page that came back to its home,
 * or back to its evictor, is no grant. The right to write an unwritten page that was ours alone is
 * one; but a request that waits by then waits no longer for it.
 */
static void begin_hold(const struct world *w, unsigned m, uint16_t page)
{
	struct frame *f = &w->members[m].memory.frames[page];
	const struct cause *cause = &w->members[m].cause;
	const bool message = cause->type == DSM_EV_MSG && cause->page == page;
	if (message && (cause->msg_type == PAGE_PUT || cause->msg_type == PAGE_PUT_ACK))
		f->hold_from = 0;
	else if (message || !f->present || !may_wait(w, m, page))
		f->hold_from = cause->now;
}

static void grant(struct world *w, unsigned m, uint16_t page, bool writable)
{
	struct frame *f = &w->members[m].memory.frames[page];
	f->given_back = false;
	f->gained = w->members[m].cause.now;
	f->lent = false;
	begin_hold(w, m, page);
	f->watched = writable;
	f->came = f->value;
	set_right(w, m, page, true, writable);
}

static void slot_forget(struct world *w, struct slot *slot)
{
	if (slot->filled)
		book_forget(&w->books[slot->page], slot->value);
	slot->filled = false;
}

static void fill(struct world *w, unsigned m, uint16_t page, uint16_t number, uint64_t value)
{
	if (number >= DSM_SLOTS) {
		world_fail(w, "I7", page, "m%u fills slot %u, which does not exist", m, number);
		return;
	}
	struct slot *slot = &w->members[m].memory.slots[number];
	if (slot->filled && !slot->used)
		world_fail(w, "I7", page, "m%u fills slot %u again before page %u in it was used",
			   m, number, slot->page);
	slot_forget(w, slot);
	*slot = (struct slot){.value = value, .page = page, .filled = true};
	book_keep(&w->books[page], value, oracle_read(&w->oracle, page));
}

uint64_t memory_slot(struct world *w, unsigned m, uint16_t page, uint16_t number)
{
	struct slot *slot = number < DSM_SLOTS ? &w->members[m].memory.slots[number] : NULL;
	if (!slot || !slot->filled || slot->page != page) {
		world_fail(w, "I7", page, "m%u uses slot %u, which does not hold the page", m,
			   number);
		return 0;
	}
	slot->used = true;
	return slot->value;
}

static uint64_t event_data(struct world *w, unsigned m, uint16_t page)
{
	const struct cause *cause = &w->members[m].cause;
	if (!cause->has_data || cause->page != page) {
		world_fail(w, "I7", page, "m%u uses data its event did not bring", m);
		return 0;
	}
	return cause->data;
}

static void map(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	struct frame *f = &w->members[m].memory.frames[page];
	if (f->present) {
		world_fail(w, "M5", page, "m%u maps a page that is present", m);
		return;
	}
	f->value = fx->source == DSM_FROM_ZERO	  ? 0
		   : fx->source == DSM_FROM_EVENT ? event_data(w, m, page)
						  : memory_slot(w, m, page, fx->slot);
	grant(w, m, page, fx->writable);
	f->zeros = fx->source == DSM_FROM_ZERO && !fx->writable;
	if (f->value != oracle_read(&w->oracle, page))
		world_fail(w, "I3", page, "m%u installs %" PRIu64 ", the last write was %" PRIu64,
			   m, f->value, oracle_read(&w->oracle, page));
}

/* A grant is kept for the hold time against requests of others (core.h, hold_us). */
static void check_hold(struct world *w, unsigned m, uint16_t page)
{
	const struct member *mb = &w->members[m];
	const struct frame *f = &mb->memory.frames[page];
	if (!f->hold_from || f->given_back || mb->cause.type == DSM_EV_LOST ||
	    w->leaving & member_bit(m))
		return;
	if (mb->cause.now + 1000 < f->hold_from + w->tuning.hold_us * (uint64_t)1000)
		world_fail(w, "I8", page,
			   "m%u gives a page up after %" PRIu64 " ns of its hold time", m,
			   mb->cause.now - f->hold_from);
}

enum { PROOFS_LOST = 50 /* per mille */ };

/* As dsm/written.h: now and then nothing is known. */
static void prove(struct world *w, unsigned m, uint16_t page)
{
	struct member *mb = &w->members[m];
	struct frame *f = &mb->memory.frames[page];
	if (f->watched && mb->proofs < DSM_PROOFS_MAX && !rng_chance(&w->rng, PROOFS_LOST))
		mb->proof[mb->proofs++] = (struct dsm_proof){.page = {w->space_page[page]},
							     .written = f->value != f->came};
	f->watched = false;
}

static void read_out(struct world *w, unsigned m, uint16_t page, uint16_t slot)
{
	struct frame *f = &w->members[m].memory.frames[page];
	w->members[m].cause.discard = WORLD_NO_PAGE; /* it goes to somebody */
	prove(w, m, page);
	if (f->writable)
		world_fail(w, "M3", page, "m%u reads a page out that is still written", m);
	if (f->zeros)
		world_fail(w, "I14", page, "m%u reads a page out that is known to be zeros", m);
	fill(w, m, page, slot, f->value);
}

void memory_chunk(struct world *w, unsigned m, uint16_t page, bool whole)
{
	struct frame *f = &w->members[m].memory.frames[page];
	if (whole && f->present)
		world_fail(w, "M14", page, "m%u takes a chunk whole of which a page is here", m);
	if (!whole && !f->whole)
		world_fail(w, "M15", page, "m%u splits a chunk that is not whole", m);
	f->whole = whole;
	if (!whole || w->failure.set)
		return;
	f->value = 0;
	f->given_back = f->lent = f->watched = f->zeros = false;
	f->gained = w->members[m].cause.now;
	f->hold_from = 0; /* R52 */
	set_right(w, m, page, true, true);
	if (oracle_read(&w->oracle, page))
		world_fail(w, "I3", page, "m%u takes a chunk whole that was written", m);
}

void memory_effect(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	struct frame *f = &w->members[m].memory.frames[page];
	const bool needs_page = fx->type != DSM_FX_MAP && fx->type != DSM_FX_STASH;
	if (needs_page && !f->present) {
		world_fail(w, "M2", page, "m%u: %s of a missing page", m,
			   say_effect_name(fx->type));
		return;
	}
	if (f->whole)
		world_fail(w, "M14", page, "m%u: %s of a page in a whole chunk", m,
			   say_effect_name(fx->type));
	switch (fx->type) {
	case DSM_FX_MAP:
		map(w, m, page, fx);
		break;
	case DSM_FX_UNPROTECT:
		if (f->writable)
			world_fail(w, "I7", page, "m%u unprotects a writable page", m);
		grant(w, m, page, true);
		f->zeros = false;
		break;
	case DSM_FX_PROTECT:
		if (!f->writable)
			world_fail(w, "I7", page, "m%u protects a protected page", m);
		check_hold(w, m, page);
		set_right(w, m, page, true, false);
		break;
	case DSM_FX_UNMAP:
		if (f->writable)
			world_fail(w, "M3", page, "m%u drops a page that is still written", m);
		check_hold(w, m, page);
		if (w->members[m].cause.discard == page)
			oracle_forget(&w->oracle, page);
		set_right(w, m, page, false, false);
		break;
	case DSM_FX_READ_OUT:
		read_out(w, m, page, fx->slot);
		break;
	case DSM_FX_STASH:
		fill(w, m, page, fx->slot, event_data(w, m, page));
		break;
	}
}

void memory_die(struct world *w, unsigned m)
{
	struct memory *memory = &w->members[m].memory;
	for (unsigned i = 0; i < DSM_SLOTS; i++)
		slot_forget(w, &memory->slots[i]);
	for (unsigned p = 0; p < w->options->pages; p++) {
		memory->frames[p].whole = false;
		set_right(w, m, (uint16_t)p, false, false);
	}
}
