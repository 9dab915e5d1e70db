/* SPDX-License-Identifier: Apache-2.0 */
/* A rack whose homes move. At first home of P0 and Q0, which are of one chunk, is member 0. */
#ifndef CELLULAR_TEST_DSM_MOVE_H
#define CELLULAR_TEST_DSM_MOVE_H

#include "rack.h"

enum { P0 = 3, Q0 = 4, P1 = DSM_CHUNK_PAGES + 3, PAGES = 4 * DSM_CHUNK_PAGES };

/* Four members; 1 owns P0 (value 9, version 2), 2 reads it. It is 3 that home granted to by itself:
 * before it moves elsewhere it asks 3 (R32). */
static inline struct rack *move_rack(void)
{
	struct rack *r = rack_new(4, PAGES, 0);

	rack_write(r, 3, P0, 8);
	rack_write(r, 1, P0, 9);
	rack_read(r, 2, P0);
	return r;
}

/* Home of P0's chunk goes from one to the other, and everything is delivered. */
static inline void move_home(struct rack *r, uint8_t from, uint8_t to)
{
	rack_move(r, from, P0, to);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, to);
}

#endif
