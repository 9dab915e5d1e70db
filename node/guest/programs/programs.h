/* SPDX-License-Identifier: Apache-2.0 */
/* The programs as functions, so that suite can run them one after the other. Each returns an exit
 * code. */
#ifndef CELLULAR_GUEST_PROGRAMS_H
#define CELLULAR_GUEST_PROGRAMS_H

#include <stdint.h>

/* Solves Laplace's equation by Jacobi's method: `sweeps` sweeps over the n * n grid in the file
 * "grid". */
int jacobi(uint64_t n, uint64_t sweeps);

/* Counts the words of the file "text". */
int wordcount(void);

/* One line a vCPU: "work PROGRAM vcpu=K UNIT=N share=P%". work[k * step] is what vCPU k did. */
void print_work(const char *program, const char *unit, const uint64_t *work, unsigned step);

#endif
