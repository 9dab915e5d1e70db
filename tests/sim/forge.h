/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member sends what no rule allows: a real message is changed on its way, comes from somebody
 * else, or comes twice. Only such changes are made that no state of the receiver could make right.
 * The receiver must end the space with ERR_PROTOCOL and the sender's number (R30), and nothing else
 * may come of the message.
 */
#ifndef CELLULAR_SIM_FORGE_H
#define CELLULAR_SIM_FORGE_H

#include <stdbool.h>

#include "tests/sim/link.h"

struct world;

/* Is it time, and is this a message to begin with? Then it is delivered forged, and true. */
bool forge_letter(struct world *w, unsigned from, unsigned to, const struct letter *letter);

#endif
