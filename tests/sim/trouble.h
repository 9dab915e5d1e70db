/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong in a space while all its members live: pages are given back, old messages turn
 * up. */
#ifndef CELLULAR_SIM_TROUBLE_H
#define CELLULAR_SIM_TROUBLE_H

struct clock_event;
struct letter;
struct world;

void trouble_start(struct world *w); /* begins, or begins again after a rest */
/* Its threads and devices stop; when they have, it is told to leave. */
void trouble_leave(struct world *w, unsigned m);
void trouble_move(struct world *w, unsigned m);
void trouble_evict(struct world *w, unsigned m); /* CLOCK_EVICT */
void trouble_stale(struct world *w, unsigned m); /* CLOCK_STALE */
/* Member m, not stopped within a step, gets a message of another epoch. Nothing may come of it. */
void trouble_give_stale(struct world *w, unsigned m, unsigned from, const struct letter *letter);
void trouble_storm(struct world *w, unsigned m);		     /* CLOCK_STORM */
void trouble_hint(struct world *w, const struct clock_event *event); /* CLOCK_HINT */
void trouble_odd(struct world *w, unsigned m);			     /* CLOCK_ODD */
void trouble_spurious(struct world *w, unsigned m);		     /* CLOCK_SPURIOUS */

#endif
