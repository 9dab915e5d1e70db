/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads (vCPUs) of a member. A thread runs instructions; one needs up to 16 pages at the same
 * instant, in any order, some of them for writing, and reads what it writes first. Where a right is
 * missing it stalls: the kernel queues a fault message, the engine reads it some time later and
 * hands it to the core. Only a WAKE for that page makes the thread run again, after a while, which
 * may always be longer than a grant is held; then it starts the instruction anew, and may find the
 * page gone again (a retry). Every instruction must retire.
 */
#ifndef CELLULAR_SIM_THREAD_H
#define CELLULAR_SIM_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/clock.h"

struct world;

enum { THREADS_MAX = 4, THREAD_SET_MAX = 16 };

enum thread_state {
	THREAD_IDLE,	/* between two instructions */
	THREAD_TRYING,	/* woken, or about to run */
	THREAD_STALLED, /* waits for a wake */
};

struct thread {
	uint8_t state; /* enum thread_state */
	uint8_t n;     /* pages of the instruction */
	uint16_t page[THREAD_SET_MAX];
	bool write[THREAD_SET_MAX];
	uint16_t stalled_on;
	uint32_t generation; /* of the stall: its fault message is void once the thread was woken */
	uint32_t retries;    /* of this instruction: woken, and the page was gone again */
	bool woken;	     /* ran on after a wake and did not stall since */
	uint64_t since;	     /* of the stall, ns */
	uint64_t begun;	     /* the instruction, ns */
};

/* Draws a page as this seed likes them: hot or not. */
uint16_t thread_draw_page(struct world *w);

bool thread_may(const struct world *w, unsigned m, uint16_t page, bool write);

/* One load, or load and store, of a page the member has the right to; checked against the oracle.
 */
void thread_access(struct world *w, unsigned m, uint16_t page, bool write, const char *who);

void thread_start(struct world *w, unsigned m,
		  unsigned index); /* gives an idle thread its next turn */
void thread_run(struct world *w, unsigned m, unsigned index);	     /* CLOCK_THREAD */
void thread_fault(struct world *w, const struct clock_event *event); /* CLOCK_FAULT */
void thread_wake(struct world *w, unsigned m, uint16_t page);	     /* effect WAKE */

#endif
