/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The character of one seed. Each seed draws its own mix (few or many writers, one hot page or
 * none, quick or slow links, long or no holds), so that a hundred seeds are a hundred different
 * racks ("Swarm testing", Groce et al., ISSTA 2012), not a hundred runs of the average one.
 */
#ifndef CELLULAR_SIM_TUNING_H
#define CELLULAR_SIM_TUNING_H

#include <stdint.h>

#include "tests/sim/options.h"
#include "tests/sim/rng.h"

struct tuning {
	/* load */
	unsigned threads; /* of a member */
	unsigned devices; /* of a member */
	unsigned group;	  /* 1, 2, 4 or 16 used pages lie side by side, over a chunk's edge */
	uint32_t write;	  /* per mille of the accesses */
	uint32_t hot;	  /* per mille of the accesses that go to one of hot_pages */
	unsigned hot_pages;
	uint32_t sets;	     /* per mille of the instructions that need several pages at once */
	unsigned set_pages;  /* ... at most so many */
	uint64_t think;	     /* ns, most between two instructions */
	uint64_t storm_gap;  /* ns between two storms of fault messages; 0: none */
	unsigned strangers;  /* threads whose faults those may be; 0: nobody's */
	uint64_t device_gap; /* ns, most between two acquires */
	uint64_t device_use; /* ns, most an acquire is held */
	/* network */
	uint64_t base;	     /* ns, least delay of a message */
	uint64_t jitter;     /* ns, most on top */
	uint32_t tail;	     /* per mille of the messages that come late */
	uint64_t tail_delay; /* ns, most */
	/* trouble */
	uint64_t evict_gap;    /* ns between two evictions on a member; 0: none */
	uint32_t discard;      /* per mille of the evictions that throw the content away */
	uint64_t move_gap;     /* ns between two orders to move a home, of a member; 0: none */
	uint64_t leave_gap;    /* ns between two members that leave, about; 0: nobody does */
	uint64_t join_gap;     /* ns between two that come, about; 0: all are there at first */
	unsigned founders;     /* members that are there at first; 0: all */
	uint64_t stale_gap;    /* ns between two messages of another epoch; 0: none */
	uint64_t odd_gap;      /* ns between two events to be refused; 0: none */
	uint64_t loss_step;    /* when cells die or are cut off; 0: never */
	uint32_t strike;       /* ... per mille of the turns while somebody leaves or comes; 0: any
				  time */
	unsigned crashes;      /* cells that die then; 0: they are cut off */
	uint64_t forge_step;   /* when a member sends what no rule allows; 0: never */
	uint64_t silence;      /* ns, most after which a member takes a silent one for lost */
	uint32_t pause;	       /* per mille of the effects before which the member stops */
	uint64_t pause_time;   /* ns, most */
	uint64_t wake_least;   /* ns, least between a wake and the thread's run */
	uint64_t wake_delay;   /* ns, most on top */
	uint64_t timer_delay;  /* ns, most */
	uint64_t spurious_gap; /* ns between two timers nobody asked for; 0: none */
	unsigned rests;	       /* how often all load stops and the rack must come to rest */
	/* core */
	uint32_t hold_us;
	uint32_t acquire_us;
	uint32_t epoch;
	bool whole;   /* chunks are taken whole (R52) */
	bool compact; /* the used pages are all there are: no others need go along */
};

/* ns that the core holds a page at least for a thread in trouble (R27 of dsm/PROTOCOL.md). */
uint64_t tuning_patience(const struct tuning *t);

void tuning_draw(struct tuning *out, const struct options *options, struct rng *r);

#endif
