/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the torture know of each other, and where things lie in an area. */
#ifndef CELLULAR_TESTS_TORTURE_INTERNAL_H
#define CELLULAR_TESTS_TORTURE_INTERNAL_H

#include "node/guest/g.h" /* memcpy and its kin, in a guest too */
#include "tests/torture/torture.h"

enum {
	PAGE = 4096,
	RECORDS_A_PAGE = 32, /* many locks on a page, but not all on one */
	RECORD_BYTES = PAGE / RECORDS_A_PAGE,
	COUNTERS_A_PAGE = 16,
	TOKENS_A_PAGE = 8,

	CONTROL_PAGES = 1,
	COUNTER_PAGES = TORTURE_COUNTERS / COUNTERS_A_PAGE,
	TOKEN_PAGES = TORTURE_TOKENS / TOKENS_A_PAGE,
	PAIR_PAGES = 2 * TORTURE_PAIRS,
	RECORD_PAGES = TORTURE_OBJECTS_MAX / RECORDS_A_PAGE,

	/* The parts of an area, in this order. */
	COUNTER_START = CONTROL_PAGES * PAGE,
	TOKEN_START = COUNTER_START + COUNTER_PAGES * PAGE,
	PAIR_START = TOKEN_START + TOKEN_PAGES * PAGE,
	TALLY_START = PAIR_START + PAIR_PAGES * PAGE, /* a page a worker */
	RECORD_START = TALLY_START + TORTURE_WORKERS_MAX * PAGE,
	OBJECT_START = RECORD_START + RECORD_PAGES * PAGE,
};

/* The first page. Written by worker 0. */
struct control {
	uint32_t over; /* rounds whose time is up */
	uint32_t last; /* the round after which nobody goes on; 0: not known yet */
};

/* Of an object: what is right, under the lock. */
struct record {
	uint32_t lock;	  /* 0: free, else 1 + worker */
	uint32_t inside;  /* the same, set by whoever got the lock: two would see each other */
	uint32_t version; /* writes so far: 0: zeros */
	uint32_t writer;
};

/* What a worker tells the others after a round. */
struct tally {
	uint64_t operations, wrong;
	struct torture_did did;
	uint64_t token;
	uint64_t added[TORTURE_COUNTERS];
	uint64_t pair_written[TORTURE_PAIRS];
};

_Static_assert(sizeof(struct tally) <= PAGE, "a page a worker");

static inline void *torture_at(const struct torture *t, size_t offset)
{
	return (uint8_t *)t->config.area + offset;
}

static inline struct tally *torture_tally(const struct torture *t, unsigned worker)
{
	return torture_at(t, TALLY_START + (size_t)worker * PAGE);
}

/* splitmix64 (Steele, Lea, Flood, OOPSLA '14): a good hash, and a generator when counted up. */
static inline uint64_t torture_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* 0 .. below - 1. */
static inline uint32_t torture_random(struct torture_worker *w, uint32_t below)
{
	return (uint32_t)((torture_mix(w->random++) >> 32) * below >> 32);
}

/* Reports a wrong value at this byte of the area; fills in where, who and when. */
void torture_report(struct torture_worker *w, size_t offset, struct torture_wrong *wrong);

/* objects.c */
void torture_object_touch(struct torture_worker *w, uint32_t object, bool write);
void torture_objects_check(struct torture_worker *w);

/* words.c */
void torture_words_start(struct torture_worker *w);
void torture_counter_touch(struct torture_worker *w);
void torture_token_swap(struct torture_worker *w);
void torture_pair_touch(struct torture_worker *w);
void torture_words_check(struct torture_worker *w);

#endif
