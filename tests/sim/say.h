/* SPDX-License-Identifier: Apache-2.0 */
/* How a step reads in the transcript: small letters for what happened to a core, capitals for what
 * it did. */
#ifndef CELLULAR_SIM_SAY_H
#define CELLULAR_SIM_SAY_H

#include <stdint.h>

#include "dsm/core/core.h"

struct letter;
struct world;

/* letter: the message's data, or NULL for other events. Member m has noted the pages that the event
 * names. */
void say_event(struct world *w, unsigned m, const struct dsm_event *event,
	       const struct letter *letter);
void say_effect(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx);

const char *say_event_name(int type);
const char *say_effect_name(int type);

#endif
