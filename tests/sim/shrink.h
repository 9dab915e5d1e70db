/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for a shorter way to a violation: other seeds, fewer members, pages and kinds of faults, as
 * long as some seed still fails, and fails earlier ("Simplifying and isolating failure-inducing
 * input", Zeller, Hildebrandt, IEEE TSE 28(2), 2002: the greedy part of it). What comes out need
 * not be the shortest there is.
 */
#ifndef CELLULAR_SIM_SHRINK_H
#define CELLULAR_SIM_SHRINK_H

#include <stdint.h>
#include <stdio.h>

#include "tests/sim/rack.h"

struct shrunk {
	struct options options;
	struct failure failure; /* its seed and step; `step` counts all spaces of the rack */
	uint64_t lines;		/* of the transcript */
};

/* from: the options `failure` came with; steps: how many may be spent. */
void shrink(struct shrunk *out, const struct options *from, const struct failure *failure,
	    uint64_t steps);

/* The command that shows it again, without a line feed. */
void shrink_command(const struct shrunk *s, FILE *out);
/* The transcript, or its end if it is long. */
void shrink_transcript(const struct shrunk *s, FILE *out);

#endif
