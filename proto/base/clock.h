/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two clocks everybody uses. Threads: any.
 */
#ifndef CELLULAR_BASE_CLOCK_H
#define CELLULAR_BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in ns: for deadlines and durations within one host. */
uint64_t clock_ns(void);
/* The same in ms. */
uint64_t clock_ms(void);
/* CLOCK_REALTIME in ms since 1970: for people and records, never for deadlines. */
uint64_t clock_unix_ms(void);

#endif
