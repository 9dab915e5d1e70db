/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of `mem map`: for each run of pages one character that says who holds it. A pure
 * function from what the cells report.
 *
 *   A..Z  held by this cell alone, exclusively
 *   a..z  only shared copies; this cell owns all of them
 *   +     pages are held in different ways, or by different owners
 *   .     held by nobody: never touched
 *   #  =  as capital and small letter, for cells beyond the 26th
 *
 * Threads: pure functions.
 */
#ifndef CELLULAR_CLI_MEM_MAP_H
#define CELLULAR_CLI_MEM_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/err.h"
#include "proto/control.pb-c.h"

struct mem_map_total {
	uint64_t exclusive, shared, owned; /* pages */
};

struct mem_map {
	uint64_t pages;
	uint64_t pages_per_bucket;
	uint32_t buckets;
	char *picture;	  /* `buckets` characters and a NUL */
	uint8_t *painter; /* by bucket: index of the cell whose colour it has; 255: none */
	size_t cells;
	struct mem_map_total *total; /* by cell, in the order of the reply */
};

enum { MEM_MAP_NOBODY = 255 };

/* Pages a character stands for: a power of two, so that all fit in columns * rows characters. */
uint64_t mem_map_scale(uint64_t pages, unsigned columns, unsigned rows);

/* Draws. PROTOCOL: the maps do not fit together, or have no size; NOMEM. */
int mem_map_draw(Cellular__CellMap *const *maps, size_t n, struct mem_map *out, struct err *e);
void mem_map_free(struct mem_map *map);

/* Letter of a cell by its index. */
char mem_map_letter(size_t cell, bool exclusive);

/* Prints picture, legend and totals. */
void mem_map_print(const struct mem_map *map, Cellular__CellMap *const *maps, const char *vm,
		   unsigned columns, bool colour, FILE *out);

#endif
