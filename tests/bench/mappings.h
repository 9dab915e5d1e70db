/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the memory of a member's bookkeeping is. The anonymous mappings that the space made are
 * known because the program is linked with mmap wrapped (-Wl,--wrap=mmap: this file's object sees
 * the calls of our code, not those of libc); the one of the core is told apart by its tables.
 * Threads: while a space is opened nothing else maps.
 */
#ifndef CELLULAR_BENCH_MAPPINGS_H
#define CELLULAR_BENCH_MAPPINGS_H

#include <stddef.h>

#include "tests/bench/bench.h"

enum { MAPPINGS_PARTS = 16, MAPPINGS_NAME = 64 };

/* A part of the bookkeeping: a table of the core, or a mapping. */
struct mappings_part {
	char name[MAPPINGS_NAME];
	const void *at;
	size_t bytes;
};

/* The parts of the seat's first space, without the pages themselves; how many: at most
 * MAPPINGS_PARTS. The first are always MAPPINGS_HOLDERS ... */
enum { MAPPINGS_HOLDERS, MAPPINGS_HOMES, MAPPINGS_CHUNKS, MAPPINGS_FIXED };
unsigned mappings_parts(const struct seat *s, struct mappings_part out[MAPPINGS_PARTS]);

/* Bytes of it that are in memory. */
double mappings_resident(const void *at, size_t bytes);

#endif
