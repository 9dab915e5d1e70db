/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the counters of a core have to say (I13): the simulator counts by itself, from the letters
 * and effects that it sees. What a home queues or puts off of its own requests cannot be seen: of
 * these counters it knows the least they may say.
 */
#ifndef CELLULAR_SIM_COUNT_H
#define CELLULAR_SIM_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "dsm/core/core.h"

struct letter;
struct world;

/* Of one member. [0]: no message went out or came in for it; [1]: one did. */
struct counts {
	uint64_t reads[2];
	uint64_t writes[2];   /* of present and of absent pages */
	uint64_t upgrades[2]; /* ... at least so many were of present ones */
	uint64_t spurious;
	uint64_t fetch_served;
	uint64_t invalidated;
	uint64_t deferred; /* at least */
	uint64_t queued;   /* at least */
	uint64_t evicted;
	uint64_t discarded;
	uint64_t redirected;
	uint64_t moved_in;
	uint64_t moved_out;
	uint64_t whole, split; /* chunks */
	uint64_t stale_version;
	uint64_t deferred_before; /* the letter at hand, as the core counts */
	bool drop_counts;	  /* the letter at hand is a DROP that home heeds */
};

/* Before a letter, or a fault, is given to member m; and when the letter's step is done. */
void count_letter(struct world *w, unsigned m, const struct letter *letter);
void count_fault(struct world *w, unsigned m, const struct dsm_event *event);
void count_handled(struct world *w, unsigned m, const struct letter *letter);
/* Before an effect is carried out; page: WORLD_NO_PAGE if it is about none. */
void count_effect(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx);

/* At rest: does m's core say the same? */
void count_check(struct world *w, unsigned m);

#endif
