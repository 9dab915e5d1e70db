/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that gives pages of a space back to their homes at random, while the space is used:
 * single pages and runs, so that every page is put, dropped and fetched again many times.
 */
#ifndef CELLULAR_TESTS_TORTURE_EVICTOR_H
#define CELLULAR_TESTS_TORTURE_EVICTOR_H

#include "dsm/dsm.h"

struct evictor;

/* Pages first .. first + pages - 1, coherent ones. NULL: no memory or thread. */
struct evictor *evictor_start(struct dsm *dsm, uint64_t first, uint64_t pages, uint64_t seed);
/* Before dsm_close. NULL is allowed. */
void evictor_stop(struct evictor *e);

#endif
