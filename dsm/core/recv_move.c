/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At the new home: an entry of the chunk (HAND), and that it has them all (HANDED). At those the
 * old home granted to, and back at the old home: the grants are there (FENCE, FENCE_ACK). At the
 * requester: home has moved (REDIRECT). What waited at the old home comes as the request it was
 * (recv_get.c).
 */
#include "dsm/core/internal.h"

/* R32: the old home gives us the chunk, it alone, and with a version that is new to us - or that a
 * redirect named already. */
bool dsm_hand_good(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	struct dsm_chunk *c = dsm_chunk(core, page);

	if (m->map > c->version && !dsm_map_learn(core, page, core->config.self, m->map))
		return false;
	if (c->state != CHUNK_COMING || m->map != c->version)
		return false;
	if (c->giver && c->giver != from.v + 1)
		return false;
	c->giver = from.v + 1;
	return true;
}

/* ---- HAND ---- */

static bool entry_good(const struct dsm_core *core, const struct dsm_msg *m)
{
	bool nobody = member_eq(m->member, MEMBER_NONE);

	if (nobody)
		return !m->sharers;
	if (!dsm_is_present(core, m->member) || (m->sharers & dsm_bit(m->member.v)))
		return false;
	return !(m->sharers & ~core->known);
}

bool dsm_recv_hand(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	struct dsm_home *e = dsm_home_entry(core, (uint32_t)m->page.v);

	if (!dsm_hand_good(core, from, m) || !entry_good(core, m))
		return false;
	if (e->used)
		return false; /* once a page */
	e->version = m->version;
	e->owner = member_eq(m->member, MEMBER_NONE) ? 0 : m->member.v + 1;
	e->sharers = m->sharers;
	e->used = true;
	dsm_chunk(core, (uint32_t)m->page.v)->entries++;
	return true;
}

/* ---- HANDED ---- */

/* Nothing was under way at the old home: so what we own it must have known. */
static bool entries_agree(struct dsm_core *core, uint32_t chunk)
{
	for (uint32_t i = 0; i < dsm_chunk_pages(core, chunk); i++) {
		uint32_t page = chunk * DSM_CHUNK_PAGES + i;
		enum dsm_state s = dsm_holder(core, page)->state;

		if (s != DSM_I && s != DSM_S &&
		    dsm_home_entry(core, page)->owner != core->config.self.v + 1)
			return false;
	}
	return true;
}

bool dsm_recv_handed(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	uint32_t chunk = (uint32_t)(m->page.v / DSM_CHUNK_PAGES);

	if (m->page.v % DSM_CHUNK_PAGES || !dsm_hand_good(core, from, m) ||
	    !entries_agree(core, chunk))
		return false;
	dsm_move_arrived(core, chunk);
	return true;
}

/* ---- FENCE, FENCE_ACK ---- */

/* R32: what the sender granted us before this is here: messages of a pair stay in order. */
bool dsm_recv_fence(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	(void)m;
	dsm_send(core, from, (struct dsm_msg){.type = PAGE_FENCE_ACK, .requester = from},
		 DSM_SLOT_NONE);
	return true;
}

bool dsm_recv_fence_ack(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	(void)m;
	if (!dsm_is_in(core->fence, from))
		return false;
	core->fence &= ~dsm_bit(from.v);
	return true;
}

/* ---- REDIRECT ---- */

/* R32: versions only rise, so this ends. */
bool dsm_recv_redirect(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;
	struct dsm_txn *t = dsm_txn_of(core, page);

	if (!t || t->state != TXN_ASKED || t->id != m->txn || !member_eq(t->home, from))
		return false;
	if (!dsm_map_learn(core, page, m->member, m->map))
		return false;
	if (dsm_chunk(core, page)->version == t->map)
		return false; /* it is home, as far as anybody knows */
	core->stats.redirected++;
	dsm_txn_ask_again(core, t);
	return true;
}
