/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At the requester: right and data (GRANT), copies gone (ACK). They come over different channels,
 * so in any order: acks before their count, count before the data's last ack. Nothing is mapped
 * writable before all of them are here (R14).
 */
#include "dsm/core/internal.h"

static int acked(const struct dsm_txn *t)
{
	return __builtin_popcountll(t->acked);
}

/* ---- completion ---- */

static void count(struct dsm_core *core, const struct dsm_txn *t)
{
	struct dsm_core_stats *s = &core->stats;

	if (t->type == PAGE_GET_S)
		*(t->remote ? &s->read_remote : &s->read_local) += 1;
	else if (t->type == PAGE_GET_X)
		*(t->remote ? &s->write_remote : &s->write_local) += 1;
	else
		*(t->remote ? &s->upgrade_remote : &s->upgrade_local) += 1;
}

static enum dsm_state granted_state(uint8_t flags)
{
	if (flags & PAGE_FLAG_WRITE)
		return DSM_M;
	return flags & PAGE_FLAG_OWNER ? DSM_E : DSM_S;
}

static void install(struct dsm_core *core, const struct dsm_txn *t, enum dsm_source source)
{
	bool write = t->flags & PAGE_FLAG_WRITE;

	if (!(t->flags & (PAGE_FLAG_DATA | PAGE_FLAG_ZERO)))
		dsm_fx(core, DSM_FX_UNPROTECT, t->page); /* R8: the data is here */
	else if (t->flags & PAGE_FLAG_ZERO)
		dsm_fx_map(core, t->page, write, DSM_FROM_ZERO, DSM_SLOT_NONE);
	else
		dsm_fx_map(core, t->page, write, source, dsm_txn_slot(core, t));
}

/* R15: map, tell home if it does not know, wake. */
static void complete(struct dsm_core *core, struct dsm_txn *t, enum dsm_source source)
{
	uint32_t page = t->page;
	struct dsm_holder *h = dsm_holder(core, page);

	install(core, t, source);
	count(core, t);
	h->version = t->version;
	h->zero = !!(t->flags & PAGE_FLAG_ZERO);
	dsm_holder_granted_now(core, h);
	dsm_txn_move(core, t, TXN_FREE);
	dsm_holder_move(core, page, granted_state(t->flags));
	if (h->collected)
		dsm_collections_join(core, page); /* R26 */
	if (!(t->flags & PAGE_FLAG_LAST))
		dsm_send(core, t->home,
			 (struct dsm_msg){.type = PAGE_UNBLOCK,
					  .requester = core->config.self,
					  .page = {page},
					  .version = t->version,
					  .txn = t->id,
					  .map = dsm_chunk(core, page)->version},
			 DSM_SLOT_NONE);
	if (!DSM_BUG(grant_wakes_nobody))
		dsm_fx(core, DSM_FX_WAKE, page);
}

/* ---- GRANT ---- */

/* Is this what an honest home or owner answers? */
static bool answer_good(const struct dsm_holder *h, const struct dsm_txn *t,
			const struct dsm_msg *m)
{
	uint8_t what = m->flags & (PAGE_FLAG_DATA | PAGE_FLAG_ZERO);
	uint8_t right = m->flags & (PAGE_FLAG_WRITE | PAGE_FLAG_OWNER);

	if (what == (PAGE_FLAG_DATA | PAGE_FLAG_ZERO))
		return false;
	if (t->type == PAGE_GET_S) /* the owner's copy, or R5 */
		return m->acks == 0 && what && !(right & PAGE_FLAG_WRITE) &&
		       (!right || what == PAGE_FLAG_ZERO);
	if (right != (PAGE_FLAG_WRITE | PAGE_FLAG_OWNER) || m->acks < acked(t))
		return false;
	if (h->state == DSM_I)
		return what != 0; /* also an UPGRADE that was overtaken */
	return t->type == PAGE_UPGRADE && what == 0 && !h->deferred;
}

/* R34: home comes from the sender to us. Another member told us so before its last grants, and what
 * it hands over, are here. */
static bool from_giver(const struct dsm_core *core, const struct dsm_msg *m)
{
	const struct dsm_chunk *c = dsm_chunk(core, (uint32_t)m->page.v);

	return (m->flags & PAGE_FLAG_LAST) && c->state == CHUNK_COMING && m->map + 1 == c->version;
}

bool dsm_recv_grant(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	struct dsm_txn *t = dsm_txn_of(core, page);

	if (!t || t->state != TXN_ASKED || t->id != m->txn)
		return false; /* nobody asked */
	if (!answer_good(dsm_holder(core, page), t, m))
		return false;
	if ((member_eq(from, m->member) && !m->acks) != !!(m->flags & PAGE_FLAG_LAST))
		return false; /* R10 */
	if (!from_giver(core, m) && !dsm_map_confirm(core, page, m->member, m->map))
		return false;
	if (!DSM_BUG(unblock_where_asked))
		t->home = m->member; /* R32: our request may have been handed on */
	t->flags = m->flags;
	t->acks = m->acks;
	t->version = m->version;
	t->remote |= !dsm_is_self(core, from) || m->acks;
	if (acked(t) == t->acks || DSM_BUG(write_before_last_ack)) {
		complete(core, t, DSM_FROM_EVENT);
		return true;
	}
	if (m->flags & PAGE_FLAG_DATA)
		dsm_fx_slot(core, DSM_FX_STASH, page, dsm_txn_slot(core, t));
	dsm_txn_move(core, t, TXN_GRANTED);
	return true;
}

/* ---- ACK ---- */

bool dsm_recv_ack(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	struct dsm_txn *t = dsm_txn_of(core, (uint32_t)m->page.v);

	if (DSM_BUG(write_before_last_ack) && (!t || t->id != m->txn))
		return true;
	if (!t || (t->state != TXN_ASKED && t->state != TXN_GRANTED) || t->id != m->txn)
		return false;
	if (t->type == PAGE_GET_S || (t->acked & dsm_bit(from.v)))
		return false; /* more than were asked for */
	t->acked |= dsm_bit(from.v);
	if (t->state == TXN_GRANTED && acked(t) == t->acks)
		complete(core, t, DSM_FROM_SLOT);
	return true;
}
