/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Torture of shared memory: workers on several cells read and write the same pages at random, and
 * each of them knows what must be there. One core for vCPUs (guest.c) and for native members of a
 * space (members.c); it knows nothing of DSM, VMs or the C library.
 *
 * What an area holds, and what is wrong in it:
 *
 *  objects   1 byte .. 3 pages, side by side without gaps: unaligned, over page borders, several on
 *            a page under different locks. Each has a record on another page: a lock word, the
 *            version and who wrote it. The content is a function of (seed, object, version,
 *            writer), so whoever holds the lock knows every byte. Wrong: another byte (a copy that
 *            is old, torn, or lost a neighbour's write), a version that went back, two in the lock.
 *  counters  8 to 64 bits, changed by LOCK XADD and CMPXCHG without any lock. Wrong: a sum that is
 *            not exactly what the workers added; a 64-bit one that fell for one reader.
 *  tokens    slots that XCHG swaps with what a worker holds. Wrong: a token twice, or gone.
 *  pairs     two words on two pages, written by one worker in one order and read by the others in
 *            the other (x86-TSO). Wrong: the second newer than the first; a word that fell.
 *
 * Locks are only tried, never waited for: a worker that stands still, because its cell does, stops
 * nobody else between barriers.
 *
 * A run is a sequence of rounds: all at work until the time is over, barrier, everybody checks
 * everything, barrier. Layout and each worker's operations derive from the seed; who wins a lock
 * does not.
 *
 * Threads: one worker each; a struct torture is shared by the workers of a process and never
 * changed after torture_init.
 */
#ifndef CELLULAR_TESTS_TORTURE_H
#define CELLULAR_TESTS_TORTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TORTURE_WORKERS_MAX = 16,
	TORTURE_PAGES_MIN = 8,
	TORTURE_PAGES_MAX = 1024,
	TORTURE_OBJECTS_MAX = 2048,
	TORTURE_OBJECT_BYTES_MAX = 3 * 4096,
	TORTURE_COUNTERS = 64,
	TORTURE_TOKENS = 32, /* slots */
	TORTURE_PAIRS = 4,   /* a worker */
	TORTURE_NOBODY = 0xffffffff,
};

/* A wrong value. Pages are numbered as the space's (config.first_page). */
struct torture_wrong {
	const char *what; /* "object", "version", "lock", "counter", "token", "pair" */
	uint64_t seed;
	uint64_t page;
	uint32_t offset; /* in the page, bytes */
	uint32_t index;	 /* of the object, counter, ... */
	uint64_t expected, got;
	uint32_t version; /* objects: that should be there ... */
	uint32_t writer;  /* ... and who wrote it; pairs: whose it is; else TORTURE_NOBODY */
	uint32_t holds;	 /* objects: the older version found there whole, or TORTURE_NOBODY: torn */
	uint32_t worker; /* who saw it */
	uint32_t round;
	uint64_t operation; /* of that worker, since its start */
};

/* One line of a wrong value, for printf and g_printf alike; -1: nobody, none. */
#define TORTURE_WRONG_FORMAT                                                                       \
	"WRONG %s %u: page %llu offset %u: expected %llx, got %llx (version %u, written by "       \
	"worker %d, holds version %d), seen by worker %u in round %u, operation %llu, seed %llu"
#define TORTURE_WRONG_ARGUMENTS(w)                                                                 \
	(w)->what, (w)->index, (unsigned long long)(w)->page, (w)->offset,                         \
		(unsigned long long)(w)->expected, (unsigned long long)(w)->got, (w)->version,     \
		(int)(w)->writer, (int)(w)->holds, (w)->worker, (w)->round,                        \
		(unsigned long long)(w)->operation, (unsigned long long)(w)->seed

struct torture_config {
	uint64_t seed;
	unsigned workers;  /* 1 .. TORTURE_WORKERS_MAX */
	unsigned pages;	   /* of objects, TORTURE_PAGES_MIN .. TORTURE_PAGES_MAX */
	uint64_t round_ns; /* length of a round's work */
	uint64_t run_ns;   /* of the run: rounds begin until it is over */
	void *area;	   /* torture_bytes() of shared memory, page-aligned, zero at first */
	uint64_t first_page;
	uint64_t (*now_ns)(void);
	/* Waits for all workers; false: the run is given up. */
	bool (*barrier)(void *context);
	void (*wrong)(void *context, const struct torture_wrong *w);
	/* By worker 0 after each round; NULL: nobody wants to know. */
	void (*round)(void *context, uint32_t round, uint64_t operations);
	void *context;
};

struct torture {
	struct torture_config config;
	unsigned objects;
	uint32_t at[TORTURE_OBJECTS_MAX + 1]; /* offset of each object in the object pages; its end
						 is the next one's start */
};

/* What a worker did. */
#define TORTURE_DID(X)                                                                             \
	X(reads, "objects read")                                                                   \
	X(writes, "objects written")                                                               \
	X(bytes, "bytes of both")                                                                  \
	X(crossings, "of both, objects over a page border")                                        \
	X(busy, "objects whose lock another worker held")                                          \
	X(atomics, "LOCK XADD, CMPXCHG, XCHG")                                                     \
	X(orders, "pairs written or read")                                                         \
	X(checked, "objects, counters, tokens and pairs checked between rounds")

struct torture_did {
#define X(name, text) uint64_t name;
	TORTURE_DID(X)
#undef X
};

/* A worker's own state: private memory, about 35 KiB. */
struct torture_worker {
	const struct torture *t;
	unsigned self;
	uint32_t round;
	uint64_t random;
	uint64_t operations;
	uint64_t wrong; /* values it reported */
	struct torture_did did;
	uint64_t token;			  /* held */
	uint64_t added[TORTURE_COUNTERS]; /* by this worker */
	uint64_t counter_seen[TORTURE_COUNTERS];
	uint64_t pair_written[TORTURE_PAIRS];
	uint64_t pair_seen[TORTURE_WORKERS_MAX][TORTURE_PAIRS][2];
	uint32_t version_seen[TORTURE_OBJECTS_MAX];
	uint8_t got[TORTURE_OBJECT_BYTES_MAX];
	uint8_t want[TORTURE_OBJECT_BYTES_MAX];
};

/* Bytes of an area with so many pages of objects; the objects begin at this byte of it. Both are
 * whole pages. */
size_t torture_bytes(unsigned pages);
size_t torture_object_start(void);

/* False: config is out of range. */
bool torture_init(struct torture *t, const struct torture_config *config);

/* Runs worker `self` to the end of the run: all workers must be running. True if all rounds were
 * done and nothing was wrong for any worker. */
bool torture_run(const struct torture *t, unsigned self, struct torture_worker *w);

/* What all workers did, and how many wrong values they reported; after torture_run. */
void torture_sum(const struct torture *t, struct torture_did *did, uint64_t *operations,
		 uint64_t *wrong);

#endif
