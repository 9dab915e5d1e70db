/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States that were seen. A state is some tens of bytes: each part of its packed image is kept once,
 * in a pool, and a state is the list of its parts' numbers (Holzmann, "State compression in Spin",
 * 1997: collapse), with where it was first reached from, and the states the rack can go on to by
 * itself. States are numbered from 0 in the order they were found.
 *
 * Memory is counted; store_full says that the bound was reached.
 */
#ifndef CELLULAR_SIM_EXHAUST_STORE_H
#define CELLULAR_SIM_EXHAUST_STORE_H

#include "tests/sim/exhaust/model.h"

/* Grows by doubling what is in use, never moves: address space is reserved at once. */
struct arena {
	uint8_t *base;
	size_t used;
	size_t room;
};

void arena_open(struct arena *a, size_t room);
void arena_close(struct arena *a);
/* NULL: no room. */
void *arena_add(struct arena *a, size_t bytes);

/* Open addressing; a number + 1, 0: empty. */
struct table {
	uint32_t *slot;
	size_t slots; /* a power of two */
	size_t n;
};

/* Byte strings, each once. */
struct pool {
	struct arena bytes; /* of each: size, then the bytes */
	struct arena at;    /* of each: where, size_t */
	struct table table;
};

struct origin {
	uint32_t parent;
	struct move move;
};

struct store {
	struct pool member, letters, page;
	struct arena states;  /* `parts` numbers each */
	struct arena origins; /* struct origin of each */
	struct arena edges;   /* uint32_t: states that follow by a move of the rack itself */
	struct arena begins;  /* uint32_t of each expanded state: index of its first edge */
	struct table table;
	unsigned parts;
	uint32_t n;
	size_t bytes_max;
	bool full;
};

enum { STORE_NONE = UINT32_MAX };

void store_open(struct store *s, unsigned parts, size_t bytes_max);
void store_close(struct store *s);

/* Number of the state; *fresh: it was not known. STORE_NONE: the store is full. */
uint32_t store_add(struct store *s, const struct packed *p, const struct origin *from, bool *fresh);
void store_get(const struct store *s, uint32_t state, struct packed *out);
const struct origin *store_origin(const struct store *s, uint32_t state);

/* Edges of a state are added after store_begin of it and before that of the next. */
bool store_begin(struct store *s);
bool store_edge(struct store *s, uint32_t to);

size_t store_bytes(const struct store *s);

#endif
