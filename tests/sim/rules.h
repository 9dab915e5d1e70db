/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which messages no rule of dsm/PROTOCOL.md allows, as one list of conditions a type: written from
 * the rules, and as plainly as can be, to stand beside the handlers of the core. It reads the
 * core's tables, and changes nothing.
 */
#ifndef CELLULAR_SIM_RULES_H
#define CELLULAR_SIM_RULES_H

#include <stdbool.h>

#include "dsm/core/internal.h"

/* Would a core in this state have to end the space because of this message (R30)? `from` is another
 * member that is known here and did not say GONE; the message is of this epoch, and not the link's.
 */
bool rules_forbid(const struct dsm_core *core, struct member_id from, const struct dsm_msg *m);

#endif
