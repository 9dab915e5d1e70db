/* SPDX-License-Identifier: Apache-2.0 */
/*
 * celld keeps a duplicate of the userfaultfd until it has reaped the fragment: were this process's
 * the last one, its closing on the way out would let threads that still wait for pages read zeros.
 */
#ifndef CELLULAR_NODE_HANDOVER_H
#define CELLULAR_NODE_HANDOVER_H

#include "proto/base/err.h"

/* Sends fd as SCM_RIGHTS with one byte. Errors: SYS. */
int handover_uffd(int socket, int fd, struct err *e);

#endif
