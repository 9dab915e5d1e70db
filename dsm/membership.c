/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/shard.h"

#include <string.h>

#include "proto/base/clock.h"

static bool is_self(const struct shard *s, struct member_id m)
{
	return member_eq(m, s->config.self);
}

static dsm_set all(const struct shard *s)
{
	return s->channels | dsm_bit(s->config.self.v);
}

static struct member_id sponsor(const struct shard *s)
{
	return dsm_lowest(all(s));
}

/* ---- saying ---- */

static bool take(struct shard *s, struct member_id from, const struct notice *n);

/* What is said to itself is done as if another had said it. */
static void say(struct shard *s, struct member_id to, const struct notice *n)
{
	const struct dsm_msg msg = {
		.type = PAGE_CHANGE,
		.requester = s->config.self,
		.member = MEMBER_NONE,
		.epoch = s->config.epoch,
	};
	struct notice_wire w;

	if (is_self(s, to)) {
		take(s, to, n);
		return;
	}
	notice_encode(&w, n);
	s->transport_ops->send(s->transport, to, &msg, &w, sizeof(w));
}

void membership_say(struct shard *s, struct member_id to, enum notice_type type,
		    struct member_id about)
{
	say(s, to, &(struct notice){.type = type, .member = about});
}

/* To all, itself last: its own answer may be the last one that is awaited. */
static void ask_all(struct shard *s, enum host_step step, enum notice_type type)
{
	struct membership *m = &s->membership;
	struct member_id about = m->newcomer.member;

	m->host.step = step;
	m->host.awaited = all(s);
	for (dsm_set set = s->channels & ~dsm_bit(about.v); set; set &= set - 1)
		membership_say(s, dsm_lowest(set), type, about);
	membership_say(s, s->config.self, type, about);
}

static bool is_awaited(const struct membership *m, enum host_step step, struct member_id from,
		       struct member_id about)
{
	return m->host.step == step && m->host.awaited & dsm_bit(from.v) &&
	       member_eq(about, m->newcomer.member);
}

/* ---- the host ---- */

static void refuse_caller(struct shard *s, uint32_t caller, enum err_code why)
{
	struct welcome_wire w;

	welcome_encode(&w, &(struct welcome){.refused = why});
	s->transport_ops->answer(s->transport, caller, &w, sizeof(w), NULL);
}

static uint32_t next_caller(struct membership *m)
{
	uint32_t caller = m->caller[0];

	memmove(m->caller, m->caller + 1, --m->callers * sizeof(m->caller[0]));
	return caller;
}

static void turn_over(struct shard *s)
{
	struct membership *m = &s->membership;

	m->host.step = HOST_IDLE;
	m->turn = TURN_NONE;
	membership_say(s, sponsor(s), NOTICE_OVER, MEMBER_NONE);
	if (m->callers || s->part == PART_WANTS)
		membership_ask(s);
}

static void host_begin(struct shard *s)
{
	struct membership *m = &s->membership;

	while (m->callers && m->next >= s->config.members)
		refuse_caller(s, next_caller(m), ERR_NOSPACE);
	if (!m->callers) {
		turn_over(s);
		return;
	}
	m->host.caller = next_caller(m);
	m->newcomer.member = (struct member_id){m->next};
	ask_all(s, HOST_PREPARING, NOTICE_PREPARE);
}

static void fill_welcome(const struct shard *s, struct welcome *w)
{
	const struct membership *m = &s->membership;

	*w = (struct welcome){
		.self = m->newcomer.member,
		.host = s->config.self,
		.members = s->config.members,
		.founders = s->config.founders,
		.locals = s->config.locals,
		.silence_ms = s->config.silence_ms ? s->config.silence_ms : TRANSPORT_SILENCE_MS,
		.pages = s->config.pages,
		.present = all(s),
	};
	for (int i = 0; i < s->config.locals; i++) {
		w->local[i].first = s->config.local[i].first;
		w->local[i].pages = s->config.local[i].pages;
	}
	for (uint8_t i = 0; i < s->config.members; i++) {
		struct member_id heir = dsm_core_heir(s->core, (struct member_id){i});

		w->heir[i] = member_eq(heir, MEMBER_NONE) ? 0 : heir.v + 1;
		if (w->present & dsm_bit(i))
			memcpy(w->address[i], m->host.address[i], sizeof(w->address[i]));
	}
}

/* All let it connect: now it is told where. */
static void host_call(struct shard *s)
{
	struct membership *m = &s->membership;
	struct welcome_wire wire;
	struct welcome w;

	fill_welcome(s, &w);
	welcome_encode(&wire, &w);
	m->host.step = HOST_CALLING;
	m->host.deadline_ns = clock_ns() + MEMBERSHIP_READY_MS * 1000000ull;
	if (s->transport_ops->answer(s->transport, m->host.caller, &wire, sizeof(wire), NULL))
		ask_all(s, HOST_CANCELLING, NOTICE_CANCEL);
}

/* One of those that ask_all asked has answered, or left before it was asked. */
static void answered(struct shard *s, struct member_id from)
{
	struct membership *m = &s->membership;

	if (!(m->host.awaited & dsm_bit(from.v)))
		return;
	m->host.awaited &= ~dsm_bit(from.v);
	if (m->host.awaited)
		return;
	if (m->host.step == HOST_PREPARING) {
		host_call(s);
	} else if (m->host.step == HOST_CANCELLING) {
		turn_over(s);
	} else if (m->host.step == HOST_ADMITTING) {
		m->host.step = HOST_GREETING;
		membership_say(s, m->newcomer.member, NOTICE_GO, m->newcomer.member);
	}
}

/* ---- taking a newcomer in ---- */

static bool is_member(const struct shard *s, struct member_id m)
{
	return dsm_core_present(s->core) & dsm_bit(m.v);
}

/* The core refuses while it knows of a leaver whose GONE is still under way. */
static bool join(struct shard *s, struct member_id member)
{
	s->event = (struct dsm_event){
		.type = DSM_EV_JOIN,
		.now = clock_ns(),
		.join = {.member = member},
	};
	shard_step(s);
	if (shard_ended(s) || !is_member(s, member))
		return false;
	s->channels |= dsm_bit(member.v);
	return true;
}

/* As often as something changes that it waits for. */
static void admit(struct shard *s)
{
	struct membership *m = &s->membership;
	struct member_id member = m->newcomer.member;

	if (m->newcomer.phase != NEWCOMER_ADMITTED || !m->newcomer.up)
		return;
	if (!is_member(s, member) && !join(s, member))
		return;
	m->newcomer.phase = NEWCOMER_NONE;
	membership_say(s, m->newcomer.host, NOTICE_ADMITTED, member);
}

/* ---- turns ---- */

static void grant(struct shard *s)
{
	struct membership *m = &s->membership;
	dsm_set later;

	if (!is_self(s, sponsor(s)) || !member_eq(m->turn_of, MEMBER_NONE) || !m->asking)
		return;
	later = m->asking & (UINT64_MAX << m->after); /* round robin */
	m->turn_of = dsm_lowest(later ? later : m->asking);
	m->after = (uint8_t)((m->turn_of.v + 1) % DSM_MEMBERS_MAX);
	m->asking &= ~dsm_bit(m->turn_of.v);
	membership_say(s, m->turn_of, NOTICE_TURN, MEMBER_NONE);
}

void membership_ask(struct shard *s)
{
	struct membership *m = &s->membership;

	if (m->turn != TURN_NONE)
		return;
	m->turn = TURN_ASKED;
	membership_say(s, sponsor(s), NOTICE_ASK, MEMBER_NONE);
}

/* ---- notices ---- */

static bool take_ask(struct shard *s, struct member_id from, const struct notice *n)
{
	(void)n;
	s->membership.asking |= dsm_bit(from.v);
	grant(s);
	return true;
}

static bool take_turn(struct shard *s, struct member_id from, const struct notice *n)
{
	struct membership *m = &s->membership;

	(void)n;
	if (!member_eq(from, sponsor(s)) || m->turn != TURN_ASKED)
		return false;
	m->turn = TURN_MINE;
	if (s->part == PART_WANTS)
		shard_leave_now(s);
	else
		host_begin(s);
	return true;
}

static bool take_over(struct shard *s, struct member_id from, const struct notice *n)
{
	struct membership *m = &s->membership;

	(void)n;
	if (!member_eq(m->turn_of, from))
		return false;
	m->turn_of = MEMBER_NONE;
	grant(s);
	return true;
}

static bool take_prepare(struct shard *s, struct member_id from, const struct notice *n)
{
	struct notice answer = {.type = NOTICE_PREPARED, .member = n->member};
	struct membership *m = &s->membership;

	if (m->newcomer.phase != NEWCOMER_NONE || n->member.v != m->next)
		return false;
	m->next++;
	m->newcomer.phase = NEWCOMER_PREPARED;
	m->newcomer.member = n->member;
	m->newcomer.host = from;
	m->newcomer.up = m->newcomer.broken = false;
	s->transport_ops->expect(s->transport, n->member, true);
	s->transport_ops->address(s->transport, answer.address);
	say(s, from, &answer);
	return true;
}

static bool take_prepared(struct shard *s, struct member_id from, const struct notice *n)
{
	struct membership *m = &s->membership;

	if (!is_awaited(m, HOST_PREPARING, from, n->member))
		return false;
	memcpy(m->host.address[from.v], n->address, sizeof(n->address));
	answered(s, from);
	return true;
}

static bool take_ready(struct shard *s, struct member_id from, const struct notice *n)
{
	const struct membership *m = &s->membership;

	if (m->host.step != HOST_CALLING || !member_eq(from, n->member))
		return false;
	ask_all(s, HOST_ADMITTING, NOTICE_ADMIT);
	return true;
}

/* Is it what the host of the newcomer may say now? */
static bool is_prepared(const struct membership *m, struct member_id from, const struct notice *n)
{
	return m->newcomer.phase == NEWCOMER_PREPARED && member_eq(from, m->newcomer.host) &&
	       member_eq(n->member, m->newcomer.member);
}

static void newcomer_lost(struct shard *s, const struct err *why)
{
	struct err e;

	err_set(&e, ERR_LOST, "member %u was lost while it joined: %.200s",
		s->membership.newcomer.member.v, why->text);
	shard_member_lost(s, s->membership.newcomer.member, &e);
}

static bool take_admit(struct shard *s, struct member_id from, const struct notice *n)
{
	struct membership *m = &s->membership;

	if (!is_prepared(m, from, n))
		return false;
	m->newcomer.phase = NEWCOMER_ADMITTED;
	if (m->newcomer.broken)
		newcomer_lost(s, &(struct err){.text = "its channel broke"});
	else
		admit(s);
	return true;
}

static bool take_admitted(struct shard *s, struct member_id from, const struct notice *n)
{
	const struct membership *m = &s->membership;

	if (!is_awaited(m, HOST_ADMITTING, from, n->member))
		return false;
	answered(s, from);
	return true;
}

static bool take_cancel(struct shard *s, struct member_id from, const struct notice *n)
{
	struct membership *m = &s->membership;

	if (!is_prepared(m, from, n))
		return false;
	m->newcomer.phase = NEWCOMER_NONE;
	s->transport_ops->expect(s->transport, n->member, false);
	membership_say(s, from, NOTICE_CANCELLED, n->member);
	return true;
}

static bool take_cancelled(struct shard *s, struct member_id from, const struct notice *n)
{
	const struct membership *m = &s->membership;

	if (!is_awaited(m, HOST_CANCELLING, from, n->member))
		return false;
	answered(s, from);
	return true;
}

/* GO is heard before there is a shard's thread (dsm/newcomer.c). */
static bool take(struct shard *s, struct member_id from, const struct notice *n)
{
	static bool (*const taker[])(struct shard *, struct member_id, const struct notice *) = {
		[NOTICE_ASK] = take_ask,
		[NOTICE_TURN] = take_turn,
		[NOTICE_OVER] = take_over,
		[NOTICE_PREPARE] = take_prepare,
		[NOTICE_PREPARED] = take_prepared,
		[NOTICE_READY] = take_ready,
		[NOTICE_ADMIT] = take_admit,
		[NOTICE_ADMITTED] = take_admitted,
		[NOTICE_GO] = NULL,
		[NOTICE_CANCEL] = take_cancel,
		[NOTICE_CANCELLED] = take_cancelled,
	};

	return taker[n->type] && taker[n->type](s, from, n);
}

/* Who is no member yet is only READY. */
static bool may_say(const struct shard *s, struct member_id from, const struct notice *n)
{
	if (s->channels & dsm_bit(from.v))
		return true;
	return n->type == NOTICE_READY && s->membership.newcomer.phase == NEWCOMER_PREPARED &&
	       member_eq(from, s->membership.newcomer.member);
}

void membership_notice(struct shard *s, const struct transport_event *ev)
{
	struct notice n;

	if (ev->msg.epoch.v != s->config.epoch.v ||
	    notice_decode(ev->data, ev->bytes, s->config.members, &n, NULL) ||
	    !may_say(s, ev->from, &n) || !take(s, ev->from, &n))
		s->membership.refused++;
}

/* ---- events ---- */

void membership_begin(struct shard *s)
{
	struct membership *m = &s->membership;

	m->turn_of = MEMBER_NONE;
	m->next = s->config.founders;
	if (s->config.self.v >= m->next)
		m->next = s->config.self.v + 1;
}

void membership_caller(struct shard *s, uint32_t caller)
{
	struct membership *m = &s->membership;

	if (s->part != PART_STAYS || m->callers == MEMBERSHIP_CALLERS_MAX) {
		refuse_caller(s, caller, ERR_BUSY);
		return;
	}
	m->caller[m->callers++] = caller;
	membership_ask(s);
}

void membership_up(struct shard *s, struct member_id member)
{
	struct membership *m = &s->membership;

	if (!member_eq(member, m->newcomer.member))
		return;
	m->newcomer.up = true;
	admit(s);
}

void membership_channel_lost(struct shard *s, struct member_id member, const struct err *why)
{
	struct membership *m = &s->membership;

	if (m->newcomer.phase == NEWCOMER_NONE || !member_eq(member, m->newcomer.member))
		return;
	m->newcomer.broken = true;
	if (m->newcomer.phase == NEWCOMER_ADMITTED)
		newcomer_lost(s, why);
	else if (m->host.step == HOST_CALLING)
		ask_all(s, HOST_CANCELLING, NOTICE_CANCEL);
}

void membership_gone(struct shard *s, struct member_id member)
{
	struct membership *m = &s->membership;

	m->asking &= ~dsm_bit(member.v);
	if (member_eq(m->turn_of, member))
		m->turn_of = MEMBER_NONE;
	if (m->turn == TURN_ASKED && member.v < sponsor(s).v) { /* it was the sponsor */
		m->turn = TURN_NONE;
		membership_ask(s);
	}
	answered(s, member); /* the turn came before its GONE */
	grant(s);
	admit(s);
}

void membership_here(struct shard *s, struct member_id member)
{
	struct membership *m = &s->membership;

	if (m->host.step == HOST_GREETING && member_eq(member, m->newcomer.member))
		turn_over(s);
}

void membership_tick(struct shard *s)
{
	struct membership *m = &s->membership;

	if (m->host.step == HOST_CALLING && clock_ns() >= m->host.deadline_ns)
		ask_all(s, HOST_CANCELLING, NOTICE_CANCEL);
}

void membership_end(struct shard *s)
{
	struct membership *m = &s->membership;

	while (m->callers)
		refuse_caller(s, next_caller(m), ERR_BUSY);
}
