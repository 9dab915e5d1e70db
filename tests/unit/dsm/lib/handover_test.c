/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks and barriers while their managers come and go: no lock is had by two, none is lost, whoever
 * leaves. All that began the space have left in the end.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"
#include "tests/unit/unit.h"

enum { LOCKS = 100, MEMBERS = 6, PAIR = 5 /* the barrier of the two threads of a member */ };

static const struct crew_config space = {.bytes = 1 << 20};

/* crew.word: how often each member counted. crew.mark: at work; crew.step: a set of those that are
 * to go. */
static volatile uint64_t *word(const struct hand *h, unsigned lock)
{
	return (volatile uint64_t *)(h->base + (size_t)lock * 64);
}

static bool is_to_go(const struct hand *h)
{
	return atomic_load(&h->crew->step) >> h->self & 1;
}

static void count(struct hand *h, unsigned lock)
{
	HOLDS(h->crew, cdsm_lock(h->space, lock, NULL) == CDSM_OK);
	*word(h, lock) = *word(h, lock) + 1;
	HOLDS(h->crew, cdsm_unlock(h->space, lock, NULL) == CDSM_OK);
	atomic_fetch_add(&h->crew->word[h->self], 1);
}

struct thread {
	struct hand *h;
	unsigned first;
	pthread_t id;
	_Atomic bool *go;
};

/* The one that decides to go does so before the barrier, so both go after the same. */
static void *work(void *context)
{
	struct thread *t = context;
	struct hand *h = t->h;

	for (unsigned i = t->first;; i += 13) {
		count(h, i % LOCKS);
		if (t->first == 0)
			atomic_store(t->go, is_to_go(h));
		HOLDS(h->crew, cdsm_barrier(h->space, PAIR + h->self, 2, NULL) == CDSM_OK);
		atomic_store(&h->crew->mark[h->self], 1);
		if (atomic_load(t->go))
			return NULL;
		HOLDS(h->crew, cdsm_barrier(h->space, PAIR + 64 + h->self, 2, NULL) == CDSM_OK);
	}
}

static void work_until_sent_away(struct hand *h)
{
	_Atomic bool go = false;
	struct thread t[2] = {{h, 0, 0, &go}, {h, 50, 0, &go}};

	for (unsigned i = 0; i < 2; i++)
		pthread_create(&t[i].id, NULL, work, &t[i]);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i].id, NULL);
	if (h->self == MEMBERS - 1) { /* the others have gone */
		uint64_t sum = 0, counted = 0;

		for (unsigned i = 0; i < LOCKS; i++) {
			HOLDS(h->crew, cdsm_lock(h->space, i, NULL) == CDSM_OK);
			sum += *word(h, i);
			HOLDS(h->crew, cdsm_unlock(h->space, i, NULL) == CDSM_OK);
		}
		for (unsigned i = 0; i < MEMBERS; i++)
			counted += atomic_load(&h->crew->word[i]);
		HOLDS(h->crew, sum == counted);
	}
	crew_leave(h);
	atomic_store(&h->crew->mark[h->self], 2);
}

static void add(struct crew *crew, unsigned self, unsigned host)
{
	crew_add(crew, self, host, &space, work_until_sent_away);
	CU_ASSERT(crew_wait(crew, &crew->mark[self], 1));
}

static void send_away(struct crew *crew, unsigned set)
{
	atomic_fetch_or(&crew->step, set);
	for (unsigned i = 0; i < MEMBERS; i++)
		CU_ASSERT(!(set >> i & 1) || crew_wait(crew, &crew->mark[i], 2));
}

static void locks_outlive_their_managers(void)
{
	struct crew *crew = crew_start(3, &space, work_until_sent_away);

	if (!crew)
		return;
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT(crew_wait(crew, &crew->mark[i], 1));
	send_away(crew, 1 << 0);
	add(crew, 3, 1);
	add(crew, 4, 3);
	send_away(crew, 1 << 1 | 1 << 2); /* two at a time */
	add(crew, 5, 4);
	send_away(crew, 1 << 3 | 1 << 4);
	send_away(crew, 1 << 5);
	crew_finish(crew, MEMBERS, 0);
}

/* ---- a lock whose holder wants to leave ---- */

static void hold_and_go(struct hand *h)
{
	struct cdsm_error why = {0};

	crew_meet(h, 3);
	HOLDS(h->crew, cdsm_lock(h->space, 8 + h->self, NULL) == CDSM_OK);
	HOLDS(h->crew, cdsm_leave(h->space, CREW_PATIENCE_MS, &why) == CDSM_ESTATE);
	HOLDS(h->crew, strstr(why.text, "holds lock") != NULL);
	HOLDS(h->crew, cdsm_check(h->space, NULL) == CDSM_OK);
	HOLDS(h->crew, cdsm_unlock(h->space, 8 + h->self, NULL) == CDSM_OK);
	if (h->self == 0)
		crew_leave(h); /* with the token, which nobody wanted so far */
	atomic_store(&h->crew->mark[h->self], 1);
	if (h->self == 0)
		return;
	crew_wait(h->crew, &h->crew->mark[0], 1);
	HOLDS(h->crew, cdsm_lock(h->space, 8, NULL) == CDSM_OK);
	HOLDS(h->crew, cdsm_unlock(h->space, 8, NULL) == CDSM_OK);
	atomic_store(&h->crew->mark[h->self], 2);
	crew_wait(h->crew, &h->crew->mark[3 - h->self], 2);
	crew_leave(h);
}

static void who_holds_a_lock_does_not_leave(void)
{
	crew_run(3, &space, hold_and_go);
}

/* ---- a thread that waits while its member leaves ---- */

static void *wait_for_lock(void *context)
{
	struct hand *h = context;

	HOLDS(h->crew, cdsm_lock(h->space, 20, NULL) == CDSM_ESTATE);
	return NULL;
}

static void *wait_at_barrier(void *context)
{
	struct hand *h = context;

	HOLDS(h->crew, cdsm_barrier(h->space, 20, 2, NULL) == CDSM_ESTATE);
	return NULL;
}

static void leave_from_under(struct hand *h)
{
	pthread_t waits[2];

	if (h->self == 0)
		HOLDS(h->crew, cdsm_lock(h->space, 20, NULL) == CDSM_OK);
	crew_meet(h, 2);
	if (h->self == 1) {
		pthread_create(&waits[0], NULL, wait_for_lock, h);
		pthread_create(&waits[1], NULL, wait_at_barrier, h);
		usleep(200000);
		HOLDS(h->crew, cdsm_leave(h->space, CREW_PATIENCE_MS, NULL) == CDSM_OK);
		pthread_join(waits[0], NULL);
		pthread_join(waits[1], NULL);
		cdsm_close(h->space);
		atomic_store(&h->crew->mark[1], 1);
		return;
	}
	crew_wait(h->crew, &h->crew->mark[1], 1);
	HOLDS(h->crew, cdsm_unlock(h->space, 20, NULL) == CDSM_OK); /* to nobody */
	HOLDS(h->crew, cdsm_lock(h->space, 20, NULL) == CDSM_OK);
	HOLDS(h->crew, cdsm_unlock(h->space, 20, NULL) == CDSM_OK);
	/* The arrival of who left does not count: 1 party is not 2, but the first of a new round.
	 */
	HOLDS(h->crew, cdsm_barrier(h->space, 20, 1, NULL) == CDSM_OK);
	crew_leave(h);
}

static void who_waits_is_told_that_its_member_leaves(void)
{
	crew_run(2, &space, leave_from_under);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(locks_outlive_their_managers),
		UNIT_CASE(who_holds_a_lock_does_not_leave),
		UNIT_CASE(who_waits_is_told_that_its_member_leaves),
	};

	return unit_main("cdsm handover", cases, UNIT_COUNT(cases));
}
