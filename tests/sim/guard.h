/* SPDX-License-Identifier: Apache-2.0 */
/* Outlives an assert of the core: it is a violation (A0) like others. */
#ifndef CELLULAR_SIM_GUARD_H
#define CELLULAR_SIM_GUARD_H

#include <stdbool.h>

/* Runs fn(arg). False: it was left in the middle, by abort(). Not to be nested. */
bool guard_run(void (*fn)(void *arg), void *arg);

#endif
