/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Randomness for keys and nonces, from the kernel. Threads: any.
 */
#ifndef CELLULAR_BASE_RAND_H
#define CELLULAR_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

/* Fills n bytes by getrandom(2). SYS: the kernel gave none; nothing in `to` is to be used then. */
int rand_bytes(void *to, size_t n, struct err *e);

#endif
