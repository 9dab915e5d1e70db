/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/audit.h"

#include <inttypes.h>

#include "dsm/core/internal.h"
#include "tests/sim/world.h"

enum { WINDOWS_MAX = 12, ROUNDS_MAX = 64, US = 1000 };

static bool is_here(const struct dsm_core *core, const struct dsm_collection *c, unsigned i)
{
	const enum dsm_state state = dsm_holder_seen(core, (uint32_t)(c->page[i])).state;
	return c->write >> i & 1 ? state == DSM_M : state != DSM_I;
}

/* ---- R24, R25: what is put off ---- */

/* Until when a page may be kept from others at most. */
static uint64_t held_until(const struct world *w, const struct dsm_core *core, uint32_t page)
{
	const unsigned threads = DSM_ACQUIRES_MAX + core->threads;
	const uint32_t age =
		(uint32_t)(core->now / US) - dsm_holder_seen(core, (uint32_t)(page)).granted_us;
	uint64_t until = core->now;
	if (age < core->config.hold_us)
		until += (uint64_t)(core->config.hold_us - age) * US;
	for (unsigned i = 0; i < threads; i++) {
		if (i >= w->tuning.devices && i < DSM_ACQUIRES_MAX)
			continue; /* of devices the lowest places are in use */
		const struct dsm_collection *c = &core->collection[i];
		for (unsigned p = 0; p < c->prefix && c->state != COLLECTION_IDLE; p++)
			if (c->page[p] == page && c->until > until)
				until = c->until;
	}
	return until;
}

static void audit_deferred(struct world *w, unsigned m)
{
	const struct dsm_core *core = w->members[m].core;
	for (uint32_t i = 0; i < core->deferred_count; i++) {
		const struct dsm_deferred *d = &core->deferred[core->heap[i]];
		const struct dsm_deferred *above = &core->deferred[core->heap[i ? (i - 1) / 2 : 0]];
		const uint32_t page = (uint32_t)d->msg.page.v;
		if (d->place != i ||
		    dsm_holder_seen(core, (uint32_t)(page)).deferred != core->heap[i] + 1)
			world_fail(w, "I16", -1, "m%u loses a request it put off", m);
		else if (above->deadline > d->deadline)
			world_fail(w, "I16", -1, "m%u serves what it put off in the wrong order",
				   m);
		else if (d->deadline > held_until(w, core, page) + US) /* ages are whole us */
			world_fail(w, "I16", world_page(w, d->msg.page),
				   "m%u puts a request off for longer than it holds the page", m);
	}
}

/* ---- R26 .. R28: collections ---- */

/* The pages of a thread may still be held for the last window of another turn. */
static uint64_t longest_window(const struct world *w, const struct dsm_core *core,
			       const struct dsm_collection *c)
{
	const bool of_device = c < &core->collection[DSM_ACQUIRES_MAX];
	const uint64_t own = c->window << c->tries;
	const uint64_t last = of_device ? 0 : ROUNDS_MAX * tuning_patience(&w->tuning);
	return own > last ? own : last;
}

/* A request that was there before its page joined is served before the window is over: R25. It
 * keeps the page from joining. */
static void audit_joined(struct world *w, unsigned m, const struct dsm_collection *c)
{
	const struct dsm_core *core = w->members[m].core;
	for (unsigned i = 0; i < c->prefix && c->until > core->now; i++) {
		const uint16_t d = dsm_holder_seen(core, (uint32_t)(c->page[i])).deferred;
		if (d && core->deferred[d - 1].deadline < c->until)
			world_fail(w, "I16", -1, "m%u holds a page that has to leave first", m);
	}
}

/* The prefix ends where a page is missing, or has to leave first; the missing one was asked for. */
static void audit_wanting(struct world *w, unsigned m, const struct dsm_collection *c)
{
	const struct dsm_core *core = w->members[m].core;
	unsigned here = 0;
	while (here < c->pages && is_here(core, c, here) &&
	       (here < c->prefix || !dsm_holder_seen(core, (uint32_t)(c->page[here])).deferred))
		here++;
	const struct dsm_holder seen = dsm_holder_seen(core, c->page[here < c->pages ? here : 0]),
				*next = &seen;
	if (here == c->pages || here != c->prefix)
		world_fail(w, "I16", -1, "m%u holds %u pages of a set of %u, %u are here", m,
			   c->prefix, c->pages, here);
	else if (!is_here(core, c, here) && !next->txn && !next->backlog)
		world_fail(w, "I16", -1, "m%u collects a page, and does not ask for it", m);
	else if (!c->asked)
		world_fail(w, "I16", -1, "m%u asks for all pages of a set once more", m);
	else if (c->prefix && (!c->until || c->until > core->now + longest_window(w, core, c)))
		world_fail(w, "I16", -1, "m%u holds a prefix for longer than its window", m);
	else if (c->tries > WINDOWS_MAX)
		world_fail(w, "I16", -1, "a window of m%u grows for ever", m);
}

static void audit_complete(struct world *w, unsigned m, const struct dsm_collection *c)
{
	const struct dsm_core *core = w->members[m].core;
	const bool of_device = c < &core->collection[DSM_ACQUIRES_MAX]; /* others grow */
	if (c->until > core->now + c->last || (of_device && c->prefix != c->pages))
		world_fail(w, "I16", -1, "m%u holds a set for longer than its last window", m);
	for (unsigned i = 0; i < c->prefix && c->until > core->now; i++)
		if (!is_here(core, c, i))
			world_fail(w, "I16", -1, "m%u lost a page in its last window", m);
}

/* R27, R28 */
static void audit_windows(struct world *w, unsigned m, unsigned index)
{
	const struct dsm_core *core = w->members[m].core;
	const struct dsm_collection *c = &core->collection[index];
	const struct device *d = &w->members[m].devices[core->token[index] % DEVICES_MAX];
	const uint64_t last = w->tuning.acquire_us * (uint64_t)US;
	const uint64_t others = tuning_patience(&w->tuning) * c->pages;
	if (c->state == COLLECTION_IDLE || w->members[m].paused)
		return;
	if (c->pages != d->pages || c->write != (d->write ? (1u << d->pages) - 1 : 0))
		world_fail(w, "I16", -1, "m%u collects for a device what it did not ask for", m);
	if ((c->last != last || c->window != (last > others ? last : others)))
		world_fail(w, "I16", -1, "m%u does not hold a device's pages as long as it should",
			   m);
}

static void audit_collection(struct world *w, unsigned m, const struct dsm_collection *c)
{
	if (c->state != COLLECTION_IDLE)
		audit_joined(w, m, c);
	if (c->state != COLLECTION_IDLE && w->members[m].core->leave.state != LEAVE_NOT)
		world_fail(w, "I16", -1, "m%u leaves, and goes on collecting", m);
	if (c->state == COLLECTION_WANTS)
		audit_wanting(w, m, c);
	else if (c->state == COLLECTION_COMPLETE)
		audit_complete(w, m, c);
}

/* Of devices the lowest places are in use. */
static void audit_collections(struct world *w, unsigned m)
{
	const struct dsm_core *core = w->members[m].core;
	for (unsigned i = 0; i < w->tuning.devices; i++)
		audit_collection(w, m, &core->collection[i]);
	for (unsigned i = 0; i < w->tuning.devices; i++)
		audit_windows(w, m, i);
	for (unsigned i = 0; i < core->threads; i++)
		audit_collection(w, m, &core->collection[DSM_ACQUIRES_MAX + i]);
}

uint64_t audit_walked(const struct world *w, unsigned m)
{
	const struct dsm_leave *leave = &w->members[m].core->leave;
	return leave->page + leave->chunk;
}

/* A step looks at so many pages of its own accord, no more. */
void audit_walk(struct world *w, unsigned m, uint64_t from)
{
	const uint64_t to = audit_walked(w, m);
	if (to > from + DSM_CHUNK_PAGES)
		world_fail(w, "I14", -1, "m%u looks at %" PRIu64 " pages in one step", m,
			   to - from);
}

static struct {
	uint32_t page[DEVICES_MAX + DSM_THREADS_MAX];
	bool write[DEVICES_MAX + DSM_THREADS_MAX];
	unsigned n;
} awaited;

/* A window that is over keeps nobody waiting: then the prefix may end sooner. */
static void note_awaited(const struct world *w, const struct dsm_collection *c)
{
	if (c->state != COLLECTION_WANTS || c->prefix >= c->pages ||
	    (c->prefix && c->until <= w->now))
		return;
	awaited.write[awaited.n] = c->write >> c->prefix & 1;
	awaited.page[awaited.n++] = c->page[c->prefix];
}

void audit_awaits(const struct world *w, unsigned m)
{
	const struct dsm_core *core = w->members[m].core;
	awaited.n = 0;
	for (unsigned i = 0; i < w->tuning.devices; i++)
		note_awaited(w, &core->collection[i]);
	for (unsigned i = 0; i < core->threads; i++)
		note_awaited(w, &core->collection[DSM_ACQUIRES_MAX + i]);
}

/* Did the page come in this step, and go again? */
static bool passes(const struct dsm_effects *fx, uint32_t page, bool write)
{
	bool came = false;
	for (uint32_t i = 0; i < fx->n; i++) {
		const struct dsm_effect *e = &fx->v[i];
		if (e->page.v != page)
			continue;
		if (e->type == DSM_FX_UNPROTECT ||
		    (e->type == DSM_FX_MAP && (e->writable || !write)))
			came = true;
		else if (came && e->type == DSM_FX_UNMAP)
			return true;
	}
	return false;
}

/* R26: it joins the prefix before home hears of it. */
void audit_passed(struct world *w, unsigned m)
{
	const struct member *mb = &w->members[m];
	const bool granted = mb->cause.type == DSM_EV_MSG &&
			     (mb->cause.msg_type == PAGE_GRANT || mb->cause.msg_type == PAGE_ACK);
	if (!granted || mb->core->ending || mb->core->leave.state != LEAVE_NOT)
		return;
	for (unsigned i = 0; i < awaited.n; i++)
		if (passes(mb->fx, awaited.page[i], awaited.write[i]))
			world_fail(w, "I16", world_page(w, (struct gpage){awaited.page[i]}),
				   "m%u lets a page pass that it collects", m);
}

/* What a core says of its sets. */
static void audit_collects(struct world *w, unsigned m, uint16_t page)
{
	const struct dsm_core *core = w->members[m].core;
	bool any = false;
	for (unsigned i = 0; i < core->threads; i++) {
		const struct dsm_collection *c = &core->collection[DSM_ACQUIRES_MAX + i];
		const bool holds = c->state == COLLECTION_COMPLETE && c->until > core->now;
		for (unsigned p = 0; p < c->pages && (holds || c->state == COLLECTION_WANTS); p++)
			any |= c->page[p] == w->space_page[page];
	}
	if (dsm_core_collects(core, (struct gpage){w->space_page[page]}) != any)
		world_fail(w, "I16", page, "m%u does not know whether it collects the page", m);
}

void audit_step(struct world *w, unsigned m)
{
	const struct dsm_core *core = w->members[m].core;
	if (core->ending || core->ended)
		return;
	audit_deferred(w, m);
	if (!core->collections_dirty)
		audit_collections(w, m);
	if (w->members[m].n_touched)
		audit_collects(w, m, w->members[m].touched[0]);
	if (dsm_core_pending(core) != DSM_TXN_MAX - core->txn_free_count + core->backlog_count)
		world_fail(w, "I16", -1, "m%u does not know how much is pending", m);
	if (core->self_count || core->walked)
		world_fail(w, "I16", -1, "m%u leaves something undone", m);
}

/* ---- orders ---- */

bool audit_refuses(const struct world *w, unsigned m, const struct dsm_event *event)
{
	const struct dsm_core *core = w->members[m].core;
	if (core->ended || core->leave.state == LEAVE_LEFT)
		return false; /* it does not even count */
	if (core->leave.state != LEAVE_NOT || core->leaving)
		return true;
	if (event->type == DSM_EV_JOIN)
		return event->join.member.v >= core->config.members ||
		       core->known & member_bit(event->join.member.v);
	return core->unheard || !(core->present & ~member_bit(m));
}

bool audit_takes(const struct world *w, unsigned m, uint64_t page)
{
	const struct dsm_core *core = w->members[m].core;
	const uint64_t chunk = page / DSM_CHUNK_PAGES;
	if (!w->tuning.whole || dsm_map_home(core, (uint32_t)page).v != m ||
	    core->chunks[chunk].version || core->chunks[chunk].state != CHUNK_SETTLED ||
	    core->leave.state != LEAVE_NOT)
		return false;
	for (uint64_t p = chunk * DSM_CHUNK_PAGES;
	     p < (chunk + 1) * DSM_CHUNK_PAGES && p < w->space_pages; p++)
		if (dsm_home_seen(core, (uint32_t)p).used)
			return false;
	return true;
}

bool audit_moves(const struct world *w, unsigned m, const struct dsm_event *event)
{
	const struct dsm_core *core = w->members[m].core;
	const struct dsm_chunk *c = &core->chunks[event->move.page.v / DSM_CHUNK_PAGES];
	const dsm_set may = core->present & ~core->leaving & ~core->unheard & ~member_bit(m);
	return dsm_home_is_here(core, (uint32_t)event->move.page.v) && c->state == CHUNK_SETTLED &&
	       core->leave.state == LEAVE_NOT && may & member_bit(event->move.to.v);
}

void audit_moved(struct world *w, unsigned m, const struct dsm_event *event)
{
	const struct dsm_core *core = w->members[m].core;
	const struct dsm_chunk *c = &core->chunks[event->move.page.v / DSM_CHUNK_PAGES];
	const bool gone = c->home == event->move.to.v + 1;
	const bool goes =
		(c->state == CHUNK_MOVING || c->state == CHUNK_FROZEN) && c->to == event->move.to.v;
	if (!gone && !goes)
		world_fail(w, "I16", world_page(w, event->move.page),
			   "m%u does not move a home to m%u", m, event->move.to.v);
}

/* A set that is whole, or whose first pages are here, keeps them until its window is over. */
static bool is_collected(const struct dsm_core *core, uint64_t now, uint32_t page)
{
	for (unsigned i = 0; i < DSM_ACQUIRES_MAX + core->threads; i++) {
		const struct dsm_collection *c = &core->collection[i];
		for (unsigned p = 0; p < c->prefix && c->until > now; p++)
			if (c->page[p] == page && c->state != COLLECTION_IDLE)
				return true;
	}
	return false;
}

/* Whoever is home keeps what it owns, unless nobody wants the content; and while home waits for the
 * end of a transaction, or is only about to be home, it forgets nothing. */
bool audit_evicts(const struct world *w, unsigned m, const struct dsm_event *event)
{
	const struct dsm_core *core = w->members[m].core;
	const uint32_t page = (uint32_t)event->evict.page.v;
	const struct dsm_holder seen = dsm_holder_seen(core, page), *h = &seen;
	if (core->ended || core->leave.state != LEAVE_NOT || h->txn || h->backlog || h->deferred ||
	    is_collected(core, w->now, page))
		return false;
	if (h->state == DSM_S)
		return true;
	if (h->state == DSM_I)
		return false;
	if (dsm_map_home(core, page).v != m) /* what is sent is kept until it has arrived */
		return core->txn_free_count;
	return dsm_home_is_here(core, page) && event->evict.discard && h->state != DSM_O &&
	       !dsm_home_seen(core, (uint32_t)(page)).requester;
}

uint64_t audit_given_back(const struct world *w, unsigned m)
{
	struct dsm_core_stats s;
	dsm_core_stats(w->members[m].core, &s);
	return s.evicted + s.discarded;
}

void audit_evicted(struct world *w, unsigned m, uint16_t page, bool evicts, uint64_t before)
{
	if ((audit_given_back(w, m) != before) != evicts)
		world_fail(w, "I16", page, "m%u %s", m,
			   evicts ? "keeps a page it was asked to give back"
				  : "gives a page back that it has to keep");
}

/* ---- at rest ---- */

static void left_behind(struct world *w, unsigned m, const char *what, uint64_t n)
{
	if (n)
		world_fail(w, "I16", -1, "m%u left %s behind: %" PRIu64, m, what, n);
}

/* Entries of a pool that are neither free nor were never used. */
static uint64_t waiting_lost(const struct dsm_core *core)
{
	uint64_t free = 0;
	for (uint16_t i = core->waiting_free; i && free <= core->pool;
	     i = core->waiting[i - 1].next)
		free++;
	return core->waiting_fresh - free;
}

static uint64_t heap_lost(const struct dsm_core *core)
{
	uint64_t lost = 0;
	static bool seen[DSM_MEMBERS_MAX * DSM_TXN_MAX];
	for (uint32_t i = 0; i < core->pool; i++)
		seen[i] = false;
	for (uint32_t i = 0; i < core->pool; i++) {
		lost += core->heap[i] >= core->pool || seen[core->heap[i]];
		if (core->heap[i] < core->pool)
			seen[core->heap[i]] = true;
	}
	return lost;
}

static uint64_t transactions_lost(const struct dsm_core *core)
{
	bool free[DSM_TXN_MAX] = {false};
	uint64_t lost = DSM_TXN_MAX;
	for (unsigned i = 0; i < core->txn_free_count && i < DSM_TXN_MAX; i++) {
		lost -= !free[core->txn_free[i]];
		free[core->txn_free[i]] = true;
	}
	return lost;
}

static bool is_used(const struct dsm_home *e)
{
	return e->version | e->owner | e->requester || e->sharers;
}

/* A chunk's counters, and what a home that went has left. */
static void audit_chunk(struct world *w, unsigned m, uint16_t page)
{
	const struct dsm_core *core = w->members[m].core;
	const uint64_t chunk = w->space_page[page] / DSM_CHUNK_PAGES;
	const struct dsm_chunk *c = &core->chunks[chunk];
	const uint64_t end = (chunk + 1) * DSM_CHUNK_PAGES;
	uint64_t used = 0;
	for (uint64_t p = chunk * DSM_CHUNK_PAGES; p < end && p < core->config.pages; p++)
		used += dsm_home_seen(core, (uint32_t)(p)).used;
	if (c->entries != used || (used && !world_is_home(w, m, page)))
		world_fail(w, "I16", page, "m%u counts %u entries, %" PRIu64 " are used", m,
			   c->entries, used);
	left_behind(w, m, "transactions of a chunk", c->busy);
	left_behind(w, m, "requests of a chunk", c->waiting);
	if (c->state != CHUNK_SETTLED)
		world_fail(w, "I16", page, "m%u leaves a home in state %u", m, c->state);
	if (!world_is_home(w, m, page) && is_used(&core->homes[w->space_page[page]]))
		world_fail(w, "I16", page, "m%u leaves an entry where home was", m);
}

static void audit_page(struct world *w, unsigned m, uint16_t page)
{
	const struct dsm_core *core = w->members[m].core;
	const struct dsm_holder seen = dsm_holder_seen(core, (uint32_t)w->space_page[page]),
				*h = &seen;
	const struct dsm_home entry = dsm_home_seen(core, (uint32_t)w->space_page[page]),
			      *e = &entry;
	left_behind(w, m, "a mark of a page", h->txn | h->backlog | h->want_write | h->deferred);
	left_behind(w, m, "a queue", e->head | e->tail | e->queued);
}

/* R48, R50: all know alike who is there, and who was. One that comes is known before it begins. */
static void audit_members(struct world *w, unsigned m)
{
	const struct dsm_core *core = w->members[m].core;
	const dsm_set self = member_bit(m),
		      all = UINT64_MAX >> (DSM_MEMBERS_MAX - w->options->members);
	const dsm_set newcomer = w->newcomer ? member_bit(w->newcomer - 1u) : 0;
	const dsm_set there = all & ~(w->absent | w->left);
	if (core->gone != w->left || (core->present & ~newcomer) != there ||
	    (core->known & ~newcomer) != (there | w->left) || !(core->present & self))
		world_fail(w, "I16", -1, "m%u does not know who is there, and who left", m);
	for (dsm_set left = w->left; left; left &= left - 1) {
		const uint8_t heir = core->heir[__builtin_ctzll(left)];
		if (!heir || !(core->known & member_bit(heir - 1u)))
			world_fail(w, "I16", -1, "m%u does not know the heir of one that left", m);
	}
}

void audit_rest(struct world *w, unsigned m)
{
	const struct dsm_core *core = w->members[m].core;
	uint64_t waits = 0, serving = 0;
	for (unsigned i = 0; i < w->options->members; i++) {
		waits += core->waits[i];
		serving += core->serving[i];
	}
	left_behind(w, m, "requests that wait", waits + waiting_lost(core));
	left_behind(w, m, "transactions that it serves", serving);
	left_behind(w, m, "requests it put off", core->deferred_count + heap_lost(core));
	left_behind(w, m, "transactions of its own", transactions_lost(core));
	left_behind(w, m, "a backlog", core->backlog_head | core->backlog_tail);
	left_behind(w, m, "homes in line",
		    core->moving.head | core->moving.tail | core->opening.head |
			    core->opening.tail | core->opening_at | core->handover.active);
	left_behind(w, m, "members that it asks", core->fence | core->fenced | core->frozen);
	if (!(w->left & member_bit(m))) {
		left_behind(w, m, "members that leave",
			    core->unanswered | core->leaving | core->unheard);
		audit_members(w, m);
	}
	for (unsigned p = 0; p < w->options->pages && !w->failure.set; p++) {
		audit_page(w, m, (uint16_t)p);
		audit_chunk(w, m, (uint16_t)p);
	}
}
