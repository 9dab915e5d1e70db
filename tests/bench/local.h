/* SPDX-License-Identifier: Apache-2.0 */
/* The bench `local`: reads of 8 bytes at random in 256 MiB of chunks that nobody but their home
 * uses. */
#ifndef CELLULAR_BENCH_LOCAL_H
#define CELLULAR_BENCH_LOCAL_H

#include "tests/bench/bench.h"

uint64_t local_pages(const struct seat *s);
void local_prepare(struct seat *s);
double local_value(struct seat *s);
double local_floor(struct seat *s);

#endif
