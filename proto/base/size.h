/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Amounts of memory as people write and read them: a whole number with KiB, MiB, GiB or TiB (powers
 * of two), or of bytes.
 *
 * Threads: pure functions.
 */
#ifndef CELLULAR_BASE_SIZE_H
#define CELLULAR_BASE_SIZE_H

#include <stdint.h>

#include "proto/base/err.h"

enum { SIZE_TEXT_MAX = 32 };

/* "256MiB", "1 GiB", "4096", "4096B" -> bytes. INVALID: anything else (a unit of ten too: "MB"), or
 * above 2^63 - 1. */
int size_parse(const char *text, uint64_t *bytes, struct err *e);

/* The shortest honest form: "256 MiB", "1.5 GiB", "4 KiB", "12 B"; at most one decimal, cut, never
 * rounded up. Returns out. */
const char *size_format(uint64_t bytes, char out[SIZE_TEXT_MAX]);

#endif
