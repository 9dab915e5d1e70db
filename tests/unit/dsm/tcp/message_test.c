/* SPDX-License-Identifier: Apache-2.0 */
/*
 * T1, T2, T6: messages arrive once, whole and in order, however the kernel cuts the stream; a send
 * never blocks. The kernel's calls are wrapped at link time (CMakeLists.txt), so that it can be
 * made to take and give a few bytes at a time.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/base/clock.h"
#include "tests/unit/dsm/tcp/rack.h"
#include "tests/unit/unit.h"

/* Bytes one call moves at most; 0: as many as it likes. Each third sendmsg says EAGAIN if so
 * wanted. */
static size_t send_limit, receive_limit;
static bool send_hiccups;
static unsigned send_calls;

ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_recv(int fd, void *to, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t n, int flags);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct iovec iov[3];
	struct msghdr cut = {.msg_iov = iov, .msg_iovlen = msg->msg_iovlen};
	size_t left = send_limit;

	if (send_hiccups && send_calls++ % 3 == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (!send_limit)
		return __real_sendmsg(fd, msg, flags);
	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		iov[i] = msg->msg_iov[i];
		if (iov[i].iov_len > left)
			iov[i].iov_len = left;
		left -= iov[i].iov_len;
	}
	return __real_sendmsg(fd, &cut, flags);
}

ssize_t __wrap_recv(int fd, void *to, size_t n, int flags)
{
	return __real_recv(fd, to, receive_limit && n > receive_limit ? receive_limit : n, flags);
}

/* ---- what is sent: the i-th message from one member to another, recognisable in every byte ----
 */

struct letter {
	struct dsm_msg msg;
	uint32_t bytes;
	uint8_t data[4 * (PAGE_ITEM_BYTES + DSM_PAGE_SIZE)];
};

static void write_letter(struct letter *letter, int from, int to, uint32_t i)
{
	uint32_t pages = i % 7 == 0 ? 1 + i / 7 % 4 : 0;
	uint32_t seed = i * 2654435761u + (uint32_t)(from * 16 + to);

	if (pages) {
		letter->msg = rack_grant(pages);
		letter->bytes = pages * (DSM_PAGE_SIZE + (pages > 1 ? PAGE_ITEM_BYTES : 0));
	} else if (i % 3 == 0) {
		letter->msg = (struct dsm_msg){
			.type = PAGE_GET_S, .epoch = {5}, .page = {i % RACK_PAGES}, .pages = 1};
		letter->bytes = 0;
	} else {
		letter->msg = rack_post();
		letter->bytes = seed % (i % 5 ? 40 : POST_BYTES_MAX + 1);
	}
	letter->msg.txn = i;
	for (uint32_t k = 0; k < letter->bytes; k++)
		letter->data[k] = (uint8_t)(seed >> (k % 4 * 8)) ^ (uint8_t)k;
}

static void check_letter(const struct transport_event *event, int to, uint32_t i)
{
	static struct letter wanted;

	write_letter(&wanted, event->from.v, to, i);
	CU_ASSERT_EQUAL(event->msg.txn, i);
	CU_ASSERT_EQUAL(event->msg.type, wanted.msg.type);
	CU_ASSERT_EQUAL(event->msg.flags, wanted.msg.flags);
	CU_ASSERT_EQUAL(event->msg.page.v, wanted.msg.page.v);
	CU_ASSERT_EQUAL_FATAL(event->bytes, wanted.bytes);
	CU_ASSERT_TRUE(!wanted.bytes || !memcmp(event->data, wanted.data, wanted.bytes));
}

/* Every member sends `letters` to every other one while all are polled. */
static void everybody_writes(int members, uint32_t letters)
{
	static struct letter letter;
	uint32_t sent = 0, got[RACK_MAX][RACK_MAX] = {{0}}, left;
	uint64_t deadline = clock_ms() + 2 * RACK_TIMEOUT_MS;
	struct transport_event event;
	struct rack rack;

	rack_up(&rack, members);
	left = letters * (uint32_t)(members * (members - 1));
	while (left && clock_ms() < deadline) {
		for (int from = 0; from < members && sent < letters; from++) {
			for (int to = 0; to < members; to++) {
				if (to == from)
					continue;
				write_letter(&letter, from, to, sent);
				transport_tcp.send(rack.t[from], (struct member_id){(uint8_t)to},
						   &letter.msg, letter.data, letter.bytes);
			}
			if (sent % 5 == 4)
				transport_tcp.flush(rack.t[from]);
		}
		sent++;
		for (int m = 0; m < members; m++) {
			transport_tcp.flush(rack.t[m]);
			for (;;) {
				transport_tcp.poll(rack.t[m], &event);
				if (event.type != TRANSPORT_MSG)
					break;
				check_letter(&event, m, got[event.from.v][m]++);
				left--;
			}
			CU_ASSERT_EQUAL_FATAL(event.type, TRANSPORT_NONE);
		}
	}
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_EQUAL(rack_stats(&rack, 0).messages_out, letters * (uint32_t)(members - 1));
	CU_ASSERT_EQUAL(rack_stats(&rack, 0).messages_in, letters * (uint32_t)(members - 1));
	CU_ASSERT_TRUE(rack_quiet(&rack, 0, 0));
	rack_close(&rack);
}

static void in_order(void)
{
	everybody_writes(2, 3000);
	everybody_writes(4, 500);
}

static void however_the_stream_is_cut(void)
{
	static const size_t limits[] = {1, 7, 47, 48, 49, 1000, 4097, 70000};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		uint32_t letters = limits[i] < 48 ? 20 : 200;

		send_limit = limits[i];
		everybody_writes(2, letters);
		send_limit = 0;
		receive_limit = limits[i];
		everybody_writes(2, letters);
		receive_limit = 0;
	}
}

static void when_the_kernel_takes_nothing_now(void)
{
	send_hiccups = true;
	everybody_writes(3, 300);
	send_limit = 5000;
	everybody_writes(2, 300);
	send_hiccups = false;
	send_limit = 0;
}

static void the_largest_run(void)
{
	uint8_t *run = malloc(PAGE_BYTES_MAX);
	struct dsm_msg msg = rack_grant(PAGE_RUN_MAX);
	struct transport_event event;
	struct rack rack;

	for (uint32_t i = 0; i < PAGE_BYTES_MAX; i++)
		run[i] = (uint8_t)(i * 31 >> 3);
	rack_up(&rack, 2);
	for (int round = 0; round < 3; round++) {
		uint64_t deadline = clock_ms() + RACK_TIMEOUT_MS;

		transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, run, PAGE_BYTES_MAX);
		rack_send_number(&rack, 0, 1, 4711);
		do {
			transport_tcp.poll(rack.t[0], &event); /* lets the rest go out */
			CU_ASSERT_EQUAL(event.type, TRANSPORT_NONE);
			transport_tcp.poll(rack.t[1], &event);
		} while (event.type == TRANSPORT_NONE && clock_ms() < deadline);
		CU_ASSERT_EQUAL_FATAL(event.bytes, PAGE_BYTES_MAX);
		CU_ASSERT_EQUAL(memcmp(event.data, run, PAGE_BYTES_MAX), 0);
		event = rack_wait(&rack, 1);
		CU_ASSERT_EQUAL(rack_number(&event), 4711);
	}
	rack_close(&rack);
	free(run);
}

/* Items, then pages; a hint that there is more is right where it says no. */
static void a_run_arrives_in_one_piece(void)
{
	enum { PAGES = 20 };
	static uint8_t pages[PAGES * DSM_PAGE_SIZE];
	struct page_item items[PAGES];
	struct dsm_msg msg = rack_grant(PAGES);
	struct transport_event event;
	struct rack rack;

	for (uint32_t i = 0; i < sizeof(pages); i++)
		pages[i] = (uint8_t)(i * 31 >> 3);
	for (uint32_t i = 0; i < PAGES; i++)
		items[i] = (struct page_item){.version = i, .txn = 100 + i};
	rack_up(&rack, 2);
	rack_send_number(&rack, 0, 1, 1);
	transport_tcp.send_run(rack.t[0], (struct member_id){1}, &msg, items, pages);
	rack_send_number(&rack, 0, 1, 2);
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL(rack_number(&event), 1);
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL_FATAL(event.bytes, sizeof(items) + sizeof(pages));
	CU_ASSERT_EQUAL(memcmp(event.data, items, sizeof(items)), 0);
	CU_ASSERT_EQUAL(memcmp((const uint8_t *)event.data + sizeof(items), pages, sizeof(pages)),
			0);
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL(rack_number(&event), 2);
	CU_ASSERT_FALSE(transport_tcp.more(rack.t[1]));
	rack_close(&rack);
}

static void it_says_when_there_is_more(void)
{
	struct dsm_msg msg = rack_post();
	struct transport_event event;
	struct rack rack;
	bool more;

	rack_up(&rack, 2);
	for (uint32_t i = 0; i < 3; i++)
		transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, &i, sizeof(i));
	transport_tcp.flush(rack.t[0]); /* one write, so one read */
	for (unsigned i = 0; i < 3; i++) {
		event = rack_wait(&rack, 1);
		CU_ASSERT_EQUAL(rack_number(&event), i);
		more = transport_tcp.more(rack.t[1]);
		CU_ASSERT_EQUAL(more, i < 2);
	}
	rack_close(&rack);
}

/* More than the receive buffer holds, never empty in between: what is left of a message moves to
 * the front. */
static void a_reader_that_lags(void)
{
	enum { LETTERS = 2000 };
	static uint8_t page[DSM_PAGE_SIZE];
	struct dsm_msg msg = rack_grant(1);
	struct transport_event event;
	struct rack rack;

	receive_limit = 50001;
	rack_up(&rack, 2);
	for (uint32_t i = 0; i < LETTERS; i++) {
		memset(page, (int)i, sizeof(page));
		msg.txn = i;
		transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, page, sizeof(page));
	}
	transport_tcp.flush(rack.t[0]);
	for (uint32_t i = 0; i < LETTERS; i++) {
		uint64_t deadline = clock_ms() + RACK_TIMEOUT_MS;

		do {
			transport_tcp.poll(rack.t[0], &event);
			transport_tcp.poll(rack.t[1], &event);
		} while (event.type == TRANSPORT_NONE && clock_ms() < deadline);
		memset(page, (int)i, sizeof(page));
		CU_ASSERT_EQUAL_FATAL(event.type, TRANSPORT_MSG);
		CU_ASSERT_EQUAL(event.msg.txn, i);
		CU_ASSERT_EQUAL_FATAL(memcmp(event.data, page, sizeof(page)), 0);
	}
	rack_close(&rack);
	receive_limit = 0;
}

static void data_stays_until_the_next_poll(void)
{
	uint8_t page[DSM_PAGE_SIZE], other[DSM_PAGE_SIZE];
	struct dsm_msg msg = rack_grant(1);
	struct transport_event event;
	struct rack rack;

	rack_init(&rack, 2);
	rack.config.backlog_bytes = 64 << 10;
	rack_open(&rack, 0);
	rack_connect_all(&rack);
	memset(page, 0xa5, sizeof(page));
	memset(other, 0x11, sizeof(other));
	transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, page, sizeof(page));
	event = rack_wait(&rack, 1);
	transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, other,
			   sizeof(other)); /* more comes in */
	for (int i = 0; i < 10000;
	     i++) /* until the channel the data came from is lost by overflow */
		transport_tcp.send(rack.t[1], (struct member_id){0}, &msg, other, sizeof(other));
	CU_ASSERT_EQUAL(memcmp(event.data, page, sizeof(page)), 0);
	rack_close(&rack);
}

static void send_never_blocks_and_the_backlog_is_bounded(void)
{
	uint8_t page[DSM_PAGE_SIZE] = {0};
	struct dsm_msg msg = rack_grant(1);
	struct transport_event event;
	struct rack rack;
	int sent = 0;

	rack_init(&rack, 3);
	rack.config.backlog_bytes = 1 << 20;
	rack_open(&rack, 0);
	rack_connect_all(&rack);
	do { /* member 1 never reads */
		for (int i = 0; i < 64; i++, sent++)
			transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, page,
					   sizeof(page));
		transport_tcp.flush(rack.t[0]);
		transport_tcp.poll(rack.t[0], &event);
	} while (event.type == TRANSPORT_NONE && sent < 1 << 20);
	CU_ASSERT_EQUAL(event.type, TRANSPORT_LOST);
	CU_ASSERT_EQUAL(event.from.v, 1);
	CU_ASSERT_EQUAL(event.why.code, ERR_TOOBIG);
	transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, page,
			   sizeof(page)); /* dropped */
	transport_tcp.flush(rack.t[0]);
	rack_send_number(&rack, 0, 2, 5); /* the others are unharmed */
	event = rack_wait(&rack, 2);
	CU_ASSERT_EQUAL(rack_number(&event), 5);
	CU_ASSERT_TRUE(rack_quiet(&rack, 0, 50)); /* LOST comes once */
	rack_close(&rack);
}

static bool readable(const struct rack *rack, int m, int ms)
{
	struct pollfd fd = {.fd = transport_tcp.fd(rack->t[m]), .events = POLLIN};

	return poll(&fd, 1, ms) == 1;
}

static void fd_says_when_to_poll(void)
{
	struct transport_event event;
	struct rack rack;

	rack_init(&rack, 2);
	rack.config.silence_ms = 3600 * 1000; /* ticks far away */
	rack_open(&rack, 0);
	rack_connect_all(&rack);
	CU_ASSERT_TRUE(rack_quiet(&rack, 1, 0));
	CU_ASSERT_FALSE(readable(&rack, 1, 50));
	rack_send_number(&rack, 0, 1, 1);
	CU_ASSERT_TRUE(readable(&rack, 1, RACK_TIMEOUT_MS));
	CU_ASSERT_TRUE(readable(&rack, 1, 0)); /* level-triggered */
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL(rack_number(&event), 1);
	CU_ASSERT_TRUE(rack_quiet(&rack, 1, 0));
	CU_ASSERT_FALSE(readable(&rack, 1, 50));
	rack_close(&rack);
}

static void small_messages_wait_for_flush(void)
{
	struct dsm_msg msg = rack_post();
	struct transport_event event;
	struct rack rack;

	rack_up(&rack, 2);
	transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, "a", 1);
	transport_tcp.send(rack.t[0], (struct member_id){1}, &msg, "b", 1);
	CU_ASSERT_EQUAL(rack_stats(&rack, 0).bytes_out, 0);
	transport_tcp.flush(rack.t[0]);
	CU_ASSERT_EQUAL(rack_stats(&rack, 0).bytes_out, 2 * sizeof(struct page_wire) + 2);
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL(*(const char *)event.data, 'a');
	event = rack_wait(&rack, 1);
	CU_ASSERT_EQUAL(*(const char *)event.data, 'b');
	rack_close(&rack);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(in_order),
		UNIT_CASE(however_the_stream_is_cut),
		UNIT_CASE(when_the_kernel_takes_nothing_now),
		UNIT_CASE(the_largest_run),
		UNIT_CASE(a_run_arrives_in_one_piece),
		UNIT_CASE(it_says_when_there_is_more),
		UNIT_CASE(a_reader_that_lags),
		UNIT_CASE(data_stays_until_the_next_poll),
		UNIT_CASE(send_never_blocks_and_the_backlog_is_bounded),
		UNIT_CASE(fd_says_when_to_poll),
		UNIT_CASE(small_messages_wait_for_flush),
	};

	return unit_main("tcp-message", cases, UNIT_COUNT(cases));
}
