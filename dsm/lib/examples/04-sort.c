/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 04-sort [MEMBERS [N]]: a parallel sample sort of N random numbers.
 *
 *   1. Each member sorts its share and puts samples of it up.
 *   2. Member 0 sorts the samples and chooses limits: member m will have what lies between two.
 *   3. Each says how many of its share go to whom; from that all know where in the result.
 *   4. Each copies its share there, in runs.
 *   5. Each sorts the part of the result that is its own.
 *
 * Between the steps there is a barrier. Step 4 is the exchange of the data: plain stores.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "family.h"

enum { SAMPLES = 64 /* of each member */ };

struct sort {
	uint64_t sample[CDSM_MEMBERS_MAX][SAMPLES];
	uint64_t limit[CDSM_MEMBERS_MAX]; /* the least number that is not member m's */
	uint64_t count[CDSM_MEMBERS_MAX][CDSM_MEMBERS_MAX];	     /* from, to */
	uint64_t number[] __attribute__((aligned(CDSM_PAGE_BYTES))); /* n, then n of the result */
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The i-th of the numbers to sort: anybody can tell (splitmix64). */
static uint64_t number(uint64_t i)
{
	uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void sort_share(struct sort *s, unsigned self, uint64_t first, uint64_t n)
{
	uint64_t *share = s->number + first;

	for (uint64_t i = 0; i < n; i++)
		share[i] = number(first + i);
	qsort(share, n, sizeof(*share), compare);
	for (unsigned i = 0; i < SAMPLES; i++)
		s->sample[self][i] = share[n * i / SAMPLES];
}

static void choose_limits(struct sort *s, unsigned members)
{
	uint64_t all[CDSM_MEMBERS_MAX * SAMPLES];

	memcpy(all, s->sample, members * sizeof(s->sample[0]));
	qsort(all, (size_t)members * SAMPLES, sizeof(all[0]), compare);
	for (unsigned m = 0; m + 1 < members; m++)
		s->limit[m] = all[(m + 1) * SAMPLES];
	s->limit[members - 1] = UINT64_MAX;
}

/* How many of a sorted share are member m's, from `at` on. */
static uint64_t run_of(const struct sort *s, unsigned m, unsigned members, const uint64_t *share,
		       uint64_t at, uint64_t n)
{
	uint64_t from = at;

	while (at < n && (m + 1 == members || share[at] < s->limit[m]))
		at++;
	return at - from;
}

static void count(struct sort *s, unsigned self, unsigned members, uint64_t first, uint64_t n)
{
	uint64_t at = 0;

	for (unsigned m = 0; m < members; m++) {
		s->count[self][m] = run_of(s, m, members, s->number + first, at, n);
		at += s->count[self][m];
	}
}

/* Where in the result the run begins that goes from one member to another. */
static uint64_t place(const struct sort *s, unsigned from, unsigned to, unsigned members)
{
	uint64_t at = 0;

	for (unsigned m = 0; m < to; m++)
		for (unsigned f = 0; f < members; f++)
			at += s->count[f][m];
	for (unsigned f = 0; f < from; f++)
		at += s->count[f][to];
	return at;
}

static void exchange(struct sort *s, unsigned self, unsigned members, uint64_t first, uint64_t n)
{
	const uint64_t *share = s->number + first;
	uint64_t *result = s->number + n;

	for (unsigned m = 0; m < members; m++) {
		memcpy(result + place(s, self, m, members), share,
		       s->count[self][m] * sizeof(*share));
		share += s->count[self][m];
	}
}

/* Against one process alone; how many places differ. */
static uint64_t check(const uint64_t *result, uint64_t n)
{
	uint64_t *wanted = malloc(n * sizeof(*wanted)), wrong = 0;

	for (uint64_t i = 0; i < n; i++)
		wanted[i] = number(i);
	qsort(wanted, n, sizeof(*wanted), compare);
	for (uint64_t i = 0; i < n; i++)
		wrong += wanted[i] != result[i];
	free(wanted);
	return wrong;
}

static int work(struct cdsm *space, unsigned self, unsigned members, void *context)
{
	const uint64_t n = *(unsigned *)context;
	const uint64_t first = n * self / members, mine = n * (self + 1) / members - first;
	struct sort *s = cdsm_map(space, NULL);
	uint64_t begin, end, wrong = 0;

	sort_share(s, self, first, mine);
	family_meet(space, members);
	if (self == 0)
		choose_limits(s, members);
	family_meet(space, members);
	count(s, self, members, first, mine);
	family_meet(space, members);
	exchange(s, self, members, first, n);
	family_meet(space, members);
	begin = place(s, 0, self, members);
	end = self + 1 < members ? place(s, 0, self + 1, members) : n;
	qsort(s->number + n + begin, end - begin, sizeof(uint64_t), compare);
	family_meet(space, members);
	if (self == 0) {
		wrong = check(s->number + n, n);
		printf("sort, %u members, %llu numbers: %llu in a wrong place\n", members,
		       (unsigned long long)n, (unsigned long long)wrong);
	}
	return wrong != 0;
}

int main(int argc, char **argv)
{
	unsigned members = family_argument(argc, argv, 1, 3, CDSM_MEMBERS_MAX);
	unsigned n = family_argument(argc, argv, 2, 100000, 1u << 30);

	if (n < members)
		n = members;
	return family(members, sizeof(struct sort) + 2ull * n * sizeof(uint64_t), work, &n);
}
