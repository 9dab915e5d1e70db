/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of a page at its holder. The diagram and the function of each arrow are in
 * dsm/PROTOCOL.md; this is the same machine as a table, and what each state guarantees as a check
 * after each move.
 */
#include "dsm/core/internal.h"

#define TO(s) (1u << DSM_##s)

static const uint8_t moves[] = {
	[DSM_I] = TO(S) | TO(E) | TO(M) |
		  TO(O), /* GRANT; O, E: home takes a PUT, or a PUT was refused */
	[DSM_S] = TO(I) | TO(M) | TO(O) | TO(E), /* O, E: home, reading itself, takes a PUT */
	[DSM_O] = TO(I) | TO(M),
	[DSM_E] = TO(I) | TO(M) | TO(O),
	[DSM_M] = TO(I) | TO(O),
};

/* Responsible for a page whose home is here: then the directory says so, unless it is about to
 * change hands. */
static bool home_agrees(const struct dsm_core *core, uint32_t page)
{
	const struct dsm_home *e;

	if (!dsm_home_is_here(core, page))
		return true;
	e = dsm_home_entry(core, page);
	return e->requester || e->owner == core->config.self.v + 1;
}

static bool guarantees(const struct dsm_core *core, uint32_t page)
{
	const struct dsm_holder *h = &core->holders[page];

	switch ((enum dsm_state)h->state) {
	case DSM_I:
		return !h->deferred && !h->zero;
	case DSM_S:
		return true;
	case DSM_O:
		return home_agrees(core, page);
	case DSM_E:
		return !h->txn && home_agrees(core, page);
	case DSM_M:
		return !h->txn && !h->zero && home_agrees(core, page);
	}
	return false;
}

void dsm_holder_move(struct dsm_core *core, uint32_t page, enum dsm_state to)
{
	struct dsm_holder *h = dsm_holder(core, page);
	bool legal = moves[h->state] & (1u << to);

	h->state = to;
	if (to == DSM_I || (to == DSM_M && !DSM_BUG(written_page_zero)))
		h->zero = 0;
	if (h->collected)
		core->collections_dirty = true;
	DSM_INVARIANT(core, legal && guarantees(core, page));
}

/* R16 */
void dsm_holder_write_silently(struct dsm_core *core, uint32_t page)
{
	dsm_fx(core, DSM_FX_UNPROTECT, page);
	dsm_holder_move(core, page, DSM_M);
	dsm_holder_granted_now(core, dsm_holder(core, page));
	core->stats.upgrade_local++;
}

void dsm_holder_granted_now(struct dsm_core *core, struct dsm_holder *h)
{
	h->lent = 0;
	h->granted_us = (uint32_t)(core->now / 1000);
}
