/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole chunks of a range of a userfaultfd (M14, M15 of dsm/mem.h): memory that raises no fault and
 * has huge pages, until it is split.
 *
 * A chunk becomes whole by a new mapping in its place: a fault has already given it a page table,
 * and where there is one the kernel puts no huge page.
 *
 * Each whole chunk may need two mappings more, and the kernel allows a process a number of them
 * (vm.max_map_count). So at most (that number - WHOLE_SPARE) / 2 chunks of a process ever become
 * whole - with the usual 65530 it is 56 GiB of memory -; splitting them needs no more then. Those
 * beyond get small pages: all their pages are mapped, registered as before.
 *
 * Threads: as the memory adapter.
 */
#ifndef CELLULAR_DSM_WHOLE_H
#define CELLULAR_DSM_WHOLE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

enum { WHOLE_SPARE = 8192 }; /* mappings left to the rest of the process */

struct whole {
	int fd;		/* the userfaultfd */
	uint32_t most;	/* chunks of the process that may become whole */
	uint32_t taken; /* ... and did, of this range */
};

void whole_open(struct whole *w, int fd);
/* `at` .. +bytes is registered, and no page of it is present. On return it is zeros, nobody waits
 * for it. SYS: the kernel refuses; the range is as it was, or unmapped. */
int whole_take(struct whole *w, void *at, size_t bytes, struct err *e);
/* On return all its pages are present, writable and registered. Other threads may read and write it
 * meanwhile. SYS: too many mappings, mostly. */
int whole_split(const struct whole *w, void *at, size_t bytes, struct err *e);
/* Its range is unmapped. */
void whole_close(struct whole *w);

#endif
