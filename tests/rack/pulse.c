/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest of the cluster tests. Its first argument says what it does:
 *
 *   spin          all vCPUs loop for ever, now and then on a page they share
 *   work ROUNDS   each vCPU computes for a while, then adds to a shared sum, ROUNDS times; prints
 *                 its progress, and at the end the sum, which is right or the exit code is 1
 *   chat LINES    writes LINES numbered lines
 *   exit CODE     exits
 */
#include "node/guest/g.h"

enum { LOOP = 4000000, REPORTS = 20 };

static struct {
	struct g_lock lock;
	uint64_t sum;
} shared G_PAGE_ALIGNED;

static uint64_t rounds;

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void compute(void)
{
	for (unsigned i = 0; i < LOOP; i++)
		__asm__ volatile("" ::: "memory");
}

static void add(uint64_t n)
{
	g_lock_take(&shared.lock);
	shared.sum += n;
	g_lock_drop(&shared.lock);
}

static void work(unsigned vcpu, void *arg)
{
	uint64_t every = rounds / REPORTS + 1;

	(void)arg;
	for (uint64_t i = 0; i < rounds; i++) {
		compute();
		add(vcpu + 1);
		if (vcpu == 0 && i % every == 0)
			g_printf("progress %llu of %llu\n", (unsigned long long)i,
				 (unsigned long long)rounds);
	}
}

static void spin(unsigned vcpu, void *arg)
{
	(void)arg;
	if (vcpu == 0)
		g_printf("spinning\n");
	for (;;) {
		compute();
		add(1);
	}
}

static int work_all(void)
{
	uint64_t n = g_vcpus(), right = rounds * n * (n + 1) / 2;

	g_parallel(work, NULL);
	g_printf("result work sum=%llu right=%llu\n", (unsigned long long)shared.sum,
		 (unsigned long long)right);
	return shared.sum == right ? 0 : 1;
}

int g_main(int argc, char **argv)
{
	if (argc > 1 && !g_number(argv[1], &rounds))
		return 2;
	if (argc == 1 && same(argv[0], "spin"))
		g_parallel(spin, NULL);
	else if (argc == 2 && same(argv[0], "work"))
		return work_all();
	else if (argc == 2 && same(argv[0], "exit"))
		return (int)rounds;
	else if (argc != 2 || !same(argv[0], "chat"))
		return 2;
	for (uint64_t i = 0; i < rounds; i++)
		g_printf("line %07llu\n", (unsigned long long)i);
	return 0;
}
