/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member is lost while all are at work: each survivor hears of it once, by name, within seconds;
 * what waited goes on waiting and nobody ever reads a zero or an old value. Member 2 is the one
 * that is lost.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum {
	VICTIM = 2,
	HOT_PAGES = 12,
	VICTIMS_PAGE = 100,		      /* the first of those only the victim has */
	UNTOUCHED_PAGE = 3 * DSM_CHUNK_PAGES, /* one of each home: nobody touched their chunks */
	START = 1000,			      /* counters begin here: a zero is a lie */
	HEARD_WITHIN_MS = 5 * 4000,	      /* five times the longest silence allowed */
	WATCH_MS = 600,
};

struct access {
	struct rack_member *m;
	uint64_t page;
	pthread_t thread;
	atomic_bool returned;
	atomic_int result;
};

static _Atomic uint64_t *word(const struct rack_member *m, uint64_t page)
{
	return rack_page(m, page);
}

/* Never ends by itself: the process is ended around it. */
static void *hammer(void *context)
{
	struct access *a = context;
	struct rack_member *m = a->m;
	uint64_t seen[HOT_PAGES] = {0};

	for (uint64_t i = a->page;; i++) {
		uint64_t page = i % HOT_PAGES, value;

		value = i % 3 ? atomic_load(word(m, page)) : atomic_fetch_add(word(m, page), 1);
		EXPECT(m->rack, value >= START && value >= seen[page]);
		seen[page] = value;
		atomic_fetch_add(&m->rack->member[m->self].count, 1);
	}
	return NULL;
}

static void *read_one(void *context)
{
	struct access *a = context;

	EXPECT(a->m->rack, atomic_load(word(a->m, a->page)) != 0);
	atomic_store(&a->returned, true);
	return NULL;
}

static void *acquire_one(void *context)
{
	struct access *a = context;
	uint32_t token;

	atomic_store(&a->result,
		     dsm_acquire(a->m->dsm, (struct gpage){a->page}, 1, true, &token, NULL));
	atomic_store(&a->returned, true);
	return NULL;
}

static void start(struct access *a, struct rack_member *m, uint64_t page, void *(*run)(void *))
{
	a->m = m;
	a->page = page;
	pthread_create(&a->thread, NULL, run, a);
	pthread_detach(a->thread);
}

static void prepare(struct rack_member *m)
{
	for (uint64_t p = 0; p < HOT_PAGES && m->self == 0; p++)
		atomic_store(word(m, p), START);
	for (uint64_t p = 0; p < 4 && m->self == VICTIM; p++)
		atomic_store(word(m, VICTIMS_PAGE + p), 7);
	EXPECT(m->rack, rack_barrier(m));
}

/* What holds at a survivor from its lost callback on, and goes on holding. */
static void watch_the_end(struct rack_member *m)
{
	static struct access late[3];
	struct dsm_stats before, after;

	for (unsigned i = 0; i < 3; i++) /* whatever their homes are */
		start(&late[i], m, UNTOUCHED_PAGE + i * DSM_CHUNK_PAGES, read_one);
	dsm_stats(m->dsm, &before);
	usleep(WATCH_MS * 1000);
	dsm_stats(m->dsm, &after);
	for (unsigned i = 0; i < 3; i++)
		EXPECT(m->rack, !atomic_load(&late[i].returned));
	EXPECT(m->rack, before.resident == after.resident);
	EXPECT(m->rack, before.faults_timed == after.faults_timed);
	EXPECT(m->rack, atomic_load(&m->rack->member[m->self].lost) == 1);
	EXPECT(m->rack, atomic_load(&m->rack->member[m->self].culprit) == VICTIM);
	EXPECT(m->rack, atomic_load(&m->rack->member[m->self].code) != ERR_OK);
	EXPECT(m->rack, dsm_post(m->dsm, (struct member_id){0}, "x", 1) == ERR_LOST);
	EXPECT(m->rack,
	       dsm_acquire(m->dsm, (struct gpage){0}, 1, false, &(uint32_t){0}, NULL) == ERR_LOST);
}

static void hammered(struct rack_member *m)
{
	static struct access at_work[2], blocked, acquiring;
	uint64_t told;

	prepare(m);
	for (unsigned i = 0; i < 2; i++)
		start(&at_work[i], m, m->self * 5u + i, hammer);
	atomic_fetch_add(&m->rack->member[m->self].mark, 1);
	if (m->self == VICTIM)
		for (;;)
			pause();
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->step, 1));
	start(&blocked, m, VICTIMS_PAGE + m->self, read_one);
	start(&acquiring, m, VICTIMS_PAGE + 2 + m->self, acquire_one);
	atomic_fetch_add(&m->rack->member[m->self].mark, 1);
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->step, 2));
	told = clock_ms();
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->member[m->self].lost, 1));
	EXPECT(m->rack, clock_ms() - told < HEARD_WITHIN_MS);
	watch_the_end(m);
	EXPECT(m->rack, !atomic_load(&blocked.returned));
	EXPECT(m->rack,
	       atomic_load(&acquiring.returned) && atomic_load(&acquiring.result) == ERR_LOST);
	_exit(0); /* with its threads: the only way for those that wait */
}

/* Brings all members to work, stops the victim, has the survivors ask it for pages. */
static struct rack *bring_to_work(const struct rack_config *config)
{
	struct rack *rack = rack_start(3, config, hammered);

	for (int i = 0; rack && i < 3; i++)
		CU_ASSERT_FATAL(rack_wait(rack, &rack->member[i].mark, 1));
	if (!rack)
		return NULL;
	usleep(300000);
	kill(rack->pid[VICTIM], SIGSTOP);
	CU_ASSERT(waitpid(rack->pid[VICTIM], NULL, WUNTRACED) ==
		  rack->pid[VICTIM]); /* has stopped */
	atomic_store(&rack->step, 1);
	for (int i = 0; i < 2; i++)
		CU_ASSERT(rack_wait(rack, &rack->member[i].mark, 2));
	usleep(100000);
	return rack;
}

static const struct rack_config space = {.pages = 6 * DSM_CHUNK_PAGES, .silence_ms = 20000};

static void a_killed_member_ends_the_space(void)
{
	struct rack *rack = bring_to_work(&space);

	if (!rack)
		return;
	kill(rack->pid[VICTIM], SIGKILL);
	atomic_store(&rack->step, 2);
	rack_finish(rack, 3, 1 << VICTIM);
}

static void a_silent_member_is_lost(void)
{
	const struct rack_config config = {.pages = space.pages, .silence_ms = 4000};
	struct rack *rack = bring_to_work(&config);

	if (!rack)
		return;
	atomic_store(&rack->step, 2);
	for (int i = 0; i < 2; i++)
		CU_ASSERT(rack_wait(rack, &rack->member[i].lost, 1));
	CU_ASSERT_EQUAL(atomic_load(&rack->member[VICTIM].lost), 0);
	kill(rack->pid[VICTIM], SIGCONT); /* it hears of its own loss, too */
	CU_ASSERT(rack_wait(rack, &rack->member[VICTIM].lost, 1));
	usleep(100000);
	CU_ASSERT_EQUAL(atomic_load(&rack->member[VICTIM].lost), 1);
	kill(rack->pid[VICTIM], SIGKILL);
	rack_finish(rack, 3, 1 << VICTIM);
}

/* No stop first: it dies in the middle of whatever it does. */
static void work_until_lost(struct rack_member *m)
{
	static struct access at_work[2];

	prepare(m);
	for (unsigned i = 0; i < 2; i++)
		start(&at_work[i], m, m->self * 5u + i, hammer);
	atomic_fetch_add(&m->rack->member[m->self].mark, 1);
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->member[m->self].lost, 1) || m->self == VICTIM);
	watch_the_end(m);
	_exit(0);
}

static void killed_in_the_middle(void)
{
	for (int round = 0; round < 4; round++) {
		struct rack *rack = rack_start(3, &space, work_until_lost);

		if (!rack)
			return;
		for (int i = 0; i < 3; i++)
			CU_ASSERT_FATAL(rack_wait(rack, &rack->member[i].mark, 1));
		usleep(50000 + (unsigned)round * 37000);
		kill(rack->pid[VICTIM], SIGKILL);
		rack_finish(rack, 3, 1 << VICTIM);
	}
}

/* Who does not know the key comes in nowhere. */
static void refused(struct rack_member *m)
{
	struct dsm_stats s;

	EXPECT(m->rack, m->why.code != ERR_OK);
	dsm_stats(m->dsm, &s);
	if (m->self == 0)
		EXPECT(m->rack, s.transport.rejected > 0);
	EXPECT(m->rack, s.transport.messages_in == 0);
	EXPECT(m->rack,
	       dsm_acquire(m->dsm, (struct gpage){0}, 1, true, &(uint32_t){0}, NULL) == ERR_STATE);
	dsm_close(m->dsm);
}

static void a_wrong_key_does_not_join(void)
{
	const struct rack_config config = {
		.pages = 8, .wrong_key = true, .may_fail_to_connect = true, .connect_ms = 1500};

	rack_run(2, &config, refused);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_killed_member_ends_the_space),
		UNIT_CASE(a_silent_member_is_lost),
		UNIT_CASE(killed_in_the_middle),
		UNIT_CASE(a_wrong_key_does_not_join),
	};

	return unit_main("dsm loss", cases, UNIT_COUNT(cases));
}
