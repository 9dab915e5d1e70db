/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts in every way an instruction can touch pages, while somebody takes the pages away: nothing
 * may get lost. The area is the first thing on the heap. argv[0]: for how many
 * ms; argv[1]: how many locked instructions over two pages each vCPU makes (processors that watch
 * for them make them slow).
 *
 * Of each page the words at 128 + 64 * vCPU belong to that vCPU, the one at 2048 to all. Nothing
 * here touches bytes 3072 .. 4000: they are for the test.
 *
 * The border between page p and p + 1 belongs to vCPU p mod vCPUs: it is the place of an unlocked
 * counter that lies over it.
 *
 *	result pages kind=own made=30000 lost=0
 */
#include "node/guest/g.h"

enum {
	PAGES = 9,
	OWN_AT = 128,
	OWN_STEP = 64,
	SHARED_AT = 2048,
	BORDER_BEFORE = 3,
	COPY_AT = 2560,
	COPY = 40
};

enum kind { OWN, LOCKED, READ, BORDER, SPLIT, COPIED, KINDS };

static const char *const names[] = {"own", "locked", "read", "border", "split", "copied"};

/* A page a vCPU: what it did. */
struct worker {
	uint64_t made[KINDS];
	uint64_t own[PAGES], border[PAGES], shared[PAGES]; /* made; made; last read */
	uint64_t bad_reads, bad_copies;
	uint8_t rest[G_PAGE - sizeof(uint64_t) * (KINDS + 3 * PAGES + 2)];
};

static struct {
	uint8_t *area;
	struct worker *worker;
	uint64_t ms, splits;
} job G_PAGE_ALIGNED;

static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint8_t *page(uint64_t p)
{
	return job.area + p * G_PAGE;
}

static uint64_t *border_after(uint64_t p)
{
	return (uint64_t *)(page(p + 1) - BORDER_BEFORE);
}

/* One instruction each. */
static void increment(uint64_t *at)
{
	__asm__ volatile("incq %0" : "+m"(*at) : : "cc");
}

static void locked_increment(uint64_t *at)
{
	__asm__ volatile("lock incq %0" : "+m"(*at) : : "cc");
}

static void copy(uint8_t *to, const uint8_t *from, uint64_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

/* A border of this vCPU's. */
static uint64_t my_border(unsigned vcpu, uint64_t random)
{
	uint64_t mine = (PAGES - 1 - vcpu + g_vcpus() - 1) / g_vcpus();

	return vcpu + random % mine * g_vcpus();
}

/* Through one page into a spot of the last one, and back. */
static bool copies_well(unsigned vcpu, uint64_t value)
{
	uint8_t *from = page(vcpu) + COPY_AT + vcpu * COPY;
	uint8_t *to = page(PAGES - 1 - vcpu) + COPY_AT + vcpu * COPY;
	uint64_t back[COPY / 8];

	for (unsigned i = 0; i < COPY / 8; i++)
		((uint64_t *)from)[i] = value + i;
	copy(to, from, COPY);
	copy((uint8_t *)back, to, COPY);
	for (unsigned i = 0; i < COPY / 8; i++)
		if (back[i] != value + i)
			return false;
	return true;
}

/* Counters never go back. */
static bool reads_well(struct worker *me, uint64_t p)
{
	uint64_t before = me->shared[p];

	me->shared[p] = *(volatile uint64_t *)(page(p) + SHARED_AT);
	return me->shared[p] >= before;
}

static void work(unsigned vcpu, void *arg)
{
	struct worker *me = &job.worker[vcpu];
	uint64_t random = 88172645463325252ull + vcpu * 1234567, splits = job.splits;
	uint64_t end = g_ns() + job.ms * 1000000;

	(void)arg;
	for (uint64_t turn = 0; splits || g_ns() < end; turn++) {
		uint64_t p = draw(&random) % PAGES, b = my_border(vcpu, random >> 32);

		increment((uint64_t *)(page(p) + OWN_AT + vcpu * OWN_STEP));
		me->own[p]++;
		me->made[OWN]++;
		locked_increment((uint64_t *)(page(draw(&random) % PAGES) + SHARED_AT));
		me->made[LOCKED]++;
		me->bad_reads += !reads_well(me, draw(&random) % PAGES);
		me->made[READ]++;
		increment(border_after(b));
		me->border[b]++;
		me->made[BORDER]++;
		if (splits && turn % 100 == 0) {
			locked_increment(border_after(b));
			me->border[b]++;
			me->made[SPLIT]++;
			splits--;
		}
		me->bad_copies += !copies_well(vcpu, turn * 8);
		me->made[COPIED]++;
	}
}

static uint64_t differ(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* lost[SPLIT] stays 0: those count in lost[BORDER]. */
static void find_lost(uint64_t lost[KINDS])
{
	uint64_t shared = 0, locked = 0;

	for (uint64_t p = 0; p < PAGES; p++)
		shared += *(uint64_t *)(page(p) + SHARED_AT);
	for (unsigned v = 0; v < g_vcpus(); v++) {
		struct worker *w = &job.worker[v];

		for (uint64_t p = 0; p < PAGES; p++)
			lost[OWN] +=
				differ(w->own[p], *(uint64_t *)(page(p) + OWN_AT + v * OWN_STEP));
		for (uint64_t b = v; b < PAGES - 1; b += g_vcpus())
			lost[BORDER] += differ(w->border[b], *border_after(b));
		locked += w->made[LOCKED];
		lost[COPIED] += w->bad_copies;
		lost[READ] += w->bad_reads;
	}
	lost[LOCKED] = differ(locked, shared);
}

int g_main(int argc, char **argv)
{
	uint64_t lost[KINDS] = {0}, sum = 0;

	if (argc != 2 || !g_number(argv[0], &job.ms) || !g_number(argv[1], &job.splits) ||
	    g_vcpus() > PAGES / 2) {
		g_printf("usage: pages MS SPLITS, with four vCPUs or fewer\n");
		return 2;
	}
	job.area = g_alloc((uint64_t)PAGES * G_PAGE);
	job.worker = g_alloc(g_vcpus() * sizeof(struct worker));
	g_parallel(work, NULL);
	find_lost(lost);
	for (int kind = 0; kind < KINDS; kind++) {
		uint64_t made = 0;

		for (unsigned v = 0; v < g_vcpus(); v++)
			made += job.worker[v].made[kind];
		g_printf("result pages kind=%s made=%zu lost=%zu\n", names[kind], (size_t)made,
			 (size_t)lost[kind]);
		sum += lost[kind];
	}
	return sum > 0;
}
