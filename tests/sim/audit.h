/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a core, counted and ordered again (I16): what it keeps for the next step must fit
 * together, whatever happened. After each step what is small; at rest all of it, and that nothing
 * was left behind.
 */
#ifndef CELLULAR_SIM_AUDIT_H
#define CELLULAR_SIM_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

struct dsm_event;
struct world;

/* How far a core that leaves has come; and after its step: from there, not too far. */
uint64_t audit_walked(const struct world *w, unsigned m);
void audit_walk(struct world *w, unsigned m, uint64_t from);
/* The page each collection waits for; and after its step: did it pass through? */
void audit_awaits(const struct world *w, unsigned m);
void audit_passed(struct world *w, unsigned m);
void audit_step(struct world *w, unsigned m);
/* R46, R49: has m's core to refuse this LEAVE or JOIN? */
bool audit_refuses(const struct world *w, unsigned m, const struct dsm_event *event);
/* R52: has a fault to take the page's chunk whole? */
bool audit_takes(const struct world *w, unsigned m, uint64_t page);
/* R32: has it to heed this MOVE? And has it? */
bool audit_moves(const struct world *w, unsigned m, const struct dsm_event *event);
void audit_moved(struct world *w, unsigned m, const struct dsm_event *event);
/* R20, R21, R43: has it to give back the page of this EVICT? And has it? */
bool audit_evicts(const struct world *w, unsigned m, const struct dsm_event *event);
uint64_t audit_given_back(const struct world *w, unsigned m);
void audit_evicted(struct world *w, unsigned m, uint16_t page, bool evicts, uint64_t before);

void audit_rest(struct world *w, unsigned m);

#endif
