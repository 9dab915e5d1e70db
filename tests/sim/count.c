/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/count.h"

#include <inttypes.h>

#include "dsm/core/internal.h"
#include "tests/sim/world.h"

/* ---- letters and events ---- */

/* Others are served or wait: so it will wait, too. */
static bool must_wait(const struct world *w, unsigned m, struct gpage page)
{
	struct dsm_dir dir;
	return dsm_core_dir(w->members[m].core, page, &dir) && (dir.busy || dir.queued);
}

static bool is_stale_drop(const struct world *w, unsigned m, const struct dsm_msg *msg)
{
	const struct dsm_core *core = w->members[m].core;
	return !dsm_home_is_here(core, (uint32_t)msg->page.v) ||
	       msg->map != core->chunks[msg->page.v / DSM_CHUNK_PAGES].version;
}

void count_letter(struct world *w, unsigned m, const struct letter *letter)
{
	struct counts *c = &w->members[m].counts;
	const struct dsm_msg *msg = &letter->msg;
	const uint16_t page = world_page(w, msg->page);
	struct dsm_core_stats s;
	dsm_core_stats(w->members[m].core, &s);
	c->deferred_before = s.deferred;
	switch (msg->type) {
	case PAGE_GET_S:
	case PAGE_GET_X:
	case PAGE_UPGRADE:
		c->queued += must_wait(w, m, msg->page);
		break;
	case PAGE_GRANT:
	case PAGE_ACK:
		w->books[page].remote |= member_bit(m);
		break;
	case PAGE_DROP:
		c->drop_counts = !is_stale_drop(w, m, msg);
		c->stale_version += !c->drop_counts;
		break;
	case PAGE_PUT_ACK:
		w->books[page].put &= ~member_bit(m);
		break;
	case PAGE_REDIRECT:
		c->redirected++;
		break;
	case PAGE_HANDED:
		c->moved_in++;
		break;
	default:
		break;
	}
}

/* Home may name members that have no copy, but not one that it heard of. */
static void check_drop(struct world *w, unsigned m, unsigned from, const struct letter *letter)
{
	struct dsm_dir dir;
	if (w->members[m].counts.drop_counts && !w->members[m].ended &&
	    dsm_core_dir(w->members[m].core, letter->msg.page, &dir) && !dir.busy &&
	    dir.sharers & member_bit(from))
		world_fail(w, "I14", world_page(w, letter->msg.page),
			   "m%u goes on telling m%u, which dropped its copy", m, from);
}

/* What is put off is answered later; else it was not put off. */
static void check_deferred(struct world *w, unsigned m, uint16_t page)
{
	struct member *mb = &w->members[m];
	const bool waits = mb->memory.frames[page].asked_for;
	struct dsm_core_stats s;
	dsm_core_stats(mb->core, &s);
	mb->counts.deferred += waits;
	if (s.deferred != mb->counts.deferred_before + waits)
		world_fail(w, "I13", page, "m%u counts what it put off, or did not", m);
}

void count_handled(struct world *w, unsigned m, const struct letter *letter)
{
	struct member *mb = &w->members[m];
	if (letter->msg.type == PAGE_DROP)
		check_drop(w, m, letter->msg.requester.v, letter);
	if (page_type_class(letter->msg.type) == PAGE_CLASS_FORWARD && !mb->paused && !mb->ended)
		check_deferred(w, m, world_page(w, letter->msg.page));
}

void count_fault(struct world *w, unsigned m, const struct dsm_event *event)
{
	const uint16_t page = world_page(w, event->fault.page);
	if (page != WORLD_NO_PAGE)
		w->members[m].counts.spurious += thread_may(w, m, page, event->fault.write);
}

/* ---- effects ---- */

static const struct dsm_effect *neighbour(const struct member *mb, int step)
{
	const uint32_t at = mb->fx_next - 1 + (uint32_t)step;
	return at < mb->fx->n ? &mb->fx->v[at] : NULL;
}

static bool is_send(const struct dsm_effect *fx, uint8_t type, struct gpage page)
{
	return fx && fx->type == DSM_FX_SEND && fx->msg.type == type && fx->msg.page.v == page.v;
}

/* A page that came back to its home, or to its evictor, was not asked for. */
static bool came_back(const struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	const struct member *mb = &w->members[m];
	const struct cause *cause = &mb->cause;
	if (fx->writable || cause->type != DSM_EV_MSG || cause->page != page)
		return false;
	if (cause->msg_type == PAGE_PUT)
		return is_send(neighbour(mb, 1), PAGE_PUT_ACK, fx->page);
	return cause->msg_type == PAGE_PUT_ACK;
}

static void count_grant(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	struct counts *c = &w->members[m].counts;
	struct book *b = &w->books[page];
	const bool remote = b->remote & member_bit(m);
	if (fx->type == DSM_FX_MAP && came_back(w, m, page, fx))
		return;
	b->remote &= ~member_bit(m);
	if (fx->type == DSM_FX_MAP && !fx->writable)
		c->reads[remote]++;
	else
		c->writes[remote]++;
	c->upgrades[remote] += fx->type == DSM_FX_UNPROTECT;
}

/* Home may be on its way here; or it was here, and went later in the same step. */
static void drop_to_self(struct world *w, unsigned m)
{
	struct counts *c = &w->members[m].counts;
	c->evicted++;
	c->stale_version += !w->members[m].cause.at_home;
}

/* Why it goes, the next effect tells. */
static void count_unmap(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	struct member *mb = &w->members[m];
	const struct dsm_effect *next = neighbour(mb, 1);
	const bool discarded = mb->cause.discard == page;
	if (is_send(next, PAGE_ACK, fx->page)) {
		mb->counts.invalidated++;
		return;
	}
	if (is_send(next, PAGE_GRANT, fx->page))
		return;
	mb->counts.discarded += discarded;
	if (is_send(next, PAGE_PUT, fx->page) || is_send(next, PAGE_DROP, fx->page))
		mb->counts.evicted++;
	else if (!discarded) /* a copy of home's own: the DROP is not sent */
		drop_to_self(w, m);
}

/* Home's own grant, or the page of a holder? Zeros for a writer look the same. */
static bool is_served(const struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	const struct dsm_effect *last = neighbour(&w->members[m], -1);
	const uint8_t flags = fx->msg.flags;
	if (flags & PAGE_FLAG_DATA)
		return true;
	if (!(flags & PAGE_FLAG_ZERO))
		return false;
	if (!(flags & PAGE_FLAG_OWNER))
		return true;
	return flags & PAGE_FLAG_WRITE &&
	       (w->books[page].put & member_bit(m) ||
		(last && last->type == DSM_FX_UNMAP && last->page.v == fx->page.v));
}

static void count_send(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	struct counts *c = &w->members[m].counts;
	switch (fx->msg.type) {
	case PAGE_GET_S:
	case PAGE_GET_X:
	case PAGE_UPGRADE:
		if (fx->msg.requester.v == m)
			w->books[page].remote |= member_bit(m);
		break;
	case PAGE_PUT:
		w->books[page].put |= member_bit(m);
		break;
	case PAGE_GRANT:
		c->fetch_served += is_served(w, m, page, fx);
		if (fx->msg.flags & PAGE_FLAG_OWNER) /* nothing of it is left here */
			w->books[page].put &= ~member_bit(m);
		break;
	case PAGE_PUT_ACK:
		c->stale_version += (fx->msg.flags & PAGE_FLAG_OWNER) != 0;
		if (!(fx->msg.flags & PAGE_FLAG_OWNER)) /* nobody fetches it there any more */
			w->books[page].put &= ~member_bit(fx->to.v);
		break;
	case PAGE_HANDED:
		c->moved_out++;
		break;
	default:
		break;
	}
}

void count_effect(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	if (fx->type == DSM_FX_SEND)
		count_send(w, m, page, fx);
	else if (fx->type == DSM_FX_MAP || fx->type == DSM_FX_UNPROTECT)
		count_grant(w, m, page, fx);
	else if (fx->type == DSM_FX_UNMAP)
		count_unmap(w, m, page, fx);
	w->members[m].counts.whole += fx->type == DSM_FX_WHOLE;
	w->members[m].counts.split += fx->type == DSM_FX_SPLIT;
}

/* ---- at rest ---- */

static void same(struct world *w, unsigned m, const char *what, uint64_t says, uint64_t is)
{
	if (says != is)
		world_fail(w, "I13", -1, "m%u counted %" PRIu64 " %s, there were %" PRIu64, m, says,
			   what, is);
}

static void least(struct world *w, unsigned m, const char *what, uint64_t says, uint64_t is)
{
	if (says < is || says > UINT32_MAX)
		world_fail(w, "I13", -1, "m%u counted %" PRIu64 " %s, there were at least %" PRIu64,
			   m, says, what, is);
}

void count_check(struct world *w, unsigned m)
{
	const struct counts *c = &w->members[m].counts;
	struct dsm_core_stats s;
	dsm_core_stats(w->members[m].core, &s);
	same(w, m, "local reads", s.read_local, c->reads[0]);
	same(w, m, "remote reads", s.read_remote, c->reads[1]);
	same(w, m, "local writes", s.write_local + s.upgrade_local, c->writes[0]);
	same(w, m, "remote writes", s.write_remote + s.upgrade_remote, c->writes[1]);
	least(w, m, "local upgrades", s.upgrade_local, c->upgrades[0]);
	least(w, m, "remote upgrades", s.upgrade_remote, c->upgrades[1]);
	same(w, m, "spurious faults", s.spurious, c->spurious);
	same(w, m, "chunks taken whole", s.whole, c->whole);
	same(w, m, "chunks that were split", s.split, c->split);
	same(w, m, "fetches", s.fetch_served, c->fetch_served);
	same(w, m, "invalidations", s.invalidated, c->invalidated);
	least(w, m, "requests held back", s.deferred, c->deferred);
	least(w, m, "requests queued", s.queued, c->queued);
	same(w, m, "evictions", s.evicted, c->evicted);
	same(w, m, "discards", s.discarded, c->discarded);
	same(w, m, "redirects", s.redirected, c->redirected);
	same(w, m, "homes that came", s.moved_in, c->moved_in);
	same(w, m, "homes that went", s.moved_out, c->moved_out);
	same(w, m, "stale messages", s.stale_version, c->stale_version);
}
