/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a run: forked before anything else happens, each pinned to a core, connected to
 * one space; if one fails, the parent ends the others. They share ordinary memory (struct board)
 * for barriers and figures.
 */
#ifndef CELLULAR_BENCH_TEAM_H
#define CELLULAR_BENCH_TEAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/bench/bench.h"

struct board {
	pthread_barrier_t barrier;
	char address[BENCH_SPACES_MAX][BENCH_MEMBERS_MAX][TRANSPORT_ADDRESS_MAX];
	_Atomic uint64_t word[BENCH_WORDS]; /* the bench's */
	struct bench_pair pair[BENCH_PAIRS_MAX];
	uint64_t checked;      /* pages or words whose content was compared */
	double p50, p99;       /* of all samples, us */
	double idle_cpu;       /* of a sleeping member, part of a core */
	uint64_t team_cpu_ns;  /* what the members used in all; filled in at the end */
	uint64_t whole_cpu_ns; /* what everything on the machine used meanwhile */
	uint64_t wall_ns;
};

/*
 * Runs body in each member's process and waits for all. 0; 1: a member failed (it said why); 77:
 * this machine cannot (said why). *out is the board, until the end of the process.
 */
int team_run(const struct bench *b, const struct bench_options *o, void (*body)(struct seat *),
	     struct board **out);

/* All members wait here for each other, asleep. */
void team_meet(struct seat *s);
/* Ends this process, and with it the run. */
void team_fail(const struct seat *s, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* cores.c: cores this process may use; the n-th of them, counted round. */
unsigned team_cores(void);
int team_core(unsigned n);
void team_pin(int core);

#endif
