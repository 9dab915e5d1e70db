/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The critical path of an invalidation, in virtual time: from a write fault to the right to write,
 * all messages taking the same time. All sharers are told at once and ack straight to the writer,
 * so it is three hops for one sharer and for 63.
 *
 * And the messages of a fault, from the fault until all are at rest again: as many among 64 members
 * as among 8.
 */
#ifndef CELLULAR_SIM_PATH_H
#define CELLULAR_SIM_PATH_H

#include <stdbool.h>

/* Measures and prints a line a case. False: some number of sharers takes longer than one, or a
 * fault takes more messages where there are more members. */
bool path_check(void);

#endif
