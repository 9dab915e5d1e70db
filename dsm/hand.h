/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages taken out of a range of a userfaultfd: UFFDIO_MOVE (Linux 6.8) unmaps a page and maps it
 * here, in one call and without a copy. When it returns nobody writes the page any more, and nobody
 * has it: what protecting, reading out and dropping it do in three.
 *
 * Threads: as the memory adapter.
 */
#ifndef CELLULAR_DSM_HAND_H
#define CELLULAR_DSM_HAND_H

#include <stdint.h>

#include "proto/ids.h"

enum { HAND_PAGES = 64 }; /* are given back together */

/* Of userfaultfd's interface, which may be newer than its header. */
#define HAND_FEATURE (1ULL << 16) /* UFFD_FEATURE_MOVE: has to be asked for */

struct hand {
	int fd;
	uint8_t *base; /* NULL: the kernel cannot */
	uint32_t used;
};

/* fd: the userfaultfd. A hand that cannot be opened takes nothing. */
void hand_open(struct hand *h, int fd);
/* The first of the n (1 .. HAND_PAGES) pages from `from` on, which are present: as many as can be
 * moved now; how many. Their bytes lie at *out until the next call. 0: not even the first (somebody
 * pinned it, say), and nothing was done. */
uint32_t hand_take(struct hand *h, void *from, uint32_t n, const void **out);
void hand_close(struct hand *h);

#endif
