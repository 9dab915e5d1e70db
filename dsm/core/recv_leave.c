/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that leave (R46 .. R48). At the others: one wants to leave (LEAVE), says where homes are
 * (TELL, to the heir), has nothing any more (BYE), will never be heard of again (GONE). At the
 * leaver: their answers (LEAVE_ACK, BYE_ACK).
 */
#include "dsm/core/internal.h"

/* ---- at the others ---- */

/* R46: leave.c answers, when nothing is on its way to it. */
bool dsm_recv_leave(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	(void)m;
	if (core->leaving & dsm_bit(from.v))
		return false; /* once */
	if (core->leave.state > LEAVE_ASKED)
		return false; /* it promised to stay while we leave */
	core->leaving |= dsm_bit(from.v);
	core->unanswered |= dsm_bit(from.v);
	return true;
}

/* It leaves, and has our promise that nothing moves to it. */
static bool is_on_its_way(const struct dsm_core *core, struct member_id from)
{
	return core->leaving & ~core->unanswered & dsm_bit(from.v);
}

/* R47 */
bool dsm_recv_tell(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	if (!is_on_its_way(core, from) || m->page.v % DSM_CHUNK_PAGES || member_eq(m->member, from))
		return false;
	return dsm_map_learn(core, (uint32_t)m->page.v, m->member, m->map);
}

/* R48: it wants nothing here, and somebody stands for it. */
bool dsm_recv_bye(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	if (!is_on_its_way(core, from) || core->waits[from.v] || core->serving[from.v])
		return false;
	if (!dsm_is_present(core, m->member) || member_eq(m->member, from))
		return false;
	core->present &= ~dsm_bit(from.v);
	core->heir[from.v] = m->member.v + 1;
	dsm_send(core, from, (struct dsm_msg){.type = PAGE_BYE_ACK, .requester = from},
		 DSM_SLOT_NONE);
	return true;
}

/* R46: if we want to leave too, and let it go first, it is our turn. */
bool dsm_recv_gone(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	(void)m;
	if (dsm_is_present(core, from))
		return false;
	core->gone |= dsm_bit(from.v);
	core->leaving &= ~dsm_bit(from.v);
	core->leave.awaited &= ~dsm_bit(from.v);
	return true;
}

/* ---- at the leaver ---- */

static bool answered(struct dsm_core *core, struct member_id from)
{
	if (!(core->leave.awaited & dsm_bit(from.v)))
		return false;
	core->leave.awaited &= ~dsm_bit(from.v);
	return true;
}

bool dsm_recv_leave_ack(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	(void)m;
	return core->leave.state == LEAVE_ASKED && answered(core, from);
}

bool dsm_recv_bye_ack(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	(void)m;
	return core->leave.state >= LEAVE_BYE_HEIR && answered(core, from);
}
