/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cellbench: what the distributed memory costs, told beside what its parts cost.
 *
 * A run is a team of processes (tests/bench/team.h), one a member, and a number of *pairs*: in each
 * the bench is measured (value), and right after it, on the same cores, its parts (floor,
 * tests/bench/floor.h). What counts is the median of the pairs' ratios: a machine that is slow for
 * a while is slow for both.
 *
 * A bench is an entry of the table in bench.c: functions that every member's process calls at the
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
	BENCH_PAIRS_MAX = 64,
	BENCH_ROUNDS_MAX = 4096, /* of a pair */
	BENCH_WORDS = 8,
};

struct bench_options {
	unsigned members; /* 0: as many as the bench wants */
	unsigned pairs;
	unsigned rounds;    /* 0: as many as the bench wants */
	bool inline_faults; /* served in the faulting thread */
	bool json;
};

/* What a pair measured, in the bench's unit. */
struct bench_pair {
	double value, floor;
};

struct board;
struct bench;
struct floor_faults;

/* A member's process as a bench sees it. */
struct seat {
	struct board *board;
	const struct bench *bench;
	const struct bench_options *options;
	unsigned self, members, rounds;
	int core;
	int link; /* TCP between members 0 and 1, blocking nobody; -1 elsewhere */
	struct dsm *dsm;
	uint8_t *base;
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
	unsigned members; /* at least, and if not told otherwise */
	unsigned rounds;  /* of a pair, if not told otherwise */
	uint32_t hold_us; /* 0: as always */
	uint64_t (*pages)(const struct seat *s);
	void (*post)(void *seat, struct member_id from, const void *bytes, uint32_t n);
	void (*prepare)(struct seat *s); /* brings pages into place; may be NULL */
	double (*value)(struct seat *s); /* what member 0 returns counts */
	double (*floor)(struct seat *s);
};

extern const struct bench benches[]; /* the last one has no name */

/* Runs it and prints the result. 0; 1: failed; 77: cannot run here. Both said why on stderr. */
int bench_run(const struct bench *b, const struct bench_options *o);
/* The parts alone, and what a space costs that nobody uses. */
int bench_floor(const struct bench_options *o);

#endif
