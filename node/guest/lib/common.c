/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the library that is the same on vCPUs and on pthreads: barrier, lock, and small
 * helpers, over g_wait and g_wake.
 *
 * Who waits spins for a moment first: a page that is on its way arrives in tens of microseconds,
 * about what going to sleep costs.
 */
#include "node/guest/g.h"

enum { SPINS = 200 };

void g_wait_while(const uint32_t *word, uint32_t value)
{
	for (int i = 0; i < SPINS; i++) {
		if (g_load(word) != value)
			return;
		g_pause();
	}
	while (g_load(word) == value)
		g_wait(word, value);
}

void g_barrier_wait(struct g_barrier *b)
{
	uint32_t round = g_load(&b->round);

	if (g_add(&b->arrived, 1) + 1 < g_vcpus()) {
		g_wait_while(&b->round, round);
		return;
	}
	g_store(&b->arrived, 0);
	g_store(&b->round, round + 1);
	g_wake(&b->round);
}

void g_lock_take(struct g_lock *l)
{
	uint32_t mine = g_add(&l->next, 1), serving;

	while ((serving = g_load(&l->serving)) != mine)
		g_wait_while(&l->serving, serving);
}

/* Whoever draws a ticket after our look at `next` sees `serving` already advanced: both sides order
 * store before load. */
void g_lock_drop(struct g_lock *l)
{
	uint32_t now = l->serving + 1;

	__atomic_store_n(&l->serving, now, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&l->next, __ATOMIC_SEQ_CST) != now)
		g_wake(&l->serving);
}

bool g_number(const char *s, uint64_t *out)
{
	uint64_t v = 0;
	int n = 0;

	for (; s[n] >= '0' && s[n] <= '9' && n < 19; n++)
		v = v * 10 + (uint64_t)(s[n] - '0');
	if (!n || s[n])
		return false;
	*out = v;
	return true;
}

uint64_t g_fnv(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * 0x100000001b3ull;
	return hash;
}
