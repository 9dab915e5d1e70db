/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a core, counted and ordered again (I16): what it keeps for the next step must fit
 * together, whatever happened. After each step what is small; at rest all of it, and that nothing
 * was left behind.
 */
#ifndef CELLULAR_SIM_AUDIT_H
#define CELLULAR_SIM_AUDIT_H

struct world;

void audit_step(struct world *w, unsigned m);
void audit_rest(struct world *w, unsigned m);

#endif
