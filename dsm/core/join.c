/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is a member, and newcomers (R49 .. R51). Every member takes a newcomer in (JOIN) before its
 * core exists; that core begins with what a member knows of all others, and says HERE in its first
 * step. So whoever names it in a message names somebody the receiver knows, and who heard it knows
 * that all others know it, too.
 */
#include "dsm/core/internal.h"

/* ---- the beginning ---- */

static uint8_t founders_of(const struct dsm_core_config *c)
{
	return c->founders ? c->founders : c->members;
}

static dsm_set first_members(uint8_t n)
{
	return n ? UINT64_MAX >> (DSM_MEMBERS_MAX - n) : 0;
}

static dsm_set present_of(const struct dsm_core_config *c)
{
	return c->present ? c->present : first_members(founders_of(c));
}

/* The heirs of a member that left lead to one that is there. */
static bool line_good(const struct dsm_core_config *c, uint8_t member)
{
	for (unsigned n = 0; c->heir[member]; n++) {
		if (c->heir[member] > c->members || n == c->members)
			return false;
		member = c->heir[member] - 1;
	}
	return present_of(c) & dsm_bit(member);
}

/* A member is there, or left and has an heir, or is still to come; founders have come. */
static bool member_good(const struct dsm_core_config *c, uint8_t member)
{
	if (present_of(c) & dsm_bit(member))
		return member < c->members && !c->heir[member];
	if (c->heir[member])
		return member < c->members && line_good(c, member);
	return member >= founders_of(c);
}

bool dsm_members_good(const struct dsm_core_config *c)
{
	if (c->members < 1 || c->members > DSM_MEMBERS_MAX || founders_of(c) > c->members)
		return false;
	for (uint8_t m = 0; m < DSM_MEMBERS_MAX; m++)
		if (!member_good(c, m))
			return false;
	return c->self.v < c->members && present_of(c) & dsm_bit(c->self.v);
}

void dsm_members_begin(struct dsm_core *core)
{
	struct dsm_core_config *c = &core->config;

	c->founders = founders_of(c);
	core->present = core->known = present_of(c);
	core->greet = c->self.v >= c->founders;
	for (uint8_t m = 0; m < c->members; m++) {
		if (!c->heir[m])
			continue;
		core->known |= dsm_bit(m);
		core->gone |= dsm_bit(m);
		core->heir[m] = DSM_BUG(newcomer_without_heirs) ? 0 : c->heir[m];
	}
}

/* ---- newcomers ---- */

/* R49: one change at a time, as far as is known here. */
void dsm_join_event(struct dsm_core *core, const struct dsm_event *event)
{
	struct member_id m = event->join.member;

	if (dsm_is_leaving(core) || core->leaving || m.v >= core->config.members ||
	    dsm_is_in(core->known, m)) {
		core->stats.refused++;
		return;
	}
	core->known |= dsm_bit(m.v);
	core->unheard |= dsm_bit(m.v);
	if (!DSM_BUG(newcomer_taken_late))
		core->present |= dsm_bit(m.v);
}

/* R50: before anything else. */
void dsm_greet(struct dsm_core *core)
{
	if (!core->greet)
		return;
	core->greet = false;
	for (dsm_set set = core->present & ~dsm_bit(core->config.self.v); set; set &= set - 1)
		dsm_send(core, (struct member_id){(uint8_t)__builtin_ctzll(set)},
			 (struct dsm_msg){.type = PAGE_HERE, .requester = core->config.self},
			 DSM_SLOT_NONE);
}

/* R50: once, and of nobody but a newcomer. */
bool dsm_recv_here(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	(void)m;
	if (!dsm_is_in(core->unheard, from))
		return false;
	core->unheard &= ~dsm_bit(from.v);
	if (DSM_BUG(newcomer_taken_late))
		core->present |= dsm_bit(from.v);
	return true;
}
