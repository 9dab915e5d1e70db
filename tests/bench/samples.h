/* SPDX-License-Identifier: Apache-2.0 */
/* Many durations, and what is said of them. Threads: one at a time. */
#ifndef CELLULAR_BENCH_SAMPLES_H
#define CELLULAR_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

/* Sorts v. q: 0 .. 1; the value below which that part of the samples lies. 0 if there are none. */
double samples_quantile(uint64_t *v, size_t n, double q);
double samples_median(double *v, size_t n);

#endif
