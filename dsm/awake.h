/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Should the shard stay awake for what is about to come, or sleep? Waking a sleeping thread takes
 * longer than most answers do. So it stays awake for a while where a thread here waits for another
 * member, or where messages came one soon after the other. It does not where a thread here was
 * woken lately and nobody waits: that thread may want this very core, and a loop that yields does
 * not leave it to one that is less urgent. And where the core is wanted by
 * others it sleeps at once, for longer each time: to wake on a core that computes is cheap, and to
 * stay awake there is not.
 *
 * How long a while is follows what is worth waiting for, as KVM's halt polling does (Linux
 * Documentation/virt/kvm/halt-polling.rst): a message that came a little later than the shard
 * stayed awake makes the while longer, for what it cost to be woken made it late; one that came
 * much later makes it short again.
 *
 * Pure: times are given in (ns, monotonic). Threads: who runs the shard.
 */
#ifndef CELLULAR_DSM_AWAKE_H
#define CELLULAR_DSM_AWAKE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	AWAKE_NS = 50000,	   /* without anything to do, at the least ... */
	AWAKE_MAX_NS = 400000,	   /* ... and at the most */
	AWAKE_BUSY_NS = 1000000,   /* so long does a thread run that was woken, perhaps */
	AWAKE_AWAY_NS = 100000,	   /* so long does no system call take */
	AWAKE_SLEEPY_NS = 2000000, /* after that, the first time */
	AWAKE_SLEEPY_MAX_NS = 64000000,
};

/* All zero at the start. */
struct awake {
	uint64_t asked;	      /* when faults were read last */
	uint64_t heard;	      /* when the last message came */
	uint64_t longer;      /* than AWAKE_NS it stays awake */
	bool dense;	      /* ... soon after the one before */
	uint64_t busy_until;  /* threads here were woken, and run */
	uint64_t sleep_until; /* the core is wanted */
	uint64_t sleepy;      /* for so long, the last time */
};

void awake_asked(struct awake *a, uint64_t now);
void awake_heard(struct awake *a, uint64_t now);
/* A thread here was woken. */
void awake_woke(struct awake *a, uint64_t now);
/* Another thread ran on this core, and not for a moment. */
void awake_displaced(struct awake *a, uint64_t now);
/* Two looks at the clock with nothing between them that takes long: it may have been that, or the
 * whole machine stood still, as a virtual one does. */
static inline bool awake_was_away(uint64_t last, uint64_t now)
{
	return now - last > AWAKE_AWAY_NS;
}
/* waits: a thread here waits for another member. */
bool awake_stays(const struct awake *a, bool waits, uint64_t now);

#endif
