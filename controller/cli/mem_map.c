/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cli/mem_map.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/size.h"
#include "proto/base/text.h"
#include "proto/ids.h"

enum { LETTERS = 26, BUCKETS_MAX = 1 << 20 };

uint64_t mem_map_scale(uint64_t pages, unsigned columns, unsigned rows)
{
	uint64_t scale = 1, room = (uint64_t)columns * rows;

	while (room > 0 && (pages + scale - 1) / scale > room)
		scale *= 2;
	return scale;
}

char mem_map_letter(size_t cell, bool exclusive)
{
	if (cell >= LETTERS)
		return exclusive ? '#' : '=';
	return (char)((exclusive ? 'A' : 'a') + (int)cell);
}

/* ---- drawing ---- */

static uint32_t at(const uint32_t *list, size_t n, uint32_t bucket)
{
	return bucket < n ? list[bucket] : 0;
}

/* What the cells say of one bucket. */
struct bucket {
	size_t exclusive, sharers, owners; /* cells with such pages */
	size_t holder;			   /* the last with exclusive pages */
	size_t owner;			   /* the one that owns most */
	uint32_t most;			   /* pages it owns */
};

static struct bucket survey(Cellular__CellMap *const *maps, size_t n, uint32_t b)
{
	struct bucket k = {0};

	for (size_t i = 0; i < n; i++) {
		const Cellular__DsmMap *m = maps[i]->map;
		uint32_t owned = at(m->owned, m->n_owned, b);

		if (at(m->exclusive, m->n_exclusive, b)) {
			k.exclusive++;
			k.holder = i;
		}
		k.sharers += at(m->shared, m->n_shared, b) > 0;
		k.owners += owned > 0;
		if (owned > k.most) {
			k.most = owned;
			k.owner = i;
		}
	}
	return k;
}

static char judge(const struct bucket *k)
{
	if (!k->exclusive && !k->sharers)
		return '.';
	if (k->exclusive == 1 && !k->sharers)
		return mem_map_letter(k->holder, true);
	if (!k->exclusive && k->owners == 1)
		return mem_map_letter(k->owner, false);
	return '+';
}

static void paint(Cellular__CellMap *const *maps, size_t n, uint32_t b, struct mem_map *out)
{
	struct bucket k = survey(maps, n, b);

	out->picture[b] = judge(&k);
	out->painter[b] = k.most && k.owner < MEM_MAP_NOBODY ? (uint8_t)k.owner : MEM_MAP_NOBODY;
	for (size_t i = 0; i < n; i++) {
		const Cellular__DsmMap *m = maps[i]->map;

		out->total[i].exclusive += at(m->exclusive, m->n_exclusive, b);
		out->total[i].shared += at(m->shared, m->n_shared, b);
		out->total[i].owned += at(m->owned, m->n_owned, b);
	}
}

static int check(Cellular__CellMap *const *maps, size_t n, struct err *e)
{
	const Cellular__DsmMap *first = n ? maps[0]->map : NULL;
	uint64_t run = first ? first->pages_per_bucket : 0;

	if (n > DSM_MEMBERS_MAX)
		return err_set(e, ERR_PROTOCOL, "more maps than a VM has cells");
	for (size_t i = 0; i < n; i++)
		if (!maps[i]->map || maps[i]->map->pages != first->pages ||
		    maps[i]->map->pages_per_bucket != run)
			return err_set(e, ERR_PROTOCOL, "the cells' maps do not fit together");
	if (!first || run == 0 || first->pages == 0 || first->pages > INT64_MAX ||
	    run > first->pages || (first->pages + run - 1) / run > BUCKETS_MAX)
		return err_set(e, ERR_PROTOCOL, "there is no map, or one of no size");
	return ERR_OK;
}

int mem_map_draw(Cellular__CellMap *const *maps, size_t n, struct mem_map *out, struct err *e)
{
	int rc = check(maps, n, e);

	*out = (struct mem_map){0};
	if (rc)
		return rc;
	out->pages = maps[0]->map->pages;
	out->pages_per_bucket = maps[0]->map->pages_per_bucket;
	out->buckets = (uint32_t)((out->pages + out->pages_per_bucket - 1) / out->pages_per_bucket);
	out->cells = n;
	out->picture = calloc(out->buckets + 1, 1);
	out->painter = calloc(out->buckets, 1);
	out->total = calloc(n, sizeof(*out->total));
	if (!out->picture || !out->painter || !out->total) {
		mem_map_free(out);
		return err_set(e, ERR_NOMEM, "no memory for the picture");
	}
	for (uint32_t b = 0; b < out->buckets; b++)
		paint(maps, n, b, out);
	return ERR_OK;
}

void mem_map_free(struct mem_map *map)
{
	free(map->picture);
	free(map->painter);
	free(map->total);
	*map = (struct mem_map){0};
}

/* ---- printing ---- */

/* Foregrounds that can be read on dark and on light ground; as background the letter is black. */
static const unsigned palette[] = {39, 208, 41, 205, 178, 141, 44, 203, 112, 75, 215, 134};

static unsigned hue(size_t cell)
{
	return palette[cell % (sizeof(palette) / sizeof(palette[0]))];
}

/* How a character looks: 0 is plain. */
struct look {
	unsigned colour;
	bool block;
};

static struct look look_of(char c, unsigned painter)
{
	if (c == '.' || painter == MEM_MAP_NOBODY)
		return (struct look){c == '.' ? 240 : 0, false};
	return (struct look){hue(painter), (c >= 'A' && c <= 'Z') || c == '#'};
}

static void put_look(struct look now, struct look *was, bool colour, FILE *out)
{
	if (!colour || (now.colour == was->colour && now.block == was->block))
		return;
	if (!now.colour)
		fputs("\033[0m", out);
	else if (now.block)
		fprintf(out, "\033[0;30;48;5;%um", now.colour);
	else
		fprintf(out, "\033[0;38;5;%um", now.colour);
	*was = now;
}

static void print_rows(const struct mem_map *map, unsigned columns, bool colour, FILE *out)
{
	char scale[SIZE_TEXT_MAX];

	for (uint32_t b = 0; b < map->buckets; b += columns) {
		struct look was = {0};

		size_format(b * map->pages_per_bucket * DSM_PAGE_SIZE, scale);
		fprintf(out, "%10s  ", b ? scale : "0");
		for (uint32_t i = b; i < map->buckets && i < b + columns; i++) {
			put_look(look_of(map->picture[i], map->painter[i]), &was, colour, out);
			fputc(map->picture[i], out);
		}
		put_look((struct look){0}, &was, colour, out);
		fputc('\n', out);
	}
}

static void print_total(const struct mem_map *map, size_t i, const char *name, int width,
			bool colour, FILE *out)
{
	const struct mem_map_total *t = &map->total[i];
	struct look was = {0};
	char size[SIZE_TEXT_MAX];

	fputs("  ", out);
	put_look((struct look){hue(i), true}, &was, colour, out);
	fputc(mem_map_letter(i, true), out);
	put_look((struct look){0}, &was, colour, out);
	fprintf(out, "  %-*s %11" PRIu64 " %10" PRIu64 " %10" PRIu64 " %12s %5.1f %%\n", width,
		name, t->exclusive, t->shared, t->owned,
		size_format(t->owned * DSM_PAGE_SIZE, size),
		100.0 * (double)t->owned / (double)map->pages);
}

static void print_totals(const struct mem_map *map, Cellular__CellMap *const *maps, bool colour,
			 FILE *out)
{
	uint64_t owned = 0, untouched;
	char name[64], size[SIZE_TEXT_MAX];
	int width = (int)strlen("untouched");

	for (size_t i = 0; i < map->cells; i++) {
		int n = (int)strlen(text_escape(maps[i]->cell, name, sizeof(name)));

		width = n > width ? n : width;
	}
	fprintf(out, "     %-*s %11s %10s %10s %12s %7s\n", width, "CELL", "EXCLUSIVE", "SHARED",
		"OWNED", "SIZE OWNED", "OF ALL");
	for (size_t i = 0; i < map->cells; i++) {
		print_total(map, i, text_escape(maps[i]->cell, name, sizeof(name)), width, colour,
			    out);
		owned += map->total[i].owned;
	}
	untouched = owned < map->pages ? map->pages - owned : 0;
	fprintf(out, "  .  %-*s %11s %10s %10" PRIu64 " %12s %5.1f %%\n", width, "untouched", "",
		"", untouched, size_format(untouched * DSM_PAGE_SIZE, size),
		100.0 * (double)untouched / (double)map->pages);
}

void mem_map_print(const struct mem_map *map, Cellular__CellMap *const *maps, const char *vm,
		   unsigned columns, bool colour, FILE *out)
{
	char name[256], all[SIZE_TEXT_MAX], run[SIZE_TEXT_MAX];

	fprintf(out, "%s: %s over %zu cell%s, one character is %s\n\n",
		text_escape(vm, name, sizeof(name)), size_format(map->pages * DSM_PAGE_SIZE, all),
		map->cells, map->cells == 1 ? "" : "s",
		size_format(map->pages_per_bucket * DSM_PAGE_SIZE, run));
	print_rows(map, columns, colour, out);
	fputs("\n  capital: exclusive on that cell   small: shared, that cell is the owner   "
	      "+ several ways   . untouched\n\n",
	      out);
	print_totals(map, maps, colour, out);
}
