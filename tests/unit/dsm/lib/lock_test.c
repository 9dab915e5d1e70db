/* SPDX-License-Identifier: Apache-2.0 */
/* Locks, barriers and atomics among members that stay. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"
#include "tests/unit/unit.h"

enum { ADDITIONS = 50000 }; /* two threads of a member are to meet in one, too */
enum { MEMBERS = 3, THREADS = 2, LOCKS = 5, ROUNDS = 400, PHASES = 60 };

static const struct crew_config space = {.bytes = 1 << 20};

struct thread {
	struct hand *h;
	unsigned self; /* of all threads of all members */
	pthread_t id;
};

/* Ordinary words of the space, a page each: what protects them is a lock. */
static volatile uint64_t *word(const struct hand *h, unsigned i)
{
	return (volatile uint64_t *)(h->base + (size_t)i * CDSM_PAGE_BYTES);
}

static void on_threads(struct hand *h, void *(*run)(void *))
{
	struct thread t[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		t[i] = (struct thread){h, h->self * THREADS + i, 0};
		pthread_create(&t[i].id, NULL, run, &t[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i].id, NULL);
}

/* ---- locks ---- */

static void *count_up(void *context)
{
	struct thread *t = context;
	struct hand *h = t->h;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned lock = (i + t->self) % LOCKS;

		HOLDS(h->crew, cdsm_lock(h->space, lock, NULL) == CDSM_OK);
		*word(h, lock) = *word(h, lock) + 1;
		HOLDS(h->crew, cdsm_unlock(h->space, lock, NULL) == CDSM_OK);
	}
	return NULL;
}

static void count_together(struct hand *h)
{
	on_threads(h, count_up);
	crew_meet(h, MEMBERS);
	for (unsigned i = 0; i < LOCKS; i++)
		HOLDS(h->crew, *word(h, i) == ROUNDS * MEMBERS * THREADS / LOCKS);
	crew_meet(h, MEMBERS);
	crew_leave(h);
}

static void one_thread_at_a_time(void)
{
	crew_run(MEMBERS, &space, count_together);
}

static struct cdsm_stats stats_of(struct hand *h)
{
	struct cdsm_stats s = CDSM_STATS;

	HOLDS(h->crew, cdsm_stats(h->space, &s, NULL) == CDSM_OK);
	return s;
}

/* Whoever manages the lock: every id once. */
static void lock_again(struct hand *h)
{
	struct cdsm_stats before, after;

	crew_meet(h, MEMBERS); /* a newcomer is given locks to manage */
	for (unsigned id = 0; id < CDSM_LOCKS && h->self == 1; id++) {
		cdsm_lock(h->space, id, NULL);
		cdsm_unlock(h->space, id, NULL);
	}
	before = stats_of(h);
	for (unsigned id = 0; id < CDSM_LOCKS && h->self == 1; id++) {
		HOLDS(h->crew, cdsm_lock(h->space, id, NULL) == CDSM_OK);
		HOLDS(h->crew, cdsm_unlock(h->space, id, NULL) == CDSM_OK);
	}
	after = stats_of(h);
	if (h->self == 1) {
		HOLDS(h->crew, before.locks_asked == CDSM_LOCKS);
		HOLDS(h->crew, after.locks_asked == CDSM_LOCKS);
		HOLDS(h->crew, after.locks_cached == before.locks_cached + CDSM_LOCKS);
		HOLDS(h->crew, after.messages_out - before.messages_out < 100); /* pings */
	}
	crew_meet(h, MEMBERS);
	crew_leave(h);
}

static void a_lock_stays_where_it_was_used(void)
{
	crew_run(MEMBERS, &space, lock_again);
}

/* ---- who comes first ---- */

enum { THE_LOCK = 7, ORDER = 1 /* words: how many have had it, and who */ };

static void sign(struct hand *h, unsigned who)
{
	HOLDS(h->crew, cdsm_lock(h->space, THE_LOCK, NULL) == CDSM_OK);
	atomic_store(&h->crew->word[ORDER + atomic_fetch_add(&h->crew->word[0], 1)], who);
	HOLDS(h->crew, cdsm_unlock(h->space, THE_LOCK, NULL) == CDSM_OK);
}

static void *sign_later(void *context)
{
	struct thread *t = context;

	sign(t->h, t->self);
	return NULL;
}

/* Until this member counted so many threads that waited, and members that asked for its locks. */
static void await(struct hand *h, uint64_t waited, uint64_t recalled)
{
	struct cdsm_stats s = stats_of(h);

	while (s.locks_waited < waited || s.locks_recalled < recalled) {
		usleep(1000);
		s = stats_of(h);
	}
}

/* Member 0 holds the lock; a thread of its own waits, then member 1, then another of its own. */
static void queue_up(struct hand *h)
{
	struct thread early = {h, 10, 0}, late = {h, 12, 0};

	if (h->self == 0) {
		HOLDS(h->crew, cdsm_lock(h->space, THE_LOCK, NULL) == CDSM_OK);
		await(h, 1, 0); /* as nobody had the lock yet, this one waited, too */
		pthread_create(&early.id, NULL, sign_later, &early);
		await(h, 2, 0);
	}
	crew_meet(h, 2);
	if (h->self == 1) {
		sign(h, 11);
	} else {
		await(h, 2, 1);
		pthread_create(&late.id, NULL, sign_later, &late);
		await(h, 3, 1);
		HOLDS(h->crew, atomic_load(&h->crew->word[0]) == 0);
		HOLDS(h->crew, cdsm_unlock(h->space, THE_LOCK, NULL) == CDSM_OK);
		pthread_join(early.id, NULL);
		pthread_join(late.id, NULL);
		for (unsigned i = 0; i < 3; i++)
			HOLDS(h->crew, atomic_load(&h->crew->word[ORDER + i]) == 10 + i);
	}
	crew_leave(h);
}

static void no_member_is_passed_over(void)
{
	crew_run(2, &space, queue_up);
}

/* ---- refusals ---- */

static void *unlock_for_another(void *context)
{
	struct thread *t = context;

	HOLDS(t->h->crew, cdsm_unlock(t->h->space, 3, NULL) == CDSM_ESTATE);
	return NULL;
}

static void misuse(struct hand *h)
{
	struct thread other = {h, 0, 0};
	struct cdsm_error why;

	HOLDS(h->crew, cdsm_lock(h->space, CDSM_LOCKS, &why) == CDSM_EINVAL);
	HOLDS(h->crew, cdsm_unlock(h->space, CDSM_LOCKS, &why) == CDSM_EINVAL);
	HOLDS(h->crew, cdsm_unlock(h->space, 3, &why) == CDSM_ESTATE);
	HOLDS(h->crew, cdsm_lock(h->space, 3, &why) == CDSM_OK);
	HOLDS(h->crew, cdsm_lock(h->space, 3, &why) == CDSM_ESTATE && strstr(why.text, "already"));
	pthread_create(&other.id, NULL, unlock_for_another, &other);
	pthread_join(other.id, NULL);
	HOLDS(h->crew, cdsm_unlock(h->space, 3, &why) == CDSM_OK);
	HOLDS(h->crew, cdsm_barrier(h->space, CDSM_BARRIERS, 1, &why) == CDSM_EINVAL);
	HOLDS(h->crew, cdsm_barrier(h->space, 0, 0, &why) == CDSM_EINVAL);
	HOLDS(h->crew, cdsm_barrier(h->space, 0, CDSM_PARTIES_MAX + 1, &why) == CDSM_EINVAL);
	HOLDS(h->crew, cdsm_barrier(h->space, 0, 1, &why) == CDSM_OK);
	crew_leave(h);
}

static void misuse_is_refused(void)
{
	crew_run(1, &space, misuse);
}

/* Who came first says how many; the other one is told, and comes again with as many as it takes. */
static void *meet_three(void *context)
{
	HOLDS(((struct hand *)context)->crew,
	      cdsm_barrier(((struct hand *)context)->space, 9, 3, NULL) == CDSM_OK);
	return NULL;
}

static void disagree(struct hand *h)
{
	unsigned mine = 2 + h->self, other = 3 - h->self;
	struct cdsm_error why = {0};
	char text[80];
	pthread_t more;

	snprintf(text, sizeof(text), "%u parties, but the first one said %u", mine, other);
	if (cdsm_barrier(h->space, 9, mine, &why)) {
		HOLDS(h->crew, why.code == CDSM_EINVAL && strstr(why.text, text));
		atomic_fetch_add(&h->crew->word[0], 1);
		if (other == 3)
			pthread_create(&more, NULL, meet_three, h);
		HOLDS(h->crew, cdsm_barrier(h->space, 9, other, NULL) == CDSM_OK);
		if (other == 3)
			pthread_join(more, NULL);
	}
	crew_meet(h, 2);
	HOLDS(h->crew, atomic_load(&h->crew->word[0]) == 1);
	crew_leave(h);
}

static void all_say_the_same_number(void)
{
	crew_run(2, &space, disagree);
}

/* ---- barriers ---- */

static void *step_together(void *context)
{
	struct thread *t = context;
	struct hand *h = t->h;

	for (unsigned phase = 1; phase <= PHASES; phase++) {
		*word(h, t->self) = phase;
		HOLDS(h->crew, cdsm_barrier(h->space, 1, MEMBERS * THREADS, NULL) == CDSM_OK);
		for (unsigned i = 0; i < MEMBERS * THREADS; i++)
			HOLDS(h->crew, *word(h, i) == phase);
		HOLDS(h->crew, cdsm_barrier(h->space, 66, MEMBERS * THREADS, NULL) == CDSM_OK);
	}
	return NULL;
}

static void march(struct hand *h)
{
	on_threads(h, step_together);
	HOLDS(h->crew, stats_of(h).barriers == 2 * PHASES * THREADS);
	crew_meet(h, MEMBERS);
	crew_leave(h);
}

static void nobody_is_a_step_ahead(void)
{
	crew_run(MEMBERS, &space, march);
}

/* ---- atomics ---- */

static void *add_and_exchange(void *context)
{
	struct thread *t = context;
	struct hand *h = t->h;
	uint64_t *sum = (uint64_t *)h->base, *product = sum + 1, expected = 0;

	for (unsigned i = 0; i < ADDITIONS; i++)
		HOLDS(h->crew, cdsm_add(h->space, sum, 3, NULL, NULL) == CDSM_OK);
	for (unsigned i = 0; i < ROUNDS; i++) {
		int done = 0;

		while (!done)
			HOLDS(h->crew, cdsm_compare_exchange(h->space, product, &expected,
							     expected + 5, &done, NULL) == CDSM_OK);
	}
	return NULL;
}

static void calculate(struct hand *h)
{
	uint64_t *sum = (uint64_t *)h->base, before = 1;

	on_threads(h, add_and_exchange);
	crew_meet(h, MEMBERS);
	HOLDS(h->crew, cdsm_add(h->space, sum, 0, &before, NULL) == CDSM_OK);
	HOLDS(h->crew, before == 3ull * ADDITIONS * MEMBERS * THREADS);
	HOLDS(h->crew, sum[1] == 5ull * ROUNDS * MEMBERS * THREADS);
	HOLDS(h->crew, cdsm_add(h->space, (uint64_t *)(h->base + 4), 1, NULL, NULL) == CDSM_EINVAL);
	HOLDS(h->crew, cdsm_add(h->space, (uint64_t *)(h->base - 8), 1, NULL, NULL) == CDSM_EINVAL);
	HOLDS(h->crew, cdsm_compare_exchange(h->space, (uint64_t *)(h->base + space.bytes), &before,
					     1, &(int){0}, NULL) == CDSM_EINVAL);
	crew_meet(h, MEMBERS);
	crew_leave(h);
}

static void atomics_are_atomic(void)
{
	crew_run(MEMBERS, &space, calculate);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(one_thread_at_a_time),     UNIT_CASE(a_lock_stays_where_it_was_used),
		UNIT_CASE(no_member_is_passed_over), UNIT_CASE(misuse_is_refused),
		UNIT_CASE(all_say_the_same_number),  UNIT_CASE(nobody_is_a_step_ahead),
		UNIT_CASE(atomics_are_atomic),
	};

	return unit_main("cdsm lock", cases, UNIT_COUNT(cases));
}
