/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a life of a space: members die, or cannot reach each other any more and take each
 * other for lost when they have been silent for too long. Who is cut off goes on until it learns
 * so, too; what it sends meanwhile comes, as a stray, into the life after this one.
 */
#ifndef CELLULAR_SIM_LOSS_H
#define CELLULAR_SIM_LOSS_H

#include "proto/ids.h"

struct clock_event;
struct letter;
struct world;

/* These may be named as lost from now on; this life ends. */
void loss_suspect(struct world *w, dsm_set members);
void loss_die(struct world *w, unsigned m);
/* Nothing comes from `from` to `to` any more: `to` learns it by the silence, `from` later, because
 * nobody confirms what it sends. */
void loss_cut(struct world *w, unsigned from, unsigned to);
void loss_lost(struct world *w, unsigned m, unsigned lost); /* CLOCK_LOST */

/* A message of this life that nobody in it can get any more. */
void loss_stray(struct world *w, unsigned from, unsigned to, const struct letter *letter);
/* Strays that came up since the last time go on their way into the life after this one. */
void loss_send_strays(struct world *w);
void loss_zombie(struct world *w, const struct clock_event *event); /* CLOCK_ZOMBIE */

#endif
