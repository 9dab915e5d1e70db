/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floors of the benches, from the parts of tests/bench/floor.h: as many rounds as the bench
 * has, the median in us. All members call them at the same time; the measurer's result counts.
 */
#ifndef CELLULAR_BENCH_PARTS_H
#define CELLULAR_BENCH_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "tests/bench/bench.h"

enum { MEASURER = 0, OTHER = 1 };

double parts_median_us(const uint64_t *ns, unsigned n);

/* A fault here. */
double parts_fault(struct seat *s);
/* A small message, and an answer of so many bytes, between members 0 and 1; the others sleep. */
double parts_exchange(struct seat *s, size_t reply);

/* A fault here, and a page from there. */
double parts_page(struct seat *s);
/* A fault here, and a right from there: no page travels. */
double parts_right(struct seat *s);
/* A small message there and back. */
double parts_message(struct seat *s);

#endif
