/* SPDX-License-Identifier: Apache-2.0 */
/* Legality of messages (proto/page.h): class, way, fields. */
#ifndef CELLULAR_SIM_LEGAL_H
#define CELLULAR_SIM_LEGAL_H

#include "dsm/core/core.h"

struct world;

/* Is this SEND, which member m is about to do, legal? If not the seed fails (I7). */
void legal_send(struct world *w, unsigned m, const struct dsm_effect *fx);

#endif
