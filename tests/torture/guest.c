/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The torture on vCPUs: every vCPU is a worker. Exit code 0: all rounds done, nothing wrong.
 *
 *	torture SEED PAGES SECONDS
 *
 *	round 3: 123456 operations
 *	WRONG object 17: page ...                   (the first few)
 *	result torture seed=1 wrong=0 operations=... reads=... writes=... bytes=... ...
 */
#include "node/guest/g.h"
#include "tests/torture/torture.h"

enum {
	WRONG_LINES = 20, /* a vCPU says */
	ROUND_MS = 1500,
	CHUNK = 512 * G_PAGE, /* one member is home of so much */
};

static struct {
	struct torture torture;
	struct torture_worker *worker[TORTURE_WORKERS_MAX];
} job G_PAGE_ALIGNED;

static struct g_barrier barrier;
static uint32_t said[TORTURE_WORKERS_MAX];

static bool meet(void *context)
{
	(void)context;
	g_barrier_wait(&barrier);
	return true;
}

static void say_wrong(void *context, const struct torture_wrong *w)
{
	(void)context;
	if (said[w->worker]++ < WRONG_LINES)
		g_printf(TORTURE_WRONG_FORMAT "\n", TORTURE_WRONG_ARGUMENTS(w));
}

static void say_round(void *context, uint32_t round, uint64_t operations)
{
	(void)context;
	g_printf("round %u: %llu operations\n", round, (unsigned long long)operations);
}

static void run(unsigned vcpu, void *arg)
{
	(void)arg;
	torture_run(&job.torture, vcpu, job.worker[vcpu]);
}

/* Memory for the area so that its objects begin with a chunk, and so with another home than what
 * lies before them. */
static void *allocate_area(unsigned pages)
{
	uint64_t here = (uint64_t)g_alloc(G_PAGE) + G_PAGE;
	uint64_t gap = -(here + torture_object_start()) & (CHUNK - 1);

	if (gap)
		g_alloc(gap);
	return g_alloc(torture_bytes(pages));
}

static bool set_up(uint64_t seed, uint64_t pages, uint64_t seconds)
{
	struct torture_config c = {
		.seed = seed,
		.workers = g_vcpus(),
		.pages = (unsigned)pages,
		.round_ns = ROUND_MS * 1000000ull,
		.run_ns = seconds * 1000000000ull,
		.now_ns = g_ns,
		.barrier = meet,
		.wrong = say_wrong,
		.round = say_round,
	};

	if (pages < TORTURE_PAGES_MIN || pages > TORTURE_PAGES_MAX)
		return false;
	for (unsigned i = 0; i < g_vcpus() && i < TORTURE_WORKERS_MAX; i++)
		job.worker[i] = g_alloc(sizeof(struct torture_worker));
	c.area = allocate_area((unsigned)pages);
	c.first_page = (uint64_t)c.area / G_PAGE;
	return torture_init(&job.torture, &c);
}

static uint64_t say_result(void)
{
	struct torture_did did;
	uint64_t operations, wrong;

	torture_sum(&job.torture, &did, &operations, &wrong);
	g_printf("result torture seed=%llu wrong=%llu operations=%llu",
		 (unsigned long long)job.torture.config.seed, (unsigned long long)wrong,
		 (unsigned long long)operations);
#define X(name, text) g_printf(" " #name "=%llu", (unsigned long long)did.name);
	TORTURE_DID(X)
#undef X
	g_printf("\n");
	return wrong;
}

int g_main(int argc, char **argv)
{
	uint64_t seed, pages, seconds;

	if (argc != 3 || !g_number(argv[0], &seed) || !g_number(argv[1], &pages) ||
	    !g_number(argv[2], &seconds) || !set_up(seed, pages, seconds)) {
		g_printf("usage: torture SEED PAGES SECONDS, with %d to %d pages and up to %d "
			 "vCPUs\n",
			 TORTURE_PAGES_MIN, TORTURE_PAGES_MAX, TORTURE_WORKERS_MAX);
		return 2;
	}
	g_printf("torture seed %llu: %u objects\n", (unsigned long long)seed, job.torture.objects);
	g_parallel(run, NULL);
	return say_result() ? 1 : 0;
}
