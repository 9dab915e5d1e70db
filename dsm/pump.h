/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs a shard whose faults are served in the faulting threads. One thread at a time has it, by
 * a lock: the shard's own thread, or one that faulted. A faulting thread first puts its fault down
 * in a slot; then it takes the lock if it is free, and does the shard's work until its fault is
 * answered; or somebody else has the lock, and takes the fault out of the slot, and the thread
 * sleeps on it.
 *
 * No fault is left lying. It is put down before its thread tries the lock; who gives the lock back
 * looks for faults after that, and takes it again if there are any. So either the one sees the
 * fault, or the other gets the lock. (All atomics are sequentially consistent: this is Dekker's
 * argument.) The shard's thread says first that it wants the lock, and then nobody overtakes it.
 *
 * Signal-safe: atomics and futex only.
 *
 * Threads: any; the functions under "with the lock" by who has it.
 */
#ifndef CELLULAR_DSM_PUMP_H
#define CELLULAR_DSM_PUMP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dsm/mem.h"

enum { PUMP_SLOTS = 64 }; /* faults at a time; more threads wait for a slot */

struct pump_slot {
	atomic_uint state; /* enum slot_state; a futex */
	struct mem_fault fault;
} __attribute__((aligned(64)));

/* All zero at the start. */
struct pump {
	atomic_uint lock;	/* enum lock_state; a futex */
	atomic_bool wanted;	/* by the shard's thread */
	_Atomic uint64_t used;	/* slots, as a set */
	_Atomic uint64_t asked; /* of those, whose fault nobody took yet */
	uint64_t waiting;	/* whose fault was taken, and not answered yet; with the lock */
	struct pump_slot slot[PUMP_SLOTS];
};

/* -- the lock -- */

bool pump_try(struct pump *p);
/* The shard's thread: sleeps until it has it. */
void pump_lock(struct pump *p);
/* Then look: pump_asked. */
void pump_unlock(struct pump *p);

/* -- a faulting thread -- */

/* Puts a fault down; its slot. Waits while there is none. */
unsigned pump_ask(struct pump *p, const struct mem_fault *fault);
bool pump_answered(const struct pump *p, unsigned slot);
/* Sleeps until the fault is answered, or for so long; it may wake sooner. */
void pump_sleep(struct pump *p, unsigned slot, uint64_t ns);
/* Of a fault that was answered. */
void pump_free(struct pump *p, unsigned slot);

/* -- anybody -- */

/* Are there faults that nobody took yet? */
static inline bool pump_asked(const struct pump *p)
{
	return atomic_load(&p->asked) != 0;
}
/* Does the shard's thread wait for the lock? */
static inline bool pump_wanted(const struct pump *p)
{
	return atomic_load(&p->wanted);
}

/* -- with the lock -- */

/* Takes up to `max` faults; how many. */
int pump_take(struct pump *p, struct mem_fault *out, int max);
/* The slot's thread does not wait any more, answered or not, and has given the slot back. */
void pump_withdraw(struct pump *p, unsigned slot);
/* The page's threads may go on. */
void pump_answer(struct pump *p, struct gpage page);

#endif
