/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jacobi's method on a square grid: a program as people write them. Member 0 fills the grid, then
 * all compute, each a band of rows, with a barrier of the library after each sweep. What is told is
 * how much faster that is than one thread on plain memory; the floor is how much faster as many
 * threads on plain memory are. The first distribution of the rows is part of the time. The result
 * is the plain one, bit by bit.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <cellular/dsm.h>

#include "tests/bench/bench.h"
#include "tests/bench/floor.h"
#include "tests/bench/parts.h"
#include "tests/bench/team.h"

enum { ROW_UNIT = FLOOR_PAGE / sizeof(double), SPINS = 20000 };

/* Rows begin on pages of their own. */
static size_t stride_of(const struct seat *s)
{
	return (s->bench->size + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
}

static size_t grid_doubles(const struct seat *s)
{
	return s->bench->size * stride_of(s);
}

/* Two grids that take turns, for each pair anew: no row was ever distributed before. */
static uint64_t jacobi_pages(const struct seat *s)
{
	return 2 * grid_doubles(s) / ROW_UNIT * s->options->pairs;
}

static double *shared_grids(const struct seat *s)
{
	return (double *)s->base + 2 * grid_doubles(s) * s->pair;
}

static double start(unsigned n, unsigned i, unsigned j)
{
	return i == 0 || j == 0 ? 1.0 : i == n - 1 || j == n - 1 ? 0.5 : 0.0;
}

static void fill(const struct seat *s, double *grids)
{
	unsigned n = s->bench->size;

	for (unsigned which = 0; which < 2; which++)
		for (unsigned i = 0; i < n; i++)
			for (unsigned j = 0; j < n; j++)
				grids[which * grid_doubles(s) + i * stride_of(s) + j] =
					start(n, i, j);
}

static void sweep(const struct seat *s, double *grids, unsigned k, unsigned part, unsigned parts)
{
	const unsigned n = s->bench->size, first = n * part / parts, end = n * (part + 1) / parts;
	const double *from = grids + (k & 1) * grid_doubles(s);
	double *to = grids + (~k & 1) * grid_doubles(s);
	const size_t row = stride_of(s);

	for (unsigned i = first ? first : 1; i < end && i < n - 1; i++)
		for (unsigned j = 1; j < n - 1; j++)
			to[i * row + j] =
				0.25 * (from[(i - 1) * row + j] + from[(i + 1) * row + j] +
					from[i * row + j - 1] + from[i * row + j + 1]);
}

/* ---- on plain memory ---- */

static double *plain_grids(struct seat *s)
{
	static double *grids;

	if (!grids && !(grids = aligned_alloc(FLOOR_PAGE, 2 * grid_doubles(s) * sizeof(double))))
		team_fail(s, "no memory for a plain grid");
	fill(s, grids);
	return grids;
}

static uint64_t alone(struct seat *s, double *grids)
{
	uint64_t began = floor_now();

	for (unsigned k = 0; k < s->rounds; k++)
		sweep(s, grids, k, 0, 1);
	return floor_now() - began;
}

/* A thread of several on plain memory, and where they meet. */
struct worker {
	struct seat *seat;
	double *grids;
	unsigned part, parts;
	_Atomic unsigned *arrived;
};

/* Spins for a while: who waits is not put to sleep if the others are nearly there. */
static void meet(const struct worker *w, unsigned k)
{
	unsigned all = (k + 1) * w->parts;

	atomic_fetch_add(w->arrived, 1);
	for (unsigned i = 0; atomic_load(w->arrived) < all; i++)
		if (i >= SPINS)
			sched_yield();
}

static void *work(void *context)
{
	const struct worker *w = context;

	team_pin(team_core(w->part));
	for (unsigned k = 0; k < w->seat->rounds; k++) {
		sweep(w->seat, w->grids, k, w->part, w->parts);
		meet(w, k);
	}
	return NULL;
}

static uint64_t together(struct seat *s, double *grids)
{
	_Atomic unsigned arrived = 0;
	struct worker worker[BENCH_MEMBERS_MAX];
	pthread_t thread[BENCH_MEMBERS_MAX];
	uint64_t began = floor_now();

	for (unsigned i = 0; i < s->members; i++) {
		worker[i] = (struct worker){s, grids, i, s->members, &arrived};
		if (pthread_create(&thread[i], NULL, work, &worker[i]))
			team_fail(s, "no thread to compute with");
	}
	for (unsigned i = 0; i < s->members; i++)
		pthread_join(thread[i], NULL);
	return floor_now() - began;
}

/* ---- on shared memory ---- */

static void jacobi_fill(struct seat *s)
{
	if (s->self == MEASURER)
		fill(s, shared_grids(s));
}

static void check(struct seat *s, const double *seen, const double *right)
{
	const unsigned n = s->bench->size;

	for (unsigned i = 0; i < n; i++) {
		size_t row = (s->rounds & 1) * grid_doubles(s) + i * stride_of(s);

		if (memcmp(seen + row, right + row, n * sizeof(double)))
			team_fail(s, "row %u of %u is not that of the plain run", i, n);
		s->board->checked += n;
	}
}

/* The time of one thread alone, to which both speed-ups refer. */
static uint64_t alone_ns;

static double jacobi_value(struct seat *s)
{
	double *grids = shared_grids(s), *plain;
	struct cdsm_error why;
	uint64_t ns = floor_now();

	for (unsigned k = 0; k < s->rounds; k++) {
		sweep(s, grids, k, s->self, s->members);
		if (cdsm_barrier(s->library, 0, s->members, &why))
			team_fail(s, "%s", why.text);
	}
	ns = floor_now() - ns;
	team_meet(s);
	if (s->self != MEASURER)
		return 0;
	plain = plain_grids(s);
	alone_ns = alone(s, plain);
	check(s, grids, plain);
	s->ns[0] = ns;
	return (double)alone_ns / (double)ns;
}

static double jacobi_floor(struct seat *s)
{
	double *plain;
	uint64_t ns;

	if (s->self != MEASURER)
		return 0;
	plain = plain_grids(s);
	ns = together(s, plain);
	return (double)alone_ns / (double)ns;
}

const struct bench jacobi_benches[] = {
	{.name = "jacobi",
	 .text = "speed-up of a program whose members share a grid, a round is a sweep; floor: of "
		 "as "
		 "many threads on plain memory",
	 .kind = BENCH_RATE,
	 .unit = "x",
	 .members = 2,
	 .rounds = 40,
	 .sizes = {1024, 2048},
	 .library = true,
	 .pages = jacobi_pages,
	 .prepare = jacobi_fill,
	 .value = jacobi_value,
	 .floor = jacobi_floor},
	{0},
};
