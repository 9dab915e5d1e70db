/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step: an event is given to a core, its effects are carried out in their order, the pages
 * touched are checked. A slow member stops between two effects while the rest of the rack goes on;
 * what happens to it meanwhile waits, as it waits for a real engine thread.
 */
#ifndef CELLULAR_SIM_STEP_H
#define CELLULAR_SIM_STEP_H

#include <stdint.h>

#include "dsm/core/core.h"
#include "tests/sim/link.h"

struct world;

/* Gives event to member m's core; letter: the message's data, or NULL. event->now is filled in. m
 * is neither dead nor paused. */
void step_give(struct world *w, unsigned m, struct dsm_event *event, const struct letter *letter);

void step_letter(struct world *w, unsigned from, unsigned to, const struct letter *letter);

/* What waited for m's engine comes now. */
void step_unblock(struct world *w, unsigned m);

/* CLOCK_RESUME: goes on with the effects. */
void step_resume(struct world *w, unsigned m);

#endif
