/* SPDX-License-Identifier: Apache-2.0 */
/*
 * R40 .. R42 of dsm/PROTOCOL.md once more, as plainly as they are written there: what a core knows
 * of its stalled threads after a step follows from what it knew before, the proofs and the fault
 * (I15). Whether pages came or left it is asked; what follows from that is found here.
 */
#ifndef CELLULAR_SIM_STALL_H
#define CELLULAR_SIM_STALL_H

#include "dsm/core/core.h"

struct world;

/* Around the step of member m: works out what must come, and compares. */
void stall_before(const struct world *w, unsigned m, const struct dsm_event *event);
void stall_after(struct world *w, unsigned m);

#endif
