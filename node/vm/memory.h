/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest-physical memory as cell-vm sees it, and the one door from a guest's address to a host
 * pointer. Pages behind the pointer may be on another cell: touching them may take as long as the
 * network, so never under a lock, and never on the DSM's engine thread.
 */
#ifndef CELLULAR_NODE_MEMORY_H
#define CELLULAR_NODE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "node/guest/abi.h"
#include "proto/ids.h"

struct guest_memory {
	uint8_t *base;	/* guest-physical 0 */
	uint64_t bytes; /* local and coherent memory; a multiple of 2 MiB */
};

/* Host pointer to [a, a + n) if all of it is coherent memory and a is a multiple of `align` (a
 * power of 2), else NULL. Any value of a and n is allowed. */
static inline void *guest_range(const struct guest_memory *m, struct gpa a, uint64_t n,
				uint64_t align)
{
	if (a.v < GUEST_LOCAL_BYTES || a.v > m->bytes || n > m->bytes - a.v || (a.v & (align - 1)))
		return NULL;
	return m->base + a.v;
}

#endif
