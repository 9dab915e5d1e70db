/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a space as a user's processes: each a process of its own that knows the public header
 * only, forked before anything else happens. The first creates the space, the others join it one
 * after the other, so that a hand's number is its member's. A page of ordinary shared memory
 * (struct crew) carries the address, steps and results.
 *
 *	crew_run(3, &config, body)
 */
#ifndef CELLULAR_TEST_LIB_CREW_H
#define CELLULAR_TEST_LIB_CREW_H

#include <cellular/dsm.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum { CREW_MAX = 8, CREW_PATIENCE_MS = 120000, CREW_WORDS = 64 };

struct crew {
	char address[CREW_MAX][64]; /* of each that is there */
	atomic_uint joined;
	atomic_uint failures;
	atomic_uint step; /* the parent's word to the hands */
	atomic_uint mark[CREW_MAX];
	atomic_ullong word[CREW_WORDS]; /* the test's */
	pid_t pid[CREW_MAX];
};

struct crew_config {
	uint64_t bytes;
	uint32_t silence_ms; /* 0: 20000, that a loaded machine is not taken for a loss */
	uint32_t hold_us;
};

struct hand {
	struct crew *crew;
	unsigned self;
	struct cdsm *space;
	uint8_t *base;
};

extern const unsigned char crew_key[CDSM_KEY_BYTES];

/* Makes a space to look for what the machine lacks. False: skipped, with a reason. */
bool crew_can(void);
/* NULL: skipped. All have joined when it returns. */
struct crew *crew_start(unsigned n, const struct crew_config *config, void (*body)(struct hand *));
/* One more, that calls `host`. */
void crew_add(struct crew *crew, unsigned self, unsigned host, const struct crew_config *config,
	      void (*body)(struct hand *));
/* Waits for their ends; `killed`: a set of those the test killed. */
void crew_finish(struct crew *crew, unsigned n, unsigned killed);
void crew_run(unsigned n, const struct crew_config *config, void (*body)(struct hand *));
/* SIGSTOPs a hand and waits until it stands. */
void crew_stop(struct crew *crew, unsigned self);

/* Until *value >= least; false after a generous time. */
bool crew_wait(struct crew *crew, atomic_uint *value, unsigned least);
/* In a hand: until all of n have called it as often as this one; without the space. */
void crew_meet(struct hand *h, unsigned n);
void crew_failed(struct crew *crew, const char *file, int line, const char *what);
/* In order; the process goes on. */
void crew_leave(struct hand *h);

#define HOLDS(crew, what) ((what) ? (void)0 : crew_failed(crew, __FILE__, __LINE__, #what))

/* ---- accesses that may be the last ---- */

/* SIGBUS ends the access under way of crew_touch, in whatever thread; any other one the process.
 * Reads the word, or adds 1 to it. False: it raised SIGBUS with this very address. */
bool crew_touch(struct crew *crew, atomic_ullong *word, bool write, unsigned long long *value);

#endif
