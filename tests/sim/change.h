/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that leave and members that come, while all others go on. This is what the core's caller
 * has to do (dsm/core/core.h): one change at a time - but for two that ask to leave at the same
 * time, which the core sorts out -, and a newcomer's core begins when all have taken it in.
 */
#ifndef CELLULAR_SIM_CHANGE_H
#define CELLULAR_SIM_CHANGE_H

#include "proto/ids.h"

struct clock_event;
struct world;

/* Who leaves or comes, or has left but what it said last has not arrived; the dead do not count. */
dsm_set change_under_way(struct world *w);
/* Begins for a member, or begins again after a rest. */
void change_start(struct world *w, unsigned m);
/* CLOCK_LEAVE: its threads and devices stop; when they have, it is told to leave. */
void change_leave(struct world *w, unsigned m);
void change_come(struct world *w, unsigned m);			    /* CLOCK_COME */
void change_join(struct world *w, const struct clock_event *event); /* CLOCK_JOIN */
void change_birth(struct world *w, unsigned m);			    /* CLOCK_BIRTH */

#endif
