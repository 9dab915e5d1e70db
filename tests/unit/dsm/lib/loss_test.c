/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member dies by SIGKILL: at every survivor each call returns CDSM_ELOST, also those that wait;
 * each access raises SIGBUS with its address, also of threads that wait for a page; no thread
 * hangs, and nobody reads a zero or an old value. Member 2 is the one that dies.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crew.h"
#include "tests/unit/unit.h"

enum { VICTIM = 2, MEMBERS = 3, PAGES = 1200, HOT = 12, START = 1000, ROUNDS = 4, WAITERS = 4 };

static const struct crew_config space = {.bytes = PAGES * (uint64_t)CDSM_PAGE_BYTES};

static atomic_ullong *word(const struct hand *h, unsigned page)
{
	return (atomic_ullong *)(h->base + (size_t)page * CDSM_PAGE_BYTES) + 3;
}

struct thread {
	struct hand *h;
	unsigned first;
	pthread_t id;
	atomic_bool began;
};

static void start(struct thread *t, struct hand *h, unsigned first, void *(*run)(void *))
{
	*t = (struct thread){.h = h, .first = first};
	pthread_create(&t->id, NULL, run, t);
}

/* What holds from the loss on, for ever. */
static void after_the_end(struct hand *h)
{
	struct cdsm_error why = {0};
	unsigned long long nothing;
	int fds[2];

	HOLDS(h->crew, cdsm_check(h->space, &why) == CDSM_ELOST && why.code == CDSM_ELOST);
	HOLDS(h->crew, strstr(why.text, "member 2") != NULL);
	HOLDS(h->crew, cdsm_leave(h->space, 1000, &why) == CDSM_ELOST);
	HOLDS(h->crew, cdsm_lock(h->space, 0, &why) == CDSM_ELOST && why.code == CDSM_ELOST);
	HOLDS(h->crew, cdsm_unlock(h->space, 0, NULL) == CDSM_ELOST);
	HOLDS(h->crew, cdsm_barrier(h->space, 0, 1, NULL) == CDSM_ELOST);
	HOLDS(h->crew, cdsm_add(h->space, (uint64_t *)h->base, 1, NULL, NULL) == CDSM_ELOST);
	HOLDS(h->crew, cdsm_compare_exchange(h->space, (uint64_t *)h->base, &(uint64_t){0}, 1,
					     &(int){0}, NULL) == CDSM_ELOST);
	HOLDS(h->crew, cdsm_pin(h->space, h->base, 1, NULL) == CDSM_ELOST);
	HOLDS(h->crew, cdsm_unpin(h->space, h->base, 1, NULL) == CDSM_ELOST);
	HOLDS(h->crew, cdsm_prefetch(h->space, h->base, 1, 0, NULL) == CDSM_ELOST);
	HOLDS(h->crew, cdsm_discard(h->space, h->base, CDSM_PAGE_BYTES, NULL) == CDSM_ELOST);
	HOLDS(h->crew, cdsm_stats(h->space, &(struct cdsm_stats)CDSM_STATS, NULL) == CDSM_ELOST);
	for (unsigned page = 0; page < PAGES; page += 100) {
		HOLDS(h->crew, !crew_touch(h->crew, word(h, page), false, &nothing));
		HOLDS(h->crew, !crew_touch(h->crew, word(h, page), true, &nothing));
	}
	if (pipe(fds))
		return;
	HOLDS(h->crew, syscall(SYS_write, fds[1], h->base, 8) == -1 && errno == EFAULT);
	close(fds[0]);
	close(fds[1]);
}

/* -- threads that wait for pages of a member that stands still, and is then killed -- */

static void *wait_for_a_page(void *context)
{
	struct thread *t = context;
	unsigned long long value;

	atomic_store(&t->began, true);
	HOLDS(t->h->crew, !crew_touch(t->h->crew, word(t->h, t->first), t->first % 2, &value));
	return NULL;
}

static void *wait_to_leave(void *context)
{
	struct thread *t = context;

	atomic_store(&t->began, true);
	HOLDS(t->h->crew, cdsm_leave(t->h->space, CREW_PATIENCE_MS, NULL) == CDSM_ELOST);
	return NULL;
}

static void *wait_for_a_lock(void *context)
{
	struct thread *t = context;

	atomic_store(&t->began, true);
	HOLDS(t->h->crew, cdsm_lock(t->h->space, t->first, NULL) == CDSM_ELOST);
	return NULL;
}

static void *wait_at_a_barrier(void *context)
{
	struct thread *t = context;

	atomic_store(&t->began, true);
	HOLDS(t->h->crew, cdsm_barrier(t->h->space, t->first, 10, NULL) == CDSM_ELOST);
	return NULL;
}

enum { HELD = 60, KINDS = 6 }; /* locks of several managers */

static void *wait_to_pin(void *context)
{
	struct thread *t = context;
	uint8_t *page = t->h->base + (size_t)t->first * CDSM_PAGE_BYTES;

	atomic_store(&t->began, true);
	HOLDS(t->h->crew, cdsm_pin(t->h->space, page, 1, NULL) == CDSM_ELOST);
	return NULL;
}

static void *wait_to_fetch(void *context)
{
	struct thread *t = context;
	uint8_t *page = t->h->base + (size_t)t->first * CDSM_PAGE_BYTES;

	atomic_store(&t->began, true);
	HOLDS(t->h->crew, cdsm_prefetch(t->h->space, page, 1, 1, NULL) == CDSM_ELOST);
	return NULL;
}

static void wait_in_all_calls(struct hand *h, struct thread *t)
{
	start(&t[2 * KINDS], h, 2, wait_to_pin);
	start(&t[2 * KINDS + 1], h, 3, wait_to_fetch);
	for (unsigned i = 0; i < KINDS; i++) {
		start(&t[2 * i], h, HELD + i, wait_for_a_lock);
		start(&t[2 * i + 1], h, HELD + i, wait_at_a_barrier);
	}
}

static void stalled(struct hand *h)
{
	struct thread faults[WAITERS], calls[2 * KINDS + 2], leaver;

	for (unsigned p = 0; p < WAITERS && h->self == VICTIM; p++)
		atomic_store(word(h, p), START);
	for (unsigned i = 0; i < KINDS && h->self == VICTIM; i++)
		HOLDS(h->crew, cdsm_lock(h->space, HELD + i, NULL) == CDSM_OK);
	crew_meet(h, MEMBERS);
	atomic_store(&h->crew->mark[h->self], 1);
	if (h->self == VICTIM)
		for (;;)
			pause();
	crew_wait(h->crew, &h->crew->step, 1);
	for (unsigned i = 0; i < WAITERS; i++)
		start(&faults[i], h, i, wait_for_a_page);
	if (h->self == 1)
		start(&leaver, h, 0, wait_to_leave);
	else
		wait_in_all_calls(h, calls);
	for (unsigned i = 0; i < WAITERS; i++)
		while (!atomic_load(&faults[i].began))
			usleep(100);
	usleep(100000); /* they wait */
	HOLDS(h->crew, pthread_tryjoin_np(faults[0].id, NULL) == EBUSY);
	atomic_store(&h->crew->mark[h->self], 2);
	for (unsigned i = 0; i < WAITERS; i++)
		pthread_join(faults[i].id, NULL);
	if (h->self == 1)
		pthread_join(leaver.id, NULL);
	for (unsigned i = 0; i < 2 * KINDS + 2 && h->self == 0; i++)
		pthread_join(calls[i].id, NULL);
	after_the_end(h);
	cdsm_close(h->space);
}

static void who_waits_is_told(void)
{
	struct crew *crew = crew_start(MEMBERS, &space, stalled);

	if (!crew)
		return;
	for (unsigned i = 0; i < MEMBERS; i++)
		CU_ASSERT_FATAL(crew_wait(crew, &crew->mark[i], 1));
	crew_stop(crew, VICTIM);
	atomic_store(&crew->step, 1);
	for (unsigned i = 0; i < VICTIM; i++)
		CU_ASSERT_FATAL(crew_wait(crew, &crew->mark[i], 2));
	kill(crew->pid[VICTIM], SIGKILL);
	crew_finish(crew, MEMBERS, 1 << VICTIM);
}

/* -- threads at full speed, whatever they do at that moment -- */

static void *hammer(void *context)
{
	struct thread *t = context;
	unsigned long long seen[HOT] = {0}, value;

	for (unsigned i = t->first;; i++) {
		unsigned page = i % HOT;

		if (!crew_touch(t->h->crew, word(t->h, page), i % 3 == 0, &value))
			return NULL;
		HOLDS(t->h->crew, value >= START && value >= seen[page]);
		seen[page] = value;
		atomic_store(&t->began, true);
	}
}

static void hammered(struct hand *h)
{
	struct thread t[2];

	for (unsigned p = 0; p < HOT && h->self == 0; p++)
		atomic_store(word(h, p), START);
	crew_meet(h, MEMBERS);
	for (unsigned i = 0; i < 2; i++)
		start(&t[i], h, h->self * 5 + i, hammer);
	for (unsigned i = 0; i < 2; i++)
		while (!atomic_load(&t[i].began))
			usleep(100);
	atomic_store(&h->crew->mark[h->self], 1);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i].id, NULL);
	after_the_end(h);
	cdsm_close(h->space);
}

static void killed_in_the_middle(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct crew *crew = crew_start(MEMBERS, &space, hammered);

		if (!crew)
			return;
		for (unsigned i = 0; i < MEMBERS; i++)
			CU_ASSERT_FATAL(crew_wait(crew, &crew->mark[i], 1));
		usleep(20000 + round * 37000);
		kill(crew->pid[VICTIM], SIGKILL);
		crew_finish(crew, MEMBERS, 1 << VICTIM);
	}
}

/* -- no signal at all: the end of the process is as good -- */

static void closes_without_leaving(struct hand *h)
{
	unsigned long long value;

	crew_meet(h, MEMBERS);
	if (h->self != VICTIM) {
		while (crew_touch(h->crew, word(h, h->self), true, &value))
			usleep(100);
		after_the_end(h);
	}
	cdsm_close(h->space);
}

static void who_closes_without_leaving_is_lost(void)
{
	crew_run(MEMBERS, &space, closes_without_leaving);
}

/* -- one that stands still too long -- */

static void stands_still(struct hand *h)
{
	unsigned long long value;

	atomic_store(&h->crew->mark[h->self], 1);
	while (crew_touch(h->crew, word(h, 0), false, &value))
		usleep(1000);
	HOLDS(h->crew, cdsm_check(h->space, NULL) == CDSM_ELOST);
	cdsm_close(h->space);
}

static void who_is_silent_is_lost_and_knows(void)
{
	const struct crew_config config = {.bytes = space.bytes, .silence_ms = 2000};
	struct crew *crew = crew_start(MEMBERS, &config, stands_still);

	if (!crew)
		return;
	for (unsigned i = 0; i < MEMBERS; i++)
		CU_ASSERT_FATAL(crew_wait(crew, &crew->mark[i], 1));
	crew_stop(crew, VICTIM);
	usleep(2500000);
	kill(crew->pid[VICTIM], SIGCONT); /* what it holds is worth nothing any more */
	crew_finish(crew, MEMBERS, 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(who_waits_is_told),
		UNIT_CASE(killed_in_the_middle),
		UNIT_CASE(who_closes_without_leaving_is_lost),
		UNIT_CASE(who_is_silent_is_lost_and_knows),
	};

	return unit_main("cdsm loss", cases, UNIT_COUNT(cases));
}
