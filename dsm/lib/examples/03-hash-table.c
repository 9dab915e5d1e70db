/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 03-hash-table [MEMBERS [ADDITIONS]]: members count keys in one hash table.
 *
 * Buckets are lists that hold offsets, not pointers: each member has the space at an address of its
 * own. A lock guards a stripe of buckets; an entry is taken from a common store by an atomic
 * addition. A stripe that one member uses several times in a row costs no message for its lock.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "family.h"

enum { BUCKETS = 1024, STRIPES = 32, KEYS = 3000 };

struct entry {
	uint64_t key, count;
	uint64_t next; /* index of the next one in the bucket; 0: none */
};

struct table {
	uint64_t bucket[BUCKETS] __attribute__((aligned(CDSM_PAGE_BYTES)));
	struct entry entry[KEYS + 1] __attribute__((aligned(CDSM_PAGE_BYTES)));
	uint64_t used; /* entries, by cdsm_add */
};

/* The keys that a member adds: a sequence that anybody can repeat. */
static uint64_t next_key(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % KEYS;
}

static uint64_t first_state(unsigned member)
{
	return 0x9e3779b97f4a7c15u * (member + 1);
}

static void must(int rc, const struct cdsm_error *why)
{
	if (rc)
		errx(1, "%s", why->text);
}

static struct entry *find(struct table *t, uint64_t key)
{
	uint64_t at = t->bucket[key % BUCKETS];

	while (at && t->entry[at].key != key)
		at = t->entry[at].next;
	return at ? &t->entry[at] : NULL;
}

/* Under the lock of the bucket. */
static struct entry *insert(struct cdsm *space, struct table *t, uint64_t key)
{
	uint64_t *bucket = &t->bucket[key % BUCKETS], at;
	struct cdsm_error why;

	must(cdsm_add(space, &t->used, 1, &at, &why), &why);
	at++; /* 0 is none */
	t->entry[at] = (struct entry){.key = key, .next = *bucket};
	*bucket = at;
	return &t->entry[at];
}

static void add(struct cdsm *space, struct table *t, uint64_t key)
{
	unsigned stripe = key % BUCKETS % STRIPES;
	struct cdsm_error why;
	struct entry *e;

	must(cdsm_lock(space, stripe, &why), &why);
	e = find(t, key);
	if (!e)
		e = insert(space, t, key);
	e->count++;
	must(cdsm_unlock(space, stripe, &why), &why);
}

/* What one process alone counts; how many keys have another count in the table. */
static unsigned compare(struct table *t, unsigned members, unsigned additions)
{
	static uint64_t wanted[KEYS];
	unsigned wrong = 0;

	for (unsigned m = 0; m < members; m++) {
		uint64_t state = first_state(m);

		for (unsigned i = 0; i < additions; i++)
			wanted[next_key(&state)]++;
	}
	for (uint64_t key = 0; key < KEYS; key++) {
		const struct entry *e = find(t, key);

		wrong += (e ? e->count : 0) != wanted[key];
	}
	return wrong;
}

static int work(struct cdsm *space, unsigned self, unsigned members, void *context)
{
	unsigned additions = *(unsigned *)context, wrong = 0;
	struct table *t = cdsm_map(space, NULL); /* zeros: an empty table */
	uint64_t state = first_state(self);

	for (unsigned i = 0; i < additions; i++)
		add(space, t, next_key(&state));
	family_meet(space, members);
	if (self == 0) {
		wrong = compare(t, members, additions);
		printf("hash table, %u members, %u additions each, %llu keys: %u counts wrong\n",
		       members, additions, (unsigned long long)t->used, wrong);
	}
	family_meet(space, members);
	return wrong != 0;
}

int main(int argc, char **argv)
{
	unsigned members = family_argument(argc, argv, 1, 3, CDSM_MEMBERS_MAX);
	unsigned additions = family_argument(argc, argv, 2, 2000, 100000000);

	return family(members, sizeof(struct table), work, &additions);
}
