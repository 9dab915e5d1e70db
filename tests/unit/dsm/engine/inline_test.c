/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to faults served in the faulting threads (dsm.h, "Inline faults"). That memory
 * behaves is said by the other tests of members, which run in this form, too. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "dsm/pump.h"
#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum {
	CHUNK = DSM_CHUNK_PAGES,
	PAGES = 3 * CHUNK,
	THREADS = PUMP_SLOTS + 8, /* more than can ask at a time */
	EACH = 8,		  /* pages of a thread */
	CHUNKS = 32,
	POSTS = 2000,
	PROMISED_MS = 20, /* a signal waits no longer; asserted at five times */
};

/* Homes are round robin: page i of the chunk whose home is `home`. */
static _Atomic uint64_t *word(const struct rack_member *m, uint8_t home, uint64_t i)
{
	return rack_page(m, (uint64_t)home * CHUNK + i);
}

static void fill(struct rack_member *m, uint8_t home, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		atomic_store(word(m, home, i), i + 1);
}

/* ---- system calls ---- */

static void give_to_the_system(struct rack_member *m)
{
	int ends[2];

	if (m->self == 1)
		fill(m, 1, 2);
	rack_barrier(m);
	EXPECT(m->rack, pipe(ends) == 0);
	if (m->self == 0) {
		EXPECT(m->rack, write(ends[1], (void *)word(m, 1, 0), 8) == -1 && errno == EFAULT);
		EXPECT(m->rack, atomic_load(word(m, 1, 0)) == 1);
		EXPECT(m->rack, write(ends[1], (void *)word(m, 1, 0), 8) == 8); /* it is here */
		EXPECT(m->rack, read(ends[0], (void *)word(m, 1, 0), 8) == -1 && errno == EFAULT);
		EXPECT(m->rack, atomic_load(word(m, 1, 1)) == 2);
	}
	rack_leave(m);
}

static void system_calls_are_refused_what_is_not_here(void)
{
	rack_run(2, &(struct rack_config){.pages = PAGES}, give_to_the_system);
}

/* ---- many threads ---- */

struct reader {
	struct rack_member *m;
	unsigned index;
	pthread_t thread;
};

static void *read_some(void *context)
{
	const struct reader *r = context;

	for (uint64_t i = 0; i < EACH; i++) {
		uint64_t page = (i * 7 + r->index) % (CHUNK / 2);

		EXPECT(r->m->rack, atomic_load(word(r->m, 1, page)) == page + 1);
		atomic_fetch_add(word(r->m, 2, i), 1);
	}
	return NULL;
}

static void many_threads(struct rack_member *m)
{
	static struct reader reader[THREADS];

	if (m->self == 1)
		fill(m, 1, CHUNK / 2);
	rack_barrier(m);
	for (unsigned i = 0; i < THREADS; i++) {
		reader[i] = (struct reader){.m = m, .index = i};
		EXPECT(m->rack,
		       pthread_create(&reader[i].thread, NULL, read_some, &reader[i]) == 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(reader[i].thread, NULL);
	rack_barrier(m);
	for (uint64_t i = 0; i < EACH; i++)
		EXPECT(m->rack, atomic_load(word(m, 2, i)) == 3u * THREADS);
	rack_leave(m);
}

static void more_threads_fault_than_there_are_slots(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, many_threads);
}

/* ---- callbacks ---- */

static _Thread_local bool faults_here; /* of this thread, which never runs callbacks */

static void on_post(void *context, struct member_id from, const void *bytes, uint32_t n)
{
	struct rack_member *m = context;

	(void)from;
	EXPECT(m->rack, !faults_here && n == 1 && *(const uint8_t *)bytes == 9);
	atomic_fetch_add(&m->rack->member[m->self].count, 1);
}

/* One posts while the other one faults on what it has. */
static void posts_between_faults(struct rack_member *m)
{
	const uint8_t byte = 9;

	faults_here = true;
	rack_barrier(m);
	for (unsigned i = 0; m->self == 1 && i < POSTS; i++) {
		EXPECT(m->rack, dsm_post(m->dsm, (struct member_id){0}, &byte, 1) == ERR_OK);
		usleep(100);
	}
	for (uint64_t chunk = 1; m->self == 0 && chunk < CHUNKS; chunk += 2)
		for (uint64_t i = 0; i < CHUNK; i++)
			EXPECT(m->rack, *(volatile uint64_t *)rack_page(m, chunk * CHUNK + i) == 0);
	while (atomic_load(&m->rack->member[0].count) < POSTS && !atomic_load(&m->rack->broken))
		usleep(1000);
	rack_leave(m);
}

static void a_faulting_thread_runs_no_callback(void)
{
	rack_run(2, &(struct rack_config){.pages = CHUNKS * CHUNK, .post = on_post},
		 posts_between_faults);
}

/* ---- signals ---- */

static atomic_ullong called_ms;

/* As clock_ms, with what a handler may call. */
static void on_signal(int number)
{
	struct timespec now;

	(void)number;
	clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store(&called_ms,
		     (unsigned long long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000);
}

static void *wait_for_page(void *context)
{
	struct rack_member *m = context;

	EXPECT(m->rack, atomic_load(word(m, 1, 0)) == 1); /* of a member that stands still */
	return NULL;
}

static void call_a_waiting_thread(struct rack_member *m)
{
	struct rack *rack = m->rack;
	pthread_t thread;
	uint64_t sent;

	if (m->self == 1)
		fill(m, 1, 1);
	rack_barrier(m);
	if (m->self == 0) {
		signal(SIGUSR1, on_signal);
		kill(rack->pid[1], SIGSTOP);
		usleep(50000); /* until all its threads stand */
		pthread_create(&thread, NULL, wait_for_page, m);
		usleep(50000);
		for (int i = 0; i < 3; i++) { /* again: it waits again */
			atomic_store(&called_ms, 0);
			sent = clock_ms();
			pthread_kill(thread, SIGUSR1);
			while (!atomic_load(&called_ms) && clock_ms() - sent < 5000)
				usleep(1000);
			EXPECT(rack,
			       atomic_load(&called_ms) && called_ms - sent <= 5 * PROMISED_MS);
		}
		kill(rack->pid[1], SIGCONT);
		pthread_join(thread, NULL);
	}
	rack_leave(m);
}

static void a_thread_that_waits_takes_signals(void)
{
	rack_run(2, &(struct rack_config){.pages = PAGES, .silence_ms = RACK_TIMEOUT_MS},
		 call_a_waiting_thread);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(system_calls_are_refused_what_is_not_here),
		UNIT_CASE(more_threads_fault_than_there_are_slots),
		UNIT_CASE(a_faulting_thread_runs_no_callback),
		UNIT_CASE(a_thread_that_waits_takes_signals),
	};

	setenv("CELLULAR_INLINE_FAULTS", "1", true);
	return unit_main("dsm inline", cases, UNIT_COUNT(cases));
}
