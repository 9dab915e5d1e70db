/* SPDX-License-Identifier: Apache-2.0 */
/* The system-call part of node/vm/sandbox.h, used by it alone. */
#ifndef CELLULAR_NODE_SANDBOX_CALLS_H
#define CELLULAR_NODE_SANDBOX_CALLS_H

#include <stdio.h>

#include "proto/base/err.h"

/* Installs the handler that names a forbidden call, then the list. Errors: SYS, UNSUPPORTED. */
int calls_restrict(struct err *e);

/* The second, tighter list, for all threads. Errors: SYS. */
int calls_restrict_connected(struct err *e);

unsigned calls_count(void);
void calls_list(FILE *out);

#endif
