/* SPDX-License-Identifier: Apache-2.0 */
/* Outlives an assert of the core and a step that does not end: a violation (A0) like others. */
#ifndef CELLULAR_SIM_GUARD_H
#define CELLULAR_SIM_GUARD_H

#include <stdbool.h>

/* Runs fn(arg). False: it was left in the middle, by abort() or by the watchdog. Not to be nested.
 */
bool guard_run(void (*fn)(void *arg), void *arg);
/* fn comes back to itself: from the first call on, a second of processor time without another one
 * is too long. */
void guard_alive(void);
/* Why it was left: a sentence. */
const char *guard_why(void);

#endif
