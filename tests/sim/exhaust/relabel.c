/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symmetry. Members and pages have no properties but one: where the home of a page is. A renaming
 * that keeps it leads from a state of the rack to one that behaves the same under other names.
 */
#include "tests/sim/exhaust/model.h"

#include <string.h>

/* ---- renaming ---- */

static dsm_set set_of(const struct exhaust *x, const struct symmetry *s, dsm_set set)
{
	dsm_set out = 0;
	for (unsigned m = 0; m < x->members; m++)
		if (set & member_bit(m))
			out |= member_bit(s->member[m]);
	return out;
}

/* Member + 1, as the core keeps them; 0 is nobody. */
static uint8_t member_plus_one(const struct symmetry *s, uint8_t m)
{
	return m ? (uint8_t)(s->member[m - 1] + 1) : 0;
}

static uint32_t space_page(const struct exhaust *x, const struct symmetry *s, uint64_t page)
{
	return (uint32_t)x->w->space_page[s->page[model_page(x, page)]];
}

/* Page + 1; 0 is none. */
static uint32_t page_plus_one(const struct exhaust *x, const struct symmetry *s, uint32_t page)
{
	return page ? space_page(x, s, page - 1) + 1 : 0;
}

/* Chunk + 1, as lines of chunks keep them; 0 is none. */
static uint32_t chunk_plus_one(const struct exhaust *x, const struct symmetry *s, uint32_t chunk)
{
	for (unsigned p = 0; chunk && p < x->pages; p++)
		if (x->w->space_page[p] / DSM_CHUNK_PAGES == chunk - 1)
			return (uint32_t)(x->w->space_page[s->page[p]] / DSM_CHUNK_PAGES) + 1;
	return 0;
}

static void relabel_line(const struct exhaust *x, const struct symmetry *s, struct dsm_line *line)
{
	line->head = chunk_plus_one(x, s, line->head);
	line->tail = chunk_plus_one(x, s, line->tail);
}

static void relabel_chunk(const struct exhaust *x, const struct symmetry *s, struct dsm_chunk *c)
{
	c->next = chunk_plus_one(x, s, c->next);
	c->home = member_plus_one(s, c->home);
	c->giver = member_plus_one(s, c->giver);
	if (c->state == CHUNK_MOVING || c->state == CHUNK_FROZEN)
		c->to = s->member[c->to];
}

static bool names_home(int type)
{
	return type == PAGE_GRANT || type == PAGE_PUT_ACK || type == PAGE_REDIRECT ||
	       page_type_class(type) == PAGE_CLASS_FORWARD;
}

static void relabel_msg(const struct exhaust *x, const struct symmetry *s, struct dsm_msg *m)
{
	if (m->requester.v < x->members)
		m->requester.v = s->member[m->requester.v];
	if (names_home(m->type) || (m->type == PAGE_HAND && m->member.v < x->members))
		m->member.v = s->member[m->member.v];
	m->sharers = set_of(x, s, m->sharers);
	if (m->type == PAGE_HANDED)
		m->page.v = (uint64_t)(chunk_plus_one(x, s,
						      (uint32_t)(m->page.v / DSM_CHUNK_PAGES) + 1) -
				       1) *
			    DSM_CHUNK_PAGES;
	else if (m->type != PAGE_MEMBER_LOST && m->type != PAGE_FENCE && m->type != PAGE_FENCE_ACK)
		m->page.v = space_page(x, s, m->page.v);
}

static void relabel_core(const struct exhaust *x, const struct symmetry *s, struct dsm_core *core)
{
	uint8_t waits[EXHAUST_MEMBERS_MAX];
	uint32_t serving[EXHAUST_MEMBERS_MAX];
	memcpy(waits, core->waits, sizeof(waits));
	memcpy(serving, core->serving, sizeof(serving));
	for (unsigned m = 0; m < x->members; m++) {
		core->waits[s->member[m]] = waits[m];
		core->serving[s->member[m]] = serving[m];
	}
	for (unsigned i = 0; i < x->pages; i++) {
		struct dsm_txn *t = &core->txn[i];
		if (t->state == TXN_FREE)
			continue;
		t->acked = set_of(x, s, t->acked);
		t->page = space_page(x, s, t->page);
		t->home.v = s->member[t->home.v];
	}
	core->backlog_head = page_plus_one(x, s, core->backlog_head);
	core->backlog_tail = page_plus_one(x, s, core->backlog_tail);
	relabel_line(x, s, &core->moving);
	relabel_line(x, s, &core->opening);
	core->unfenced = set_of(x, s, core->unfenced);
	core->fence = set_of(x, s, core->fence);
	core->fenced = chunk_plus_one(x, s, core->fenced);
	if (core->handover.active)
		core->handover.to.v = s->member[core->handover.to.v];
	/* The pages of a collection stay, and a home that moves hands them over in their order:
	 * keeps_homes lets pages keep their names then. */
}

static void relabel_page(const struct exhaust *x, const struct symmetry *s, unsigned p,
			 const struct exhaust_member *from, struct exhaust_member *to)
{
	const unsigned q = s->page[p];
	to->holder[q] = from->holder[p];
	to->holder[q].next = page_plus_one(x, s, from->holder[p].next);
	to->home[q] = from->home[p];
	to->home[q].sharers = set_of(x, s, from->home[p].sharers);
	to->home[q].owner = member_plus_one(s, from->home[p].owner);
	to->home[q].requester = member_plus_one(s, from->home[p].requester);
	to->chunk[q] = from->chunk[p];
	relabel_chunk(x, s, &to->chunk[q]);
	to->frame[q] = from->frame[p];
	to->need[q] = from->need[p];
	to->slot[p] = from->slot[p]; /* by transaction; canon_order moves it */
	if (to->slot[p].filled)
		to->slot[p].page = s->page[to->slot[p].page];
}

static void relabel_member(const struct exhaust *x, const struct symmetry *s,
			   const struct exhaust_member *from, struct exhaust_member *to)
{
	pack_core(x, &to->core, &from->core);
	memcpy(to->waiting, from->waiting, (size_t)x->members * x->pages * sizeof(to->waiting[0]));
	memcpy(to->deferred, from->deferred, x->pages * sizeof(to->deferred[0]));
	memcpy(to->heap, from->heap, x->pages * sizeof(to->heap[0]));
	to->device = from->device;
	for (unsigned i = 0; i < DSM_PROOFS_MAX; i++) {
		to->proof[i] = from->proof[i];
		if (i < from->proofs)
			to->proof[i].page.v = space_page(x, s, from->proof[i].page.v);
	}
	to->proofs = from->proofs;
	to->now = from->now;
	to->runs_at = from->runs_at;
	to->deadline = from->deadline;
	to->dead = from->dead;
	to->ended = from->ended;
	relabel_core(x, s, &to->core);
	for (unsigned p = 0; p < x->pages; p++)
		relabel_page(x, s, p, from, to);
	for (unsigned i = 0; i < x->pages * x->members; i++)
		if (to->waiting[i].type) /* zero: not in use */
			to->waiting[i].requester = s->member[to->waiting[i].requester];
	for (uint32_t i = 0; i < to->core.deferred_count; i++)
		relabel_msg(x, s, &to->deferred[to->heap[i]].msg);
}

static void relabel_letters(const struct exhaust *x, const struct symmetry *s, unsigned from,
			    unsigned to, const struct exhaust_image *old, struct exhaust_image *new)
{
	const unsigned f = s->member[from], t = s->member[to];
	new->letters[f][t] = old->letters[from][to];
	for (unsigned i = 0; i < old->letters[from][to]; i++) {
		new->letter[f][t][i] = old->letter[from][to][i];
		relabel_msg(x, s, &new->letter[f][t][i].msg);
	}
}

void relabel(const struct exhaust *x, const struct symmetry *s, const struct exhaust_image *from,
	     struct exhaust_image *to)
{
	for (unsigned m = 0; m < x->members; m++) {
		relabel_member(x, s, &from->member[m], &to->member[s->member[m]]);
		for (unsigned other = 0; other < x->members; other++)
			relabel_letters(x, s, m, other, from, to);
	}
	for (unsigned p = 0; p < x->pages; p++)
		to->page[s->page[p]] = from->page[p];
}

struct move relabel_move(const struct symmetry *s, struct move mv)
{
	mv.member = s->member[mv.member];
	if (move_kinds[mv.kind].each_other)
		mv.other = s->member[mv.other];
	if (move_kinds[mv.kind].each_page)
		mv.page = s->page[mv.page];
	return mv;
}

struct symmetry symmetry_inverse(const struct exhaust *x, const struct symmetry *s)
{
	struct symmetry out = {0};
	for (unsigned m = 0; m < x->members; m++)
		out.member[s->member[m]] = (uint8_t)m;
	for (unsigned p = 0; p < x->pages; p++)
		out.page[s->page[p]] = (uint8_t)p;
	return out;
}

/* ---- which renamings there are ---- */

/* The next permutation in dictionary order; false: that was the last. */
static bool next_permutation(uint8_t *v, unsigned n)
{
	unsigned i = n;
	while (i > 1 && v[i - 2] >= v[i - 1])
		i--;
	if (i < 2)
		return false;
	unsigned k = n - 1;
	while (v[k] <= v[i - 2])
		k--;
	const uint8_t swap = v[k];
	v[k] = v[i - 2];
	v[i - 2] = swap;
	for (unsigned a = i - 1, b = n - 1; a < b; a++, b--) {
		const uint8_t other = v[a];
		v[a] = v[b];
		v[b] = other;
	}
	return true;
}

static bool changes_nothing(const struct exhaust *x, const struct symmetry *s)
{
	for (unsigned m = 0; m < x->members; m++)
		if (s->member[m] != m)
			return false;
	for (unsigned p = 0; p < x->pages; p++)
		if (s->page[p] != p)
			return false;
	return true;
}

static bool keeps_homes(const struct exhaust *x, const struct symmetry *s)
{
	if (members_change(x)) /* heirs are found by number, founders are the first */
		return changes_nothing(x, s);
	for (unsigned p = 0; p < x->pages; p++) {
		if (!x->options->moves &&
		    s->member[x->w->books[p].home] != x->w->books[s->page[p]].home)
			return false;
		if ((x->options->acquires || x->options->moves || x->options->sets) &&
		    s->page[p] != p)
			return false;
	}
	return true;
}

static void first_permutation(uint8_t *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		v[i] = (uint8_t)i;
}

void symmetries_find(struct exhaust *x)
{
	struct symmetry s = {0};
	x->symmetries = 0;
	first_permutation(s.member, x->members);
	do {
		first_permutation(s.page, x->pages);
		do {
			if (keeps_homes(x, &s) && x->symmetries < EXHAUST_SYMMETRIES_MAX)
				x->symmetry[x->symmetries++] = s;
		} while (next_permutation(s.page, x->pages));
	} while (next_permutation(s.member, x->members));
}

/* ---- the canonical form ---- */

enum { NO_ANCHOR = EXHAUST_MEMBERS_MAX };

/* Where homes move: the home of the first page by the newest map that a living member has. It gets
 * the number 0 in every form that is compared, which spares most renamings. */
static unsigned find_anchor(const struct exhaust *x, const struct exhaust_image *i)
{
	const struct dsm_chunk *newest = NULL;
	for (unsigned m = 0; x->symmetries > 1 && x->options->moves && m < x->members; m++) {
		const struct dsm_chunk *c = &i->member[m].chunk[0];
		if (i->member[m].dead || i->member[m].ended)
			continue;
		if (newest && newest->version == c->version && newest->home != c->home)
			return NO_ANCHOR; /* two homes; the names may not choose between them */
		if (!newest || c->version > newest->version)
			newest = c;
	}
	return newest ? newest->home - 1u : NO_ANCHOR;
}

/* ---- which of them are compared ----
 *
 * A signature is a number of a member, or of a page, that depends on the state and on no name. Only
 * renamings are compared that bring signatures into the least order: which forms those lead to does
 * not depend on names either. Mostly that is one. A signature that says little costs time, no more;
 * one that depends on a name is found by check_reductions. */

struct signatures {
	uint64_t member[EXHAUST_MEMBERS_MAX], page[EXHAUST_PAGES_MAX];
};

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

/* A member and a page. */
static uint64_t sign_holder(const struct exhaust_member *m, unsigned p)
{
	const struct dsm_holder *h = &m->holder[p];
	const struct frame *f = &m->frame[p];
	uint64_t sign =
		mix(h->granted_us, (uint64_t)h->version << 32 | (uint64_t)h->state << 8 |
					   (uint64_t)h->zero << 12 | (uint64_t)h->want_write << 13 |
					   (uint64_t)h->backlog << 14 |
					   (uint64_t)(h->deferred != 0) << 15 | m->need[p]);
	sign = mix(sign, f->value << 8 | f->came << 12 | (uint64_t)f->present |
				 (uint64_t)f->asked_for << 2 | (uint64_t)f->given_back << 3 |
				 (uint64_t)f->watched << 4);
	if (h->txn) {
		const struct dsm_txn *t = &m->core.txn[h->txn - 1];
		sign = mix(sign, (uint64_t)t->state | (uint64_t)t->type << 8 |
					 (uint64_t)t->flags << 16 | (uint64_t)t->acks << 24 |
					 (uint64_t)t->version << 32);
	}
	return sign;
}

/* What a home says of a member. */
static uint64_t sign_entry(const struct dsm_home *e, unsigned m)
{
	return (uint64_t)(e->owner == m + 1) | (uint64_t)(e->requester == m + 1) << 1 |
	       (e->sharers >> m & 1) << 2;
}

static uint64_t sign_letters(const struct exhaust_image *i, unsigned from, unsigned to)
{
	uint64_t sign = i->letters[from][to];
	for (unsigned n = 0; n < i->letters[from][to]; n++)
		sign = mix(sign, i->letter[from][to][n].msg.type);
	return sign;
}

static void sign(const struct exhaust *x, const struct exhaust_image *i, struct signatures *out)
{
	*out = (struct signatures){0};
	for (unsigned m = 0; m < x->members; m++) {
		uint64_t all = 0;
		for (unsigned p = 0; p < x->pages; p++) {
			uint64_t cell = sign_holder(&i->member[m], p);
			for (unsigned home = 0; home < x->members; home++)
				cell += mix(7, sign_entry(&i->member[home].home[p], m));
			out->page[p] += mix(1, cell);
			all += mix(2, cell);
		}
		for (unsigned other = 0; other < x->members; other++)
			all += mix(3, sign_letters(i, m, other)) +
			       mix(4, sign_letters(i, other, m));
		out->member[m] =
			mix(all, (uint64_t)i->member[m].dead | (uint64_t)i->member[m].ended << 1);
	}
}

/* The signatures in the order a renaming brings them into. */
static void reorder(const struct exhaust *x, const struct symmetry *s, const struct signatures *in,
		    struct signatures *out)
{
	for (unsigned m = 0; m < x->members; m++)
		out->member[s->member[m]] = in->member[m];
	for (unsigned p = 0; p < x->pages; p++)
		out->page[s->page[p]] = in->page[p];
}

static int order(const struct exhaust *x, const struct signatures *a, const struct signatures *b)
{
	for (unsigned m = 0; m < x->members; m++)
		if (a->member[m] != b->member[m])
			return a->member[m] < b->member[m] ? -1 : 1;
	for (unsigned p = 0; p < x->pages; p++)
		if (a->page[p] != b->page[p])
			return a->page[p] < b->page[p] ? -1 : 1;
	return 0;
}

/* Those to be compared; how many. */
static unsigned candidates(const struct exhaust *x, const struct exhaust_image *i,
			   uint16_t out[EXHAUST_SYMMETRIES_MAX])
{
	const unsigned anchor = find_anchor(x, i);
	struct signatures of, least, reordered;
	unsigned n = 0;
	if (x->symmetries > 1)
		sign(x, i, &of);
	for (unsigned k = 0; k < x->symmetries; k++) {
		if (anchor != NO_ANCHOR && x->symmetry[k].member[anchor])
			continue;
		if (x->symmetries > 1) {
			reorder(x, &x->symmetry[k], &of, &reordered);
			const int sign = n ? order(x, &reordered, &least) : -1;
			if (sign > 0)
				continue;
			if (sign < 0) {
				least = reordered;
				n = 0;
			}
		}
		out[n++] = (uint16_t)k;
	}
	return n;
}

/* The form that renaming 0, which changes nothing, leads to, or another one. */
static void form(struct exhaust *x, unsigned renaming, struct exhaust_image *base,
		 struct packed *out)
{
	static struct exhaust_image renamed;
	struct exhaust_image *i = renaming ? &renamed : base;
	if (renaming)
		relabel(x, &x->symmetry[renaming], base, &renamed);
	canon_order(x, i);
	pack(x, i, out);
}

void canonicalise(struct exhaust *x, struct packed *out, struct symmetry *by)
{
	static struct exhaust_image base;
	uint16_t k[EXHAUST_SYMMETRIES_MAX];
	model_capture(x, &base);
	canon_base(x, &base);
	/* From the last on: number 0 changes the base itself. */
	unsigned n = candidates(x, &base, k);
	*by = x->symmetry[k[--n]];
	form(x, k[n], &base, out);
	while (n) {
		form(x, k[--n], &base, &x->candidate);
		if (packed_compare(&x->candidate, out) >= 0)
			continue;
		*by = x->symmetry[k[n]];
		const struct packed swap = *out;
		*out = x->candidate;
		x->candidate = swap;
	}
}
