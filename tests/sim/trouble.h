/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong in a space while all its members live: pages are given back, old messages turn
 * up. */
#ifndef CELLULAR_SIM_TROUBLE_H
#define CELLULAR_SIM_TROUBLE_H

#include <stdint.h>

#include "tests/sim/clock.h"

struct letter;
struct world;

/* The next one of this kind, after about `gap` ns; not where gap is 0, nor at rest. */
void trouble_again(struct world *w, unsigned m, enum clock_kind kind, uint64_t gap);

/* Begins for a member, or begins again after a rest. */
void trouble_start(struct world *w, unsigned m);
void trouble_move(struct world *w, unsigned m);
void trouble_move_to(struct world *w, unsigned to); /* a home of some other member's */
void trouble_evict(struct world *w, unsigned m);    /* CLOCK_EVICT */
void trouble_stale(struct world *w, unsigned m);    /* CLOCK_STALE */
/* Member m, not stopped within a step, gets a message of another epoch. Nothing may come of it. */
void trouble_give_stale(struct world *w, unsigned m, unsigned from, const struct letter *letter);
void trouble_storm(struct world *w, unsigned m);		     /* CLOCK_STORM */
void trouble_hint(struct world *w, const struct clock_event *event); /* CLOCK_HINT */
void trouble_odd(struct world *w, unsigned m);			     /* CLOCK_ODD */
void trouble_spurious(struct world *w, unsigned m);		     /* CLOCK_SPURIOUS */

#endif
