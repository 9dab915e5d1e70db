/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rack: cells, and the spaces that have members on them. What strikes cells - they die, or cannot
 * reach each other - strikes every space that has members there, and no other: those go on, and go
 * on being checked. A space that was struck ends; its survivors create it again under a higher
 * epoch, while members that were cut off may go on for a while in the life that is over (zombies)
 * and their messages come into the new one.
 *
 * Spaces share nothing but cells and virtual time, as fragments of different VMs do.
 */
#ifndef CELLULAR_SIM_RACK_H
#define CELLULAR_SIM_RACK_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/world.h"

enum { RACK_WORLDS_MAX = 12, RACK_LIVES_MAX = 9, RACK_CELLS_MAX = 128 };

struct rack {
	struct options options;
	uint64_t steps_max; /* of all spaces together, then a seed ends where it is; 0: none */
	struct world
		*worlds[RACK_WORLDS_MAX]; /* memory is kept from seed to seed; NULL: none yet */
	/* of this seed */
	unsigned n; /* worlds, in the order in which they began */
	uint64_t seed;
	struct rng rng;
	unsigned cells;		   /* that have or had members */
	bool gone[RACK_CELLS_MAX]; /* dead, or taken for lost */
	bool struck;
	struct world *current; /* whose turn it is */
	uint64_t digest;       /* of all that happened */
	uint64_t steps;
	struct failure failure;
	struct transcript transcript;
	struct figures figures; /* summed over seeds */
	uint32_t longest;	/* most letters a link ever held */
};

void rack_init(struct rack *r, const struct options *options);
void rack_free(struct rack *r);

/* Runs one seed from empty spaces to rest. False if an invariant was violated: r->failure says
 * which. */
bool rack_run(struct rack *r, uint64_t seed, enum transcript_mode mode);

#endif
