/* SPDX-License-Identifier: Apache-2.0 */
/*
 * T3, T4: the ends of a channel, each with one LOST; pings keep a quiet one.
 */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "tests/unit/dsm/tcp/rack.h"
#include "tests/unit/unit.h"

static void expect_lost(struct rack *rack, int m, int from, enum err_code code)
{
	struct transport_event event = rack_wait(rack, m);

	CU_ASSERT_EQUAL(event.type, TRANSPORT_LOST);
	CU_ASSERT_EQUAL(event.from.v, from);
	CU_ASSERT_EQUAL(event.why.code, code);
	CU_ASSERT_TRUE(rack_quiet(rack, m, 30)); /* once */
	rack_send_number(rack, m, from, 1);	 /* dropped */
	CU_ASSERT_TRUE(rack_quiet(rack, m, 30));
}

static void last_words_before_a_close_arrive(void)
{
	struct transport_event event;
	struct rack rack;

	rack_up(&rack, 3);
	for (uint32_t i = 0; i < 100; i++)
		rack_send_number(&rack, 1, 0, i);
	transport_tcp.close(rack.t[1]);
	rack.t[1] = NULL;
	for (uint32_t i = 0; i < 100; i++) {
		event = rack_wait(&rack, 0);
		CU_ASSERT_EQUAL(rack_number(&event), i);
	}
	expect_lost(&rack, 0, 1, ERR_LOST);
	expect_lost(&rack, 2, 1, ERR_LOST);
	rack_send_number(&rack, 0, 2, 7); /* the other channel stands */
	event = rack_wait(&rack, 2);
	CU_ASSERT_EQUAL(rack_number(&event), 7);
	rack_close(&rack);
}

/* The peer's last words are not lost when our own sending finds the end first. */
static void last_words_survive_a_failing_send(void)
{
	uint8_t page[DSM_PAGE_SIZE] = {0};
	struct dsm_msg msg = rack_grant(1);
	struct transport_event event;
	struct rack rack;

	rack_up(&rack, 2);
	rack_send_number(&rack, 1, 0, 42);
	transport_tcp.close(rack.t[1]);
	rack.t[1] = NULL;
	for (int i = 0; i < 1000; i++) {
		transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, page, sizeof(page));
		transport_tcp.flush(rack.t[0]);
	}
	event = rack_wait(&rack, 0);
	CU_ASSERT_EQUAL(rack_number(&event), 42);
	expect_lost(&rack, 0, 1, ERR_LOST);
	rack_close(&rack);
}

/* ---- T7 ---- */

static void expect_ended(struct rack *rack, int m, int from)
{
	struct transport_event event = rack_wait(rack, m);

	CU_ASSERT_EQUAL(event.type, TRANSPORT_ENDED);
	CU_ASSERT_EQUAL(event.from.v, from);
	CU_ASSERT_TRUE(rack_quiet(rack, m, 30)); /* once */
}

static void end(struct rack *rack, int m, int to)
{
	transport_tcp.end(rack->t[m], (struct member_id){(uint8_t)to});
}

/* More than the kernel takes at once, then the end, while the peer does not read yet. */
static void what_was_sent_before_an_end_arrives(void)
{
	enum { MESSAGES = 20 };
	static uint8_t pages[PAGE_BYTES_MAX];
	struct dsm_msg msg = rack_grant(PAGE_RUN_MAX);
	struct transport_event event;
	struct rack rack;

	rack_up(&rack, 3);
	for (int i = 0; i < MESSAGES; i++)
		transport_tcp.send(rack.t[1], (struct member_id){0}, &msg, pages, sizeof(pages));
	end(&rack, 1, 0);
	end(&rack, 1, 0);
	rack_send_number(&rack, 1, 0, 1); /* too late: dropped */
	rack_send_number(&rack, 0, 1, 2); /* the other direction goes on */
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL(rack_number(&event), 2);
	for (int i = 0; i < MESSAGES; i++) {
		do
			transport_tcp.poll(rack.t[0], &event);
		while (event.type == TRANSPORT_NONE && rack_quiet(&rack, 1, 1));
		CU_ASSERT_EQUAL_FATAL(event.type, TRANSPORT_MSG);
		CU_ASSERT_EQUAL_FATAL(event.bytes, sizeof(pages));
	}
	end(&rack, 0, 1);
	expect_ended(&rack, 0, 1);
	expect_ended(&rack, 1, 0);
	rack_send_number(&rack, 0, 2, 7); /* the other channels stand */
	event = rack_wait(&rack, 2);
	CU_ASSERT_EQUAL(rack_number(&event), 7);
	rack_close(&rack);
}

/* An end is a loss to who did not agree to it, and none to who did. */
static void an_end_takes_two(void)
{
	struct rack rack;

	rack_up(&rack, 2);
	end(&rack, 1, 0);
	transport_tcp.flush(rack.t[1]);
	expect_lost(&rack, 0, 1, ERR_LOST);
	expect_ended(&rack, 1, 0);
	end(&rack, 1, 0); /* over already */
	CU_ASSERT_TRUE(rack_quiet(&rack, 1, 30));
	rack_close(&rack);
}

/* Nothing is heard of it any more, and its machine may be gone: the wait is bounded. */
static void an_end_that_is_not_answered(void)
{
	struct rack rack;

	rack_init(&rack, 2);
	rack.config.silence_ms = 300;
	rack_open(&rack, 0);
	rack_connect_all(&rack);
	end(&rack, 1, 0);
	expect_ended(&rack, 1, 0); /* member 0 is not polled: it neither reads nor pings */
	rack_close(&rack);
}

/* ---- a peer in a process of its own ---- */

/* Member 0 in a child, which polls for ever and returns every post. The parent is member 1. */
static void run_child(struct rack *rack, int report)
{
	struct transport_event event;
	const char *none[RACK_MAX] = {NULL};
	struct err e;

	if (transport_tcp.open(&rack->config, &rack->t[0], &e))
		_exit(1);
	transport_tcp.address(rack->t[0], rack->address[0]);
	if (write(report, rack->address[0], TRANSPORT_ADDRESS_MAX) != TRANSPORT_ADDRESS_MAX ||
	    transport_tcp.connect(rack->t[0], none, RACK_TIMEOUT_MS, -1, &e))
		_exit(2);
	for (;;) {
		transport_tcp.poll(rack->t[0], &event);
		if (event.type == TRANSPORT_MSG)
			transport_tcp.send(rack->t[0], event.from, &event.msg, event.data,
					   event.bytes);
		if (event.type == TRANSPORT_LOST)
			_exit(0);
		transport_tcp.flush(rack->t[0]);
	}
}

static pid_t child_up(struct rack *rack, uint32_t silence_ms)
{
	struct transport_event event;
	int pipes[2];
	pid_t pid;

	rack_init(rack, 2);
	rack->config.silence_ms = silence_ms;
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	pid = fork();
	if (pid == 0)
		run_child(rack, pipes[1]);
	CU_ASSERT_TRUE_FATAL(pid > 0);
	CU_ASSERT_EQUAL_FATAL(fd_read_full(pipes[0], rack->address[0], TRANSPORT_ADDRESS_MAX, NULL),
			      ERR_OK);
	close(pipes[0]);
	close(pipes[1]);
	rack->peers[0] = rack->address[0];
	rack_open(rack, 1);
	rack->peers[0] = rack->address[0];
	rack_connect_start(rack, 1, RACK_TIMEOUT_MS);
	CU_ASSERT_EQUAL_FATAL(rack_join(rack, 1), ERR_OK);
	rack_send_number(rack, 1, 0, 99);
	event = rack_wait(rack, 1);
	CU_ASSERT_EQUAL(rack_number(&event), 99);
	return pid;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	kill(pid, SIGCONT);
	CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
}

static void killed_process(void)
{
	struct rack rack;
	pid_t pid = child_up(&rack, 60000);

	kill(pid, SIGKILL);
	expect_lost(&rack, 1, 0, ERR_LOST); /* long before the silence would tell */
	reap(pid);
	rack_close(&rack);
}

static void stopped_process_is_silent(void)
{
	struct transport_event event;
	struct rack rack;
	pid_t pid = child_up(&rack, 1500);
	uint64_t start = clock_ms();

	kill(pid, SIGSTOP);
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL(event.type, TRANSPORT_LOST);
	CU_ASSERT_EQUAL(event.why.code, ERR_LOST);
	CU_ASSERT_PTR_NOT_NULL(strstr(event.why.text, "silent"));
	CU_ASSERT_TRUE(clock_ms() - start >= 1300);
	reap(pid);
	rack_close(&rack);
}

/* Who was stopped itself reads first and accuses nobody. */
static void own_pause_is_no_silence_of_others(void)
{
	struct transport_event event;
	struct rack rack;
	pid_t pid = child_up(&rack, 3000);
	uint64_t until = clock_ms() + 1500;

	while (clock_ms() < until)
		usleep(10000); /* this process polls nothing for half the time allowed */
	transport_tcp.poll(rack.t[1], &event);
	CU_ASSERT_EQUAL(event.type, TRANSPORT_NONE);
	rack_send_number(&rack, 1, 0, 3);
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL(rack_number(&event), 3);
	reap(pid);
	rack_close(&rack);
}

static void pings_keep_a_quiet_channel(void)
{
	struct transport_event event;
	struct rack rack;
	uint64_t until;

	rack_init(&rack, 2);
	rack.config.silence_ms = 1200;
	rack_open(&rack, 0);
	rack_connect_all(&rack);
	until = clock_ms() + 3000;
	while (clock_ms() < until)
		CU_ASSERT_TRUE_FATAL(rack_quiet(&rack, 0, 10) && rack_quiet(&rack, 1, 10));
	CU_ASSERT_TRUE(rack_stats(&rack, 0).bytes_in >=
		       5 * sizeof(struct page_wire));	      /* pings came */
	CU_ASSERT_EQUAL(rack_stats(&rack, 0).messages_in, 0); /* and were not handed up */
	rack_send_number(&rack, 0, 1, 8);
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL(rack_number(&event), 8);
	rack_close(&rack);
}

/* ---- a peer that breaks the framing ---- */

static size_t put(uint8_t *out, const struct dsm_msg *msg, uint32_t sequence, uint32_t bytes)
{
	page_encode((struct page_wire *)out, msg, sequence, bytes);
	memset(out + sizeof(struct page_wire), 0x33, bytes);
	return sizeof(struct page_wire) + bytes;
}

/* Member 0 with a raw peer as member 1. */
static int raw_up(struct rack *rack)
{
	int fd;

	rack_init(rack, 2);
	rack_open(rack, 0);
	transport_tcp.close(rack->t[1]);
	rack->t[1] = NULL;
	rack_connect_start(rack, 0, RACK_TIMEOUT_MS);
	fd = raw_peer(rack, 1, 0);
	CU_ASSERT_EQUAL_FATAL(rack_join(rack, 0), ERR_OK);
	return fd;
}

/* Two good posts, then `bytes` of `bad`, then the end: LOST with this code. */
static void breaks(const uint8_t *bad, size_t n, enum err_code code)
{
	uint8_t good[256];
	struct dsm_msg post = rack_post();
	struct rack rack;
	int fd = raw_up(&rack);
	size_t length = put(good, &post, 1, 4);

	length += put(good + length, &post, 2, 4);
	CU_ASSERT_EQUAL(fd_write_full(fd, good, length, NULL), ERR_OK);
	CU_ASSERT_EQUAL(fd_write_full(fd, bad, n, NULL), ERR_OK);
	if (code == ERR_LOST)
		shutdown(fd, SHUT_WR);
	CU_ASSERT_EQUAL(rack_wait(&rack, 0).type, TRANSPORT_MSG);
	CU_ASSERT_EQUAL(rack_wait(&rack, 0).type, TRANSPORT_MSG);
	expect_lost(&rack, 0, 1, code);
	close(fd);
	rack_close(&rack);
}

static void broken_framing(void)
{
	uint8_t bad[sizeof(struct page_wire) + DSM_PAGE_SIZE];
	struct page_wire *header = (struct page_wire *)bad;
	struct dsm_msg post = rack_post(),
		       get = {.type = PAGE_GET_S, .page = {RACK_PAGES}, .pages = 1};
	size_t n = put(bad, &post, 3, 100);

	breaks(bad, n - 1, ERR_LOST); /* cut short */
	breaks(bad, 7, ERR_LOST);
	breaks(bad, 0, ERR_LOST);
	breaks(bad, put(bad, &post, 4, 100), ERR_PROTOCOL); /* a gap */
	breaks(bad, put(bad, &post, 2, 100), ERR_PROTOCOL); /* again */
	breaks(bad, put(bad, &get, 3, 0), ERR_PROTOCOL);    /* outside the space */
	put(bad, &post, 3, 0);
	header->bytes = PAGE_BYTES_MAX + 1; /* refused before a byte of it is awaited */
	breaks(bad, sizeof(*header), ERR_PROTOCOL);
	put(bad, &post, 3, 0);
	header->bytes = UINT32_MAX;
	breaks(bad, sizeof(*header), ERR_PROTOCOL);
	put(bad, &post, 3, 0);
	header->magic ^= 1;
	breaks(bad, sizeof(*header), ERR_PROTOCOL);
	post.type = PAGE_TYPE_LAST + 1;
	breaks(bad, put(bad, &post, 3, 0), ERR_PROTOCOL);
}

static void unknown_but_optional_is_skipped(void)
{
	uint8_t bytes[8192];
	struct dsm_msg post = rack_post(), strange = {.type = 200, .flags = PAGE_FLAG_OPTIONAL};
	struct transport_event event;
	struct rack rack;
	int fd = raw_up(&rack);
	size_t n = put(bytes, &strange, 1, 5000);

	n += put(bytes + n, &strange, 2, 0);
	n += put(bytes + n, &post, 3, 4);
	CU_ASSERT_EQUAL(fd_write_full(fd, bytes, n, NULL), ERR_OK);
	event = rack_wait(&rack, 0);
	CU_ASSERT_EQUAL(rack_number(&event), 0x33333333);
	CU_ASSERT_EQUAL(rack_stats(&rack, 0).skipped, 2);
	CU_ASSERT_EQUAL(rack_stats(&rack, 0).messages_in, 1);
	close(fd);
	rack_close(&rack);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(last_words_before_a_close_arrive),
		UNIT_CASE(last_words_survive_a_failing_send),
		UNIT_CASE(what_was_sent_before_an_end_arrives),
		UNIT_CASE(an_end_takes_two),
		UNIT_CASE(an_end_that_is_not_answered),
		UNIT_CASE(killed_process),
		UNIT_CASE(stopped_process_is_silent),
		UNIT_CASE(own_pause_is_no_silence_of_others),
		UNIT_CASE(pings_keep_a_quiet_channel),
		UNIT_CASE(broken_framing),
		UNIT_CASE(unknown_but_optional_is_skipped),
	};

	return unit_main("tcp-loss", cases, UNIT_COUNT(cases));
}
