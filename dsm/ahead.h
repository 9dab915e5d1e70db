/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading or writing ahead: recognises threads that touch pages one after the other, and says which
 * pages they are about to want. Pure: told of faults, of one kind, asked for pages.
 *
 * A few *streams* are known: where each stalled last, which way it goes, how far ahead of it pages
 * were asked for. A fault next to the last one of a stream carries it on; the third in a row makes
 * it one that is read ahead for. Its window begins small and doubles each time as many pages were
 * used as it is long. A fault that belongs to no stream begins one in the place of the one that was
 * silent the longest: random accesses never get a window.
 *
 * Pages that came ahead may have left again when their thread gets there. It notices by the first
 * fault that has to ask: then those beyond it are asked for anew.
 *
 * A page that was asked for ahead is *unused* until a stream passes it or a thread stalls on it.
 * Until then it ends the window of every stream that comes near it: what others write and nobody
 * here touches - what lies beyond the end of a region, say - is taken from them once. A stream
 * whose thread does get there and has to ask is *sure*: it asks for unused pages, too.
 *
 * Threads: the shard's. No allocation; work bounded by the window.
 */
#ifndef CELLULAR_DSM_AHEAD_H
#define CELLULAR_DSM_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/ids.h"

enum {
	AHEAD_STREAMS = 8,
	AHEAD_ROW = 3, /* faults in a row that make a stream */
	AHEAD_WINDOW_MIN = 4,
	AHEAD_WINDOW_MAX = 512,
};

struct ahead_stream {
	uint64_t heard;	 /* when it was carried on; 0: free */
	uint64_t at;	 /* page of its last fault */
	uint64_t asked;	 /* pages beyond `at` that were given out */
	uint64_t wanted; /* ... that are to be given out */
	uint32_t row;	 /* faults in a row, up to AHEAD_ROW */
	uint32_t window;
	uint32_t used; /* pages since the window grew */
	int8_t way;    /* +1, -1; 0: not known yet */
	bool sure;     /* a thread had to ask for a page that was unused */
};

struct ahead {
	uint64_t pages;	  /* of the space */
	uint64_t *unused; /* a bit a page; the caller's, zeroed; may be shared by both kinds */
	uint64_t now;	  /* faults so far */
	uint32_t turn;	  /* stream that is looked at first */
	uint32_t given;	  /* pages of it, in this turn */
	struct ahead_stream stream[AHEAD_STREAMS];
};

/* A thread stalled on a page. asked: nobody had asked for it, or it had come and left.
 */
void ahead_fault(struct ahead *a, struct gpage page, bool asked);
/* A page to ask for now; each is given out once. False: none. The caller may find that it is here:
 * then ahead_have. */
bool ahead_next(struct ahead *a, struct gpage *page);
/* ... it was here already: nobody was asked. */
void ahead_have(struct ahead *a, struct gpage page);

#endif
