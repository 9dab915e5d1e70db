/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a page fault costs where it is felt: in the program. vCPU 0 owns pages; the last vCPU, on
 * another cell if placement says so, reads each, then writes each; then vCPU 0 takes them back by
 * writing. Last, both write one word in turn, and sleep in between.
 *
 *	result faults kind=read n=512 min_ns=... p50_ns=... p90_ns=... p99_ns=... max_ns=...
 */
#include "node/guest/g.h"

enum { PAGES_MAX = 1 << 16, TURNS = 1000 };

static struct {
	uint64_t pages;
	uint8_t *page;
	uint64_t *ns[3]; /* by kind, one a page */
	uint64_t turns_ns;
} job G_PAGE_ALIGNED;

static struct g_barrier barrier;
static uint32_t turn G_PAGE_ALIGNED;

static volatile uint64_t *word(uint64_t page)
{
	return (volatile uint64_t *)(job.page + page * G_PAGE);
}

static void time_pages(uint64_t *ns, bool write)
{
	for (uint64_t i = 0; i < job.pages; i++) {
		uint64_t start = g_ns();

		if (write)
			*word(i) = i;
		else
			(void)*word(i);
		ns[i] = g_ns() - start;
	}
}

/* The way a lock or a barrier hands over: write, wake, sleep until the word changes. */
static void take_turns(uint32_t me)
{
	for (uint32_t i = me; i < TURNS; i += 2) {
		for (uint32_t now; (now = g_load(&turn)) != i;)
			g_wait_while(&turn, now);
		g_store(&turn, i + 1);
		g_wake(&turn);
	}
}

static void run(unsigned vcpu, void *arg)
{
	bool owner = vcpu == 0, guest = vcpu == g_vcpus() - 1;
	uint64_t start;

	(void)arg;
	for (uint64_t i = 0; owner && i < job.pages; i++)
		*word(i) = 1;
	for (int kind = 0; kind < 3; kind++) {
		g_barrier_wait(&barrier);
		if (kind < 2 ? guest : owner)
			time_pages(job.ns[kind], kind > 0);
	}
	g_barrier_wait(&barrier);
	start = g_ns();
	if (owner || guest)
		take_turns(owner ? 0 : 1);
	if (owner)
		job.turns_ns = g_ns() - start;
}

/* Shell's sort: no recursion, no memory. */
static void sort(uint64_t *v, uint64_t n)
{
	for (uint64_t gap = n / 2; gap; gap /= 2)
		for (uint64_t i = gap; i < n; i++) {
			uint64_t x = v[i], k = i;

			for (; k >= gap && v[k - gap] > x; k -= gap)
				v[k] = v[k - gap];
			v[k] = x;
		}
}

static void print(const char *kind, uint64_t *ns)
{
	uint64_t n = job.pages;

	sort(ns, n);
	g_printf("result faults kind=%s n=%zu min_ns=%zu p50_ns=%zu p90_ns=%zu p99_ns=%zu "
		 "max_ns=%zu\n",
		 kind, (size_t)n, (size_t)ns[0], (size_t)ns[n / 2], (size_t)ns[n * 9 / 10],
		 (size_t)ns[n * 99 / 100], (size_t)ns[n - 1]);
}

int g_main(int argc, char **argv)
{
	static const char *const kinds[] = {"read", "upgrade", "write"};

	if (argc != 1 || !g_number(argv[0], &job.pages) || !job.pages || job.pages > PAGES_MAX ||
	    g_vcpus() < 2) {
		g_printf("usage: faults PAGES, with two vCPUs or more\n");
		return 2;
	}
	job.page = g_alloc(job.pages * G_PAGE);
	for (int kind = 0; kind < 3; kind++)
		job.ns[kind] = g_alloc(job.pages * sizeof(uint64_t) + G_PAGE);
	g_parallel(run, NULL);
	for (int kind = 0; kind < 3; kind++)
		print(kinds[kind], job.ns[kind]);
	g_printf("result faults kind=turn n=%d mean_ns=%zu\n", TURNS,
		 (size_t)(job.turns_ns / TURNS));
	return 0;
}
