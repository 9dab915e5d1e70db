/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions under way: at most DSM_TXN_MAX, each about one page, at most one a page. Transaction
 * i owns slot i. Pages that want one when none is free wait in a FIFO chained through their holder
 * entries: no bound, no allocation (R19).
 */
#include "dsm/core/internal.h"

#include <assert.h>

#define TO(s) (1u << TXN_##s)

static const uint8_t moves[TXN_STATES] = {
	[TXN_FREE] = TO(ASKED) | TO(PUT_HELD),
	[TXN_ASKED] = TO(GRANTED) | TO(FREE), /* FREE: the GRANT came last, or alone */
	[TXN_GRANTED] = TO(FREE),
	[TXN_PUT_HELD] = TO(PUT_GONE) | TO(FREE),
	[TXN_PUT_GONE] = TO(FREE),
};

/* What each state guarantees. */
static bool guarantees(const struct dsm_core *core, const struct dsm_txn *t)
{
	const struct dsm_holder *h = &core->holders[t->page];
	bool mine = h->txn && &core->txn[h->txn - 1] == t;

	switch ((enum dsm_txn_state)t->state) {
	case TXN_FREE:
		return !mine;
	case TXN_ASKED:
		return mine && !h->backlog && t->type != PAGE_PUT;
	case TXN_GRANTED:
		return mine && t->acks > __builtin_popcountll(t->acked);
	case TXN_PUT_HELD:
	case TXN_PUT_GONE:
		return mine && t->type == PAGE_PUT && h->state == DSM_I;
	case TXN_STATES:
		break;
	}
	return false;
}

struct dsm_txn *dsm_txn_of(struct dsm_core *core, uint32_t page)
{
	uint8_t index = dsm_holder(core, page)->txn;

	return index ? &core->txn[index - 1] : NULL;
}

uint16_t dsm_txn_slot(const struct dsm_core *core, const struct dsm_txn *t)
{
	return (uint16_t)(t - core->txn);
}

struct dsm_txn *dsm_txn_take(struct dsm_core *core, uint32_t page, uint8_t type)
{
	struct dsm_txn *t;
	uint8_t index;

	if (!core->txn_free_count)
		return NULL;
	index = core->txn_free[--core->txn_free_count];
	t = &core->txn[index];
	*t = (struct dsm_txn){.type = type, .page = page, .id = ++core->txn_next_id};
	dsm_holder(core, page)->txn = index + 1;
	return t;
}

void dsm_txn_move(struct dsm_core *core, struct dsm_txn *t, enum dsm_txn_state to)
{
	bool legal = moves[t->state] & (1u << to);

	t->state = to;
	if (to == TXN_FREE) {
		assert(core->txn_free_count < DSM_TXN_MAX);
		dsm_holder(core, t->page)->txn = 0;
		core->txn_free[core->txn_free_count++] = (uint8_t)dsm_txn_slot(core, t);
	}
	DSM_INVARIANT(core, legal && guarantees(core, t));
}

/* ---- asking ---- */

static uint8_t request_type(const struct dsm_holder *h, bool write)
{
	if (!write)
		return PAGE_GET_S;
	return h->state == DSM_I ? PAGE_GET_X : PAGE_UPGRADE; /* R8: S and O have the data */
}

static void send_request(struct dsm_core *core, struct dsm_txn *t)
{
	t->home = dsm_home_of(core, t->page);
	t->map = dsm_chunk(core, t->page)->version;
	t->remote |= !dsm_is_self(core, t->home);
	dsm_send(core, t->home,
		 (struct dsm_msg){.type = t->type,
				  .requester = core->config.self,
				  .page = {t->page},
				  .txn = t->id,
				  .version = dsm_holder(core, t->page)->version,
				  .map = t->map},
		 DSM_SLOT_NONE);
}

/* A transaction is free, none is under way for the page, and the right is not there. */
static void ask(struct dsm_core *core, uint32_t page, bool write)
{
	struct dsm_holder *h = dsm_holder(core, page);
	uint8_t type = request_type(h, write);
	struct dsm_txn *t = dsm_txn_take(core, page, type);

	dsm_txn_move(core, t, TXN_ASKED);
	send_request(core, t);
	dsm_drain(core);
}

/* R32: with the right we lack by now. */
void dsm_txn_ask_again(struct dsm_core *core, struct dsm_txn *t)
{
	t->type = request_type(dsm_holder(core, t->page), t->type != PAGE_GET_S);
	send_request(core, t);
}

/* ---- the backlog ---- */

static void backlog_push(struct dsm_core *core, uint32_t page, bool write)
{
	struct dsm_holder *h = dsm_holder(core, page);

	h->want_write |= write;
	if (h->backlog)
		return;
	h->backlog = 1;
	h->next = 0;
	if (core->backlog_tail)
		dsm_holder(core, core->backlog_tail - 1)->next = page + 1;
	else
		core->backlog_head = page + 1;
	core->backlog_tail = page + 1;
	core->backlog_count++;
}

static uint32_t backlog_pop(struct dsm_core *core, bool *write)
{
	uint32_t page = core->backlog_head - 1;
	struct dsm_holder *h = dsm_holder(core, page);

	core->backlog_head = h->next;
	if (!core->backlog_head)
		core->backlog_tail = 0;
	core->backlog_count--;
	*write = h->want_write;
	h->backlog = 0;
	h->want_write = 0;
	return page;
}

void dsm_want(struct dsm_core *core, uint32_t page, bool write)
{
	if (dsm_whole_take(core, page)) { /* R52 */
		dsm_fx(core, DSM_FX_WAKE, page);
		return;
	}
	if (dsm_txn_of(core, page))
		return; /* R18: what comes wakes all; who needs more asks again */
	if (core->txn_free_count && !core->backlog_count && dsm_has_budget(core))
		ask(core, page, write);
	else
		backlog_push(core, page, write);
}

void dsm_backlog_run(struct dsm_core *core)
{
	while (core->backlog_count && core->txn_free_count && dsm_has_budget(core) &&
	       !core->ending) {
		bool write;
		uint32_t page = backlog_pop(core, &write);
		struct dsm_holder *h = dsm_holder(core, page);

		if (write && h->state == DSM_E)
			dsm_holder_write_silently(core, page);
		if (dsm_may(h, write))
			dsm_fx(core, DSM_FX_WAKE, page); /* it came by another way */
		else
			ask(core, page, write);
	}
}
