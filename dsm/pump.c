/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/pump.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum lock_state { LOCK_FREE, LOCK_TAKEN, LOCK_SLEPT_FOR };
enum slot_state { SLOT_WAITS, SLOT_SLEEPS, SLOT_ANSWERED };

_Static_assert(PUMP_SLOTS == 64, "sets of slots are words");

static void futex_wait(atomic_uint *word, unsigned value, const struct timespec *timeout)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0);
}

static void futex_wake(atomic_uint *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- the lock ---- */

static bool take(struct pump *p)
{
	unsigned unlocked = LOCK_FREE;

	return atomic_compare_exchange_strong(&p->lock, &unlocked, LOCK_TAKEN);
}

bool pump_try(struct pump *p)
{
	return !pump_wanted(p) && take(p);
}

void pump_lock(struct pump *p)
{
	atomic_store(&p->wanted, true);
	if (!take(p))
		while (atomic_exchange(&p->lock, LOCK_SLEPT_FOR) != LOCK_FREE)
			futex_wait(&p->lock, LOCK_SLEPT_FOR, NULL);
	atomic_store(&p->wanted, false);
}

void pump_unlock(struct pump *p)
{
	if (atomic_exchange(&p->lock, LOCK_FREE) == LOCK_SLEPT_FOR)
		futex_wake(&p->lock);
}

/* ---- a faulting thread ---- */

static uint64_t bit(unsigned slot)
{
	return 1ULL << slot;
}

static unsigned lowest(uint64_t set)
{
	return (unsigned)__builtin_ctzll(set);
}

static unsigned take_slot(struct pump *p)
{
	uint64_t used = atomic_load(&p->used);

	for (;;) {
		unsigned slot;

		while (used == UINT64_MAX) {
			sched_yield();
			used = atomic_load(&p->used);
		}
		slot = lowest(~used);
		if (atomic_compare_exchange_weak(&p->used, &used, used | bit(slot)))
			return slot;
	}
}

unsigned pump_ask(struct pump *p, const struct mem_fault *fault)
{
	unsigned slot = take_slot(p);

	p->slot[slot].fault = *fault;
	atomic_store(&p->slot[slot].state, SLOT_WAITS);
	atomic_fetch_or(&p->asked, bit(slot));
	return slot;
}

bool pump_answered(const struct pump *p, unsigned slot)
{
	return atomic_load(&p->slot[slot].state) == SLOT_ANSWERED;
}

void pump_sleep(struct pump *p, unsigned slot, uint64_t ns)
{
	const struct timespec timeout = {.tv_sec = (time_t)(ns / 1000000000),
					 .tv_nsec = (long)(ns % 1000000000)};
	atomic_uint *state = &p->slot[slot].state;
	unsigned waits = SLOT_WAITS;

	atomic_compare_exchange_strong(state, &waits, SLOT_SLEEPS);
	futex_wait(state, SLOT_SLEEPS, &timeout);
}

void pump_free(struct pump *p, unsigned slot)
{
	atomic_fetch_and(&p->used, ~bit(slot));
}

/* ---- with the lock ---- */

int pump_take(struct pump *p, struct mem_fault *out, int max)
{
	uint64_t asked = atomic_load(&p->asked), taken = 0;
	int n = 0;

	for (; asked && n < max; asked &= asked - 1) {
		out[n++] = p->slot[lowest(asked)].fault;
		taken |= bit(lowest(asked));
	}
	p->waiting |= taken;
	atomic_fetch_and(&p->asked, ~taken);
	return n;
}

void pump_withdraw(struct pump *p, unsigned slot)
{
	atomic_fetch_and(&p->asked, ~bit(slot));
	p->waiting &= ~bit(slot);
	pump_free(p, slot);
}

void pump_answer(struct pump *p, struct gpage page)
{
	for (uint64_t left = p->waiting; left; left &= left - 1) {
		struct pump_slot *s = &p->slot[lowest(left)];

		if (s->fault.page.v != page.v)
			continue;
		p->waiting &= ~bit(lowest(left));
		if (atomic_exchange(&s->state, SLOT_ANSWERED) == SLOT_SLEEPS)
			futex_wake(&s->state);
	}
}
