/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spaces of a run: one as a rule; a second one with another hold time; one a shard; or one of
 * the public library. All members call these at the same time.
 */
#ifndef CELLULAR_BENCH_SPACES_H
#define CELLULAR_BENCH_SPACES_H

#include "tests/bench/bench.h"

/* The engine's thread of a first space is on the member's core, as is what it measures. With shards
 * each one's is on a core of its own, as far as there are any. */
void spaces_open(struct seat *s);
void spaces_close(struct seat *s);

/* The core of a shard's engine, and of who uses that shard. */
int spaces_core(const struct seat *s, unsigned space);

#endif
