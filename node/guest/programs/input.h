/* SPDX-License-Identifier: Apache-2.0 */
/* Input files of the programs, as cellgen writes them. Little endian. */
#ifndef CELLULAR_GUEST_INPUT_H
#define CELLULAR_GUEST_INPUT_H

#include <stdint.h>

#define GRID_MAGIC 0x3144495247434c43ull /* "CLCGRID1" */

/* Then n * n doubles, row by row. */
struct grid_header {
	uint64_t magic;
	uint64_t n;
	uint64_t reserved[6];
};

_Static_assert(sizeof(struct grid_header) == 64, "file format");

enum { GRID_N_MIN = 3, GRID_N_MAX = 1 << 16 };

#endif
