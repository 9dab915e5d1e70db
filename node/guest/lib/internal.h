/* SPDX-License-Identifier: Apache-2.0 */
/* Between the common part of the library (common.c, program.c, format.c) and what carries it
 * (vcpu.c or native.c). */
#ifndef CELLULAR_GUEST_INTERNAL_H
#define CELLULAR_GUEST_INTERNAL_H

#include "node/guest/g.h"

/* From the carrier. */
void g_console(const char *text, size_t n);  /* all of it, in one piece if n is small */
void g_heap(uint64_t *start, uint64_t *end); /* zeroed memory for g_alloc */

/* For the carrier: what every vCPU but 0 does; never returns. */
void g_work(unsigned vcpu) __attribute__((noreturn));

#endif
