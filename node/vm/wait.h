/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs that sleep on a word of guest memory. The order that loses no wake-up: enter, read the word
 * (which may take as long as the network: not under the lock), sleep if it still holds the value,
 * leave. Who changes the word first writes, then wakes on all cells: either the reader saw the new
 * value, or it had entered before the wake came.
 *
 * Threads: any; wait_wake and wait_stop never block for long.
 */
#ifndef CELLULAR_NODE_WAIT_H
#define CELLULAR_NODE_WAIT_H

#include <pthread.h>
#include <stdbool.h>

#include "proto/ids.h"

struct waiter {
	struct gpa address;
	bool woken;
	pthread_cond_t cond;
	struct waiter *next;
};

struct waiters {
	pthread_mutex_t lock;
	struct waiter *first;
	bool stopped;
};

void wait_init(struct waiters *w);
void wait_enter(struct waiters *w, struct waiter *me, struct gpa address);
void wait_sleep(struct waiters *w,
		struct waiter *me); /* returns when woken since wait_enter, or stopped */
void wait_leave(struct waiters *w, struct waiter *me);
void wait_wake(struct waiters *w, struct gpa address);
void wait_stop(struct waiters *w); /* nobody sleeps from here on */

#endif
