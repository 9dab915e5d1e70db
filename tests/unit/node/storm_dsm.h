/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm.h for tests of the memory adapter under real vCPUs: a space with one member, on the real
 * userfaultfd adapter (dsm/mem.h), whose pages are taken away and given back all the time, by the
 * book (protect, read out, drop; M3) or in a wrong order. There is no protocol behind it, so what
 * goes wrong is the adapter's, the kernel's or KVM's.
 *
 * Threads: options are set before dsm_open, figures read after dsm_close.
 */
#ifndef CELLULAR_TESTS_STORM_DSM_H
#define CELLULAR_TESTS_STORM_DSM_H

#include <stdbool.h>
#include <stdint.h>

struct storm_options {
	bool read_first;     /* the wrong order: reads before it protects */
	uint64_t first, end; /* pages that are taken; both 0: all coherent pages */
	/* Told of each page taken, with what was in it. May be NULL. On the storm's thread. */
	void (*taken)(uint64_t page, const uint8_t *bytes);
};

struct storm_figures {
	uint64_t taken;	     /* pages taken away */
	uint64_t written;    /* of those, with other contents than when they were given */
	uint64_t unstable;   /* that changed between protection and drop: must not be */
	uint64_t given_ro;   /* installed read-only */
	uint64_t given_rw;   /* installed writable */
	uint64_t upgraded;   /* made writable while present */
	uint64_t own_faults; /* faults of the storm's own thread (M8): must not be */
	int failed;	     /* the first error of the adapter, 0: none */
};

extern struct storm_options storm_options;
extern struct storm_figures storm_figures;

#endif
