/* SPDX-License-Identifier: Apache-2.0 */
/* Who caught how many mutants of which source. */
#ifndef CELLULAR_MUTATE_TALLY_H
#define CELLULAR_MUTATE_TALLY_H

#include "tests/sim/mutate/trial.h"

/* What became of a mutant. */
enum fate {
	FATE_EQUIVALENT, /* survived, and nobody could tell it from the original */
	FATE_CAUGHT,	 /* by a stage of group g: FATE_CAUGHT + g */
	FATE_UNSEEN = FATE_CAUGHT + GROUPS, /* survived, and is explained */
	FATE_UNEXPLAINED,
	FATES,
};

struct tally {
	int n[FATES];
};

void tally_add(struct tally *to, const struct tally *from);
int tally_tried(const struct tally *t);
/* Per mille of those that are not equivalent: caught by the seeds alone; 0 if there are none. */
int tally_share(const struct tally *t);

/* A table: its head, a line a source, or all. */
void tally_head(void);
void tally_line(const char *name, const struct tally *t);

#endif
