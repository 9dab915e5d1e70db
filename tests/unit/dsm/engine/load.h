/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load for members that come and go: threads that add to words all over a space, and count beside
 * it what they added; a thread that lets homes move, to anybody. Every word begins at LOAD_START,
 * so that a zero is a lie.
 */
#ifndef CELLULAR_TEST_LOAD_H
#define CELLULAR_TEST_LOAD_H

#include <pthread.h>

#include "rack.h"

enum {
	LOAD_PAGES = 3 * DSM_CHUNK_PAGES + 50,
	LOAD_HOT_PAGES = 4,
	LOAD_THREADS = 2,
	LOAD_START = 1000,
};

/* How often a case comes again at another moment: sanitizers look at the code that runs, not at
 * when. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOAD_ROUNDS(n, sanitized) (sanitized)
#else
#define LOAD_ROUNDS(n, sanitized) (n)
#endif

struct load {
	struct rack_member *m;
	atomic_bool stop;
	pthread_t thread[LOAD_THREADS + 1];
};

static inline _Atomic uint64_t *load_word(const struct rack_member *m, uint64_t page)
{
	return rack_page(m, page);
}

/* All founders together. */
void load_prepare(struct rack_member *m);
void load_begin(struct load *l, struct rack_member *m);
void load_end(struct load *l);
/* Every word is what was added; nobody is at work. */
void load_check(struct rack_member *m);

#endif
