/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cli/mem_map.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { CELLS = 3, BUCKETS = 10 };

/* Three cells, ten buckets of 4 pages. */
static struct {
	uint32_t shared[CELLS][BUCKETS], exclusive[CELLS][BUCKETS], owned[CELLS][BUCKETS];
	Cellular__DsmMap map[CELLS];
	Cellular__CellMap cell[CELLS], *cells[CELLS];
	struct err e;
} rig;

static void make(void)
{
	static char *const names[CELLS] = {"cell0", "cell1", "c\x1b[2J"};

	memset(&rig, 0, sizeof(rig));
	for (int i = 0; i < CELLS; i++) {
		cellular__dsm_map__init(&rig.map[i]);
		cellular__cell_map__init(&rig.cell[i]);
		rig.map[i].pages = 38;
		rig.map[i].pages_per_bucket = 4;
		rig.map[i].shared = rig.shared[i];
		rig.map[i].exclusive = rig.exclusive[i];
		rig.map[i].owned = rig.owned[i];
		rig.map[i].n_shared = rig.map[i].n_exclusive = rig.map[i].n_owned = BUCKETS;
		rig.cell[i].cell = names[i];
		rig.cell[i].member = (uint32_t)i;
		rig.cell[i].map = &rig.map[i];
		rig.cells[i] = &rig.cell[i];
	}
}

static void exclusive(int cell, int bucket, uint32_t pages)
{
	rig.exclusive[cell][bucket] += pages;
	rig.owned[cell][bucket] += pages;
}

/* `owner` owns pages that `sharer` has copies of. */
static void shared(int owner, int sharer, int bucket, uint32_t pages)
{
	rig.shared[owner][bucket] += pages;
	rig.owned[owner][bucket] += pages;
	if (sharer != owner)
		rig.shared[sharer][bucket] += pages;
}

static void picture_is_true(void)
{
	struct mem_map map;

	make();
	exclusive(0, 0, 4);			/* A alone */
	exclusive(1, 1, 1);			/* B alone, a part of it */
	shared(2, 0, 2, 4);			/* C owns, A reads */
	shared(1, 1, 3, 2);			/* B holds what it read itself */
	exclusive(0, 4, 2), exclusive(1, 4, 2); /* two holders */
	exclusive(0, 5, 2), shared(0, 1, 5, 2); /* two ways */
	shared(0, 1, 6, 1), shared(1, 0, 6, 3); /* two owners */
	rig.shared[2][7] = 1;			/* a copy whose owner is on its way */
	CU_ASSERT_EQUAL_FATAL(mem_map_draw(rig.cells, CELLS, &map, &rig.e), ERR_OK);
	CU_ASSERT_STRING_EQUAL(map.picture, "ABcb++++..");
	CU_ASSERT_EQUAL(map.painter[0], 0);
	CU_ASSERT_EQUAL(map.painter[2], 2);
	CU_ASSERT_EQUAL(map.painter[6], 1); /* owns more */
	CU_ASSERT_EQUAL(map.painter[8], MEM_MAP_NOBODY);
	CU_ASSERT(map.total[0].exclusive == 8 && map.total[0].owned == 11 &&
		  map.total[0].shared == 10);
	CU_ASSERT(map.total[1].exclusive == 3 && map.total[1].owned == 8 &&
		  map.total[1].shared == 8);
	CU_ASSERT(map.total[2].owned == 4 && map.total[2].shared == 5);
	mem_map_free(&map);
}

static void refused(void)
{
	struct mem_map map;

	CU_ASSERT_EQUAL(mem_map_draw(rig.cells, CELLS, &map, &rig.e), ERR_PROTOCOL);
	CU_ASSERT_PTR_NULL(map.picture);
}

static void hostile_maps_are_refused(void)
{
	struct mem_map map;

	make(), rig.map[1].pages = 39, refused();
	make(), rig.map[1].pages_per_bucket = 8, refused();
	make(), rig.cell[2].map = NULL, refused();
	make(), rig.map[0].pages = rig.map[1].pages = rig.map[2].pages = 0, refused();
	make();
	for (int i = 0; i < CELLS; i++)
		rig.map[i].pages_per_bucket = 0;
	refused();
	make();
	for (int i = 0; i < CELLS; i++)
		rig.map[i].pages = UINT64_MAX;
	refused();
	make();
	for (int i = 0; i < CELLS; i++)
		rig.map[i].pages = 1ull << 40; /* more buckets than anybody draws */
	refused();
	CU_ASSERT_EQUAL(mem_map_draw(rig.cells, 0, &map, &rig.e), ERR_PROTOCOL);
	/* lists that are too short count as zeros */
	make();
	exclusive(0, 9, 2), exclusive(1, 0, 1);
	rig.map[0].n_exclusive = rig.map[0].n_owned = 3;
	CU_ASSERT_EQUAL_FATAL(mem_map_draw(rig.cells, CELLS, &map, &rig.e), ERR_OK);
	CU_ASSERT_STRING_EQUAL(map.picture, "B.........");
	mem_map_free(&map);
}

static void scale_is_a_power_of_two(void)
{
	CU_ASSERT_EQUAL(mem_map_scale(65536, 64, 32), 32);
	CU_ASSERT_EQUAL(mem_map_scale(65536 + 512, 64, 32), 64);
	CU_ASSERT_EQUAL(mem_map_scale(1, 64, 32), 1);
	CU_ASSERT_EQUAL(mem_map_scale(2048, 64, 32), 1);
	CU_ASSERT_EQUAL(mem_map_scale(2049, 64, 32), 2);
}

static void letters_end_at_26(void)
{
	CU_ASSERT(mem_map_letter(0, true) == 'A' && mem_map_letter(25, false) == 'z');
	CU_ASSERT(mem_map_letter(26, true) == '#' && mem_map_letter(63, false) == '=');
}

/* The whole print, as text. The caller frees it. */
static char *printed(const struct mem_map *map, bool colour)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	mem_map_print(map, rig.cells, "v\x1bm", 4, colour, out);
	fclose(out);
	return text;
}

static void print_is_plain_or_coloured(void)
{
	struct mem_map map;
	char *text;

	make();
	exclusive(0, 0, 4), shared(1, 2, 1, 4), exclusive(2, 9, 2);
	CU_ASSERT_EQUAL_FATAL(mem_map_draw(rig.cells, CELLS, &map, &rig.e), ERR_OK);
	text = printed(&map, false);
	CU_ASSERT_PTR_NULL(strchr(text, '\x1b')); /* names are hostile here */
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "v\\x1bm: 152 KiB over 3 cells, one character is 16 KiB\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "         0  Ab..\n"
					    "    64 KiB  ....\n"
					    "   128 KiB  .C\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "c\\x1b[2J"));
	free(text);
	text = printed(&map, true);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "\x1b[0;30;48;5;39mA\x1b[0;38;5;208mb\x1b[0;38;5;240m..\x1b[0m\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "\x1b[2J"));
	free(text);
	mem_map_free(&map);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(picture_is_true),
		UNIT_CASE(hostile_maps_are_refused),
		UNIT_CASE(scale_is_a_power_of_two),
		UNIT_CASE(letters_end_at_26),
		UNIT_CASE(print_is_plain_or_coloured),
	};

	return unit_main("cli-mem-map", cases, UNIT_COUNT(cases));
}
