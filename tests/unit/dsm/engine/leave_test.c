/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members leave a space in order while the others work on: nothing is lost, nobody takes it for a
 * loss, and what is lost meanwhile still ends the space. Real processes. Who leaves ends its
 * process without closing anything: to the others it may end in any way.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "tests/unit/unit.h"

enum {
	ROUNDS = LOAD_ROUNDS(6, 3),
	MOMENTS = 10,
	KILLS = LOAD_ROUNDS(MOMENTS, 5),
	LEAVE_MS = 20000, /* patience; nothing that succeeds waits for it */
};

static void check_gone(struct rack_member *m, unsigned gone)
{
	atomic_uint *left = &m->rack->member[m->self].left;

	EXPECT(m->rack, rack_wait(m->rack, left, gone));
	EXPECT(m->rack, atomic_load(left) == gone);
	EXPECT(m->rack, atomic_load(&m->rack->member[m->self].lost) == 0);
}

static void leave(struct rack_member *m, bool alone)
{
	uint32_t token;
	struct dsm_stats s;
	struct err why = {0};
	int rc = dsm_leave(m->dsm, LEAVE_MS, &why);

	if (rc)
		rack_failed(m->rack, __FILE__, __LINE__, why.text);
	dsm_stats(m->dsm, &s);
	EXPECT(m->rack, alone || s.resident == 0);
	EXPECT(m->rack, s.core.refused == 0);
	EXPECT(m->rack,
	       dsm_post(m->dsm, (struct member_id){m->self ? 0 : 1}, "x", 1) == ERR_NOTFOUND);
	EXPECT(m->rack,
	       dsm_acquire(m->dsm, (struct gpage){0}, 1, false, &token, NULL) == ERR_STATE);
	EXPECT(m->rack, dsm_leave(m->dsm, LEAVE_MS, NULL) == ERR_OK);
}

static unsigned first; /* to leave; inherited by the members */

/* One after the other, while the others work. */
static void leave_in_turn(struct rack_member *m)
{
	struct load load;
	unsigned turn = (m->self + m->members - first) % m->members;

	load_prepare(m);
	load_begin(&load, m);
	if (turn)
		EXPECT(m->rack, rack_wait(m->rack, &m->rack->arrived[50], turn));
	else
		usleep(150000);
	if (turn) {
		check_gone(m, turn);
		EXPECT(m->rack, dsm_post(m->dsm, (struct member_id){(uint8_t)first}, "x", 1) ==
					ERR_NOTFOUND);
		usleep(100000);
	}
	load_end(&load);
	if (turn == 2u)
		load_check(m);
	leave(m, turn == 2);
	atomic_fetch_add(&m->rack->arrived[50], 1);
	_exit(0);
}

static const struct rack_config space = {.pages = LOAD_PAGES, .silence_ms = 20000};

static void members_leave_one_after_the_other(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		first = round % 3;
		rack_run(3, &space, leave_in_turn);
	}
}

static void leave_with_all(struct rack_member *m)
{
	struct load load;

	load_prepare(m);
	load_begin(&load, m);
	usleep(50000);
	load_end(&load);
	EXPECT(m->rack, rack_barrier(m));
	EXPECT(m->rack, dsm_leave(m->dsm, LEAVE_MS, NULL) == ERR_OK);
	dsm_close(m->dsm);
}

static void all_leave_at_the_same_time(void)
{
	for (unsigned round = 0; round < ROUNDS; round++)
		rack_run(3, &space, leave_with_all);
}

/* Member 0 leaves, member 1 stays at work, member 2 is killed at some moment of it. */
static void leave_while_one_is_killed(struct rack_member *m)
{
	static struct load load;
	struct err why = {0};
	int rc;

	load_prepare(m);
	load_begin(&load, m);
	atomic_fetch_add(&m->rack->joined, 1);
	if (m->self) {
		EXPECT(m->rack, m->self == 2 || rack_wait(m->rack, &m->rack->member[1].lost, 1));
		EXPECT(m->rack, m->self == 2 || atomic_load(&m->rack->member[1].culprit) == 2);
		while (m->self == 2)
			pause();
		_exit(0); /* with the threads that wait */
	}
	usleep(50000);
	load_end(&load);
	atomic_fetch_add(&m->rack->step, 1);
	rc = dsm_leave(m->dsm, LEAVE_MS, &why);
	EXPECT(m->rack, rc == ERR_OK || rc == ERR_LOST);
	EXPECT(m->rack, (rc == ERR_LOST) == (atomic_load(&m->rack->member[0].lost) == 1));
	if (rc)
		EXPECT(m->rack, atomic_load(&m->rack->member[0].culprit) == 2);
	atomic_fetch_add(&m->rack->arrived[rc ? 40 : 41], 1);
	dsm_close(m->dsm);
}

static void a_member_killed_meanwhile_ends_the_space(void)
{
	unsigned lost = 0, left = 0;

	for (unsigned round = 0; round < KILLS; round++) {
		struct rack *rack = rack_start(3, &space, leave_while_one_is_killed);
		unsigned moment = round * (MOMENTS - 1) / (KILLS - 1);

		if (!rack)
			return;
		CU_ASSERT(rack_wait(rack, &rack->step, 1));
		usleep(moment * moment * 300);
		kill(rack->pid[2], SIGKILL);
		CU_ASSERT(rack_wait(rack, &rack->member[1].lost, 1));
		while (!atomic_load(&rack->arrived[40]) && !atomic_load(&rack->arrived[41]))
			usleep(1000);
		lost += atomic_load(&rack->arrived[40]);
		left += atomic_load(&rack->arrived[41]);
		rack_finish(rack, 3, 1 << 2);
	}
	fprintf(stderr, "killed while another left: %u times it could not leave, %u times it had\n",
		lost, left);
}

/* A leaver waits for a member that stands still, as long as its caller likes. */
static void leave_patiently(struct rack_member *m)
{
	struct err why = {0};

	load_prepare(m);
	atomic_fetch_add(&m->rack->member[m->self].mark, 1);
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->step, 1));
	if (m->self == 0) {
		EXPECT(m->rack, dsm_leave(m->dsm, 300, &why) == ERR_TIMEOUT);
		atomic_fetch_add(&m->rack->member[0].mark, 1);
		leave(m, false);
		atomic_fetch_add(&m->rack->step, 1);
		_exit(0);
	}
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->step, 2));
	check_gone(m, 1);
	for (uint64_t p = 0; p < LOAD_PAGES; p++)
		EXPECT(m->rack, atomic_load(load_word(m, p)) == LOAD_START);
	EXPECT(m->rack, dsm_leave(m->dsm, LEAVE_MS, NULL) == ERR_OK);
	dsm_close(m->dsm);
}

static void leaving_takes_its_time(void)
{
	struct rack *rack = rack_start(3, &space, leave_patiently);

	if (!rack)
		return;
	for (int i = 0; i < 3; i++)
		CU_ASSERT(rack_wait(rack, &rack->member[i].mark, 1));
	kill(rack->pid[2], SIGSTOP);
	CU_ASSERT(waitpid(rack->pid[2], NULL, WUNTRACED) == rack->pid[2]);
	atomic_store(&rack->step, 1);
	CU_ASSERT(rack_wait(rack, &rack->member[0].mark, 2));
	kill(rack->pid[2], SIGCONT);
	rack_finish(rack, 3, 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(members_leave_one_after_the_other),
		UNIT_CASE(all_leave_at_the_same_time),
		UNIT_CASE(a_member_killed_meanwhile_ends_the_space),
		UNIT_CASE(leaving_takes_its_time),
	};

	return unit_main("dsm leave", cases, UNIT_COUNT(cases));
}
