/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 02-jacobi [MEMBERS [N [SWEEPS]]]: Jacobi's method on a square grid of N x N points.
 *
 * Each member owns a band of rows, and rows begin on pages of their own. So in a sweep only the two
 * rows at the borders of a band travel: each is written by one member and read by one neighbour. A
 * barrier ends the sweep. No address is sent and no row is copied by hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "family.h"

enum { ROW_UNIT = CDSM_PAGE_BYTES / sizeof(double) };

struct job {
	unsigned n, sweeps;
	size_t stride; /* doubles from row to row: whole pages */
};

/* One of the two grids; they take turns. */
static double *grid(void *memory, const struct job *job, unsigned which)
{
	return (double *)memory + (which & 1) * job->n * job->stride;
}

static double start(const struct job *job, unsigned i, unsigned j)
{
	return i == 0 || j == 0 ? 1.0 : i == job->n - 1 || j == job->n - 1 ? 0.5 : 0.0;
}

static void fill(void *memory, const struct job *job, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		for (unsigned j = 0; j < job->n; j++)
			for (unsigned which = 0; which < 2; which++)
				grid(memory, job, which)[i * job->stride + j] = start(job, i, j);
}

static void sweep(void *memory, const struct job *job, unsigned which, unsigned first, unsigned end)
{
	const double *from = grid(memory, job, which);
	double *to = grid(memory, job, which + 1);
	const size_t s = job->stride;

	for (unsigned i = first ? first : 1; i < end && i < job->n - 1; i++)
		for (unsigned j = 1; j < job->n - 1; j++)
			to[i * s + j] = 0.25 * (from[(i - 1) * s + j] + from[(i + 1) * s + j] +
						from[i * s + j - 1] + from[i * s + j + 1]);
}

/* The same by one process alone, on memory of its own; how many points differ. */
static unsigned compare(const double *result, const struct job *job)
{
	void *memory = calloc(2 * (size_t)job->n * job->stride, sizeof(double));
	const double *wanted = grid(memory, job, job->sweeps);
	unsigned wrong = 0;

	fill(memory, job, 0, job->n);
	for (unsigned k = 0; k < job->sweeps; k++)
		sweep(memory, job, k, 0, job->n);
	for (unsigned i = 0; i < job->n; i++)
		for (unsigned j = 0; j < job->n; j++)
			wrong += wanted[i * job->stride + j] != result[i * job->stride + j];
	free(memory);
	return wrong;
}

static int work(struct cdsm *space, unsigned self, unsigned members, void *context)
{
	const struct job *job = context;
	unsigned first = job->n * self / members, end = job->n * (self + 1) / members, wrong = 0;
	void *memory = cdsm_map(space, NULL);

	fill(memory, job, first, end);
	family_meet(space, members);
	for (unsigned k = 0; k < job->sweeps; k++) {
		sweep(memory, job, k, first, end);
		family_meet(space, members);
	}
	if (self == 0) {
		wrong = compare(grid(memory, job, job->sweeps), job);
		printf("jacobi %u x %u, %u sweeps, %u members: %u points wrong\n", job->n, job->n,
		       job->sweeps, members, wrong);
	}
	return wrong != 0;
}

int main(int argc, char **argv)
{
	unsigned members = family_argument(argc, argv, 1, 3, CDSM_MEMBERS_MAX);
	struct job job = {
		.n = family_argument(argc, argv, 2, 256, 16384),
		.sweeps = family_argument(argc, argv, 3, 40, 1000000),
	};

	job.stride = (job.n + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
	return family(members, 2 * job.n * job.stride * sizeof(double), work, &job);
}
