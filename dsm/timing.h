/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the time of a remote fault goes, as the shard's thread sees it:
 *
 *   fault message read --queue--> request handed to the system --reply--> last message it waited
 * for read --install--> woken
 *
 * What lies outside (the fault raised -> its message read; woken -> the thread runs) only the
 * faulting thread can know. Faults that wait are kept in a small direct-mapped table; one whose
 * place is taken is not timed. Constant work, no allocation.
 *
 * Threads: the shard's. Times: ns, monotonic.
 */
#ifndef CELLULAR_DSM_TIMING_H
#define CELLULAR_DSM_TIMING_H

#include <stdint.h>

#include "proto/ids.h"

enum {
	TIMING_PLACES = 256, /* faults under way that can be timed */
	TIMING_STEPS = 8,    /* histogram buckets an octave: 12 % wide at most */
	TIMING_BUCKETS = 48 * TIMING_STEPS,
};

struct timing_place {
	uint64_t page; /* + 1; 0: free */
	uint64_t read;
	uint64_t sent; /* 0: not yet */
};

struct timing {
	struct timing_place place[TIMING_PLACES];
	uint16_t fresh[TIMING_PLACES]; /* places whose request is not sent yet */
	uint32_t fresh_n;
	uint64_t faults;
	uint64_t total_sum, total_max;
	uint64_t queue_sum, reply_sum, install_sum;
	uint64_t bucket[TIMING_BUCKETS];
};

/* A fault whose message was read at `read` was not answered at once. */
void timing_fault(struct timing *t, struct gpage page, uint64_t read);
/* All that was to be sent for the faults so far is with the system. */
void timing_sent(struct timing *t, uint64_t now);
/* The page's waiters were woken at `now`, by what was read at `arrived`. */
void timing_wake(struct timing *t, struct gpage page, uint64_t arrived, uint64_t now);
/* Time within which `percent` of the faults were answered, to a bucket's width; 0 if there were
 * none. */
uint64_t timing_percentile(const struct timing *t, unsigned percent);

#endif
