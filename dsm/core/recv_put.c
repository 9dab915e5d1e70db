/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eviction. At home: a sharer dropped its copy (DROP), an owner gives the page back (PUT). At the
 * evictor: home has it, or will not have it (PUT_ACK). A PUT is taken only by an idle entry whose
 * owner is the sender (R22); whatever it crossed, the page waits in the sender's slot until home
 * has spoken. Both count only at the home they were sent to, before it moved: a home that it came
 * back to may know newer things of the sender (R32, C11).
 */
#include "dsm/core/internal.h"

/* Sent to the home as it was before a move. */
static bool stale_map(const struct dsm_core *core, const struct dsm_msg *m)
{
	return m->map != dsm_chunk(core, (uint32_t)m->page.v)->version;
}

/* ---- DROP ---- */

/* R20: if a transaction is under way, the sharer has been, or will be, told to invalidate, and acks
 * it without a copy. */
bool dsm_recv_drop(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	struct dsm_home *e = dsm_home_entry(core, (uint32_t)m->page.v);
	enum dsm_address where = dsm_address_of(core, (uint32_t)m->page.v, m->map);

	if (where == ADDRESS_WRONG)
		return false;
	if (where != ADDRESS_HERE || stale_map(core, m)) {
		core->stats.stale_version++;
		return true;
	}
	if (e->owner == from.v + 1 || e->requester == from.v + 1)
		return false; /* it reads nothing it could drop */
	e->sharers &= ~dsm_bit(from.v);
	return true;
}

/* ---- PUT ---- */

/* R22: home becomes the owner. Its own copy, if it has one, is the same data. */
static void take_page(struct dsm_core *core, struct dsm_home *e, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	struct dsm_holder *h = dsm_holder(core, page);
	bool zero = m->flags & PAGE_FLAG_ZERO;

	if (zero && !e->sharers) {
		e->owner = 0; /* as if nobody ever held it: R5 */
		return;
	}
	e->owner = core->config.self.v + 1;
	e->sharers &= ~dsm_bit(core->config.self.v);
	if (h->state == DSM_I) {
		dsm_fx_map(core, page, false, zero ? DSM_FROM_ZERO : DSM_FROM_EVENT, DSM_SLOT_NONE);
		h->zero = zero;
	}
	h->version = e->version;
	dsm_holder_move(core, page, e->sharers ? DSM_O : DSM_E);
}

/* Nobody is served or waits, and we ask for nothing: a request of ours may be under way to where
 * home was before. */
static bool is_idle(struct dsm_core *core, const struct dsm_home *e, const struct dsm_msg *m)
{
	return !e->requester && !e->head && !dsm_txn_of(core, (uint32_t)m->page.v);
}

bool dsm_recv_put(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	struct dsm_home *e = dsm_home_entry(core, (uint32_t)m->page.v);
	uint8_t what = m->flags & (PAGE_FLAG_DATA | PAGE_FLAG_ZERO);
	enum dsm_address where = dsm_address_of(core, (uint32_t)m->page.v, m->map);
	bool take;

	if (where == ADDRESS_WRONG)
		return false;
	if (!(m->flags & PAGE_FLAG_OWNER) || !what || what == (PAGE_FLAG_DATA | PAGE_FLAG_ZERO))
		return false;
	if (dsm_is_self(core, from))
		return false;
	if (where == ADDRESS_HERE && e->requester == from.v + 1)
		return false; /* who asks for the page does not give it back */
	take = where == ADDRESS_HERE && !stale_map(core, m) && is_idle(core, e, m) &&
	       e->owner == from.v + 1 && e->version == m->version;
	if (DSM_BUG(stale_put_accepted) && !e->requester &&
	    dsm_holder(core, (uint32_t)m->page.v)->state == DSM_I)
		take = true;
	if (take)
		take_page(core, e, m);
	else
		core->stats.stale_version++;
	dsm_send(core, from,
		 (struct dsm_msg){.type = PAGE_PUT_ACK,
				  .flags = take ? 0 : PAGE_FLAG_OWNER,
				  .requester = from,
				  .page = m->page,
				  .version = m->version,
				  .txn = m->txn,
				  .map = dsm_chunk(core, (uint32_t)m->page.v)->version,
				  .member = dsm_map_home(core, (uint32_t)m->page.v)},
		 DSM_SLOT_NONE);
	return true;
}

/* ---- PUT_ACK ---- */

/* R23: home was busy with a reader we served meanwhile: we are the owner still, and no longer
 * alone. */
static void keep_page(struct dsm_core *core, uint32_t page, uint8_t flags, uint16_t slot)
{
	struct dsm_holder *h = dsm_holder(core, page);

	if (flags & PAGE_FLAG_ZERO)
		dsm_fx_map(core, page, false, DSM_FROM_ZERO, DSM_SLOT_NONE);
	else
		dsm_fx_map(core, page, false, DSM_FROM_SLOT, slot);
	h->zero = !!(flags & PAGE_FLAG_ZERO);
	dsm_holder_move(core, page, DSM_O);
}

bool dsm_recv_put_ack(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	struct dsm_txn *t = dsm_txn_of(core, page);
	bool refused = m->flags & PAGE_FLAG_OWNER;
	bool held;

	if (!t || (t->state != TXN_PUT_HELD && t->state != TXN_PUT_GONE) || t->id != m->txn)
		return false;
	if (!member_eq(t->home, from) || !dsm_map_learn(core, page, m->member, m->map))
		return false;
	held = t->state == TXN_PUT_HELD;
	if (!held && !refused && !DSM_BUG(stale_put_accepted))
		return false; /* home cannot take what it had us give away */
	dsm_txn_move(core, t, TXN_FREE);
	if (held && refused)
		keep_page(core, page, t->flags, dsm_txn_slot(core, t));
	if (dsm_holder(core, page)->collected)
		core->collections_dirty = true;
	dsm_fx(core, DSM_FX_WAKE, page); /* R18: who faulted meanwhile asks again */
	return true;
}
