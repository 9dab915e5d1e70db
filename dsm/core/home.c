/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory: home begins one transaction a page at a time, remembers the requester until its
 * UNBLOCK - or until it has itself sent all the requester waits for (R10) -, and lets the others
 * wait in a FIFO (R9). Nothing is locked meanwhile; a busy entry is just state.
 *
 * Each start_* sends what the request needs and writes the directory as it will be when the
 * requester is done.
 */
#include "dsm/core/internal.h"

#include <assert.h>

struct request {
	uint32_t page;
	uint8_t type;
	uint8_t from;
	uint32_t txn;
};

/* ---- messages of home ---- */

static void tell(struct dsm_core *core, const struct dsm_home *e, const struct request *r,
		 uint8_t to, uint8_t type, uint8_t flags, uint8_t acks)
{
	dsm_send(core, (struct member_id){to},
		 (struct dsm_msg){.type = type,
				  .flags = flags,
				  .requester = {r->from},
				  .acks = acks,
				  .page = {r->page},
				  .version = e->version,
				  .txn = r->txn,
				  .map = dsm_chunk(core, r->page)->version,
				  .member = core->config.self},
		 DSM_SLOT_NONE);
}

static void forward(struct dsm_core *core, const struct dsm_home *e, const struct request *r,
		    uint8_t to, uint8_t type, uint8_t acks)
{
	tell(core, e, r, to, type, 0, acks);
}

/* Returns true if that was all. */
static bool grant(struct dsm_core *core, const struct dsm_home *e, const struct request *r,
		  uint8_t flags, uint8_t acks)
{
	if (acks) {
		tell(core, e, r, r->from, PAGE_GRANT, flags, acks);
		return false;
	}
	core->unfenced |= dsm_bit(r->from);
	tell(core, e, r, r->from, PAGE_GRANT, flags | PAGE_FLAG_LAST, 0);
	return true;
}

/* All at once; the acks go straight to the requester. Returns how many it must await. */
static uint8_t invalidate(struct dsm_core *core, const struct dsm_home *e, const struct request *r,
			  dsm_set set)
{
	uint8_t n = 0;

	if (DSM_BUG(skip_invalidate))
		set &= set - 1;
	for (; set; set &= set - 1, n++)
		forward(core, e, r, (uint8_t)__builtin_ctzll(set), PAGE_INVALIDATE, 0);
	return n;
}

/* ---- requests ---- */

/* R5: nobody ever held it, or it came back as zeros. No data travels. */
static bool start_fresh(struct dsm_core *core, struct dsm_home *e, const struct request *r)
{
	uint8_t flags = PAGE_FLAG_ZERO | PAGE_FLAG_OWNER;

	e->version++;
	e->owner = r->from + 1;
	return grant(core, e, r, r->type == PAGE_GET_S ? flags : flags | PAGE_FLAG_WRITE, 0);
}

/* R6: a read does not move ownership. */
static void start_read(struct dsm_core *core, struct dsm_home *e, const struct request *r)
{
	e->sharers |= dsm_bit(r->from);
	forward(core, e, r, e->owner - 1, PAGE_FETCH_S, 0);
}

/* R7: the owner sends data and right, the sharers their acks. */
static void start_write(struct dsm_core *core, struct dsm_home *e, const struct request *r)
{
	uint8_t owner = e->owner - 1;
	uint8_t acks;

	e->version++;
	acks = invalidate(core, e, r, e->sharers & ~dsm_bit(r->from));
	forward(core, e, r, owner, PAGE_FETCH_X, acks);
	e->sharers = 0;
	e->owner = r->from + 1;
}

/* R8: the requester has the data; the old owner is one of those that drop theirs. */
static bool start_upgrade(struct dsm_core *core, struct dsm_home *e, const struct request *r,
			  uint8_t what)
{
	dsm_set others = (e->sharers | dsm_bit(e->owner - 1)) & ~dsm_bit(r->from);
	uint8_t acks;

	if (!DSM_BUG(version_stays))
		e->version++;
	acks = invalidate(core, e, r, others);
	e->sharers = 0;
	e->owner = r->from + 1;
	return grant(core, e, r, what | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER, acks);
}

static void start(struct dsm_core *core, struct dsm_home *e, const struct request *r)
{
	bool is_owner = e->owner == r->from + 1;
	bool has_copy = is_owner || (e->sharers & dsm_bit(r->from));
	bool done = false;

	if (!DSM_BUG(split_after_grant))
		dsm_whole_split(core, r->page); /* R53 */
	e->requester = r->from + 1;
	e->txn = r->txn;
	dsm_chunk(core, r->page)->busy++;
	core->serving[r->from]++;
	dsm_chunk(core, r->page)->entries += !e->used;
	e->used = true;
	if (e->owner && !dsm_is_present(core, (struct member_id){(uint8_t)(e->owner - 1)}))
		dsm_violation(core,
			      (struct member_id){
				      (uint8_t)(e->owner - 1)}); /* R48: it left with the page */
	else if (!e->owner)
		done = start_fresh(core, e, r);
	else if (r->type == PAGE_UPGRADE && has_copy)
		done = start_upgrade(core, e, r, 0);
	else if (is_owner)
		dsm_violation(core, (struct member_id){r->from}); /* asks for what it has */
	else if (r->type == PAGE_GET_S)
		start_read(core, e, r);
	else if (r->type == PAGE_UPGRADE && DSM_BUG(upgrade_without_check))
		done = start_upgrade(core, e, r, PAGE_FLAG_ZERO);
	else
		start_write(core, e, r);
	if (done)
		dsm_home_done(core, r->page);
}

/* ---- the queue ---- */

static struct dsm_waiting *waiting_take(struct dsm_core *core, uint16_t *index)
{
	struct dsm_waiting *w;

	if (core->waiting_free) {
		*index = core->waiting_free;
		w = &core->waiting[*index - 1];
		core->waiting_free = w->next;
	} else {
		assert(core->waiting_fresh < core->pool); /* R9: each member's are counted */
		*index = (uint16_t)++core->waiting_fresh;
		w = &core->waiting[*index - 1];
	}
	return w;
}

static void enqueue(struct dsm_core *core, struct dsm_home *e, const struct request *r)
{
	uint16_t index;
	struct dsm_waiting *w = waiting_take(core, &index);

	*w = (struct dsm_waiting){.txn = r->txn, .requester = r->from, .type = r->type};
	if (DSM_BUG(queue_is_a_stack) && e->head) {
		w->next = e->head;
		index = e->tail;
		e->head = (uint16_t)(w - core->waiting + 1);
	} else if (e->tail)
		core->waiting[e->tail - 1].next = index;
	else
		e->head = index;
	e->tail = index;
	e->queued++;
	core->waits[r->from]++;
	dsm_chunk(core, r->page)->waiting++;
}

static void dequeue(struct dsm_core *core, struct dsm_home *e, uint32_t page, struct request *r)
{
	uint16_t index = e->head;
	struct dsm_waiting *w = &core->waiting[index - 1];

	*r = (struct request){.page = page, .type = w->type, .from = w->requester, .txn = w->txn};
	e->head = w->next;
	if (!e->head)
		e->tail = 0;
	e->queued--;
	core->waits[r->from]--;
	dsm_chunk(core, page)->waiting--;
	w->next = core->waiting_free;
	core->waiting_free = index;
}

/* Nothing is begun for a page of a chunk whose home is not here yet, or is about to leave (R32). */
static bool may_begin(const struct dsm_core *core, uint32_t page)
{
	return dsm_home_is_here(core, page) && !dsm_move_stops(core, page);
}

void dsm_home_request(struct dsm_core *core, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	struct dsm_home *e = dsm_home_entry(core, page);
	struct request r = {.page = page, .type = m->type, .from = m->requester.v, .txn = m->txn};

	if (!e->requester && !e->head && may_begin(core, page)) {
		start(core, e, &r);
		return;
	}
	enqueue(core, e, &r);
	core->stats.queued++;
}

void dsm_home_next(struct dsm_core *core, uint32_t page)
{
	struct dsm_home *e = dsm_home_entry(core, page);
	struct request r;

	if (!e->head || e->requester || !may_begin(core, page))
		return;
	dequeue(core, e, page, &r);
	start(core, e, &r);
}

void dsm_home_done(struct dsm_core *core, uint32_t page)
{
	struct dsm_home *e = dsm_home_entry(core, page);

	core->serving[e->requester - 1]--;
	e->requester = 0;
	dsm_chunk(core, page)->busy--;
	if (DSM_BUG(home_forgets_queue))
		e->head = e->tail = e->queued = 0;
	dsm_home_next(core, page);
}

bool dsm_home_unqueue(struct dsm_core *core, uint32_t page, struct dsm_msg *m)
{
	struct dsm_home *e = dsm_home_entry(core, page);
	struct request r;

	if (!e->head)
		return false;
	dequeue(core, e, page, &r);
	*m = (struct dsm_msg){.type = r.type, .requester = {r.from}, .page = {page}, .txn = r.txn};
	return true;
}
