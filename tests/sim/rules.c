/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/rules.h"

/* What a message meets at the one who gets it. */
struct scene {
	const struct dsm_core *core;
	const struct dsm_msg *m;
	struct member_id from;
	const struct dsm_holder *holder; /* of its page */
	const struct dsm_home *entry;
	const struct dsm_chunk *chunk;
	const struct dsm_txn *txn; /* under way for its page, or NULL */
	struct member_id home;	   /* by our map */
	bool at_home;		   /* ... it is us */
};

static bool is_self(const struct scene *s, struct member_id m)
{
	return member_eq(m, s->core->config.self);
}

static bool is_from(const struct scene *s, struct member_id m)
{
	return member_eq(m, s->from);
}

static bool is_present(const struct scene *s, struct member_id m)
{
	return dsm_is_in(s->core->present, m);
}

/* ---- R2: all messages ---- */

static uint8_t flags_of(uint8_t type)
{
	switch (type) {
	case PAGE_GRANT:
		return PAGE_FLAG_DATA | PAGE_FLAG_ZERO | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER |
		       PAGE_FLAG_LAST;
	case PAGE_PUT:
		return PAGE_FLAG_DATA | PAGE_FLAG_ZERO | PAGE_FLAG_OWNER;
	case PAGE_PUT_ACK:
		return PAGE_FLAG_OWNER;
	default:
		return 0;
	}
}

static bool in_range(const struct dsm_core *core, const struct dsm_msg *m)
{
	const bool counts = m->type == PAGE_GRANT || m->type == PAGE_FETCH_X;
	const uint8_t members = core->config.members;
	if (m->page.v >= core->config.pages || m->pages != 1 || m->requester.v >= members)
		return false;
	if (m->flags & ~flags_of(m->type) || m->acks >= members || (m->acks && !counts))
		return false;
	for (unsigned i = 0; i < core->config.locals; i++) { /* R31 */
		const struct dsm_range *l = &core->config.local[i];
		if (m->type < PAGE_HANDED && m->page.v >= l->first &&
		    m->page.v - l->first < l->pages)
			return false;
	}
	return true;
}

static bool goes_this_way(const struct scene *s)
{
	const struct dsm_msg *m = s->m;
	if (s->core->unheard >> s->from.v & 1 && m->type != PAGE_HERE)
		return false; /* R50 */
	switch (m->type) {
	case PAGE_GET_S:
	case PAGE_GET_X:
	case PAGE_UPGRADE:
		return is_present(s, s->from);
	case PAGE_PUT:
	case PAGE_DROP:
	case PAGE_UNBLOCK:
	case PAGE_HAND:
	case PAGE_HANDED:
	case PAGE_LEAVE:
	case PAGE_TELL:
	case PAGE_BYE:
	case PAGE_FENCE:
		return is_from(s, m->requester) && is_present(s, s->from);
	case PAGE_GONE:
	case PAGE_HERE:
		return is_from(s, m->requester);
	case PAGE_FETCH_S:
	case PAGE_FETCH_X:
	case PAGE_INVALIDATE:
		return !is_self(s, m->requester) && is_present(s, m->requester) &&
		       is_from(s, m->member) && is_present(s, s->from);
	default:
		return is_self(s, m->requester);
	}
}

/* ---- R32 .. R34: where home is ---- */

/* Home is said to be, or to have been, at `member` by this version. */
static bool may_learn(const struct scene *s)
{
	return dsm_is_in(s->core->known, s->m->member) &&
	       (s->m->map <= s->chunk->version || !s->at_home);
}

/* Who acts as home, or says who does. */
static bool names_home(const struct scene *s)
{
	if (s->m->map == s->chunk->version)
		return member_eq(s->m->member, s->home);
	return s->m->map > s->chunk->version && !is_self(s, s->m->member) && may_learn(s);
}

/* The sender may take us for the home, or one that was or will be. */
static bool asks_a_home(const struct scene *s)
{
	return s->at_home ? s->m->map <= s->chunk->version : s->m->map != s->chunk->version;
}

static bool is_home_here(const struct scene *s)
{
	return s->at_home && s->chunk->state != CHUNK_COMING;
}

/* Home comes here, from the sender alone. */
static bool hands_over(const struct scene *s)
{
	if (s->m->map > s->chunk->version)
		return !s->at_home;
	return s->m->map == s->chunk->version && s->chunk->state == CHUNK_COMING &&
	       (!s->chunk->giver || s->chunk->giver == s->from.v + 1);
}

/* ---- at home ---- */

static bool begins_at_once(const struct scene *s)
{
	return is_home_here(s) && s->chunk->state != CHUNK_FROZEN && !s->entry->requester &&
	       !s->entry->head;
}

static bool get_good(const struct scene *s)
{
	const uint8_t who = s->m->requester.v;
	const bool waits = s->at_home || s->m->map > s->chunk->version; /* else: redirected */
	if (is_from(s, s->m->requester) ? !asks_a_home(s) : !hands_over(s))
		return false;
	if (begins_at_once(s) && s->entry->owner == who + 1 && s->m->type != PAGE_UPGRADE)
		return false; /* asks for what it has */
	return !waits || (is_present(s, s->m->requester) && s->entry->requester != who + 1 &&
			  s->core->waits[who] < DSM_TXN_MAX);
}

static bool put_good(const struct scene *s)
{
	const uint8_t what = s->m->flags & (PAGE_FLAG_DATA | PAGE_FLAG_ZERO);
	if (!(s->m->flags & PAGE_FLAG_OWNER) || (what != PAGE_FLAG_DATA && what != PAGE_FLAG_ZERO))
		return false;
	return asks_a_home(s) && !(is_home_here(s) && s->entry->requester == s->from.v + 1);
}

static bool drop_good(const struct scene *s)
{
	const bool counts = is_home_here(s) && s->m->map == s->chunk->version;
	return asks_a_home(s) && !(counts && (s->entry->owner == s->from.v + 1 ||
					      s->entry->requester == s->from.v + 1));
}

static bool unblock_good(const struct scene *s)
{
	return is_home_here(s) && s->entry->requester == s->from.v + 1 &&
	       s->entry->txn == s->m->txn;
}

/* ---- at the holder ---- */

static bool is_owner(const struct scene *s)
{
	return s->holder->state == DSM_O || s->holder->state == DSM_E || s->holder->state == DSM_M;
}

static bool fetch_good(const struct scene *s)
{
	const uint32_t next = s->m->type == PAGE_FETCH_X;
	if (!names_home(s) || s->holder->deferred || s->m->version != s->holder->version + next)
		return false;
	return is_owner(s) || (s->txn && s->txn->state == TXN_PUT_HELD);
}

static bool invalidate_good(const struct scene *s)
{
	if (!names_home(s) || s->holder->deferred)
		return false;
	return s->holder->state == DSM_I ||
	       ((s->holder->state == DSM_S || s->holder->state == DSM_O) &&
		s->m->version == s->holder->version + 1);
}

/* ---- at the requester ---- */

static bool is_open(const struct scene *s)
{
	return s->txn && s->txn->id == s->m->txn;
}

static bool answers(const struct scene *s)
{
	const uint8_t flags = s->m->flags;
	const uint8_t what = flags & (PAGE_FLAG_DATA | PAGE_FLAG_ZERO);
	const bool write = flags & PAGE_FLAG_WRITE, own = flags & PAGE_FLAG_OWNER;
	if (what == (PAGE_FLAG_DATA | PAGE_FLAG_ZERO))
		return false;
	if (s->txn->type == PAGE_GET_S)
		return what && !write && !s->m->acks && (!own || what == PAGE_FLAG_ZERO);
	if (!write || !own || s->m->acks < __builtin_popcountll(s->txn->acked))
		return false;
	if (what)
		return s->holder->state == DSM_I;
	return s->holder->state != DSM_I && s->txn->type == PAGE_UPGRADE && !s->holder->deferred;
}

static bool grant_good(const struct scene *s)
{
	const bool last = is_from(s, s->m->member) && !s->m->acks; /* R10 */
	const bool giver = last && s->chunk->state == CHUNK_COMING &&
			   s->m->map + 1 == s->chunk->version; /* R34 */
	return is_open(s) && s->txn->state == TXN_ASKED && answers(s) && (giver || names_home(s)) &&
	       last == !!(s->m->flags & PAGE_FLAG_LAST);
}

static bool ack_good(const struct scene *s)
{
	return is_open(s) && (s->txn->state == TXN_ASKED || s->txn->state == TXN_GRANTED) &&
	       s->txn->type != PAGE_GET_S && !(s->txn->acked >> s->from.v & 1);
}

static bool put_ack_good(const struct scene *s)
{
	if (!is_open(s) || !is_from(s, s->txn->home) || !may_learn(s))
		return false;
	return s->txn->state == TXN_PUT_HELD ||
	       (s->txn->state == TXN_PUT_GONE && s->m->flags & PAGE_FLAG_OWNER);
}

static bool redirect_good(const struct scene *s)
{
	const uint32_t map = s->m->map > s->chunk->version ? s->m->map : s->chunk->version;
	return is_open(s) && s->txn->state == TXN_ASKED && is_from(s, s->txn->home) &&
	       may_learn(s) && map != s->txn->map;
}

/* ---- homes move ---- */

static bool hand_good(const struct scene *s)
{
	const struct member_id owner = s->m->member;
	if (!hands_over(s) || s->entry->used)
		return false;
	if (member_eq(owner, MEMBER_NONE))
		return !s->m->sharers;
	return is_present(s, owner) && !(s->m->sharers >> owner.v & 1) &&
	       !(s->m->sharers & ~s->core->known);
}

static bool handed_good(const struct scene *s)
{
	const uint64_t end = s->m->page.v + DSM_CHUNK_PAGES;
	if (s->m->page.v % DSM_CHUNK_PAGES || !hands_over(s))
		return false;
	for (uint64_t p = s->m->page.v; p < end && p < s->core->config.pages; p++) {
		const enum dsm_state state = dsm_holder_seen(s->core, (uint32_t)(p)).state;
		if (state != DSM_I && state != DSM_S &&
		    dsm_home_seen(s->core, (uint32_t)(p)).owner != s->core->config.self.v + 1)
			return false; /* we own it, and were not named */
	}
	return true;
}

/* ---- members leave ---- */

static bool is_on_its_way(const struct scene *s)
{
	return (s->core->leaving & ~s->core->unanswered) >> s->from.v & 1;
}

static bool leave_good(const struct scene *s)
{
	return !(s->core->leaving >> s->from.v & 1) &&
	       (s->core->leave.state == LEAVE_NOT || s->core->leave.state == LEAVE_ASKED);
}

static bool tell_good(const struct scene *s)
{
	return is_on_its_way(s) && !(s->m->page.v % DSM_CHUNK_PAGES) && !is_from(s, s->m->member) &&
	       may_learn(s);
}

static bool bye_good(const struct scene *s)
{
	return is_on_its_way(s) && !s->core->waits[s->from.v] && !s->core->serving[s->from.v] &&
	       is_present(s, s->m->member) && !is_from(s, s->m->member);
}

static bool is_awaited(const struct scene *s)
{
	const bool asked = s->core->leave.state == LEAVE_ASKED;
	const bool bye = s->core->leave.state >= LEAVE_BYE_HEIR;
	return s->core->leave.awaited >> s->from.v & 1 &&
	       (s->m->type == PAGE_LEAVE_ACK ? asked : bye);
}

/* ---- all ---- */

static bool type_good(const struct scene *s)
{
	switch (s->m->type) {
	case PAGE_GET_S:
	case PAGE_GET_X:
	case PAGE_UPGRADE:
		return get_good(s);
	case PAGE_PUT:
		return put_good(s);
	case PAGE_DROP:
		return drop_good(s);
	case PAGE_UNBLOCK:
		return unblock_good(s);
	case PAGE_FETCH_S:
	case PAGE_FETCH_X:
		return fetch_good(s);
	case PAGE_INVALIDATE:
		return invalidate_good(s);
	case PAGE_GRANT:
		return grant_good(s);
	case PAGE_ACK:
		return ack_good(s);
	case PAGE_PUT_ACK:
		return put_ack_good(s);
	case PAGE_REDIRECT:
		return redirect_good(s);
	case PAGE_HAND:
		return hand_good(s);
	case PAGE_HANDED:
		return handed_good(s);
	case PAGE_LEAVE:
		return leave_good(s);
	case PAGE_TELL:
		return tell_good(s);
	case PAGE_BYE:
		return bye_good(s);
	case PAGE_GONE:
		return !is_present(s, s->from);
	case PAGE_HERE:
		return s->core->unheard >> s->from.v & 1;
	case PAGE_FENCE:
		return true;
	case PAGE_FENCE_ACK:
		return s->core->fence >> s->from.v & 1;
	case PAGE_LEAVE_ACK:
	case PAGE_BYE_ACK:
		return is_awaited(s);
	default:
		return false; /* not a type of the core's */
	}
}

bool rules_forbid(const struct dsm_core *core, struct member_id from, const struct dsm_msg *m)
{
	if (!in_range(core, m))
		return true;
	const struct dsm_holder seen = dsm_holder_seen(core, (uint32_t)m->page.v), *holder = &seen;
	const struct dsm_home entry = dsm_home_seen(core, (uint32_t)m->page.v);
	const uint64_t chunk = m->page.v / DSM_CHUNK_PAGES;
	struct scene s = {
		.core = core,
		.m = m,
		.from = from,
		.holder = holder,
		.entry = &entry,
		.chunk = &core->chunks[chunk],
		.txn = holder->txn ? &core->txn[holder->txn - 1] : NULL,
		.home = {core->chunks[chunk].home ? (uint8_t)(core->chunks[chunk].home - 1)
						  : (uint8_t)(chunk % core->config.founders)},
	};
	s.at_home = is_self(&s, s.home);
	return !goes_this_way(&s) || !type_good(&s);
}
