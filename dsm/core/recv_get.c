/* SPDX-License-Identifier: Apache-2.0 */
/* At home: a member wants a page (GET_S, GET_X, UPGRADE), a member has it (UNBLOCK). */
#include "dsm/core/internal.h"

/* R9: one request a page, and no more of them wait than a member has transactions. */
static bool take(struct dsm_core *core, const struct dsm_msg *m)
{
	const struct dsm_home *e = dsm_home_entry(core, (uint32_t)m->page.v);

	if (!dsm_is_present(core, m->requester))
		return false; /* R48: it wants nothing any more */
	if (e->requester == m->requester.v + 1 || core->waits[m->requester.v] >= DSM_TXN_MAX)
		return false;
	dsm_home_request(core, m);
	return true;
}

/* R32: home has moved. */
static void redirect(struct dsm_core *core, const struct dsm_msg *m)
{
	uint32_t page = (uint32_t)m->page.v;

	dsm_send(core, m->requester,
		 (struct dsm_msg){.type = PAGE_REDIRECT,
				  .requester = m->requester,
				  .page = m->page,
				  .txn = m->txn,
				  .map = dsm_chunk(core, page)->version,
				  .member = dsm_map_home(core, page)},
		 DSM_SLOT_NONE);
}

bool dsm_recv_get(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	if (!member_eq(m->requester, from)) /* it waited at the old home */
		return dsm_hand_good(core, from, m) && take(core, m);
	switch (dsm_address_of(core, (uint32_t)m->page.v, m->map)) {
	case ADDRESS_HERE:
	case ADDRESS_SOON:
		return take(core, m);
	case ADDRESS_ELSEWHERE:
		redirect(core, m);
		return true;
	case ADDRESS_WRONG:
		break;
	}
	return false;
}

/* R10: only the requester of the transaction under way ends it. */
bool dsm_recv_unblock(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	const struct dsm_home *e = dsm_home_entry(core, (uint32_t)m->page.v);

	if (!dsm_home_is_here(core, (uint32_t)m->page.v))
		return false;
	if (e->requester != from.v + 1 || e->txn != m->txn)
		return false;
	dsm_home_done(core, (uint32_t)m->page.v);
	return true;
}
