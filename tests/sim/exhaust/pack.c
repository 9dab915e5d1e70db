/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of an image. All of a core's bytes are in it but for those that `left_out` names: so a new
 * field of the core is part of the state without anybody's doing.
 */
#include "tests/sim/exhaust/model.h"

#include <stdlib.h>
#include <string.h>

#if defined(__has_builtin) && __has_builtin(__builtin_clear_padding)
#define CLEAR_PADDING(p) __builtin_clear_padding(p)
#else
#define CLEAR_PADDING(p) ((void)(p)) /* garbage in padding makes states that differ in nothing */
#endif

/* ---- the parts of a core ---- */

#define SPAN_OF(first, after)                                                                      \
	{                                                                                          \
		offsetof(struct dsm_core, first), offsetof(struct dsm_core, after)                 \
	}
#define FIELD_END(field)                                                                           \
	(offsetof(struct dsm_core, field) + sizeof(((struct dsm_core *)NULL)->field))
/* Entries from `first` on of an array. */
#define ENTRIES_FROM(array, first)                                                                 \
	{                                                                                          \
		offsetof(struct dsm_core, array) +                                                 \
			(first) * sizeof(((struct dsm_core *)NULL)->array[0]),                     \
			FIELD_END(array)                                                           \
	}

static size_t collection_at(unsigned i)
{
	return offsetof(struct dsm_core, collection) + i * sizeof(struct dsm_collection);
}

void pack_open(struct exhaust *x)
{
	const unsigned threads = x->options->sets ? 1 : 0;
	/* Left out of images, in the order of struct dsm_core. */
	const struct span out[] = {
		/* constant; counters, which nothing reads; the step under way; no journal */
		SPAN_OF(config, now),
		/* empty between two steps */
		SPAN_OF(self_queue, self_first),
		/* canonical states use as many as there are pages; the others stay at the bottom of
		 * the stack of free ones */
		ENTRIES_FROM(txn, x->pages),
		{offsetof(struct dsm_core, txn_free), FIELD_END(txn_free) - x->pages},
		/* one device a member, and one thread, if threads say who they are */
		{collection_at(1), collection_at(DSM_ACQUIRES_MAX)},
		{collection_at(DSM_ACQUIRES_MAX + threads), FIELD_END(collection)},
		ENTRIES_FROM(token, 1),
		ENTRIES_FROM(thread, threads),
		/* there are not so many members */
		ENTRIES_FROM(heir, x->members),
		ENTRIES_FROM(serving, x->members),
		ENTRIES_FROM(waits, x->members),
		/* addresses; what they point to is copied by itself */
		{offsetof(struct dsm_core, waiting), sizeof(struct dsm_core)},
	};
	size_t at = 0;
	x->spans = 0;
	for (unsigned i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		if (out[i].from > at)
			x->span[x->spans++] = (struct span){at, out[i].from};
		at = out[i].to;
	}
}

void pack_core(const struct exhaust *x, struct dsm_core *to, const struct dsm_core *from)
{
	for (unsigned i = 0; i < x->spans; i++)
		memcpy((uint8_t *)to + x->span[i].from, (const uint8_t *)from + x->span[i].from,
		       x->span[i].to - x->span[i].from);
}

void pack_core_clear(const struct exhaust *x, struct dsm_core *core)
{
	for (unsigned i = 0; i < x->spans; i++)
		memset((uint8_t *)core + x->span[i].from, 0, x->span[i].to - x->span[i].from);
}

void pack_core_blank(const struct exhaust *x, struct dsm_core *core)
{
	pack_core_clear(x, core);
	core->stats = (struct dsm_core_stats){0};
	core->out = NULL;
	memset(core->self_queue, 0, sizeof(core->self_queue));
}

/* ---- a member's inside ---- */

/* Both ways: the same list of fields. */
struct cursor {
	uint8_t *at;
	bool out; /* from the image into the bytes */
};

static void bytes(struct cursor *c, void *field, size_t n)
{
	if (c->out)
		memcpy(c->at, field, n);
	else
		memcpy(field, c->at, n);
	c->at += n;
}

static void core_bytes(const struct exhaust *x, struct cursor *c, struct dsm_core *core)
{
	for (unsigned i = 0; i < x->spans; i++)
		bytes(c, (uint8_t *)core + x->span[i].from, x->span[i].to - x->span[i].from);
}

/* Those there are. */
static void proof_bytes(struct cursor *c, struct exhaust_member *m)
{
	bytes(c, &m->proofs, sizeof(m->proofs));
	bytes(c, m->proof, m->proofs * sizeof(m->proof[0]));
	if (!c->out)
		memset(m->proof + m->proofs, 0, (DSM_PROOFS_MAX - m->proofs) * sizeof(m->proof[0]));
}

static void member_bytes(const struct exhaust *x, struct cursor *c, struct exhaust_member *m)
{
	const unsigned pages = x->pages;
	core_bytes(x, c, &m->core);
	bytes(c, m->waiting, (size_t)pages * x->members * sizeof(m->waiting[0]));
	bytes(c, m->deferred, pages * sizeof(m->deferred[0]));
	bytes(c, m->heap, pages * sizeof(m->heap[0]));
	bytes(c, m->holder, pages * sizeof(m->holder[0]));
	bytes(c, m->home, pages * sizeof(m->home[0]));
	bytes(c, m->chunk, pages * sizeof(m->chunk[0]));
	bytes(c, m->frame, pages * sizeof(m->frame[0]));
	bytes(c, m->slot, pages * sizeof(m->slot[0]));
	if (x->options->acquires)
		bytes(c, &m->device, sizeof(m->device));
	bytes(c, &m->deadline, sizeof(m->deadline));
	bytes(c, m->need, pages);
	if (x->options->sets)
		bytes(c, &m->runs_at, sizeof(m->runs_at));
	proof_bytes(c, m);
	bytes(c, &m->dead, sizeof(m->dead));
	bytes(c, &m->ended, sizeof(m->ended));
	bytes(c, &m->change, sizeof(m->change));
}

static void clear_paddings(const struct exhaust *x, struct exhaust_member *m)
{
	CLEAR_PADDING(&m->core.collection[0]);
	CLEAR_PADDING(&m->core.collection[DSM_ACQUIRES_MAX]);
	CLEAR_PADDING(&m->core.thread[0]);
	CLEAR_PADDING(&m->device);
	CLEAR_PADDING(&m->proof);
	for (unsigned p = 0; p < x->pages; p++) {
		CLEAR_PADDING(&m->core.txn[p]);
		CLEAR_PADDING(&m->deferred[p]);
		CLEAR_PADDING(&m->slot[p]);
		CLEAR_PADDING(&m->frame[p]);
		CLEAR_PADDING(&m->home[p]);
		CLEAR_PADDING(&m->chunk[p]);
	}
}

/* ---- its letters ---- */

static void letters_bytes(const struct exhaust *x, struct cursor *c, struct exhaust_image *i,
			  unsigned from)
{
	for (unsigned to = 0; to < x->members; to++) {
		bytes(c, &i->letters[from][to], 1);
		for (unsigned n = 0; n < i->letters[from][to]; n++) {
			struct letter *l = &i->letter[from][to][n];
			CLEAR_PADDING(&l->msg);
			bytes(c, &l->msg, sizeof(l->msg));
			bytes(c, &l->data,
			      sizeof(l->data)); /* no time, and link_send does the rest */
		}
	}
}

/* ---- the whole ---- */

void packed_init(struct packed *p)
{
	*p = (struct packed){0};
	for (unsigned i = 0; i < PACK_PARTS_MAX; i++) {
		p->part[i] = calloc(1, PACK_LETTERS_MAX > PACK_MEMBER_MAX ? PACK_LETTERS_MAX
									  : PACK_MEMBER_MAX);
		if (!p->part[i])
			abort();
	}
}

void packed_free(struct packed *p)
{
	for (unsigned i = 0; i < PACK_PARTS_MAX; i++)
		free(p->part[i]);
}

static void close_part(struct packed *p, const struct cursor *c)
{
	p->size[p->parts] = (uint32_t)(c->at - p->part[p->parts]);
	p->parts++;
}

static void all_bytes(const struct exhaust *x, struct exhaust_image *i, struct packed *p, bool out)
{
	p->parts = 0;
	for (unsigned m = 0; m < x->members; m++) {
		struct cursor c = {p->part[p->parts], out};
		member_bytes(x, &c, &i->member[m]);
		close_part(p, &c);
	}
	for (unsigned m = 0; m < x->members; m++) {
		struct cursor c = {p->part[p->parts], out};
		letters_bytes(x, &c, i, m);
		close_part(p, &c);
	}
	struct cursor c = {p->part[p->parts], out};
	for (unsigned page = 0; page < x->pages; page++) {
		bytes(&c, &i->page[page].last_write, sizeof(i->page[page].last_write));
		bytes(&c, &i->page[page].version, sizeof(i->page[page].version));
		bytes(&c, &i->page[page].version_known, sizeof(i->page[page].version_known));
	}
	close_part(p, &c);
}

void pack(const struct exhaust *x, struct exhaust_image *image, struct packed *out)
{
	for (unsigned m = 0; m < x->members; m++)
		clear_paddings(x, &image->member[m]);
	all_bytes(x, image, out, true);
}

void unpack(const struct exhaust *x, struct packed *from, struct exhaust_image *out)
{
	all_bytes(x, out, from, false);
	for (unsigned m = 0; m < x->members; m++)
		out->member[m].now = EXHAUST_NOW;
}

int packed_compare(const struct packed *a, const struct packed *b)
{
	for (unsigned i = 0; i < a->parts; i++) {
		if (a->size[i] != b->size[i])
			return a->size[i] < b->size[i] ? -1 : 1;
		const int order = memcmp(a->part[i], b->part[i], a->size[i]);
		if (order)
			return order;
	}
	return 0;
}
