/* SPDX-License-Identifier: Apache-2.0 */
/* Each function brings one kind of number of an image into its canonical form; why that is sound
 * stands in exhaust.h. */
#include "tests/sim/exhaust/model.h"

#include <string.h>

enum { US = 1000 };

/* ---- clocks ---- */

static uint64_t time_from_now(const struct exhaust *x, uint64_t now, uint64_t t)
{
	if (t == UINT64_MAX)
		return t;
	return EXHAUST_NOW + (t > now ? model_whole_time(x, t - now) : 0);
}

/* An age, cut at `most`. */
static uint64_t cut_age(const struct exhaust *x, uint64_t age, uint64_t most)
{
	if (x->options->sets) {
		age -= age % model_patience(x);
		most = model_whole_time(x, most);
	}
	return age < most ? age : most;
}

static uint64_t time_before_now(const struct exhaust *x, uint64_t now, uint64_t t, uint64_t most)
{
	return EXHAUST_NOW - cut_age(x, now - t, most);
}

static void clock_of_frame(const struct exhaust *x, struct frame *f, uint64_t now)
{
	const uint64_t hold = x->w->tuning.hold_us * (uint64_t)US;
	f->gained = time_before_now(x, now, f->gained, hold + 2 * US);
	if (f->hold_from)
		f->hold_from = time_before_now(x, now, f->hold_from, hold);
	if (!hold)
		f->hold_from = 0;
	/* Whether an eviction was asked for excuses what ends a hold early: one that is over needs
	 * no excuse. Nor does any where nothing is acquired. */
	if (!x->options->acquires && f->hold_from + hold <= EXHAUST_NOW)
		f->given_back = false;
}

static void clock_of_holder(const struct exhaust *x, struct dsm_holder *h, uint64_t now)
{
	const uint32_t hold = x->w->tuning.hold_us;
	const uint32_t age = (uint32_t)(now / US) - h->granted_us;
	h->granted_us = (uint32_t)(EXHAUST_NOW / US) -
			(uint32_t)(cut_age(x, age * (uint64_t)US, hold * (uint64_t)US) / US);
}

/* Was a page granted again since its thread last stalled? No more is asked of a stamp; 0 says yes.
 */
static void stamps(const struct exhaust *x, struct exhaust_member *m)
{
	const struct dsm_collection *c = &m->core.collection[DSM_ACQUIRES_MAX];
	struct dsm_thread *t = &m->core.thread[0];
	for (unsigned i = 0; i < c->pages; i++) {
		struct dsm_holder h = m->holder[model_page(x, c->page[i])];
		const bool same = t->seen[i] == h.granted_us;
		clock_of_holder(x, &h, m->now);
		t->seen[i] = same ? h.granted_us : 0;
	}
}

static void clock_of_thread(const struct exhaust *x, struct exhaust_member *m)
{
	struct dsm_collection *c = &m->core.collection[DSM_ACQUIRES_MAX];
	struct dsm_thread *t = &m->core.thread[0];
	if (t->id)
		t->last = EXHAUST_NOW; /* only asked for by who runs for long: exhaust.h */
	if (c->until)
		c->until = time_from_now(x, m->now, c->until);
	for (unsigned i = c->pages; i < DSM_ACQUIRE_PAGES_MAX; i++)
		c->page[i] = t->seen[i] = 0;
	bool woken = false;
	for (unsigned p = 0; p < x->pages; p++)
		woken |= m->need[p] >= AGAIN_READ;
	m->runs_at = woken ? time_from_now(x, m->now, m->runs_at) : 0;
	stamps(x, m);
}

static void clocks(const struct exhaust *x, struct exhaust_member *m)
{
	const uint64_t now = m->now;
	if (x->options->sets)
		clock_of_thread(x, m); /* before holders: it looks at them */
	m->core.now = EXHAUST_NOW;
	m->core.armed = time_from_now(x, now, m->core.armed);
	m->deadline = time_from_now(x, now, m->deadline);
	for (uint32_t i = 0; i < m->core.deferred_count; i++) {
		struct dsm_deferred *d = &m->deferred[m->heap[i]];
		d->deadline = time_from_now(x, now, d->deadline);
	}
	for (unsigned p = 0; p < x->pages; p++) {
		clock_of_holder(x, &m->holder[p], now);
		clock_of_frame(x, &m->frame[p], now);
	}
	struct dsm_collection *c = &m->core.collection[0];
	if (c->until)
		c->until = time_from_now(x, now, c->until);
	m->device.since = m->device.state == DEVICE_IDLE
				  ? 0
				  : time_before_now(x, now, m->device.since,
						    x->w->tuning.acquire_us * (uint64_t)US);
	m->now = EXHAUST_NOW;
}

/* ---- what nobody will read ---- */

static bool in_slot(const struct dsm_txn *t)
{
	return (t->state == TXN_GRANTED || t->state == TXN_PUT_HELD) && t->flags & PAGE_FLAG_DATA;
}

static bool is_put(const struct dsm_txn *t)
{
	return t->state == TXN_PUT_HELD || t->state == TXN_PUT_GONE;
}

/* Threads have no sets where devices acquire (R42): exhaust.c. */
static void dead_holder(struct exhaust_member *m, struct dsm_holder *h)
{
	h->lent = 0;
	if (h->state == DSM_I && !(h->txn && is_put(&m->core.txn[h->txn - 1])))
		h->version = 0;
	if (!h->backlog)
		h->next = 0;
}

static void dead_frame(struct frame *f)
{
	f->lent = false;
	if (!f->present)
		*f = (struct frame){.asked_for = f->asked_for};
}

/* A home may yet move from here, and not to the only other member: R32 asks who was granted to. */
static bool moves_away(const struct exhaust *x, const struct exhaust_member *m, unsigned self)
{
	if (x->options->leaves && x->members > 2)
		return true;
	for (unsigned p = 0; p < x->pages && x->members > 2; p++) {
		const struct dsm_chunk *c = &m->chunk[p];
		const unsigned back = c->home != self + 1; /* it has to come here before */
		if (c->state == CHUNK_MOVING || c->state == CHUNK_FROZEN ||
		    c->version + back < x->options->moves)
			return true;
	}
	return false;
}

static void dead_parts(const struct exhaust *x, struct exhaust_member *m, unsigned self)
{
	m->core.blame.v = 0;
	m->core.self_first = 0;
	m->core.unfenced = moves_away(x, m, self) ? m->core.unfenced & ~member_bit(self) : 0;
	for (unsigned p = 0; p < x->pages; p++) {
		struct dsm_txn *t = &m->core.txn[p];
		if (t->state == TXN_FREE)
			*t = (struct dsm_txn){0};
		if (t->state != TXN_ASKED)
			t->map = 0;
		if (!in_slot(t))
			m->slot[p] = (struct slot){0};
		dead_holder(m, &m->holder[p]);
		dead_frame(&m->frame[p]);
		if (!m->home[p].requester)
			m->home[p].txn = 0;
	}
	if (m->device.state == DEVICE_IDLE)
		m->device = (struct device){.token = m->device.token};
	if (m->core.collection[0].state == COLLECTION_IDLE)
		m->core.collection[0] = (struct dsm_collection){0};
	for (unsigned i = m->proofs; i < DSM_PROOFS_MAX; i++)
		m->proof[i] = (struct dsm_proof){0};
}

/* ---- where homes are ---- */

/* Said in words where a core means "where it was at first". */
static void homes_in_words(const struct exhaust *x, struct exhaust_member *m)
{
	for (unsigned p = 0; p < x->pages; p++)
		if (!m->chunk[p].home)
			m->chunk[p].home =
				(uint8_t)(x->w->space_page[p] / DSM_CHUNK_PAGES % x->w->founders +
					  1);
}

/* Of a core that has ended: home is here, or is not. */
static struct dsm_chunk end_chunk(const struct dsm_chunk *c, unsigned m)
{
	const bool here = c->home == m + 1 && c->state != CHUNK_COMING;
	return (struct dsm_chunk){.home = (uint8_t)(m + 1),
				  .state = here ? CHUNK_SETTLED : CHUNK_COMING};
}

/* A core that has ended does nothing any more; what its memory maps still counts (I1), and that
 * nobody else is home (I7). */
static void end_member(const struct exhaust *x, struct exhaust_member *m, unsigned self)
{
	struct dsm_chunk chunk[EXHAUST_PAGES_MAX] = {0};
	struct frame frame[EXHAUST_PAGES_MAX] = {0};
	const bool dead = m->dead, ended = m->ended;
	const uint8_t change = m->change;
	for (unsigned p = 0; p < x->pages; p++)
		chunk[p] = end_chunk(&m->chunk[p], self);
	for (unsigned p = 0; p < x->pages && !dead; p++)
		frame[p] = (struct frame){.value = m->frame[p].present ? m->frame[p].value : 0,
					  .present = m->frame[p].present,
					  .writable = m->frame[p].writable};
	pack_core_clear(x, &m->core);
	memset(m->waiting, 0, sizeof(*m) - offsetof(struct exhaust_member, waiting));
	memcpy(m->chunk, chunk, x->pages * sizeof(chunk[0]));
	memcpy(m->frame, frame, x->pages * sizeof(frame[0]));
	m->now = EXHAUST_NOW;
	m->dead = dead;
	m->ended = ended;
	m->change = change;
	m->core.ended = true;
}

/* ---- contents ---- */

static uint64_t content(uint64_t value, uint64_t last)
{
	return !value ? CONTENT_ZERO : value == last ? CONTENT_LAST : CONTENT_OLD;
}

static void contents_of_member(const struct exhaust *x, const struct exhaust_image *i,
			       struct exhaust_member *m)
{
	for (unsigned p = 0; p < x->pages; p++) {
		m->frame[p].value = content(m->frame[p].value, i->page[p].last_write);
		m->frame[p].came =
			m->frame[p].watched ? content(m->frame[p].came, i->page[p].last_write) : 0;
		if (m->slot[p].filled)
			m->slot[p].value =
				content(m->slot[p].value, i->page[m->slot[p].page].last_write);
	}
}

/* ---- every letter, and every message that waits at a holder ---- */

typedef void letter_fn(const struct exhaust *x, struct exhaust_image *i, struct dsm_msg *m,
		       void *arg);

static void each_letter(const struct exhaust *x, struct exhaust_image *i, letter_fn *fn, void *arg)
{
	for (unsigned m = 0; m < x->members; m++)
		for (uint32_t d = 0; d < i->member[m].core.deferred_count; d++)
			fn(x, i, &i->member[m].deferred[i->member[m].heap[d]].msg, arg);
	for (unsigned from = 0; from < x->members; from++)
		for (unsigned to = 0; to < x->members; to++)
			for (unsigned n = 0; n < i->letters[from][to]; n++)
				fn(x, i, &i->letter[from][to][n].msg, arg);
}

static void contents(const struct exhaust *x, struct exhaust_image *i)
{
	for (unsigned m = 0; m < x->members; m++)
		contents_of_member(x, i, &i->member[m]);
	for (unsigned from = 0; from < x->members; from++)
		for (unsigned to = 0; to < x->members; to++)
			for (unsigned n = 0; n < i->letters[from][to]; n++) {
				struct letter *l = &i->letter[from][to][n];
				const unsigned p = model_page(x, l->msg.page.v);
				l->data = l->msg.flags & PAGE_FLAG_DATA
						  ? content(l->data, i->page[p].last_write)
						  : 0;
			}
	for (unsigned p = 0; p < x->pages; p++)
		i->page[p].last_write = i->page[p].last_write ? CONTENT_LAST : CONTENT_ZERO;
}

/* ---- versions ---- */

enum { VERSIONS_MAX = 256 };

/* Where the versions of one page, or of the map of one chunk, are. */
struct versions {
	unsigned page;
	uint32_t chunk;
	uint32_t *at[VERSIONS_MAX];
	unsigned n;
};

static void version_at(struct versions *v, uint32_t *at)
{
	if (v->n < VERSIONS_MAX)
		v->at[v->n++] = at;
}

/* Nobody looks at the version of the others. */
static bool version_counts(int type)
{
	return type == PAGE_PUT || type == PAGE_GRANT || type == PAGE_FETCH_S ||
	       type == PAGE_FETCH_X || type == PAGE_INVALIDATE || type == PAGE_HAND;
}

static void version_of_letter(const struct exhaust *x, struct exhaust_image *i, struct dsm_msg *m,
			      void *arg)
{
	struct versions *v = arg;
	(void)i;
	if (!version_counts(m->type))
		m->version = 0;
	else if (model_page(x, m->page.v) == v->page)
		version_at(v, &m->version);
}

static void versions_of_member(struct versions *v, struct exhaust_member *m)
{
	struct dsm_holder *h = &m->holder[v->page];
	struct dsm_txn *t = h->txn ? &m->core.txn[h->txn - 1] : NULL;
	if (h->state != DSM_I || (t && is_put(t)))
		version_at(v, &h->version);
	if (t && t->state == TXN_ASKED)
		t->version = 0;
	else if (t)
		version_at(v, &t->version);
}

static void sort(uint32_t *value, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned k = i; k && value[k - 1] > value[k]; k--) {
			const uint32_t swap = value[k];
			value[k] = value[k - 1];
			value[k - 1] = swap;
		}
}

/* In their order, from 0. Equal ones stay equal; gaps are cut at `most`. */
static void close_gaps(struct versions *v, uint32_t most)
{
	uint32_t old[VERSIONS_MAX], new[VERSIONS_MAX];
	for (unsigned i = 0; i < v->n; i++)
		old[i] = *v->at[i];
	sort(old, v->n);
	for (unsigned i = 0; i < v->n; i++) {
		const uint32_t gap = i ? old[i] - old[i - 1] : 0;
		new[i] = i ? new[i - 1] + (gap < most ? gap : most) : 0;
	}
	for (unsigned i = 0; i < v->n; i++) {
		unsigned k = 0;
		while (old[k] != *v->at[i])
			k++;
		*v->at[i] = new[k];
	}
}

/* A member that is home, or got the entry and is about to be. */
static bool has_entry(const struct exhaust_image *i, unsigned m, unsigned p)
{
	const struct dsm_chunk *c = &i->member[m].chunk[p];
	if (i->member[m].dead || i->member[m].ended || c->home != m + 1)
		return false;
	return c->state != CHUNK_COMING || i->member[m].home[p].used;
}

/* Where a home that knew is lost, versions may go back: the space ends. Where homes move, the lost
 * one may be any. */
static void versions_of_homes(const struct exhaust *x, struct exhaust_image *i, struct versions *v)
{
	const unsigned p = v->page;
	bool lost = false;
	for (unsigned m = 0; m < x->members; m++) {
		lost |= i->member[m].dead || i->member[m].ended;
		if (has_entry(i, m, p))
			version_at(v, &i->member[m].home[p].version);
	}
	if (lost && (!v->n || homes_move(x))) {
		i->page[p].version = 0;
		i->page[p].version_known = false;
	} else if (i->page[p].version_known) {
		version_at(v, &i->page[p].version);
	}
}

static void versions(const struct exhaust *x, struct exhaust_image *i)
{
	struct versions v;
	for (unsigned p = 0; p < x->pages; p++) {
		v.page = p;
		v.n = 0;
		versions_of_homes(x, i, &v);
		for (unsigned m = 0; m < x->members; m++)
			versions_of_member(&v, &i->member[m]);
		each_letter(x, i, version_of_letter, &v);
		close_gaps(&v, 2);
	}
}

/* ---- versions of the map of homes ---- */

static void map_of_letter(const struct exhaust *x, struct exhaust_image *i, struct dsm_msg *m,
			  void *arg)
{
	struct versions *v = arg;
	(void)x;
	(void)i;
	if (m->type == PAGE_ACK || m->type == PAGE_UNBLOCK || m->type == PAGE_MEMBER_LOST ||
	    (m->type >= PAGE_LEAVE && m->type != PAGE_TELL))
		m->map = 0; /* nobody looks at it */
	else if (m->page.v / DSM_CHUNK_PAGES == v->chunk)
		version_at(v, &m->map);
}

static void maps_of_member(const struct exhaust *x, struct versions *v, struct exhaust_member *m)
{
	for (unsigned p = 0; p < x->pages; p++) {
		struct dsm_txn *t = &m->core.txn[p];
		if (x->w->space_page[p] / DSM_CHUNK_PAGES == v->chunk)
			version_at(v, &m->chunk[p].version);
		if (t->state == TXN_ASKED && t->page / DSM_CHUNK_PAGES == v->chunk)
			version_at(v, &t->map);
	}
}

static void maps(const struct exhaust *x, struct exhaust_image *i)
{
	struct versions v;
	for (unsigned p = 0; p < x->pages; p++) {
		v.chunk = (uint32_t)(x->w->space_page[p] / DSM_CHUNK_PAGES);
		v.n = 0;
		for (unsigned m = 0; m < x->members; m++)
			if (!i->member[m].dead && !i->member[m].ended)
				maps_of_member(x, &v, &i->member[m]);
		each_letter(x, i, map_of_letter, &v);
		if (x->options->moves == OPTIONS_ANY)
			close_gaps(&v, 1);
	}
}

void canon_base(const struct exhaust *x, struct exhaust_image *i)
{
	for (unsigned m = 0; m < x->members; m++) {
		if (i->member[m].change & CHANGE_ABSENT)
			continue;
		homes_in_words(x, &i->member[m]);
		if (i->member[m].dead || i->member[m].ended) {
			end_member(x, &i->member[m], m);
			continue;
		}
		dead_parts(x, &i->member[m], m);
		clocks(x, &i->member[m]);
	}
	contents(x, i);
	versions(x, i);
	maps(x, i);
}

/* ---- indices ---- */

/* The transaction of page p gets index p, and its slot with it. */
static void transactions(const struct exhaust *x, struct exhaust_member *m)
{
	struct dsm_txn txn[EXHAUST_PAGES_MAX] = {0};
	struct slot slot[EXHAUST_PAGES_MAX] = {0};
	bool used[EXHAUST_PAGES_MAX] = {false};
	for (unsigned p = 0; p < x->pages; p++) {
		struct dsm_holder *h = &m->holder[p];
		if (!h->txn)
			continue;
		txn[p] = m->core.txn[h->txn - 1];
		slot[p] = m->slot[h->txn - 1];
		h->txn = (uint8_t)(p + 1);
		used[p] = true;
	}
	memcpy(m->core.txn, txn, x->pages * sizeof(txn[0]));
	memcpy(m->slot, slot, x->pages * sizeof(slot[0]));
	uint8_t n = (uint8_t)(DSM_TXN_MAX - x->pages); /* below them, the others: as ever */
	for (int i = (int)x->pages - 1; i >= 0; i--)
		if (!used[i])
			m->core.txn_free[n++] = (uint8_t)i;
	memset(m->core.txn_free + n, 0, (size_t)DSM_TXN_MAX - n);
	m->core.txn_free_count = n;
}

/* Requests that wait at home: in the order of their queues. */
static void waiting(const struct exhaust *x, struct exhaust_member *m)
{
	struct dsm_waiting old[EXHAUST_WAITING_MAX];
	uint16_t n = 0;
	const size_t bytes = (size_t)x->members * x->pages * sizeof(old[0]);
	memcpy(old, m->waiting, bytes);
	memset(m->waiting, 0, bytes);
	for (unsigned p = 0; p < x->pages; p++) {
		struct dsm_home *e = &m->home[p];
		uint16_t next = e->head;
		if (!next)
			continue;
		e->head = n + 1;
		while (next) {
			m->waiting[n] = old[next - 1];
			next = old[next - 1].next;
			m->waiting[n].next = next ? n + 2 : 0;
			n++;
		}
		e->tail = n;
	}
	m->core.waiting_free = 0;
	m->core.waiting_fresh = n;
}

/* Requests held back: in the order of the heap. */
static void held_back(const struct exhaust *x, struct exhaust_member *m)
{
	struct dsm_deferred old[EXHAUST_PAGES_MAX];
	memcpy(old, m->deferred, x->pages * sizeof(old[0]));
	memset(m->deferred, 0, x->pages * sizeof(old[0]));
	for (uint16_t i = 0; i < x->pages; i++) {
		if (i < m->core.deferred_count) {
			m->deferred[i] = old[m->heap[i]];
			m->deferred[i].place = i;
			m->holder[model_page(x, m->deferred[i].msg.page.v)].deferred = i + 1;
		}
		m->heap[i] = i;
	}
}

/* ---- numbers of transactions ---- */

enum { IDS_MAX = 64 };

struct ids {
	uint32_t old[EXHAUST_MEMBERS_MAX][IDS_MAX];
	uint8_t n[EXHAUST_MEMBERS_MAX];
};

static void new_id(struct ids *ids, unsigned requester, uint32_t *id)
{
	uint32_t *old = ids->old[requester];
	unsigned i = 0;
	while (i < ids->n[requester] && old[i] != *id)
		i++;
	if (i == ids->n[requester] && i < IDS_MAX)
		old[ids->n[requester]++] = *id;
	*id = i + 1;
}

static void id_of_letter(const struct exhaust *x, struct exhaust_image *i, struct dsm_msg *m,
			 void *arg)
{
	(void)i;
	if (m->type == PAGE_DROP || m->type == PAGE_HAND || m->type == PAGE_HANDED ||
	    m->type == PAGE_MEMBER_LOST || m->type >= PAGE_LEAVE)
		m->txn = 0;
	else if (m->requester.v < x->members)
		new_id(arg, m->requester.v, &m->txn);
}

static void ids_of_homes(const struct exhaust *x, struct exhaust_member *m, struct ids *ids)
{
	for (unsigned p = 0; p < x->pages; p++) {
		struct dsm_home *e = &m->home[p];
		if (e->requester)
			new_id(ids, e->requester - 1, &e->txn);
		for (uint16_t w = e->head; w; w = m->waiting[w - 1].next)
			new_id(ids, m->waiting[w - 1].requester, &m->waiting[w - 1].txn);
	}
}

static void numbers(const struct exhaust *x, struct exhaust_image *i)
{
	struct ids ids;
	memset(ids.n, 0, sizeof(ids.n));
	for (unsigned m = 0; m < x->members; m++)
		for (unsigned p = 0; p < x->pages; p++)
			if (i->member[m].holder[p].txn)
				new_id(&ids, m, &i->member[m].core.txn[p].id);
	for (unsigned m = 0; m < x->members; m++)
		ids_of_homes(x, &i->member[m], &ids);
	each_letter(x, i, id_of_letter, &ids);
	for (unsigned m = 0; m < x->members; m++)
		i->member[m].core.txn_next_id =
			i->member[m].dead || i->member[m].ended ? 0 : ids.n[m];
}

void canon_order(const struct exhaust *x, struct exhaust_image *i)
{
	for (unsigned m = 0; m < x->members; m++) {
		if (i->member[m].change & CHANGE_ABSENT)
			continue;
		transactions(x, &i->member[m]);
		waiting(x, &i->member[m]);
		held_back(x, &i->member[m]);
	}
	numbers(x, i);
}
