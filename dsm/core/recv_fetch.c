/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At the holder: home wants a copy (FETCH_S), the page (FETCH_X), or our copy gone (INVALIDATE).
 * Each recv_* checks; a page that is held keeps the request for later; each do_* then does it, now
 * or later (dsm_serve).
 *
 * Giving a page away is PROTECT, READ_OUT, UNMAP, SEND in this order (R11, R12): the effects are
 * carried out one by one, so no write can fall between what was read out and the loss of the right.
 */
#include "dsm/core/internal.h"

/* ---- what is done ---- */

/* R10: if we are home, too, and no ack is due, that ends the transaction. */
static void send_grant(struct dsm_core *core, const struct dsm_msg *m, uint8_t flags, uint16_t slot)
{
	bool last = dsm_is_self(core, m->member) && !m->acks;

	dsm_send(core, m->requester,
		 (struct dsm_msg){.type = PAGE_GRANT,
				  .flags = last ? flags | PAGE_FLAG_LAST : flags,
				  .requester = m->requester,
				  .acks = m->acks,
				  .page = m->page,
				  .version = m->version,
				  .txn = m->txn,
				  .map = m->map,
				  .member = m->member},
		 slot);
	core->stats.fetch_served++;
	if (DSM_BUG(split_after_grant))
		dsm_whole_split(core, (uint32_t)m->page.v);
	if (!last)
		return;
	core->unfenced |= dsm_bit(m->requester.v);
	dsm_home_done(core, (uint32_t)m->page.v);
}

static void send_ack(struct dsm_core *core, const struct dsm_msg *m)
{
	dsm_send(core, m->requester,
		 (struct dsm_msg){.type = PAGE_ACK,
				  .requester = m->requester,
				  .page = m->page,
				  .version = m->version,
				  .txn = m->txn},
		 DSM_SLOT_NONE);
}

static void protect_and_read(struct dsm_core *core, uint32_t page)
{
	const struct dsm_holder *h = dsm_holder(core, page);

	if (h->state == DSM_M && !DSM_BUG(read_before_protect))
		dsm_fx(core, DSM_FX_PROTECT, page);
	if (!h->zero)
		dsm_fx_slot(core, DSM_FX_READ_OUT, page, SLOT_READ_OUT);
	if (h->state == DSM_M && DSM_BUG(read_before_protect))
		dsm_fx(core, DSM_FX_PROTECT, page);
}

/* R11: we stay the owner. */
static void do_fetch_s(struct dsm_core *core, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	struct dsm_holder *h = dsm_holder(core, page);

	protect_and_read(core, page);
	if (h->state != DSM_O)
		dsm_holder_move(core, page, DSM_O);
	send_grant(core, m, h->zero ? PAGE_FLAG_ZERO : PAGE_FLAG_DATA, SLOT_READ_OUT);
}

/* R12 */
static void do_fetch_x(struct dsm_core *core, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	uint8_t what = dsm_holder(core, page)->zero ? PAGE_FLAG_ZERO : PAGE_FLAG_DATA;

	protect_and_read(core, page);
	if (DSM_BUG(owner_keeps_page)) {
		dsm_holder(core, page)->state = DSM_S;
	} else {
		dsm_fx(core, DSM_FX_UNMAP, page);
		dsm_holder_move(core, page, DSM_I);
	}
	send_grant(core, m, what | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER, SLOT_READ_OUT);
}

/* R13 */
static void do_invalidate(struct dsm_core *core, const struct dsm_msg *m)
{
	dsm_fx(core, DSM_FX_UNMAP, (uint32_t)m->page.v);
	dsm_holder_move(core, (uint32_t)m->page.v, DSM_I);
	core->stats.invalidated++;
	send_ack(core, m);
}

void dsm_serve(struct dsm_core *core, const struct dsm_msg *m)
{
	switch (m->type) {
	case PAGE_FETCH_S:
		do_fetch_s(core, m);
		break;
	case PAGE_FETCH_X:
		do_fetch_x(core, m);
		break;
	default:
		do_invalidate(core, m);
		break;
	}
}

static bool defer_or_serve(struct dsm_core *core, const struct dsm_msg *m)
{
	enum dsm_deferral d = dsm_hold_defer(core, (uint32_t)m->page.v, m);

	if (d == DEFER_NO)
		dsm_serve(core, m);
	return d != DEFER_REFUSED;
}

/* R21: our PUT crossed home's FETCH; the page is served from the slot it waits in. */
static void serve_from_put(struct dsm_core *core, const struct dsm_txn *t, const struct dsm_msg *m,
			   uint8_t flags)
{
	uint8_t what = t->flags & (PAGE_FLAG_DATA | PAGE_FLAG_ZERO);

	if (DSM_BUG(put_forgets_data))
		what = PAGE_FLAG_ZERO;
	send_grant(core, m, what | flags, dsm_txn_slot(core, t));
}

/* ---- what is checked ---- */

static bool owns(const struct dsm_holder *h)
{
	return h->state == DSM_O || h->state == DSM_E || h->state == DSM_M;
}

bool dsm_recv_fetch_s(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	const struct dsm_holder *h = dsm_holder(core, page);
	const struct dsm_txn *t = dsm_txn_of(core, page);

	(void)from;
	if (h->deferred || m->version != h->version)
		return false; /* R17 */
	if (t && t->state == TXN_PUT_HELD) {
		serve_from_put(core, t, m, 0);
		return true;
	}
	if (!owns(h))
		return false;
	if (h->state ==
	    DSM_M) /* a reader does not disturb readers: only a fresh right to write is held */
		return defer_or_serve(core, m);
	do_fetch_s(core, m);
	return true;
}

bool dsm_recv_fetch_x(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	const struct dsm_holder *h = dsm_holder(core, page);
	struct dsm_txn *t = dsm_txn_of(core, page);

	(void)from;
	if (h->deferred || m->version != h->version + 1)
		return false; /* R17 */
	if (t && t->state == TXN_PUT_HELD) {
		serve_from_put(core, t, m, PAGE_FLAG_WRITE | PAGE_FLAG_OWNER);
		dsm_txn_move(core, t, TXN_PUT_GONE);
		return true;
	}
	return owns(h) && defer_or_serve(core, m);
}

/* R13: home's set of sharers may be too large; who has nothing acks at once. */
bool dsm_recv_invalidate(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	const struct dsm_holder *h = dsm_holder(core, page);
	struct dsm_txn *t = dsm_txn_of(core, page);

	(void)from;
	if (h->deferred)
		return false;
	if (h->state == DSM_I) {
		if (t && t->state == TXN_PUT_HELD)
			dsm_txn_move(core, t,
				     TXN_PUT_GONE); /* R21: a sharer upgraded; our data is old */
		send_ack(core, m);
		return true;
	}
	if ((h->state != DSM_S && h->state != DSM_O) || m->version != h->version + 1)
		return false; /* R17: a sole copy is fetched, never invalidated */
	return defer_or_serve(core, m);
}
