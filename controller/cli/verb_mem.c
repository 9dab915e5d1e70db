/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "controller/cli/json.h"
#include "controller/cli/mem_map.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"
#include "proto/base/size.h"
#include "proto/ids.h"

enum {
	LABEL_COLUMNS = 12,
	ROWS_DEFAULT = 32,
	COLUMNS_MIN = 16,
	COLUMNS_MAX = 256,
	WIDTH_DEFAULT = 80,
	HOT_ROWS = 32,
};

/* ---- map ---- */

static unsigned terminal_width(const struct cli *cli)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (cli->width)
		return cli->width;
	if (ioctl(fileno(cli->out), TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	return columns && atoi(columns) > 0 ? (unsigned)atoi(columns) : WIDTH_DEFAULT;
}

/* A power of two, so that every row begins at a round address. */
static unsigned picture_columns(unsigned width)
{
	unsigned columns = COLUMNS_MIN;

	while (columns < COLUMNS_MAX && columns * 2 + LABEL_COLUMNS <= width)
		columns *= 2;
	return columns;
}

static bool want_colour(const struct cli *cli)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	if (cli->colour != CLI_COLOUR_AUTO)
		return cli->colour == CLI_COLOUR_ALWAYS;
	return isatty(fileno(cli->out)) && !(no && no[0]) && term && strcmp(term, "dumb") != 0;
}

static int ask_map(struct cli *cli, uint32_t buckets, Cellular__CtlReply **reply, struct err *e)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	request.op = CELLULAR__CTL_OP__OP_MEM_MAP;
	request.name = (char *)cli->args[0];
	request.buckets = buckets;
	return client_ask(cli->client, &request, reply, e);
}

/* First one bucket, to learn the size; then as many as give round runs. */
static int ask_fitting_map(struct cli *cli, unsigned columns, unsigned rows,
			   Cellular__CtlReply **reply, struct err *e)
{
	struct mem_map whole;
	uint64_t scale;
	int rc = ask_map(cli, 1, reply, e);

	if (rc)
		return rc;
	rc = mem_map_draw((*reply)->maps, (*reply)->n_maps, &whole, e);
	cellular__ctl_reply__free_unpacked(*reply, NULL);
	if (rc)
		return rc;
	scale = mem_map_scale(whole.pages, columns, rows);
	rc = ask_map(cli, (uint32_t)((whole.pages + scale - 1) / scale), reply, e);
	mem_map_free(&whole);
	return rc;
}

static json_t *map_cells(const struct mem_map *map, const Cellular__CtlReply *reply)
{
	json_t *list = json_array();

	for (size_t i = 0; i < map->cells; i++) {
		const Cellular__CellMap *m = reply->maps[i];
		const struct mem_map_total *t = &map->total[i];
		char letter[2] = {mem_map_letter(i, true)};

		json_array_append_new(
			list,
			json_pack("{s:o, s:i, s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "cell",
				  json_text(m->cell), "member", (int)m->member, "letter", letter,
				  "exclusive_pages", (json_int_t)t->exclusive, "shared_pages",
				  (json_int_t)t->shared, "owned_pages", (json_int_t)t->owned,
				  "exclusive", json_u32s(m->map->exclusive, m->map->n_exclusive),
				  "shared", json_u32s(m->map->shared, m->map->n_shared), "owned",
				  json_u32s(m->map->owned, m->map->n_owned)));
	}
	return list;
}

static int print_map_json(struct cli *cli, const struct mem_map *map,
			  const Cellular__CtlReply *reply, struct err *e)
{
	return json_print(json_pack("{s:o, s:I, s:i, s:I, s:s, s:o}", "vm", json_text(cli->args[0]),
				    "pages", (json_int_t)map->pages, "page_bytes", DSM_PAGE_SIZE,
				    "pages_per_bucket", (json_int_t)map->pages_per_bucket,
				    "picture", map->picture, "cells", map_cells(map, reply)),
			  cli->out, e);
}

int verb_mem_map(struct cli *cli, void *state, struct err *e)
{
	unsigned columns = picture_columns(terminal_width(cli));
	Cellular__CtlReply *reply;
	struct mem_map map;
	int rc = ask_fitting_map(cli, columns, cli->rows ? cli->rows : ROWS_DEFAULT, &reply, e);

	(void)state;
	if (rc)
		return rc;
	rc = mem_map_draw(reply->maps, reply->n_maps, &map, e);
	if (!rc && cli->json)
		rc = print_map_json(cli, &map, reply, e);
	else if (!rc)
		mem_map_print(&map, reply->maps, cli->args[0], columns, want_colour(cli), cli->out);
	mem_map_free(&map);
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}

/* ---- stat ---- */

static uint64_t counter(const Cellular__DsmStat *s, const char *name)
{
	for (size_t i = 0; s && i < s->n_counters; i++)
		if (strcmp(s->counters[i]->name, name) == 0)
			return s->counters[i]->value;
	return 0;
}

static const char *const stat_columns[] = {"read_local",   "read_remote",   "write_local",
					   "write_remote", "upgrade_local", "upgrade_remote",
					   "fetch_served", "invalidated"};

enum { STAT_COLUMNS = sizeof(stat_columns) / sizeof(stat_columns[0]) };

struct stat_sum {
	uint64_t column[STAT_COLUMNS], resident, owned, in, out, longest;
};

static void put_stat_row(struct table *t, const char *name, const struct stat_sum *s,
			 const char *mean)
{
	char text[SIZE_TEXT_MAX];

	table_row(t);
	table_put(t, "%s", name);
	for (unsigned k = 0; k < STAT_COLUMNS; k++)
		table_put(t, "%" PRIu64, s->column[k]);
	table_put(t, "%s", mean);
	table_put(t, "%" PRIu64, s->longest);
	table_put(t, "%" PRIu64, s->resident);
	table_put(t, "%" PRIu64, s->owned);
	table_put(t, "%s", size_format(s->in, text));
	table_put(t, "%s", size_format(s->out, text));
}

static struct stat_sum sum_of(const Cellular__DsmStat *s)
{
	struct stat_sum sum = {0};

	for (unsigned k = 0; k < STAT_COLUMNS; k++)
		sum.column[k] = counter(s, stat_columns[k]);
	if (s) {
		sum.resident = s->resident;
		sum.owned = s->owned;
		sum.in = s->bytes_in;
		sum.out = s->bytes_out;
		sum.longest = s->fault_us_max;
	}
	return sum;
}

static void add(struct stat_sum *to, const struct stat_sum *from)
{
	for (unsigned k = 0; k < STAT_COLUMNS; k++)
		to->column[k] += from->column[k];
	to->resident += from->resident;
	to->owned += from->owned;
	to->in += from->in;
	to->out += from->out;
	to->longest = from->longest > to->longest ? from->longest : to->longest;
}

static int print_stats(const Cellular__CtlReply *reply, FILE *out, struct err *e)
{
	struct table *t = table_new("CELL,>READ,>REMOTE,>WRITE,>REMOTE,>UPGRADE,>REMOTE,>SERVED,>"
				    "INVALIDATED,>MEAN us,>MAX us,"
				    ">RESIDENT,>OWNED,>IN,>OUT");
	struct stat_sum total = {0};
	char mean[32];

	for (size_t i = 0; i < reply->n_stats; i++) {
		struct stat_sum sum = sum_of(reply->stats[i]->stat);

		snprintf(mean, sizeof(mean), "%" PRIu64,
			 reply->stats[i]->stat ? reply->stats[i]->stat->fault_us_mean : 0);
		put_stat_row(t, reply->stats[i]->cell, &sum, mean);
		add(&total, &sum);
	}
	if (reply->n_stats > 1)
		put_stat_row(t, "all", &total, "");
	return table_print(t, out, e);
}

/* ---- hot pages ---- */

/* A page as all cells see it. */
struct hot_sum {
	uint64_t page, faults, writes, over;
};

static void add_hot(struct hot_sum *list, size_t *n, const Cellular__HotPage *h)
{
	size_t i = 0;

	while (i < *n && list[i].page != h->page)
		i++;
	if (i == *n)
		list[(*n)++] = (struct hot_sum){.page = h->page};
	list[i].faults += h->faults;
	list[i].writes += h->writes;
	list[i].over += h->over;
}

static int by_faults(const void *a, const void *b)
{
	const struct hot_sum *x = a, *y = b;

	if (x->faults != y->faults)
		return x->faults < y->faults ? 1 : -1;
	return x->page > y->page ? 1 : -1;
}

/* "cell0 12, cell1 9" */
static void name_cells(const Cellular__CtlReply *reply, uint64_t page, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < reply->n_stats; i++) {
		const Cellular__DsmStat *s = reply->stats[i]->stat;

		for (size_t k = 0; s && k < s->n_hot && used < size; k++)
			if (s->hot[k]->page == page)
				used += (size_t)snprintf(out + used, size - used, "%s%s %" PRIu64,
							 used ? ", " : "", reply->stats[i]->cell,
							 s->hot[k]->faults);
	}
}

/* All cells' pages as one list, most faults first; NULL: no memory. */
static struct hot_sum *sum_hot(const Cellular__CtlReply *reply, size_t *n)
{
	struct hot_sum *list;
	size_t room = 1;

	for (size_t i = 0; i < reply->n_stats; i++)
		room += reply->stats[i]->stat ? reply->stats[i]->stat->n_hot : 0;
	list = calloc(room, sizeof(*list));
	*n = 0;
	for (size_t i = 0; list && i < reply->n_stats; i++) {
		const Cellular__DsmStat *s = reply->stats[i]->stat;

		for (size_t k = 0; s && k < s->n_hot; k++)
			add_hot(list, n, s->hot[k]);
	}
	if (list)
		qsort(list, *n, sizeof(*list), by_faults);
	return list;
}

static int print_hot(const Cellular__CtlReply *reply, FILE *out, struct err *e)
{
	size_t n;
	struct hot_sum *list = sum_hot(reply, &n);
	struct table *t;
	char cells[1024];

	if (!list)
		return err_set(e, ERR_NOMEM, "no memory for a table");
	t = table_new(">ADDRESS,>FAULTS,>WRITES,>OVER,CELLS");
	for (size_t i = 0; i < n && i < HOT_ROWS; i++) {
		name_cells(reply, list[i].page, cells, sizeof(cells));
		table_row(t);
		table_put(t, "0x%" PRIx64, list[i].page << DSM_PAGE_SHIFT);
		table_put(t, "%" PRIu64, list[i].faults);
		table_put(t, "%" PRIu64, list[i].writes);
		table_put(t, "%" PRIu64, list[i].over);
		table_put(t, "%s", cells);
	}
	free(list);
	return table_print(t, out, e);
}

static int print_stats_json(struct cli *cli, const Cellular__CtlReply *reply, struct err *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < reply->n_stats; i++)
		json_array_append_new(list, json_pack("{s:o, s:i, s:o}", "cell",
						      json_text(reply->stats[i]->cell), "member",
						      (int)reply->stats[i]->member, "stat",
						      json_stat(reply->stats[i]->stat)));
	return json_print(json_pack("{s:o, s:o}", "vm", json_text(cli->args[0]), "cells", list),
			  cli->out, e);
}

int verb_mem_stat(struct cli *cli, void *state, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = verb_ask(cli, CELLULAR__CTL_OP__OP_MEM_STAT, &reply, e);

	(void)state;
	if (rc)
		return rc;
	if (cli->json)
		rc = print_stats_json(cli, reply, e);
	else if (cli->given & CLI_HOT)
		rc = print_hot(reply, cli->out, e);
	else
		rc = print_stats(reply, cli->out, e);
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}
