/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/torture/evictor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { PAUSE_US_MAX = 400, SINGLES_MAX = 8, RUN_MAX = 48, RUN_EVERY = 16 };

struct evictor {
	struct dsm *dsm;
	uint64_t first, pages;
	unsigned random;
	atomic_bool stop;
	pthread_t thread;
};

static uint64_t draw(struct evictor *e, uint64_t below)
{
	return (uint64_t)rand_r(&e->random) % below;
}

static void evict_some(struct evictor *e)
{
	bool run = draw(e, RUN_EVERY) == 0;
	uint64_t n = 1 + draw(e, run ? RUN_MAX : SINGLES_MAX), page = draw(e, e->pages);

	while (n-- && page < e->pages) {
		dsm_evict(e->dsm, (struct gpage){e->first + page});
		page = run ? page + 1 : draw(e, e->pages);
	}
}

static void *evict(void *context)
{
	struct evictor *e = context;

	while (!atomic_load(&e->stop)) {
		struct timespec pause = {.tv_nsec = (long)draw(e, PAUSE_US_MAX * 1000)};

		evict_some(e);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

struct evictor *evictor_start(struct dsm *dsm, uint64_t first, uint64_t pages, uint64_t seed)
{
	struct evictor *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->dsm = dsm;
	e->first = first;
	e->pages = pages;
	e->random = (unsigned)(seed ^ seed >> 32);
	if (pthread_create(&e->thread, NULL, evict, e)) {
		free(e);
		return NULL;
	}
	return e;
}

void evictor_stop(struct evictor *e)
{
	if (!e)
		return;
	atomic_store(&e->stop, true);
	pthread_join(e->thread, NULL);
	free(e);
}
