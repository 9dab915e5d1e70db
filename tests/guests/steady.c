/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads pages that never change for ever, while the last vCPU makes them travel: whatever happens
 * to a cell, nobody may see anything else, zeros least of all. Prints "steady" when all pages are
 * written; ends, with 3, only if it saw something wrong.
 */
#include "node/guest/g.h"

enum { PAGES = 128 };

static uint8_t *area;
static struct g_barrier written;

static volatile uint64_t *word(uint64_t random)
{
	return (volatile uint64_t *)(area + random % PAGES * G_PAGE + random / PAGES % 512 * 8);
}

static uint64_t expected(volatile uint64_t *at)
{
	return (uint64_t)at * 0x9e3779b97f4a7c15ull | 1;
}

static void run(unsigned vcpu, void *arg)
{
	bool writer = vcpu == g_vcpus() - 1;
	uint64_t random = 88172645463325252ull + vcpu;

	(void)arg;
	for (uint64_t i = 0; writer && i < PAGES * 512; i++)
		*word(i) = expected(word(i));
	g_barrier_wait(&written);
	if (writer)
		g_printf("steady\n");
	for (;;) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		if (writer)
			*word(random) = expected(word(random));
		else if (*word(random) != expected(word(random)))
			break;
	}
	g_printf("wrong on vcpu %u: %zx at %zx\n", vcpu, (size_t)*word(random),
		 (size_t)word(random));
	g_exit(3);
}

int g_main(int argc, char **argv)
{
	(void)argc, (void)argv;
	area = g_alloc((uint64_t)PAGES * G_PAGE);
	g_parallel(run, NULL);
	return 0;
}
