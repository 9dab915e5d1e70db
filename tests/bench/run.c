/* SPDX-License-Identifier: Apache-2.0 */
/* A run: pairs of value and floor, and what is told of them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/floor.h"
#include "tests/bench/samples.h"
#include "tests/bench/team.h"

/* ---- in the members ---- */

static void run_pair(struct seat *s)
{
	struct bench_pair pair;

	if (s->bench->prepare)
		s->bench->prepare(s);
	team_meet(s);
	pair.value = s->bench->value(s);
	team_meet(s);
	pair.floor = s->bench->floor(s);
	team_meet(s);
	if (s->self == 0)
		s->board->pair[s->pair] = pair;
}

/* All samples of member 0, pair after pair. */
static void body(struct seat *s)
{
	size_t room = (size_t)s->options->pairs * s->rounds, n = 0;
	uint64_t *all = calloc(room, sizeof(*all));

	if (!all)
		team_fail(s, "no memory for %zu samples", room);
	for (s->pair = 0; s->pair < s->options->pairs; s->pair++) {
		memset(s->ns, 0, sizeof(s->ns));
		run_pair(s);
		for (unsigned i = 0; i < s->rounds; i++)
			if (s->ns[i])
				all[n++] = s->ns[i];
	}
	if (s->self == 0) {
		s->board->p50 = samples_quantile(all, n, 0.5) / 1000;
		s->board->p99 = samples_quantile(all, n, 0.99) / 1000;
	}
	floor_faults_close(s->faults);
	free(all);
}

/* ---- in the parent ---- */

static double ratio_of(const struct bench *b, const struct bench_pair *p)
{
	return b->kind == BENCH_RHYTHM ? p->value * p->floor / 1e6 : p->value / p->floor;
}

struct result {
	double value, floor, ratio;
	double spread; /* of the floors: the largest by the least */
	double idle;   /* part of the cores' time that others left to us */
	bool quiet;
};

/* The machine was ours, and the floor was the same all the time. */
static const double QUIET_IDLE = 0.95, QUIET_SPREAD = 1.3;

static struct result judge(const struct bench *b, const struct bench_options *o,
			   const struct board *board)
{
	double value[BENCH_PAIRS_MAX], floor[BENCH_PAIRS_MAX], ratio[BENCH_PAIRS_MAX];
	double others = (double)board->whole_cpu_ns - (double)board->team_cpu_ns;
	struct result r;

	for (unsigned i = 0; i < o->pairs; i++) {
		value[i] = board->pair[i].value;
		floor[i] = board->pair[i].floor;
		ratio[i] = ratio_of(b, &board->pair[i]);
	}
	r.value = samples_median(value, o->pairs);
	r.floor = samples_median(floor, o->pairs); /* sorts */
	r.ratio = samples_median(ratio, o->pairs);
	r.spread = floor[o->pairs - 1] / floor[0];
	r.idle = others > 0 ? 1 - others / ((double)board->wall_ns * team_cores()) : 1;
	r.quiet = r.idle >= QUIET_IDLE && r.spread <= QUIET_SPREAD;
	return r;
}

static void print_json(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(5));

	if (text)
		puts(text);
	free(text);
	json_decref(object);
}

static void tell_pairs(const struct bench *b, const struct bench_options *o,
		       const struct board *board)
{
	for (unsigned i = 0; i < o->pairs; i++) {
		const struct bench_pair *p = &board->pair[i];

		if (o->json)
			print_json(json_pack("{s:s, s:i, s:f, s:f, s:f}", "bench", b->name, "pair",
					     (int)i, "value", p->value, "floor", p->floor, "ratio",
					     ratio_of(b, p)));
		else
			printf("  pair %2u: %10.2f %s, floor %10.2f, ratio %.3f\n", i, p->value,
			       b->unit, p->floor, ratio_of(b, p));
	}
}

static void tell(const struct bench *b, const struct bench_options *o, const struct board *board)
{
	struct result r = judge(b, o, board);
	unsigned members = o->members ? o->members : b->members;

	tell_pairs(b, o, board);
	if (o->json)
		print_json(json_pack(
			"{s:s, s:i, s:s, s:s, s:i, s:i, s:s, s:f, s:f, s:f, s:f, s:f, s:f, "
			"s:f, s:I, s:b}",
			"bench", b->name, "members", (int)members, "transport", "tcp", "handler",
			o->inline_faults ? "inline" : "thread", "shards", (int)o->shards, "pairs",
			(int)o->pairs, "unit", b->unit, "value", r.value, "floor", r.floor, "ratio",
			r.ratio, "p50", board->p50, "p99", board->p99, "spread", r.spread, "idle",
			r.idle, "checked", (json_int_t)board->checked, "quiet", r.quiet));
	else
		printf("%-11s %10.2f %-5s floor %9.2f  ratio %6.3f  p50 %7.2f us  p99 %8.2f us  "
		       "%u members  %s%s\n",
		       b->name, r.value, b->unit, r.floor, r.ratio, board->p50, board->p99, members,
		       o->inline_faults ? "inline  " : "", r.quiet ? "quiet" : "NOT QUIET");
}

int bench_run(const struct bench *b, const struct bench_options *o)
{
	struct board *board;
	int rc = team_run(b, o, body, &board);

	if (!rc)
		tell(b, o, board);
	return rc;
}
