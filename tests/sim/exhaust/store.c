/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/exhaust/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/sim/rng.h"

enum { TABLE_FIRST = 1 << 12 };

/* ---- memory ---- */

void arena_open(struct arena *a, size_t room)
{
	void *base = mmap(NULL, room, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		abort();
	*a = (struct arena){.base = base, .room = room};
}

void arena_close(struct arena *a)
{
	munmap(a->base, a->room);
}

void *arena_add(struct arena *a, size_t bytes)
{
	if (bytes > a->room - a->used)
		return NULL;
	void *at = a->base + a->used;
	a->used += bytes;
	return at;
}

static void table_open(struct table *t)
{
	*t = (struct table){.slot = calloc(TABLE_FIRST, sizeof(uint32_t)), .slots = TABLE_FIRST};
	if (!t->slot)
		abort();
}

static size_t table_bytes(const struct table *t)
{
	return t->slots * sizeof(uint32_t);
}

/* Eight bytes at a time; the mixer of the simulator's dice spreads them. */
static uint64_t hash(const uint8_t *bytes, size_t n)
{
	uint64_t h = n;
	for (; n >= 8; bytes += 8, n -= 8) {
		uint64_t word;
		memcpy(&word, bytes, sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	uint64_t word = 0;
	memcpy(&word, bytes, n);
	return rng_mix(h ^ word);
}

/* What table entries mean: number i is this string. */
typedef const uint8_t *string_fn(const void *of, uint32_t i, size_t *n);

static size_t table_find(const struct table *t, const void *of, string_fn *string,
			 const uint8_t *bytes, size_t n)
{
	size_t at = hash(bytes, n) & (t->slots - 1);
	for (; t->slot[at]; at = (at + 1) & (t->slots - 1)) {
		size_t size;
		const uint8_t *other = string(of, t->slot[at] - 1, &size);
		if (size == n && !memcmp(other, bytes, n))
			break;
	}
	return at;
}

/* Every entry is in a twice as large table. */
static void table_grow(struct table *t, const void *of, string_fn *string)
{
	struct table wide = {
		.slot = calloc(2 * t->slots, sizeof(uint32_t)), .slots = 2 * t->slots, .n = t->n};
	if (!wide.slot)
		abort();
	for (size_t i = 0; i < t->slots; i++) {
		if (!t->slot[i])
			continue;
		size_t n;
		const uint8_t *bytes = string(of, t->slot[i] - 1, &n);
		size_t at = hash(bytes, n) & (wide.slots - 1);
		while (wide.slot[at])
			at = (at + 1) & (wide.slots - 1);
		wide.slot[at] = t->slot[i];
	}
	free(t->slot);
	*t = wide;
}

static void table_put(struct table *t, size_t at, uint32_t number, const void *of,
		      string_fn *string)
{
	t->slot[at] = number + 1;
	if (2 * ++t->n > t->slots)
		table_grow(t, of, string);
}

/* ---- pools ---- */

static const uint8_t *pool_string(const void *of, uint32_t i, size_t *n)
{
	const struct pool *p = of;
	uint32_t size;
	const uint8_t *at = p->bytes.base + ((const size_t *)(const void *)p->at.base)[i];
	memcpy(&size, at, sizeof(size));
	*n = size;
	return at + sizeof(size);
}

static void pool_open(struct pool *p, size_t room)
{
	arena_open(&p->bytes, room);
	arena_open(&p->at, room);
	table_open(&p->table);
}

static void pool_close(struct pool *p)
{
	arena_close(&p->bytes);
	arena_close(&p->at);
	free(p->table.slot);
}

static size_t pool_bytes(const struct pool *p)
{
	return p->bytes.used + p->at.used + table_bytes(&p->table);
}

/* STORE_NONE: no room. */
static uint32_t pool_add(struct pool *p, const uint8_t *bytes, uint32_t n)
{
	const size_t slot = table_find(&p->table, p, pool_string, bytes, n);
	if (p->table.slot[slot])
		return p->table.slot[slot] - 1;
	const size_t where = p->bytes.used;
	uint8_t *copy = arena_add(&p->bytes, sizeof(n) + n);
	size_t *at = arena_add(&p->at, sizeof(*at));
	if (!copy || !at)
		return STORE_NONE;
	*at = where;
	memcpy(copy, &n, sizeof(n));
	memcpy(copy + sizeof(n), bytes, n);
	const uint32_t number = (uint32_t)p->table.n;
	table_put(&p->table, slot, number, p, pool_string);
	return number;
}

/* ---- states ---- */

static size_t state_bytes(const struct store *s)
{
	return s->parts * sizeof(uint32_t);
}

static const uint8_t *state_string(const void *of, uint32_t i, size_t *n)
{
	const struct store *s = of;
	*n = state_bytes(s);
	return s->states.base + i * *n;
}

void store_open(struct store *s, unsigned parts, size_t bytes_max)
{
	*s = (struct store){.parts = parts, .bytes_max = bytes_max};
	pool_open(&s->member, bytes_max);
	pool_open(&s->letters, bytes_max);
	pool_open(&s->page, bytes_max);
	arena_open(&s->states, bytes_max);
	arena_open(&s->origins, bytes_max);
	arena_open(&s->edges, bytes_max);
	arena_open(&s->begins, bytes_max);
	table_open(&s->table);
}

void store_close(struct store *s)
{
	pool_close(&s->member);
	pool_close(&s->letters);
	pool_close(&s->page);
	arena_close(&s->states);
	arena_close(&s->origins);
	arena_close(&s->edges);
	arena_close(&s->begins);
	free(s->table.slot);
}

size_t store_bytes(const struct store *s)
{
	return pool_bytes(&s->member) + pool_bytes(&s->letters) + pool_bytes(&s->page) +
	       s->states.used + s->origins.used + s->edges.used + s->begins.used +
	       table_bytes(&s->table);
}

/* Parts are members, then their letters, then the pages. */
static struct pool *pool_of(struct store *s, unsigned part)
{
	const unsigned members = s->parts / 2;
	return part < members ? &s->member : part < 2 * members ? &s->letters : &s->page;
}

/* The number of a part if it is what it was in another state. */
static uint32_t same_part(struct store *s, const struct packed *p, unsigned part, uint32_t state)
{
	const uint32_t number =
		((const uint32_t *)(const void *)s->states.base)[(size_t)state * s->parts + part];
	size_t n;
	const uint8_t *bytes = pool_string(pool_of(s, part), number, &n);
	return n == p->size[part] && !memcmp(bytes, p->part[part], n) ? number : STORE_NONE;
}

uint32_t store_add(struct store *s, const struct packed *p, const struct origin *from, bool *fresh)
{
	uint32_t key[PACK_PARTS_MAX];
	*fresh = false;
	for (unsigned i = 0; i < s->parts; i++) {
		/* Mostly a move leaves most of a state as it was: no need to look for that. */
		key[i] = from->parent == STORE_NONE ? STORE_NONE : same_part(s, p, i, from->parent);
		if (key[i] == STORE_NONE)
			key[i] = pool_add(pool_of(s, i), p->part[i], p->size[i]);
		s->full |= key[i] == STORE_NONE;
	}
	const uint8_t *bytes = (const uint8_t *)key;
	const size_t slot = table_find(&s->table, s, state_string, bytes, state_bytes(s));
	if (s->table.slot[slot])
		return s->table.slot[slot] - 1;
	/* A table doubles when it is half full, and needs both for a moment. */
	const size_t next = 2 * (s->table.n + 1) > s->table.slots ? 2 * table_bytes(&s->table) : 0;
	uint32_t *state = arena_add(&s->states, state_bytes(s));
	struct origin *origin = arena_add(&s->origins, sizeof(*origin));
	s->full |=
		!state || !origin || s->n + 1 == STORE_NONE || store_bytes(s) + next > s->bytes_max;
	if (s->full)
		return STORE_NONE;
	memcpy(state, key, state_bytes(s));
	*origin = *from;
	*fresh = true;
	table_put(&s->table, slot, s->n, s, state_string);
	return s->n++;
}

static void get_part(const struct pool *p, uint32_t number, struct packed *out, unsigned part)
{
	size_t n;
	const uint8_t *bytes = pool_string(p, number, &n);
	memcpy(out->part[part], bytes, n);
	out->size[part] = (uint32_t)n;
}

void store_get(const struct store *s, uint32_t state, struct packed *out)
{
	const unsigned members = s->parts / 2;
	size_t n;
	uint32_t key[PACK_PARTS_MAX];
	memcpy(key, state_string(s, state, &n), state_bytes(s));
	out->parts = s->parts;
	for (unsigned i = 0; i < members; i++) {
		get_part(&s->member, key[i], out, i);
		get_part(&s->letters, key[members + i], out, members + i);
	}
	get_part(&s->page, key[2 * members], out, 2 * members);
}

const struct origin *store_origin(const struct store *s, uint32_t state)
{
	return (const struct origin *)(const void *)s->origins.base + state;
}

static bool put_number(struct store *s, struct arena *a, uint32_t number)
{
	uint32_t *at = arena_add(a, sizeof(*at));
	if (at)
		*at = number;
	else
		s->full = true;
	return at;
}

bool store_begin(struct store *s)
{
	return put_number(s, &s->begins, (uint32_t)(s->edges.used / sizeof(uint32_t)));
}

bool store_edge(struct store *s, uint32_t to)
{
	return put_number(s, &s->edges, to);
}
