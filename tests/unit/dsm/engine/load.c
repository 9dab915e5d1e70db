/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <stdlib.h>
#include <unistd.h>

#include "proto/base/clock.h"

/* rack.counter: what was added, by groups of pages. */
enum { GROUPS = 500 };

static void *add(void *context)
{
	struct load *l = context;
	struct rack_member *m = l->m;
	unsigned seed = m->self * 100u + (unsigned)clock_ns();

	while (!atomic_load(&l->stop)) {
		uint64_t page =
			(uint64_t)rand_r(&seed) % (rand_r(&seed) % 2 ? LOAD_HOT_PAGES : LOAD_PAGES);

		if (rand_r(&seed) % 2) {
			EXPECT(m->rack, atomic_fetch_add(load_word(m, page), 1) >= LOAD_START);
			atomic_fetch_add(&m->rack->counter[page % GROUPS], 1);
		} else {
			EXPECT(m->rack, atomic_load(load_word(m, page)) >= LOAD_START);
		}
	}
	return NULL;
}

/* To everybody, also to who leaves, left, or did not come yet. */
static void *move_homes(void *context)
{
	struct load *l = context;
	unsigned seed = l->m->self + 7u;
	struct dsm_shape shape;

	dsm_shape(l->m->dsm, &shape);
	while (!atomic_load(&l->stop)) {
		struct gpage page = {(unsigned)rand_r(&seed) % LOAD_PAGES};

		dsm_move_home(
			l->m->dsm, page,
			(struct member_id){(uint8_t)((unsigned)rand_r(&seed) % shape.members)});
		usleep(500);
	}
	return NULL;
}

void load_prepare(struct rack_member *m)
{
	for (uint64_t p = m->self; p < LOAD_PAGES; p += m->members)
		atomic_store(load_word(m, p), LOAD_START);
	EXPECT(m->rack, rack_barrier(m));
}

void load_begin(struct load *l, struct rack_member *m)
{
	l->m = m;
	atomic_store(&l->stop, false);
	for (int i = 0; i < LOAD_THREADS; i++)
		pthread_create(&l->thread[i], NULL, add, l);
	pthread_create(&l->thread[LOAD_THREADS], NULL, move_homes, l);
}

void load_end(struct load *l)
{
	atomic_store(&l->stop, true);
	for (int i = 0; i <= LOAD_THREADS; i++)
		pthread_join(l->thread[i], NULL);
}

void load_check(struct rack_member *m)
{
	uint64_t sum[GROUPS] = {0};

	for (uint64_t p = 0; p < LOAD_PAGES; p++)
		sum[p % GROUPS] += atomic_load(load_word(m, p)) - LOAD_START;
	for (unsigned i = 0; i < GROUPS; i++)
		EXPECT(m->rack, sum[i] == atomic_load(&m->rack->counter[i]));
}
