/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of tests/bench/floor.h measured a second time, by code that shares nothing with it:
 * other system calls, another clock. What both say is what the machine does; where they differ, one
 * of them measures something else. Medians in us; less than 0 and errno: failed.
 */
#ifndef CELLULAR_BENCH_SECOND_H
#define CELLULAR_BENCH_SECOND_H

#include <stdbool.h>
#include <stddef.h>

/* n first touches of pages that are brought by a thread which sleeps in read on the same core, or
 * by the thread itself. */
double second_fault(bool in_thread, unsigned n);
/* n exchanges of `ask` bytes for `reply` over TCP with a process on another core; both spin. */
double second_exchange(size_t ask, size_t reply, int other_core, unsigned n);

#endif
