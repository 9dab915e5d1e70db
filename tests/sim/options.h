/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of the simulator is asked to do. */
#ifndef CELLULAR_SIM_OPTIONS_H
#define CELLULAR_SIM_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* Faults a run may be given; bit 1 << SIM_x. */
#define SIM_FAULTS(X)                                                                              \
	X(DELAY, delay,                                                                            \
	  "message delays differ; without reorder, all messages still arrive in the order they "   \
	  "were sent")                                                                             \
	X(REORDER, reorder, "messages of different pairs overtake each other")                     \
	X(CRASH, crash,                                                                            \
	  "a cell dies, what it sent arrives in part, the others learn it one by one")             \
	X(EVICT, evict, "pages and copies are given back at any time")                             \
	X(EPOCH, epoch, "messages of another epoch turn up; so do events the core has to refuse")  \
	X(SLOW, slow, "members stop between two effects, threads and timers come late")            \
	X(PARTITION, partition,                                                                    \
	  "members cannot reach others, in one way or both, and learn it late or from others")     \
	X(FORGE, forge,                                                                            \
	  "a member sends what no rule allows, once: the space must end and say who")              \
	X(MOVE, move, "homes of chunks move")                                                      \
	X(DISCARD, discard, "some of what is evicted is thrown away: it reads as zeros then")      \
	X(LEAVE, leave, "members leave in order, sometimes two at a time; the others go on")       \
	X(JOIN, join, "some members are not there at first, and come one after the other")         \
	X(WHOLE, whole, "in half of the seeds chunks that only their home uses are whole")

enum sim_fault {
#define X(name, word, text) SIM_##name,
	SIM_FAULTS(X)
#undef X
		SIM_FAULT_KINDS,
};

enum { SIM_FAULTS_ALL = (1 << SIM_FAULT_KINDS) - 1, SIM_PAGES_MAX = 1024 };

#define OPTIONS_ANY UINT_MAX /* no bound */

struct options {
	unsigned members;    /* 1 .. DSM_MEMBERS_MAX */
	unsigned pages;	     /* 1 .. SIM_PAGES_MAX: pages that are used */
	uint64_t steps;	     /* a seed */
	uint64_t seed_first; /* seeds, both included */
	uint64_t seed_last;
	unsigned faults; /* bits of enum sim_fault */
	const char *bug; /* planted bug, or NULL */
	int64_t hold_us; /* -1: each seed draws its own */
	uint64_t trace_seed;
	bool trace;
	bool exhaust;	       /* every state instead of seeds (exhaust/exhaust.h) */
	unsigned losses;       /* exhaust: members that may be lost */
	unsigned acquires;     /* exhaust: devices that may acquire at a time */
	unsigned leaves;       /* exhaust: members that may leave */
	unsigned joins;	       /* exhaust: of the members, those that come later */
	unsigned moves;	       /* exhaust: of the home of each chunk; OPTIONS_ANY: without end */
	unsigned memory_mib;   /* exhaust: most memory for states */
	unsigned sets;	       /* exhaust: pages an instruction needs at once; 0: one */
	unsigned late;	       /* ... and patiences that its thread comes late, once woken */
	bool whole;	       /* exhaust: chunks are taken whole */
	bool same_home;	       /* exhaust: two pages have one home */
	bool check_reductions; /* exhaust: put them to the test at each transition */
	bool json;
	bool list_bugs;
	bool check_bugs;   /* every planted bug must be found */
	bool check_replay; /* every seed twice: same transcript */
	bool floors;	   /* enough must collide and be done */
	bool path;	   /* measure the critical path of an invalidation */
	bool first_only;   /* end at the first violation */
	bool scaled;	   /* numbers are scaled by CELLULAR_TEST_SCALE */
	bool help;
};

/* Fills *out from the command line. 0, or ERR_INVALID after a sentence on stderr. */
int options_parse(struct options *out, int argc, char **argv);
void options_usage(void);

#endif
