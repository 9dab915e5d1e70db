/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The home of a chunk moves (R32):
 *
 *	SETTLED --MOVE--> MOVING --its turn--> FROZEN --nothing under way, all asked--> SETTLED
 *	SETTLED --HAND, HANDED, REDIRECT--> COMING --HANDED--> OPENING --all begun--> SETTLED
 *
 * First line: at the old home, which knows the new one then. Second line: at the new home.
 *
 * It freezes from its lowest page up, in the order in which sets are collected (R26): a page at
 * which a transaction is under way is waited for, and the pages above it are served meanwhile. Or
 * the move would wait for a member that keeps a page while it collects a higher one, and that
 * member for the move, until its window is over.
 *
 * Where it is frozen, requests queue. When the last UNBLOCK is here, grants that need none (R10)
 * may still be on their way; what the new home sends could overtake them. So those we granted to
 * since we last asked them are asked whether all is there (FENCE). With their answers the chunk is
 * the new home's; each entry and its queue is sent, then HANDED. That may take several steps, in
 * which requests are already answered with REDIRECT; the new home lets them wait until HANDED. One
 * chunk is handed over at a time, the others wait in line; so only one is frozen.
 */
#include "dsm/core/internal.h"

enum { WALK_MAX = DSM_CHUNK_PAGES }; /* pages looked at in one step */

static struct dsm_chunk *chunk_at(const struct dsm_core *core, uint32_t chunk)
{
	return dsm_chunk(core, chunk * DSM_CHUNK_PAGES);
}

bool dsm_may_walk(const struct dsm_core *core)
{
	return dsm_has_budget(core) && core->walked < WALK_MAX && !core->ending;
}

/* ---- lines of chunks ---- */

static void line_push(struct dsm_core *core, struct dsm_line *line, uint32_t chunk)
{
	chunk_at(core, chunk)->next = 0;
	if (line->tail)
		chunk_at(core, line->tail - 1)->next = chunk + 1;
	else
		line->head = chunk + 1;
	line->tail = chunk + 1;
}

static void line_pop(struct dsm_core *core, struct dsm_line *line)
{
	line->head = chunk_at(core, line->head - 1)->next;
	if (!line->head)
		line->tail = 0;
}

uint64_t dsm_chunks(const struct dsm_core *core)
{
	return (core->config.pages + DSM_CHUNK_PAGES - 1) / DSM_CHUNK_PAGES;
}

uint32_t dsm_chunk_pages(const struct dsm_core *core, uint32_t chunk)
{
	uint64_t left = core->config.pages - (uint64_t)chunk * DSM_CHUNK_PAGES;

	return left < DSM_CHUNK_PAGES ? (uint32_t)left : DSM_CHUNK_PAGES;
}

/* ---- the order ---- */

void dsm_move_order(struct dsm_core *core, uint32_t chunk, struct member_id to)
{
	struct dsm_chunk *c = chunk_at(core, chunk);

	c->state = CHUNK_MOVING;
	c->to = to.v;
	line_push(core, &core->moving, chunk);
}

/* A hint, as an eviction is: who gives it may know an old home, or not know who leaves. */
void dsm_move_event(struct dsm_core *core, const struct dsm_event *ev)
{
	uint64_t page = ev->move.page.v;
	struct dsm_chunk *c;

	if (page >= core->config.pages || ev->move.to.v >= core->config.members) {
		core->stats.refused++;
		return;
	}
	c = dsm_chunk(core, (uint32_t)page);
	if (!dsm_home_is_here(core, (uint32_t)page) || c->state != CHUNK_SETTLED ||
	    dsm_is_self(core, ev->move.to) || c->version == UINT32_MAX)
		return;
	if (!(core->present & ~core->leaving & dsm_bit(ev->move.to.v)) || dsm_is_leaving(core))
		return; /* R46 */
	if (core->unheard & dsm_bit(ev->move.to.v) && !DSM_BUG(home_moves_unheard))
		return; /* R51: others may not know it yet */
	dsm_move_order(core, (uint32_t)(page / DSM_CHUNK_PAGES), ev->move.to);
}

/* ---- handing over ---- */

static void hand(struct dsm_core *core, struct dsm_msg m)
{
	m.map = core->handover.version;
	dsm_send(core, core->handover.to, m, DSM_SLOT_NONE);
}

static void hand_entry(struct dsm_core *core, uint32_t page)
{
	struct dsm_home *e = dsm_home_entry(core, page);
	struct dsm_msg m = {
		.type = PAGE_HAND,
		.requester = core->config.self,
		.page = {page},
		.version = e->version,
		.member = e->owner ? (struct member_id){(uint8_t)(e->owner - 1)} : MEMBER_NONE,
		.sharers = DSM_BUG(handover_forgets_sharers) ? 0 : e->sharers,
	};

	if (!e->used)
		return;
	chunk_at(core, core->handover.chunk)->entries--;
	e->used = false;
	e->version = 0;
	e->owner = 0;
	e->sharers = 0;
	hand(core, m);
}

/* A request that waited here, of ours perhaps: then others take part in it from now on. */
static void hand_request(struct dsm_core *core, const struct dsm_msg *m)
{
	struct dsm_txn *t = dsm_txn_of(core, (uint32_t)m->page.v);

	if (dsm_is_self(core, m->requester) && t)
		t->remote = true;
	hand(core, *m);
}

/* The next message of the page at hand; false: that page is done. */
static bool hand_page(struct dsm_core *core)
{
	struct dsm_handover *o = &core->handover;
	uint32_t page = o->chunk * DSM_CHUNK_PAGES + o->at;
	struct dsm_msg m;

	if (!o->entry_sent) {
		o->entry_sent = true;
		hand_entry(core, page);
		return true;
	}
	if (!dsm_home_unqueue(core, page, &m))
		return false;
	if (!DSM_BUG(handover_loses_queue))
		hand_request(core, &m);
	return true;
}

static void hand_over(struct dsm_core *core)
{
	struct dsm_handover *o = &core->handover;
	const struct dsm_chunk *c = chunk_at(core, o->chunk);

	while (o->at < dsm_chunk_pages(core, o->chunk) && (c->entries || c->waiting)) {
		if (!dsm_may_walk(core))
			return;
		if (hand_page(core))
			continue;
		o->at++;
		o->entry_sent = false;
		core->walked++;
	}
	hand(core, (struct dsm_msg){.type = PAGE_HANDED,
				    .requester = core->config.self,
				    .page = {(uint64_t)o->chunk * DSM_CHUNK_PAGES}});
	*o = (struct dsm_handover){0};
	core->stats.moved_out++;
}

/* From here on home is elsewhere. */
static void begin_handover(struct dsm_core *core, uint32_t chunk)
{
	struct dsm_chunk *c = chunk_at(core, chunk);

	dsm_whole_split(core, chunk * DSM_CHUNK_PAGES); /* R53 */
	line_pop(core, &core->moving);
	c->state = CHUNK_SETTLED;
	c->home = c->to + 1;
	c->version++;
	core->handover = (struct dsm_handover){
		.active = true, .to = {c->to}, .chunk = chunk, .version = c->version};
	c->to = 0;
	core->fenced = 0;
	core->frozen = 0;
}

/* Nothing of it is under way that we have not seen the end of, but for last grants. */
static bool stands_still(const struct dsm_chunk *c)
{
	return !c->busy || DSM_BUG(move_without_waiting);
}

bool dsm_move_stops(const struct dsm_core *core, uint32_t page)
{
	return dsm_chunk(core, page)->state == CHUNK_FROZEN &&
	       page % DSM_CHUNK_PAGES <= core->frozen;
}

/* Up to the lowest page at which something is under way. True: there is none. */
static bool freeze(struct dsm_core *core, uint32_t chunk)
{
	struct dsm_chunk *c = chunk_at(core, chunk);
	uint32_t first = chunk * DSM_CHUNK_PAGES;

	if (c->state != CHUNK_FROZEN)
		core->frozen = 0;
	c->state = CHUNK_FROZEN;
	if (stands_still(c)) {
		core->frozen = DSM_CHUNK_PAGES;
		return true;
	}
	while (!dsm_home_entry(core, first + core->frozen)->requester)
		core->frozen++;
	return false;
}

/* The new home need not be asked: HAND comes after the grants, and R34 knows that others may tell
 * it of the move before. Who said BYE has all it asked for. */
static void begin_fence(struct dsm_core *core, uint32_t chunk)
{
	dsm_set ask = core->unfenced & core->present & ~dsm_bit(chunk_at(core, chunk)->to) &
		      ~dsm_bit(core->config.self.v);

	core->fenced = chunk + 1;
	if (DSM_BUG(move_without_fence))
		return;
	core->unfenced &= ~ask;
	core->fence = ask;
	for (; ask; ask &= ask - 1)
		dsm_send(core, (struct member_id){(uint8_t)__builtin_ctzll(ask)},
			 (struct dsm_msg){.type = PAGE_FENCE, .requester = core->config.self},
			 DSM_SLOT_NONE);
}

/* ---- opening ---- */

void dsm_move_arrived(struct dsm_core *core, uint32_t chunk)
{
	struct dsm_chunk *c = chunk_at(core, chunk);

	c->state = CHUNK_OPENING;
	c->giver = 0;
	line_push(core, &core->opening, chunk);
	core->stats.moved_in++;
}

static void open_chunk(struct dsm_core *core)
{
	uint32_t chunk = core->opening.head - 1;
	struct dsm_chunk *c = chunk_at(core, chunk);

	while (core->opening_at < dsm_chunk_pages(core, chunk) && c->waiting) {
		if (!dsm_may_walk(core))
			return;
		dsm_home_next(core, chunk * DSM_CHUNK_PAGES + core->opening_at++);
		dsm_drain(core);
		core->walked++;
	}
	core->opening_at = 0;
	c->state = CHUNK_SETTLED;
	line_pop(core, &core->opening);
}

/* ---- going on ---- */

/* R46: nothing moves to a member that leaves, or left while the order stood in line; but our heir
 * may be the next to leave. */
static bool is_void(const struct dsm_core *core, const struct dsm_chunk *c)
{
	bool to_heir = core->leave.state == LEAVE_HANDING && core->leave.heir.v == c->to;

	return !to_heir && !(core->present & ~core->leaving & dsm_bit(c->to));
}

/* What came while it was frozen is begun. If some were asked, the next in line waits for them. */
static void cancel(struct dsm_core *core, uint32_t chunk)
{
	line_pop(core, &core->moving);
	core->fenced = 0;
	core->frozen = 0;
	chunk_at(core, chunk)->to = 0;
	chunk_at(core, chunk)->state = CHUNK_OPENING;
	line_push(core, &core->opening, chunk);
}

/* The first in line: false: it has to wait. */
static bool move_first(struct dsm_core *core)
{
	uint32_t chunk = core->moving.head - 1;
	struct dsm_chunk *c = chunk_at(core, chunk);

	if (is_void(core, c)) {
		cancel(core, chunk);
		return true;
	}
	if (!freeze(core, chunk) || core->fence)
		return false;
	if (core->fenced == chunk + 1)
		begin_handover(core, chunk);
	else
		begin_fence(core, chunk);
	return true;
}

void dsm_moves_run(struct dsm_core *core)
{
	while (dsm_may_walk(core)) {
		if (core->opening.head)
			open_chunk(core);
		else if (core->handover.active)
			hand_over(core);
		else if (!core->moving.head || !move_first(core))
			return;
	}
}

bool dsm_moves_unfinished(const struct dsm_core *core)
{
	const struct dsm_chunk *first;

	if (core->opening.head || core->handover.active)
		return true;
	if (!core->moving.head)
		return false;
	first = chunk_at(core, core->moving.head - 1);
	return is_void(core, first) || (stands_still(first) && !core->fence);
}

bool dsm_moves_any(const struct dsm_core *core)
{
	return core->opening.head || core->handover.active || core->moving.head;
}

bool dsm_core_moving(const struct dsm_core *core)
{
	return dsm_moves_any(core);
}
