/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a world for a seed in memory that is kept from seed to seed. */
#ifndef CELLULAR_SIM_BUILD_H
#define CELLULAR_SIM_BUILD_H

#include <stdint.h>

#include "proto/ids.h"

struct tuning;
struct world;

/* What a life of a space begins with. */
struct birth {
	uint64_t seed; /* of the rack */
	unsigned space;
	unsigned life;		       /* 0: the first */
	unsigned members;	       /* not more than the world has room for */
	uint8_t cell[DSM_MEMBERS_MAX]; /* of each */
	uint64_t steps;
	uint64_t now;		     /* ns; 0: the beginning of time */
	uint32_t epoch;		     /* in a later life; the first one draws its own */
	struct world *before;	     /* the life before this one, or NULL */
	const struct tuning *tuning; /* its character; NULL: the seed draws it */
};

/* Everything as it is before the first event: cores just born, memories empty, nothing under way.
 */
void build_world(struct world *w, const struct birth *birth);
/* The core of a member that was absent, with what `teller` knows of the others. */
void build_newcomer(struct world *w, unsigned m, unsigned teller);

#endif
