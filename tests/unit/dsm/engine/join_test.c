/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Newcomers join a space at work, members leave it, also those that began it: no word is lost, and
 * who breaks off or is a stranger harms nobody. Real processes.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "proto/base/address.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/change.h"
#include "tests/unit/unit.h"

enum {
	NUMBERS = 9,
	LEAVE_MS = 20000,
	MOMENTS = 12,
	KILLS = LOAD_ROUNDS(MOMENTS, 4),
	WORK_US = 60000
};

/* rack.arrived: what the parent wants, and what members tell. */
enum {
	GO_AWAY = 16, /* + number */
	STOP = 40,    /* all that are there: stop working, check */
	STOPPED,
	LEFT,
};

static const struct rack_config space = {
	.pages = LOAD_PAGES, .numbers = NUMBERS, .silence_ms = 20000};

static void leave(struct rack_member *m)
{
	struct err why = {0};
	struct dsm_stats s;

	if (dsm_leave(m->dsm, LEAVE_MS, &why))
		rack_failed(m->rack, __FILE__, __LINE__, why.text);
	dsm_stats(m->dsm, &s);
	EXPECT(m->rack, s.notices_refused == 0);
	EXPECT(m->rack, atomic_load(&m->rack->member[m->self].lost) == 0);
	atomic_fetch_add(&m->rack->arrived[LEFT], 1);
	_exit(0);
}

static bool wanted(struct rack_member *m, unsigned what)
{
	return atomic_load(&m->rack->arrived[what]) > 0 ||
	       atomic_load(&m->rack->member[m->self].lost);
}

/* Works until it is told to go, or all are told to stop: these are as many as `step` says. */
static void work(struct rack_member *m)
{
	static struct load load;

	if (m->members)
		load_prepare(m);
	load_begin(&load, m);
	atomic_fetch_add(&m->rack->member[m->self].mark, 1);
	while (!wanted(m, GO_AWAY + m->self) && !wanted(m, STOP))
		usleep(500);
	if (atomic_load(&m->rack->member[m->self].lost))
		_exit(0); /* with its threads, which wait for ever */
	load_end(&load);
	if (wanted(m, STOP)) {
		atomic_fetch_add(&m->rack->arrived[STOPPED], 1);
		EXPECT(m->rack,
		       rack_wait(m->rack, &m->rack->arrived[STOPPED], atomic_load(&m->rack->step)));
		load_check(m);
	}
	leave(m);
}

static void await_work(struct rack *rack, unsigned number)
{
	CU_ASSERT(rack_wait(rack, &rack->member[number].mark, 1));
}

static void send_away(struct rack *rack, unsigned number)
{
	atomic_store(&rack->arrived[GO_AWAY + number], 1);
}

static void stop(struct rack *rack, unsigned members)
{
	atomic_store(&rack->step, members);
	atomic_store(&rack->arrived[STOP], 1);
}

/* In the end nobody is there who was at the beginning. */
static void members_come_and_go(void)
{
	struct rack *rack = rack_start(3, &space, work);

	if (!rack)
		return;
	for (unsigned i = 0; i < 3; i++)
		await_work(rack, i);
	usleep(WORK_US);
	rack_add(rack, 3, 0, &space, work); /* two at a time, through two hosts */
	rack_add(rack, 4, 1, &space, work);
	await_work(rack, 3);
	await_work(rack, 4);
	usleep(WORK_US);
	send_away(rack, 0); /* whose turn it is passes on */
	rack_add(rack, 5, 2, &space, work);
	await_work(rack, 5);
	CU_ASSERT(rack_wait(rack, &rack->member[2].came, 3));
	CU_ASSERT(rack_wait(rack, &rack->arrived[LEFT], 1));
	usleep(WORK_US);
	send_away(rack, 2);
	send_away(rack, 1);
	rack_add(rack, 6, 4, &space, work);
	rack_add(rack, 7, 3, &space, work);
	await_work(rack, 6);
	await_work(rack, 7);
	CU_ASSERT(rack_wait(rack, &rack->arrived[LEFT], 3));
	usleep(WORK_US);
	stop(rack, 5);
	rack_finish(rack, 8, 0);
}

/* A space of one member is a space: it lets others in, and goes on when the first has left. */
static void one_alone_lets_others_in(void)
{
	struct rack *rack = rack_start(1, &space, work);

	if (!rack)
		return;
	await_work(rack, 0);
	rack_add(rack, 1, 0, &space, work);
	await_work(rack, 1);
	send_away(rack, 0);
	CU_ASSERT(rack_wait(rack, &rack->arrived[LEFT], 1));
	usleep(WORK_US);
	rack_add(rack, 2, 1, &space, work);
	await_work(rack, 2);
	stop(rack, 2);
	rack_finish(rack, 3, 0);
}

static void must_not_join(struct rack_member *m)
{
	EXPECT(m->rack, m->why.code == (enum err_code)atomic_load(&m->rack->counter[900]));
	_exit(0);
}

static void refused(struct rack *rack, uint8_t place, const struct rack_config *config,
		    enum err_code code)
{
	atomic_store(&rack->counter[900], code);
	rack_add(rack, place, 0, config, must_not_join);
	CU_ASSERT(waitpid(rack->pid[place], NULL, 0) == rack->pid[place]);
}

static void numbers_run_out_and_keys_must_fit(void)
{
	const struct rack_config two = {.pages = LOAD_PAGES, .numbers = 2, .silence_ms = 20000};
	struct rack_config stranger = two;
	struct rack *rack = rack_start(1, &two, work);

	if (!rack)
		return;
	stranger.may_fail_to_connect = true;
	await_work(rack, 0);
	rack_add(rack, 1, 0, &two, work);
	await_work(rack, 1);
	refused(rack, 2, &stranger, ERR_NOSPACE);
	stranger.wrong_key = true;
	refused(rack, 2, &stranger, ERR_AUTH);
	stop(rack, 2);
	rack_finish(rack, 2, 0);
}

/* ---- who breaks off ---- */

enum { SECOND = 901 /* rack.counter: it has joined */ };

static void work_as_second(struct rack_member *m)
{
	atomic_store(&m->rack->counter[SECOND], 1);
	work(m);
}

/* Killed at some moment of joining: before all agreed to take it in nobody notices; else the space
 * ends at both. */
static bool kill_newcomer(unsigned round)
{
	struct rack *rack = rack_start(2, &space, work);
	unsigned moment = round * (MOMENTS - 1) / (KILLS - 1);
	bool lost;

	if (!rack)
		return false;
	await_work(rack, 0);
	await_work(rack, 1);
	rack_add(rack, 2, (uint8_t)(round % 2), &space, work);
	usleep(moment * moment * 250);
	kill(rack->pid[2], SIGKILL);
	CU_ASSERT(waitpid(rack->pid[2], NULL, 0) == rack->pid[2]); /* its channels are closed */
	rack_add(rack, 3, 0, &space, work_as_second);
	while (!atomic_load(&rack->counter[SECOND]) && !atomic_load(&rack->member[0].lost))
		usleep(1000);
	lost = atomic_load(&rack->member[0].lost);
	CU_ASSERT(rack_wait(rack, &rack->member[1].lost, lost));
	CU_ASSERT_EQUAL(atomic_load(&rack->member[1].lost), lost);
	if (!lost)
		stop(rack, 3);
	else
		kill(rack->pid[3], SIGKILL);
	rack_finish(rack, 4, 1 << 2 | (lost ? 1 << 3 : 0));
	return lost;
}

static void a_newcomer_killed_while_it_joins(void)
{
	unsigned lost = 0;

	for (unsigned round = 0; round < KILLS; round++)
		lost += kill_newcomer(round);
	fprintf(stderr, "killed while it joined: %u of %u times it was a member already\n", lost,
		KILLS);
}

/* ---- strangers ---- */

static struct transport_config caller_config(void)
{
	return (struct transport_config){
		.space = {77}, .epoch = {1}, .key = "a key of some thirty-two bytes"};
}

static int dial(const char *text)
{
	struct address a;
	int fd;

	CU_ASSERT_EQUAL_FATAL(address_parse(text, &a, NULL), ERR_OK);
	fd = socket(a.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a.storage, a.length), 0);
	return fd;
}

/* More than there are places, and each is garbage. */
static void send_garbage(const char *address)
{
	uint8_t bytes[200];
	int fd[100];

	for (unsigned i = 0; i < 100; i++) {
		memset(bytes, (int)i, sizeof(bytes));
		fd[i] = dial(address);
		fd_write_full(fd[i], bytes, i * 2, NULL);
	}
	for (unsigned i = 0; i < 100; i++)
		close(fd[i]);
}

/* It knows the key, is welcomed, and never comes: it holds up the next one for a while. */
static void call_and_stay_away(const char *address)
{
	uint8_t answer[sizeof(struct welcome_wire) + 1];
	struct transport_config config = caller_config();
	struct welcome w;
	uint32_t n;

	CU_ASSERT_EQUAL(
		transport_tcp.ask(&config, address, LEAVE_MS, -1, answer, sizeof(answer), &n, NULL),
		ERR_OK);
	CU_ASSERT_EQUAL(welcome_decode(answer, n, &w, NULL), ERR_OK);
	CU_ASSERT_EQUAL(w.refused, ERR_OK);
	CU_ASSERT_EQUAL(w.self.v, 2);
	config.epoch.v = 2;
	CU_ASSERT_EQUAL(
		transport_tcp.ask(&config, address, LEAVE_MS, -1, answer, sizeof(answer), &n, NULL),
		ERR_UNREACHABLE); /* closed without a word */
}

/* It knows the key, and says that it is a member that nobody expects. */
static void come_uninvited(const char *address)
{
	struct transport_config config = caller_config();
	const char *peers[NUMBERS] = {address};
	uint64_t end = clock_ms() + LEAVE_MS;
	struct transport_event ev = {.type = TRANSPORT_NONE};
	struct transport *t;

	config.self.v = 5;
	config.members = NUMBERS;
	config.present = dsm_bit(0) | dsm_bit(5);
	config.pages = LOAD_PAGES;
	config.listen = "127.0.0.1:0";
	config.silence_ms = 20000;
	CU_ASSERT_EQUAL_FATAL(transport_tcp.open(&config, &t, NULL), ERR_OK);
	if (!transport_tcp.connect(t, peers, LEAVE_MS, -1, NULL)) /* it has said its last word */
		while (ev.type == TRANSPORT_NONE && clock_ms() < end)
			transport_tcp.poll(t, &ev);
	CU_ASSERT_EQUAL(ev.type, TRANSPORT_LOST);
	transport_tcp.close(t);
}

static void strangers_harm_nobody(void)
{
	struct rack *rack = rack_start(2, &space, work);

	if (!rack)
		return;
	await_work(rack, 0);
	await_work(rack, 1);
	send_garbage(rack->address[0]);
	come_uninvited(rack->address[0]);
	call_and_stay_away(rack->address[1]);
	send_garbage(rack->address[1]);
	rack_add(rack, 2, 0, &space, work);
	await_work(rack, 3); /* number 2 is used up */
	stop(rack, 3);
	rack_finish(rack, 3, 0);
}

/* ---- a member that says what it likes ---- */

static void send_notice(struct transport *t, uint8_t to, const void *bytes, uint32_t n)
{
	const struct dsm_msg msg = {
		.type = PAGE_CHANGE, .requester = {1}, .member = MEMBER_NONE, .epoch = {1}};

	transport_tcp.send(t, (struct member_id){to}, &msg, bytes, n);
}

static unsigned say_nonsense(struct transport *t, uint8_t to)
{
	struct notice_wire w;
	unsigned n = 0;

	for (uint32_t bytes = 0; bytes < 200; bytes += 7, n++) {
		uint8_t garbage[200];

		memset(garbage, (int)bytes, sizeof(garbage));
		send_notice(t, to, garbage, bytes);
	}
	for (int type = NOTICE_TURN; type <= NOTICE_CANCELLED; type++)
		for (uint8_t member = 0; member < NUMBERS; member += 4, n++) {
			struct notice notice = {.type = type, .member = {member}};

			if (type < NOTICE_PREPARE)
				notice.member = MEMBER_NONE;
			if (type == NOTICE_PREPARED)
				strcpy(notice.address, "127.0.0.1:1");
			notice_encode(&w, &notice);
			send_notice(t, to, &w, sizeof(w));
		}
	return n;
}

/* Member 1 is no dsm: it has channels, and talks. */
static void talk_nonsense(struct rack *rack, atomic_uint *said)
{
	struct transport_config config = caller_config();
	const char *peers[NUMBERS] = {rack->address[0], NULL, rack->address[2]};
	struct transport_event ev;
	struct transport *t;

	config.self.v = 1;
	config.members = NUMBERS;
	config.present = 7;
	config.pages = 100;
	config.listen = "127.0.0.1:0";
	config.silence_ms = 20000;
	EXPECT(rack, !transport_tcp.open(&config, &t, NULL));
	transport_tcp.address(t, rack->address[1]);
	atomic_fetch_add(&rack->published, 1);
	EXPECT(rack, rack_wait(rack, &rack->published, 3));
	EXPECT(rack, !transport_tcp.connect(t, peers, RACK_TIMEOUT_MS, -1, NULL));
	EXPECT(rack, rack_wait(rack, &rack->step, 1));
	for (uint8_t to = 0; to < 3; to += 2) {
		unsigned n = say_nonsense(t, to);

		atomic_store(said, n);
	}
	transport_tcp.flush(t);
	while (!atomic_load(&rack->arrived[STOP])) {
		transport_tcp.poll(t, &ev);
		transport_tcp.flush(t);
		usleep(1000);
	}
	_exit(0);
}

/* The pages have their home at member 0. */
static void work_beside_nonsense(struct rack_member *m)
{
	_Atomic uint64_t *word = rack_page(m, 5);
	struct dsm_stats s = {0};

	EXPECT(m->rack, rack_wait(m->rack, &m->rack->step, 1));
	for (uint64_t end = clock_ms() + RACK_TIMEOUT_MS; clock_ms() < end;) {
		atomic_fetch_add(word, 1);
		atomic_fetch_add(&m->rack->counter[0], 1);
		dsm_stats(m->dsm, &s);
		if (s.notices_refused && s.notices_refused == atomic_load(&m->rack->member[1].mark))
			break;
		usleep(1000);
	}
	EXPECT(m->rack, s.notices_refused == atomic_load(&m->rack->member[1].mark));
	atomic_fetch_add(&m->rack->arrived[STOPPED], 1);
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->arrived[STOPPED], 2));
	EXPECT(m->rack, atomic_load(word) == atomic_load(&m->rack->counter[0]));
	EXPECT(m->rack, atomic_load(&m->rack->member[m->self].lost) == 0);
	dsm_quiesce(m->dsm);
	atomic_fetch_add(&m->rack->arrived[LEFT], 1);
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->arrived[LEFT], 2));
	atomic_store(&m->rack->arrived[STOP], 1);
	dsm_close(m->dsm);
}

static void nonsense_of_a_member_changes_nothing(void)
{
	static struct rack_config config = {.pages = 100, .numbers = NUMBERS, .silence_ms = 20000};
	struct rack *rack;

	config.impostor = talk_nonsense;
	rack = rack_start(3, &config, work_beside_nonsense);
	if (!rack)
		return;
	CU_ASSERT(rack_wait(rack, &rack->joined, 2));
	atomic_store(&rack->step, 1);
	rack_finish(rack, 3, 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(members_come_and_go),
		UNIT_CASE(one_alone_lets_others_in),
		UNIT_CASE(numbers_run_out_and_keys_must_fit),
		UNIT_CASE(a_newcomer_killed_while_it_joins),
		UNIT_CASE(strangers_harm_nobody),
		UNIT_CASE(nonsense_of_a_member_changes_nothing),
	};

	return unit_main("dsm join", cases, UNIT_COUNT(cases));
}
