/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for one message on its way out: taken piece by piece, given back as a whole.
 * Address space is reserved once, far above what the largest message of bounded tables takes, and
 * touched lazily; so a piece can always be had (asserted).
 *
 * Threads: belongs to one.
 */
#ifndef CELLULAR_CONTROLLER_ARENA_H
#define CELLULAR_CONTROLLER_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct arena {
	uint8_t *memory;
	size_t used;
	ProtobufCAllocator allocator; /* unpacks into the arena; what does not fit is refused */
};

int arena_init(struct arena *a, struct err *e); /* NOMEM */
void arena_free(struct arena *a);
void arena_reset(struct arena *a);

/* Zeroed, aligned for any type. */
void *arena_take(struct arena *a, size_t n);
char *arena_text(struct arena *a, const char *text);

#define ARENA_NEW(a, type)	((type *)arena_take((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_take((a), sizeof(type) * (n)))

#endif
