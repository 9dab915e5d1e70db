/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CELLULAR_BENCH_HELP_H
#define CELLULAR_BENCH_HELP_H

#include "tests/bench/bench.h"

/* The page for who asks: to stdout. groups: tables of benches, NULL at the end. */
void help_print(const struct bench *const *groups);

#endif
