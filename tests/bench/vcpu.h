/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual CPU that touches pages in ring 3 and times each touch itself, by its time stamp
 * counter: no exit of the guest lies between the two readings, unless the page made one. (How its
 * state is set: node/vm/boot.h.)
 *
 * Guest-physical memory: tables, code and lists at the bottom, plain memory; above it windows, each
 * a range of the host's memory. Failures: -1, errno and a word in vcpu_why.
 * Threads: all calls from one, which is the vCPU's.
 */
#ifndef CELLULAR_BENCH_VCPU_H
#define CELLULAR_BENCH_VCPU_H

#include <stddef.h>
#include <stdint.h>

struct vcpu_toucher;

enum { VCPU_TOUCHES_MAX = 4096, VCPU_WINDOWS = 2 };

extern const char *vcpu_why; /* what failed last */

int vcpu_toucher_open(struct vcpu_toucher **out);
/* Shows the guest bytes of the host's memory, page-aligned, at most 64 GiB. window: 0 .. */
int vcpu_toucher_window(struct vcpu_toucher *t, unsigned window, void *host, size_t bytes);
/* Next touch of the list is the 8 bytes at offset `at` of a window. */
void vcpu_toucher_add(struct vcpu_toucher *t, unsigned window, uint64_t at);
/* Runs the list and empties it: ns[i] is what each touch took, seen[i] what it read. */
int vcpu_toucher_run(struct vcpu_toucher *t, uint64_t *ns, uint64_t *seen);
void vcpu_toucher_close(struct vcpu_toucher *t);

#endif
