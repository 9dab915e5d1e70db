/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broken or hostile member may send at any moment. Messages that no rule allows (rules.h)
 * are made from those that are about to be delivered, with one or two fields changed, and from
 * nothing. Each is given to the core that would get it, which must end the space, name the sender,
 * and do nothing else; then the core is set back to what it was. So it can be tried all the time,
 * in the middle of every life, and changes none. (forge.c lets one such message really happen.)
 */
#ifndef CELLULAR_SIM_HOSTILE_H
#define CELLULAR_SIM_HOSTILE_H

#include "tests/sim/link.h"

struct world;

/* Now and then, before a letter is delivered: something else comes instead. */
void hostile_try(struct world *w, unsigned from, unsigned to, const struct letter *letter);

#endif
