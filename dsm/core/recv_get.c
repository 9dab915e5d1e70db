/* SPDX-License-Identifier: Apache-2.0 */
/* At home: a member wants a page (GET_S, GET_X, UPGRADE), a member has it (UNBLOCK). */
#include "dsm/core/internal.h"

/* R9: one request a page, and no more than a member has transactions. */
bool dsm_recv_get(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	const struct dsm_home *e = dsm_home_entry(core, (uint32_t)m->page.v);

	if (e->requester == from.v + 1 || core->open[from.v] >= DSM_TXN_MAX)
		return false;
	dsm_home_request(core, from, m);
	return true;
}

/* R10: only the requester of the transaction under way ends it. */
bool dsm_recv_unblock(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	const struct dsm_home *e = dsm_home_entry(core, (uint32_t)m->page.v);

	if (e->requester != from.v + 1 || e->txn != m->txn)
		return false;
	dsm_home_done(core, (uint32_t)m->page.v);
	return true;
}
