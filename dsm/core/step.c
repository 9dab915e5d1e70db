/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A step: the event is handled; what it made us send to ourselves is handled (dsm_drain); then the
 * work that may have become due is done in a fixed order - requests whose hold is over,
 * collections, pages waiting for a transaction -, as far as the budget of one step allows; a TIMER
 * asks for the rest. What holds for all messages is checked here, once, from the table `rules`; the
 * handlers check what is theirs.
 */
#include "dsm/core/internal.h"

/* ---- messages ---- */

enum rule_where {
	AT_HOME,      /* from the member it names; whether home is here, its handler asks */
	REQUESTED,    /* the same, or from the old home, for the member it names */
	FROM_HOME,    /* for somebody else; home is the sender */
	AT_REQUESTER, /* for us */
	OF_MEMBER,    /* of the member it names, about itself: no page */
};

struct rule {
	dsm_recv_fn *recv;
	enum rule_where where;
	uint8_t flags; /* that it may carry */
	bool acks;     /* carries a count */
};

static const struct rule rules[] = {
	[PAGE_GET_S] = {dsm_recv_get, REQUESTED, 0, false},
	[PAGE_GET_X] = {dsm_recv_get, REQUESTED, 0, false},
	[PAGE_UPGRADE] = {dsm_recv_get, REQUESTED, 0, false},
	[PAGE_PUT] = {dsm_recv_put, AT_HOME, PAGE_FLAG_DATA | PAGE_FLAG_ZERO | PAGE_FLAG_OWNER,
		      false},
	[PAGE_DROP] = {dsm_recv_drop, AT_HOME, 0, false},
	[PAGE_FETCH_S] = {dsm_recv_fetch_s, FROM_HOME, 0, false},
	[PAGE_FETCH_X] = {dsm_recv_fetch_x, FROM_HOME, 0, true},
	[PAGE_INVALIDATE] = {dsm_recv_invalidate, FROM_HOME, 0, false},
	[PAGE_GRANT] = {dsm_recv_grant, AT_REQUESTER,
			PAGE_FLAG_DATA | PAGE_FLAG_ZERO | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER |
				PAGE_FLAG_LAST,
			true},
	[PAGE_ACK] = {dsm_recv_ack, AT_REQUESTER, 0, false},
	[PAGE_UNBLOCK] = {dsm_recv_unblock, AT_HOME, 0, false},
	[PAGE_PUT_ACK] = {dsm_recv_put_ack, AT_REQUESTER, PAGE_FLAG_OWNER, false},
	[PAGE_HAND] = {dsm_recv_hand, AT_HOME, 0, false},
	[PAGE_HANDED] = {dsm_recv_handed, AT_HOME, 0, false},
	[PAGE_REDIRECT] = {dsm_recv_redirect, AT_REQUESTER, 0, false},
	[PAGE_LEAVE] = {dsm_recv_leave, OF_MEMBER, 0, false},
	[PAGE_LEAVE_ACK] = {dsm_recv_leave_ack, AT_REQUESTER, 0, false},
	[PAGE_TELL] = {dsm_recv_tell, OF_MEMBER, 0, false},
	[PAGE_BYE] = {dsm_recv_bye, OF_MEMBER, 0, false},
	[PAGE_BYE_ACK] = {dsm_recv_bye_ack, AT_REQUESTER, 0, false},
	[PAGE_GONE] = {dsm_recv_gone, OF_MEMBER, 0, false},
	[PAGE_HERE] = {dsm_recv_here, OF_MEMBER, 0, false},
	[PAGE_FENCE] = {dsm_recv_fence, OF_MEMBER, 0, false},
	[PAGE_FENCE_ACK] = {dsm_recv_fence_ack, AT_REQUESTER, 0, false},
};

/* R2: does a message of this kind go from there to here? */
static bool way_good(const struct dsm_core *core, const struct rule *r, struct member_id from,
		     const struct dsm_msg *m)
{
	switch (r->where) {
	case OF_MEMBER:
	case AT_HOME:
		return member_eq(m->requester, from);
	case REQUESTED:
		return true;
	case FROM_HOME:
		return !dsm_is_self(core, m->requester) && dsm_is_present(core, m->requester) &&
		       member_eq(m->member, from);
	case AT_REQUESTER:
		return dsm_is_self(core, m->requester);
	}
	return false;
}

/* It is about a chunk or a member: its page may lie in a local range. */
static bool is_page_less(const struct dsm_msg *m)
{
	return m->type >= PAGE_HANDED;
}

/* R48: who said BYE answers what was under way, and says GONE. R50: a newcomer says HERE first. */
static bool sender_good(const struct dsm_core *core, const struct rule *r, struct member_id from,
			const struct dsm_msg *m)
{
	if (dsm_is_in(core->unheard, from) && m->type != PAGE_HERE)
		return false;
	return dsm_is_present(core, from) || r->where == AT_REQUESTER || m->type == PAGE_GONE ||
	       m->type == PAGE_HERE;
}

static bool message_good(const struct dsm_core *core, struct member_id from,
			 const struct dsm_msg *m)
{
	const struct rule *r = &rules[m->type];

	if (m->page.v >= core->config.pages || m->pages != 1)
		return false; /* R2 */
	if (!is_page_less(m) && dsm_is_local(core, m->page.v, 1))
		return false; /* R31 */
	if (m->requester.v >= core->config.members || (m->flags & ~r->flags))
		return false;
	if (m->acks && (!r->acks || m->acks >= core->config.members))
		return false;
	return sender_good(core, r, from, m) && way_good(core, r, from, m);
}

static void deliver(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	const struct rule *r = &rules[m->type];
	bool good = message_good(core, from, m);

	if (good && r->where == FROM_HOME)
		good = dsm_map_confirm(core, (uint32_t)m->page.v, from, m->map); /* R32 */
	if (!good || !r->recv(core, from, m))
		dsm_violation(core, core->blame);
}

/* Messages that are the link's business; the engine may hand them on. */
static void deliver_link(struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	if (m->type == PAGE_PING)
		return;
	if (m->type != PAGE_MEMBER_LOST) {
		core->stats.refused++;
		return;
	}
	if (m->requester.v < core->config.members)
		dsm_end(core, m->requester, ERR_LOST); /* R29 */
	else
		dsm_violation(core, from);
}

static void message_event(struct dsm_core *core, const struct dsm_event *ev)
{
	struct member_id from = ev->msg.from;
	const struct dsm_msg *m = &ev->msg.msg;

	if (!dsm_is_in(core->known, from) || dsm_is_self(core, from)) {
		core->stats.refused++;
		return;
	}
	core->blame = from;
	if (m->epoch.v != core->config.epoch.v && /* R1 */
	    !(DSM_BUG(old_epoch_accepted) && m->epoch.v + 1 == core->config.epoch.v)) {
		core->stats.stale_epoch++;
		return;
	}
	if (core->gone & dsm_bit(from.v)) {
		core->stats.refused++; /* R48: nothing can be under way */
		return;
	}
	if (m->type == PAGE_PING || m->type == PAGE_MEMBER_LOST || m->type == PAGE_POST ||
	    m->type == PAGE_CHANGE)
		deliver_link(core, from, m);
	else if (m->type < sizeof(rules) / sizeof(rules[0]) && rules[m->type].recv)
		deliver(core, from, m);
	else
		dsm_violation(core, from);
}

void dsm_drain(struct dsm_core *core)
{
	while (core->self_count && !core->ending) {
		struct dsm_msg m = core->self_queue[core->self_first];

		core->self_first = (core->self_first + 1) % SELF_QUEUE_MAX;
		core->self_count--;
		deliver(core, core->config.self, &m);
	}
}

/* ---- the end ---- */

void dsm_end(struct dsm_core *core, struct member_id culprit, uint32_t reason)
{
	if (core->ending)
		return;
	core->ending = true;
	core->culprit = culprit;
	core->reason = reason;
}

void dsm_violation(struct dsm_core *core, struct member_id member)
{
	core->stats.refused++;
	dsm_end(core, member, ERR_PROTOCOL); /* R30 */
}

static void end_step(struct dsm_core *core)
{
	struct dsm_effect *fx;

	dsm_acquires_fail(core);
	fx = dsm_fx(core, DSM_FX_LOST, 0);
	fx->to = core->culprit;
	fx->reason = core->reason;
	core->ended = true;
}

static void lost_event(struct dsm_core *core, const struct dsm_event *ev)
{
	if (dsm_is_in(core->gone, ev->lost.member))
		return; /* R48 */
	if (DSM_BUG(loss_before_here) && dsm_is_in(core->unheard, ev->lost.member))
		return;
	if (ev->lost.member.v < core->config.members)
		dsm_end(core, ev->lost.member, ev->lost.reason); /* R29 */
	else
		core->stats.refused++;
}

/* ---- a step ---- */

static void dispatch(struct dsm_core *core, const struct dsm_event *ev)
{
	switch (ev->type) {
	case DSM_EV_FAULT:
		dsm_fault_event(core, ev);
		return;
	case DSM_EV_MSG:
		message_event(core, ev);
		return;
	case DSM_EV_TIMER:
		core->armed = UINT64_MAX; /* used up */
		return;
	case DSM_EV_LOST:
		lost_event(core, ev);
		return;
	case DSM_EV_ACQUIRE:
		dsm_acquire_event(core, ev);
		return;
	case DSM_EV_RELEASE:
		dsm_release_event(core, ev);
		return;
	case DSM_EV_EVICT:
		dsm_evict_event(core, ev);
		return;
	case DSM_EV_MOVE:
		dsm_move_event(core, ev);
		return;
	case DSM_EV_LEAVE:
		dsm_leave_event(core);
		return;
	case DSM_EV_JOIN:
		dsm_join_event(core, ev);
		return;
	}
	core->stats.refused++;
}

/* Work that may have become due. Begun only within the budget: what is left comes with the TIMER.
 */
static void catch_up(struct dsm_core *core)
{
	dsm_hold_expire(core);
	dsm_moves_run(core);
	do {
		dsm_collections_run(core);
		dsm_backlog_run(core);
	} while (core->collections_dirty && dsm_has_budget(core) && !core->ending);
	dsm_leave_run(core);
}

static uint64_t next_deadline(const struct dsm_core *core)
{
	bool unfinished = core->collections_dirty ||
			  (core->backlog_count && core->txn_free_count) ||
			  dsm_moves_unfinished(core) || core->leave.more;

	return unfinished ? core->now : dsm_hold_next(core);
}

static void arm_timer(struct dsm_core *core)
{
	uint64_t next = next_deadline(core);

	if (next == core->armed)
		return;
	core->armed = next;
	dsm_fx(core, DSM_FX_TIMER, 0)->deadline = next;
}

void dsm_step(struct dsm_core *core, const struct dsm_event *event, struct dsm_effects *out)
{
	out->n = 0;
	if (core->ended || core->leave.state == LEAVE_LEFT)
		return;
	core->out = out;
	if (core->journal)
		dsm_journal_event(core, event);
	core->blame = core->config.self;
	if (event->now > core->now)
		core->now = event->now;
	for (uint8_t i = 0; i < event->proofs && i < DSM_PROOFS_MAX; i++)
		dsm_threads_proof(core, &event->proof[i]);
	dsm_greet(core);
	dispatch(core, event);
	dsm_drain(core);
	if (!core->ending)
		catch_up(core);
	if (!core->ending && core->leave.state != LEAVE_LEFT)
		arm_timer(core);
	if (core->ending)
		end_step(core);
	if (core->journal)
		dsm_journal_effects(core);
	core->out = NULL;
	core->walked = 0;
}
