/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jacobi's method on a square grid with a fixed border. Each vCPU owns a band of rows in both
 * arrays; rows begin on pages of their own, so in a sweep only the two border rows of a band
 * travel. All sums that cross vCPUs are maxima or ordered hashes: the result does not depend on who
 * did what.
 */
#include "node/guest/g.h"
#include "node/guest/programs/input.h"
#include "node/guest/programs/programs.h"

enum { ROW_UNIT = G_PAGE / sizeof(double), WORK_STEP = G_PAGE / sizeof(uint64_t) };

/* A page a vCPU. */
struct band {
	uint64_t points; /* updated by this vCPU */
	double residual; /* greatest change in the last sweep */
	uint8_t rest[G_PAGE - 16];
};

static struct {
	uint64_t n, sweeps, stride;
	const double *input;
	double *grid[2];
	uint64_t *row_hash; /* of the result, each by the row's owner */
	struct band *band;
} job G_PAGE_ALIGNED;

static struct g_barrier barrier;

/* Border rows belong to the first and the last vCPU. */
static uint64_t first_row(unsigned vcpu)
{
	return vcpu ? 1 + (job.n - 2) * vcpu / g_vcpus() : 0;
}

static uint64_t end_row(unsigned vcpu)
{
	return vcpu + 1 < g_vcpus() ? first_row(vcpu + 1) : job.n;
}

static double *row(unsigned grid, uint64_t i)
{
	return job.grid[grid] + i * job.stride;
}

static void load(unsigned vcpu)
{
	for (uint64_t i = first_row(vcpu); i < end_row(vcpu); i++) {
		memcpy(row(0, i), job.input + i * job.n, job.n * sizeof(double));
		memcpy(row(1, i), job.input + i * job.n, job.n * sizeof(double));
	}
}

/* One row from `from` to `to`; returns the greatest change. */
static double relax_row(unsigned from, uint64_t i, uint64_t *points)
{
	const double *north = row(from, i - 1), *here = row(from, i), *south = row(from, i + 1);
	double *out = row(1 - from, i), greatest = 0;
	uint64_t j;

	for (j = 1; j < job.n - 1; j++) {
		double v = 0.25 * (north[j] + south[j] + here[j - 1] + here[j + 1]);
		double change = v > here[j] ? v - here[j] : here[j] - v;

		greatest = change > greatest ? change : greatest;
		out[j] = v;
	}
	*points += j - 1;
	return greatest;
}

static void solve(unsigned vcpu, void *arg)
{
	struct band *band = &job.band[vcpu];
	uint64_t begin = first_row(vcpu), end = end_row(vcpu);
	unsigned last = job.sweeps & 1;

	(void)arg;
	load(vcpu);
	g_barrier_wait(&barrier);
	for (uint64_t s = 0; s < job.sweeps; s++) {
		band->residual = 0;
		for (uint64_t i = begin ? begin : 1; i < end && i < job.n - 1; i++) {
			double change = relax_row(s & 1, i, &band->points);

			band->residual = change > band->residual ? change : band->residual;
		}
		g_barrier_wait(&barrier);
	}
	for (uint64_t i = begin; i < end; i++)
		job.row_hash[i] = g_fnv(G_FNV_START, row(last, i), job.n * sizeof(double));
}

static int set_up(uint64_t n, uint64_t sweeps)
{
	const struct g_file *file = g_file("grid");
	const struct grid_header *h;

	if (n < GRID_N_MIN || n > GRID_N_MAX || n - 2 < g_vcpus()) {
		g_printf("error jacobi n=%zu: not between 3 and 65536, or fewer rows than vCPUs\n",
			 (size_t)n);
		return 2;
	}
	if (!file || file->bytes < sizeof(*h)) {
		g_printf("error jacobi: no file named grid, or it is too short\n");
		return 2;
	}
	h = file->data;
	if (h->magic != GRID_MAGIC || h->n != n ||
	    file->bytes != sizeof(*h) + n * n * sizeof(double)) {
		g_printf("error jacobi: file grid is not a grid of %zu\n", (size_t)n);
		return 2;
	}
	job.n = n;
	job.sweeps = sweeps;
	job.stride = (n + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
	job.input = (const double *)(h + 1);
	job.grid[0] = g_alloc(n * job.stride * sizeof(double));
	job.grid[1] = g_alloc(n * job.stride * sizeof(double));
	job.row_hash = g_alloc(n * sizeof(uint64_t));
	job.band = g_alloc(g_vcpus() * sizeof(struct band));
	return 0;
}

int jacobi(uint64_t n, uint64_t sweeps)
{
	double residual = 0;
	uint64_t bits;
	int rc = set_up(n, sweeps);

	if (rc)
		return rc;
	g_parallel(solve, NULL);
	for (unsigned k = 0; k < g_vcpus(); k++)
		residual = job.band[k].residual > residual ? job.band[k].residual : residual;
	memcpy(&bits, &residual, sizeof(bits));
	g_printf("result jacobi n=%zu sweeps=%zu checksum=%016zx residual=%.6e "
		 "residual_bits=%016zx\n",
		 (size_t)n, (size_t)sweeps,
		 (size_t)g_fnv(G_FNV_START, job.row_hash, n * sizeof(uint64_t)), residual,
		 (size_t)bits);
	print_work("jacobi", "points", &job.band[0].points, WORK_STEP);
	return 0;
}
