/* SPDX-License-Identifier: Apache-2.0 */
/* Barriers and locks of the public library (cellular/dsm.h). */
#include <pthread.h>

#include <cellular/dsm.h>

#include "tests/bench/bench.h"
#include "tests/bench/floor.h"
#include "tests/bench/pages.h"
#include "tests/bench/parts.h"
#include "tests/bench/team.h"

enum {
	LOCK = 7,
	BATCH = 64, /* locks taken for a sample: one is too short for the clock */
};

static void must(struct seat *s, int rc, const struct cdsm_error *why)
{
	if (rc)
		team_fail(s, "%s", why->text);
}

/* ---- barrier ---- */

/* Nobody may pass before all others have come, and nobody may be a round ahead. */
static void check_round(struct seat *s, uint64_t round)
{
	for (unsigned m = 0; m < s->members; m++) {
		uint64_t theirs = atomic_load(&s->board->word[m]);

		if (theirs != round && theirs != round + 1)
			team_fail(s, "passed barrier %llu when member %u had come to %llu",
				  (unsigned long long)round, m, (unsigned long long)theirs);
	}
	if (s->self == MEASURER)
		s->board->checked++;
}

static double barrier_value(struct seat *s)
{
	struct cdsm_error why;
	uint64_t began = 0;

	for (unsigned i = 0; i <= s->rounds; i++) { /* the first one only begins */
		uint64_t round = (uint64_t)s->pair * (s->rounds + 1) + i + 1, now;

		atomic_store(&s->board->word[s->self], round);
		must(s, cdsm_barrier(s->library, 0, s->members, &why), &why);
		now = floor_now();
		if (i)
			s->ns[i - 1] = now - began;
		began = now;
		check_round(s, round);
	}
	return s->self == MEASURER ? parts_median_us(s->ns, s->rounds) : 0;
}

/* ---- a lock that is here ---- */

/* A word that nobody else writes: what is raised under the lock. */
static volatile uint64_t *counter(const struct seat *s, unsigned i)
{
	return (volatile uint64_t *)s->base + i;
}

static void lock_once(struct seat *s, unsigned lock, unsigned word)
{
	struct cdsm_error why;

	must(s, cdsm_lock(s->library, lock, &why), &why);
	++*counter(s, word);
	must(s, cdsm_unlock(s->library, lock, &why), &why);
}

static void lock_warm(struct seat *s)
{
	if (s->self == MEASURER)
		lock_once(s, LOCK, 0);
}

static double lock_value(struct seat *s)
{
	uint64_t before;

	if (s->self != MEASURER)
		return 0;
	before = *counter(s, 0);
	for (unsigned i = 0; i < s->rounds; i++) {
		uint64_t began = floor_now();

		for (unsigned k = 0; k < BATCH; k++)
			lock_once(s, LOCK, 0);
		s->ns[i] = (floor_now() - began + BATCH / 2) / BATCH;
	}
	pages_check(s, (struct gpage){0}, *counter(s, 0), before + (uint64_t)s->rounds * BATCH);
	return parts_median_us(s->ns, s->rounds) * 1000;
}

static double mutex_floor(struct seat *s)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static uint64_t ns[BENCH_ROUNDS_MAX];
	static volatile uint64_t word;

	if (s->self != MEASURER)
		return 0;
	for (unsigned i = 0; i < s->rounds; i++) {
		uint64_t began = floor_now();

		for (unsigned k = 0; k < BATCH; k++) {
			pthread_mutex_lock(&mutex);
			++word;
			pthread_mutex_unlock(&mutex);
		}
		ns[i] = (floor_now() - began + BATCH / 2) / BATCH;
	}
	return parts_median_us(ns, s->rounds) * 1000;
}

/* ---- a lock that the other member has ---- */

/* It used each of as many locks last as there are rounds. */
static void other_has_locks(struct seat *s)
{
	if (s->self == OTHER)
		for (unsigned i = 0; i < s->rounds; i++)
			lock_once(s, i, i);
}

static uint64_t locks_asked(struct seat *s)
{
	struct cdsm_stats stats = CDSM_STATS;
	struct cdsm_error why;

	must(s, cdsm_stats(s->library, &stats, &why), &why);
	return stats.locks_asked;
}

/* What the others raised under each lock must be seen by who holds it next: by now each pair of the
 * other one, and of ours. */
static void check_locks(struct seat *s, uint64_t asked)
{
	if (locks_asked(s) - asked != s->rounds)
		team_fail(s, "%llu of %u locks came from the other member",
			  (unsigned long long)(locks_asked(s) - asked), s->rounds);
	for (unsigned i = 0; i < s->rounds; i++) {
		++*counter(s, i);
		pages_check(s, (struct gpage){i * sizeof(uint64_t) / FLOOR_PAGE}, *counter(s, i),
			    2 * (s->pair + 1));
	}
}

static double lock_remote_value(struct seat *s)
{
	struct cdsm_error why;
	uint64_t asked;

	if (s->self != MEASURER)
		return 0;
	asked = locks_asked(s);
	for (unsigned i = 0; i < s->rounds; i++) {
		uint64_t began = floor_now();

		must(s, cdsm_lock(s->library, i, &why), &why);
		s->ns[i] = floor_now() - began;
	}
	check_locks(s, asked);
	for (unsigned i = 0; i < s->rounds; i++)
		must(s, cdsm_unlock(s->library, i, &why), &why);
	return parts_median_us(s->ns, s->rounds);
}

_Static_assert((int)BENCH_ROUNDS_MAX <= CDSM_LOCKS, "a lock a round");

const struct bench sync_benches[] = {
	{.name = "barrier",
	 .text = "all members meet at a barrier of the library, again and again; floor: 64 B for "
		 "64 B over TCP",
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 2,
	 .rounds = 2000,
	 .library = true,
	 .pages = pages_chunk_each,
	 .value = barrier_value,
	 .floor = parts_message},
	{.name = "lock",
	 .text = "a lock of the library that is here, taken and given back; floor: a mutex of "
		 "libc's",
	 .kind = BENCH_TIME,
	 .unit = "ns",
	 .members = 2,
	 .rounds = 1000,
	 .library = true,
	 .pages = pages_chunk_each,
	 .prepare = lock_warm,
	 .value = lock_value,
	 .floor = mutex_floor},
	{.name = "lock-remote",
	 .text = "a lock of the library that another member used last, taken; floor: 64 B for 64 B "
		 "over TCP",
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 2,
	 .rounds = 1000,
	 .library = true,
	 .pages = pages_chunk_each,
	 .prepare = other_has_locks,
	 .value = lock_remote_value,
	 .floor = parts_message},
	{0},
};
