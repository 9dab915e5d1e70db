/* SPDX-License-Identifier: Apache-2.0 */
/* What a space costs in memory beside its pages, by table. All members call it, before anything was
 * touched; member 0 tells by `say`. */
#ifndef CELLULAR_BENCH_MEMORY_H
#define CELLULAR_BENCH_MEMORY_H

#include "tests/bench/bench.h"

/* Of the space it wants. */
uint64_t memory_pages(const struct seat *s);
void memory_tell(struct seat *s, void (*say)(const struct seat *s, const char *what, double value,
					     const char *unit));

#endif
