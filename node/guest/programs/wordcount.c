/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Word count. A word is a run of ASCII letters, at most WORD_MAX long (longer runs are cut), case
 * ignored. Each vCPU counts a part of the text in a table of its own; then each merges, from all
 * tables, the words whose hash falls to it. What others must read is packed: entries in one array,
 * the words themselves in another.
 */
#include "node/guest/g.h"
#include "node/guest/programs/programs.h"

enum {
	WORD_MAX = 64,
	TOP = 10,
	SLOTS_START = 1 << 14,
	ARENA_BYTES = 64 << 10,
	WORK_STEP = G_PAGE / sizeof(uint64_t),
};

struct entry {
	uint64_t hash, count;
	const char *word;
	uint64_t length;
};

struct table {
	struct entry *entry; /* in order of appearance */
	uint32_t *slot;	     /* by hash: index + 1, 0: free */
	uint64_t slots;	     /* a power of 2; entries fill at most half */
	uint64_t n;
	char *arena;
	uint64_t arena_left;
};

/* A page a vCPU, and more. */
struct part {
	uint64_t bytes; /* looked at by this vCPU */
	uint64_t words, distinct, sum;
	struct table counted, merged;
	const struct entry *top[TOP];
	uint64_t tops;
} G_PAGE_ALIGNED;

_Static_assert(sizeof(struct part) == G_PAGE, "WORK_STEP");

static struct {
	const uint8_t *text;
	uint64_t bytes;
	struct part *part;
} job G_PAGE_ALIGNED;

static struct g_barrier barrier;

/* ---- table ---- */

static void table_grow(struct table *t)
{
	struct entry *old = t->entry;

	t->slots = t->slots ? t->slots * 2 : SLOTS_START;
	t->slot = g_alloc(t->slots * sizeof(*t->slot));
	t->entry = g_alloc(t->slots / 2 * sizeof(*t->entry));
	if (t->n)
		memcpy(t->entry, old, t->n * sizeof(*old));
	for (uint64_t i = 0; i < t->n; i++) {
		uint64_t s = t->entry[i].hash & (t->slots - 1);

		while (t->slot[s])
			s = (s + 1) & (t->slots - 1);
		t->slot[s] = (uint32_t)i + 1;
	}
}

static const char *table_keep(struct table *t, const char *word, uint64_t length)
{
	char *kept;

	if (t->arena_left < length) {
		t->arena = g_alloc(ARENA_BYTES);
		t->arena_left = ARENA_BYTES;
	}
	kept = t->arena;
	memcpy(kept, word, length);
	t->arena += length;
	t->arena_left -= length;
	return kept;
}

/* keep: the word's bytes are the caller's and must be copied. */
static void table_add(struct table *t, uint64_t hash, const char *word, uint64_t length,
		      uint64_t count, bool keep)
{
	uint64_t s;

	if (2 * t->n >= t->slots)
		table_grow(t);
	for (s = hash & (t->slots - 1); t->slot[s]; s = (s + 1) & (t->slots - 1)) {
		struct entry *e = &t->entry[t->slot[s] - 1];

		if (e->hash != hash || e->length != length || memcmp(e->word, word, length))
			continue;
		e->count += count;
		return;
	}
	t->entry[t->n] = (struct entry){
		.hash = hash,
		.count = count,
		.word = keep ? table_keep(t, word, length) : word,
		.length = length,
	};
	t->slot[s] = (uint32_t)++t->n;
}

/* ---- counting ---- */

static char letter(uint8_t c)
{
	c |= 0x20;
	return c >= 'a' && c <= 'z' ? (char)c : 0;
}

/* Where the part of a vCPU begins: never inside a word. */
static uint64_t part_begin(unsigned vcpu)
{
	uint64_t at = vcpu == g_vcpus() ? job.bytes : job.bytes / g_vcpus() * vcpu;

	while (at && at < job.bytes && letter(job.text[at - 1]) && letter(job.text[at]))
		at++;
	return at;
}

static void count_part(unsigned vcpu)
{
	struct part *p = &job.part[vcpu];
	uint64_t end = part_begin(vcpu + 1), i, bytes = 0, length = 0, hash = G_FNV_START;
	char word[WORD_MAX];

	for (i = part_begin(vcpu); i < end; i++, bytes++) {
		char c = letter(job.text[i]);

		if (c) {
			word[length++] = c;
			hash = (hash ^ (uint8_t)c) * 0x100000001b3ull;
		}
		if (length && (!c || length == WORD_MAX || i + 1 == end)) {
			table_add(&p->counted, hash, word, length, 1, true);
			p->words++;
			length = 0;
			hash = G_FNV_START;
		}
	}
	p->bytes = bytes;
}

/* ---- merging ---- */

/* More often first, then by the alphabet. */
static bool before(const struct entry *a, const struct entry *b)
{
	uint64_t n = a->length < b->length ? a->length : b->length;
	int order;

	if (a->count != b->count)
		return a->count > b->count;
	order = memcmp(a->word, b->word, n);
	return order ? order < 0 : a->length < b->length;
}

static void top_insert(struct part *p, const struct entry *e)
{
	uint64_t at = p->tops;

	while (at && before(e, p->top[at - 1]))
		at--;
	if (at == TOP)
		return;
	for (uint64_t i = p->tops < TOP ? p->tops : TOP - 1; i > at; i--)
		p->top[i] = p->top[i - 1];
	p->top[at] = e;
	if (p->tops < TOP)
		p->tops++;
}

/* Sums do not depend on the order, so neither does the checksum. */
static void summarize(struct part *p)
{
	for (uint64_t i = 0; i < p->merged.n; i++) {
		const struct entry *e = &p->merged.entry[i];
		uint64_t hash = g_fnv(G_FNV_START, e->word, e->length);

		p->sum += g_fnv(hash, &e->count, sizeof(e->count));
		top_insert(p, e);
	}
	p->distinct = p->merged.n;
}

static void work(unsigned vcpu, void *arg)
{
	struct part *mine = &job.part[vcpu];

	(void)arg;
	count_part(vcpu);
	g_barrier_wait(&barrier);
	for (unsigned k = 0; k < g_vcpus(); k++) {
		const struct table *t = &job.part[k].counted;

		for (uint64_t i = 0; i < t->n; i++) {
			const struct entry *e = &t->entry[i];

			if ((e->hash >> 32) % g_vcpus() == vcpu)
				table_add(&mine->merged, e->hash, e->word, e->length, e->count,
					  false);
		}
	}
	summarize(mine);
}

int wordcount(void)
{
	const struct g_file *file = g_file("text");
	struct part *all;

	if (!file) {
		g_printf("error wordcount: no file named text\n");
		return 2;
	}
	job.text = file->data;
	job.bytes = file->bytes;
	job.part = g_alloc(g_vcpus() * sizeof(struct part));
	g_parallel(work, NULL);

	all = &job.part[0];
	for (unsigned k = 1; k < g_vcpus(); k++) {
		const struct part *p = &job.part[k];

		all->words += p->words;
		all->distinct += p->distinct;
		all->sum += p->sum;
		for (uint64_t i = 0; i < p->tops; i++)
			top_insert(all, p->top[i]);
	}
	g_printf("result wordcount words=%zu distinct=%zu checksum=%016zx\n", (size_t)all->words,
		 (size_t)all->distinct, (size_t)all->sum);
	for (uint64_t i = 0; i < all->tops; i++)
		g_printf("top wordcount rank=%zu count=%zu word=%.*s\n", (size_t)i + 1,
			 (size_t)all->top[i]->count, (int)all->top[i]->length, all->top[i]->word);
	print_work("wordcount", "bytes", &job.part[0].bytes, WORK_STEP);
	return 0;
}
