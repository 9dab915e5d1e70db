/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Was a page written between the time it could first be written here and the time it was read out?
 * The core wants to know (struct dsm_proof): a page that leaves as it came was of no use to who
 * stalled on it. A sum of the page is kept when it comes, in a small direct-mapped table; a page
 * whose place was taken meanwhile is not known. A sum costs a fraction of a microsecond, much less
 * than the page's way over a link.
 *
 * Threads: the shard's. Constant work, no allocation.
 */
#ifndef CELLULAR_DSM_WRITTEN_H
#define CELLULAR_DSM_WRITTEN_H

#include "dsm/core/core.h"

enum { WRITTEN_PLACES = 1024 };

struct written {
	struct {
		uint64_t page; /* + 1; 0: free */
		uint64_t sum;
	} place[WRITTEN_PLACES];
	uint64_t zeros; /* sum of a page of zeros; 0: not known yet */
	/* What the core was not told yet. */
	uint8_t proofs;
	struct dsm_proof proof[DSM_PROOFS_MAX];
};

/* The page can be written from now on. `bytes`: its content; NULL: zeros. */
void written_begin(struct written *w, struct gpage page, const void *bytes);
/* The page was read out, and cannot be written any more. */
void written_end(struct written *w, struct gpage page, const void *bytes);
/* Puts into the event what the core was not told yet. */
void written_tell(struct written *w, struct dsm_event *event);

#endif
