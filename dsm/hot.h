/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages cause the faults: the most frequent of a stream in fixed memory (Space-Saving:
 * Metwally, Agrawal, El Abbadi, ICDT 2005). A page with more than 1/HOT_PLACES of all faults is in
 * the table for certain; its count is too high by at most `over`.
 *
 * Threads: the shard's. Constant work, no allocation.
 */
#ifndef CELLULAR_DSM_HOT_H
#define CELLULAR_DSM_HOT_H

#include "dsm/dsm.h"

enum { HOT_PLACES = 64 };

struct hot {
	uint32_t n;
	struct dsm_hot place[HOT_PLACES];
};

/* A fault of this member that a message was needed for. */
void hot_fault(struct hot *h, struct gpage page, bool write);

/* The most frequent ones, most frequent first. Returns how many. */
uint32_t hot_top(const struct hot *h, struct dsm_hot out[DSM_HOT_MAX]);

#endif
