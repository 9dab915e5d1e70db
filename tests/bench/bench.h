/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cellbench: what the distributed memory costs, told beside what its parts cost.
 *
 * A run is a team of processes (tests/bench/team.h), one a member, and a number of *pairs*: in each
 * the bench is measured (value), and right after it, on the same cores, its parts (floor,
 * tests/bench/floor.h). What counts is the median of the pairs' ratios: a machine that is slow for
 * a while is slow for both.
 *
 * A bench is an entry of a table (bench*.c): functions that every member's process calls at the
 * same time, between barriers. Member 0 measures.
 */
#ifndef CELLULAR_BENCH_BENCH_H
#define CELLULAR_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsm/dsm.h"

enum {
	BENCH_MEMBERS_MAX = 8,
	BENCH_SPACES_MAX = 8, /* of a member */
	BENCH_SIZES = 2,
	BENCH_PAIRS_MAX = 64,
	BENCH_ROUNDS_MAX = 4096, /* of a pair */
	BENCH_WORDS = 8,
};

struct bench_options {
	unsigned members; /* 0: as many as the bench wants */
	unsigned pairs;
	unsigned rounds;    /* 0: as many as the bench wants */
	unsigned shards;    /* spaces of a member over which the pages are spread: 1 .. */
	unsigned size;	    /* of a grid; 0: as the bench wants */
	bool inline_faults; /* served in the faulting thread */
	bool json;
};

/* What a pair measured, in the bench's unit. */
struct bench_pair {
	double value, floor;
};

struct board;
struct bench;
struct cdsm;
struct floor_faults;

/* A member's process as a bench sees it. */
struct seat {
	struct board *board;
	const struct bench *bench;
	const struct bench_options *options;
	unsigned self, members, rounds;
	int core;
	int link;	 /* TCP between members 0 and 1, blocking nobody; -1 elsewhere */
	struct dsm *dsm; /* the first space, and where it is mapped; NULL: by the library */
	uint8_t *base;
	struct cdsm *library;
	unsigned spaces;
	struct dsm *space[BENCH_SPACES_MAX];
	uint8_t *bases[BENCH_SPACES_MAX];
	unsigned pair;		       /* under way */
	struct floor_faults *faults;   /* member 0 */
	uint64_t ns[BENCH_ROUNDS_MAX]; /* member 0: what each round of the value took; 0: none */
};

enum bench_kind {
	BENCH_TIME,   /* less is better: ratio = value / floor */
	BENCH_RATE,   /* more is better: ratio = value / floor */
	BENCH_RHYTHM, /* a rate beside a time in us: ratio = value * floor, 1 is one each floor */
};

struct bench {
	const char *name;
	const char *text; /* what is measured, what its floor is */
	enum bench_kind kind;
	const char *unit;
	unsigned members;	     /* at least, and if not told otherwise */
	unsigned rounds;	     /* of a pair, if not told otherwise */
	unsigned sizes[BENCH_SIZES]; /* it is run once for each; 0: it has none */
	unsigned size;		     /* ... the one of this run */
	uint32_t hold_us;	     /* 0: as always */
	uint32_t second_hold_us;     /* of a second space; 0: there is none */
	bool library;		     /* its space is the public library's */
	bool sharded;		     /* its pages may be spread over several spaces */
	bool vcpu;		     /* needs KVM; faults are served by a thread */
	uint64_t (*pages)(const struct seat *s);
	void (*post)(void *seat, struct member_id from, const void *bytes, uint32_t n);
	void (*prepare)(struct seat *s); /* brings pages into place; may be NULL */
	double (*value)(struct seat *s); /* what member 0 returns counts */
	double (*floor)(struct seat *s);
};

/* Each ends with one that has no name. */
extern const struct bench benches[];	    /* bench.c: faults and messages */
extern const struct bench sync_benches[];   /* bench_sync.c: barriers and locks */
extern const struct bench hammer_benches[]; /* bench_hammer.c: a page that all write */
extern const struct bench jacobi_benches[]; /* bench_jacobi.c: a program */
extern const struct bench vcpu_benches[];   /* bench_vcpu.c: faults of a virtual CPU */

/* Runs it and prints the result. 0; 1: failed; 77: cannot run here. Both said why on stderr. */
int bench_run(const struct bench *b, const struct bench_options *o);
/* The parts alone, and what a space costs that nobody uses. */
int bench_floor(const struct bench_options *o);

#endif
