/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The torture on native members: processes that share a space through dsm.h, with two workers each
 * and an evictor. The caller starts it, watches it, troubles it and ends it. With visitors, members
 * join and leave meanwhile: each takes pages all over the space, and their homes, and goes again.
 *
 *	members_start(&m, &config) -> members_wait(...) -> members_end(&m)
 */
#ifndef CELLULAR_TESTS_TORTURE_MEMBERS_H
#define CELLULAR_TESTS_TORTURE_MEMBERS_H

#include "tests/torture/proxy.h"
#include "tests/torture/torture.h"
#include "tests/unit/dsm/engine/rack.h"

enum { MEMBERS = RACK_MEMBERS, MEMBER_THREADS = 2, MEMBERS_WORKERS = MEMBERS * MEMBER_THREADS };

struct members_config {
	const char *name; /* for what is printed */
	uint64_t seed;
	unsigned pages; /* of objects */
	uint32_t run_ms, round_ms;
	uint32_t hold_us, silence_ms; /* as in struct dsm_config */
	bool visitors;		      /* members_visit will be called */
	struct proxy *proxy;	      /* what lies between them: a link a pair; NULL: nothing */
};

/* The link of a pair of members, 0 .. MEMBERS_LINKS - 1; direction 0 is towards `low`. */
enum { MEMBERS_LINKS = MEMBERS * (MEMBERS - 1) / 2 };
static inline unsigned members_link(unsigned high, unsigned low)
{
	return high * (high - 1) / 2 + low;
}

enum members_state {
	MEMBERS_AT_WORK,
	MEMBERS_DONE,  /* all rounds, nothing wrong */
	MEMBERS_WRONG, /* somebody saw a wrong value */
	MEMBERS_ENDED, /* the space ended */
};

struct members {
	struct members_config config;
	struct rack_config space;
	struct rack *rack;
};

/* Returns when all have connected. False: skipped, with a reason. *m stays where it is until
 * members_end. */
bool members_start(struct members *m, const struct members_config *config);
enum members_state members_state(const struct members *m);
const char *members_state_name(enum members_state state);
/* Waits while they are at work, up to ms. */
enum members_state members_wait(const struct members *m, uint32_t ms);
/* Lets members come and go, two at a time, while the others are at work; returns how many, when all
 * have gone. */
unsigned members_visit(struct members *m);
/* How many wrong values were reported so far, how many lost callbacks came. */
uint64_t members_wrong(const struct members *m);
unsigned members_lost(const struct members *m);
/* Rounds that are over. */
uint64_t members_rounds(const struct members *m);
/* Ends it: in order if it is done, else by SIGKILL. Prints a line of what was done. */
void members_end(struct members *m);

#endif
