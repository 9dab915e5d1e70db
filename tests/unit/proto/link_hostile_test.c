/* SPDX-License-Identifier: Apache-2.0 */
/* Control links against raw sockets: strangers, and peers who have the key and break the rules. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/frame.h"
#include "proto/hello_stream.h"
#include "tests/unit/proto/link_rig.h"

/* ---- strangers ---- */

static int raw_connect(const struct rig *rig)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memccpy(un.sun_path, rig->address + 5, 0, sizeof(un.sun_path));
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

static void garbage_before_hello(void)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: controller\r\nAccept: "
				   "*/*\r\nConnection: keep-alive\r\n\r\n";
	struct rig rig;
	char byte;
	int fd;

	rig_init(&rig, true);
	fd = raw_connect(&rig);
	CU_ASSERT_EQUAL(fd_write_full(fd, text, sizeof(text), NULL), ERR_OK);
	RUN_UNTIL(&rig, link_listener_rejected(rig.listener) == 1);
	CU_ASSERT_TRUE(read(fd, &byte, 1) <= 0); /* no word in answer */
	close(fd);
	fd = raw_connect(&rig); /* says nothing and goes */
	close(fd);
	RUN_UNTIL(&rig, link_listener_rejected(rig.listener) == 2);
	rig_dial(&rig);
	RUN_UNTIL(&rig, rig.dialer.opens && rig.server.opens);
	rig_end(&rig);
}

static void a_silent_stranger_is_closed(void)
{
	uint64_t start;
	struct rig rig;
	char byte;
	int fd;

	rig_init(&rig, true);
	fd = raw_connect(&rig);
	start = uv_hrtime();
	RUN_UNTIL(&rig, link_listener_rejected(rig.listener) == 1);
	CU_ASSERT_TRUE((uv_hrtime() - start) / 1000000 >= LINK_HELLO_MS - 500);
	CU_ASSERT_EQUAL(read(fd, &byte, 1), 0);
	close(fd);
	rig_end(&rig);
}

static void listener_closes_while_a_stranger_waits(void)
{
	struct rig rig;
	int fd;

	rig_init(&rig, true);
	fd = raw_connect(&rig);
	for (int i = 0; i < 3; i++)
		uv_run(&rig.loop, UV_RUN_NOWAIT);
	rig_end(&rig);
	close(fd);
}

/* Silent ones take all places; who comes and ends his hello is served all the same. */
static void a_crowd_keeps_nobody_out(void)
{
	enum { CROWD = LINK_STRANGERS_MAX + 40 };
	struct rig rig;
	int fd[CROWD];

	rig_init(&rig, true);
	for (int i = 0; i < CROWD; i++) {
		fd[i] = raw_connect(&rig);
		uv_run(&rig.loop, UV_RUN_NOWAIT);
	}
	RUN_UNTIL(&rig, link_listener_rejected(rig.listener) == CROWD - LINK_STRANGERS_MAX);
	rig_dial(&rig);
	RUN_UNTIL(&rig, rig.dialer.opens && rig.server.opens);
	CU_ASSERT_EQUAL(link_listener_rejected(rig.listener), CROWD - LINK_STRANGERS_MAX + 1);
	for (int i = 0; i < CROWD; i++)
		close(fd[i]);
	RUN_UNTIL(&rig, link_listener_rejected(rig.listener) == CROWD);
	rig_end(&rig);
}

/* ---- peers who have the key ---- */

/* Speaks the hello by hand and returns a descriptor on which frames may follow. */
static int raw_hello(struct rig *rig)
{
	struct hello_stream s = {.hello = {.kind = HELLO_CELLD,
					   .self = MEMBER_NONE,
					   .peer = MEMBER_NONE,
					   .version_min = FRAME_VERSION_MIN,
					   .version_max = FRAME_VERSION_MAX}};
	struct hello_out out;
	uint8_t second[sizeof(struct hello_2)];
	int fd = raw_connect(rig);
	ssize_t got = 0;

	memset(s.hello.key, 7, CELL_KEY_BYTES);
	CU_ASSERT_EQUAL(hello_stream_begin(&s, true, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL(fd_write_full(fd, out.bytes, out.length, NULL), ERR_OK);
	while (got < (ssize_t)sizeof(second) && !rig->late) {
		ssize_t n = recv(fd, second + got, sizeof(second) - (size_t)got, MSG_DONTWAIT);

		got += n > 0 ? n : 0;
		uv_run(&rig->loop, UV_RUN_NOWAIT);
	}
	CU_ASSERT_EQUAL(hello_stream_take(&s, second, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL(fd_write_full(fd, out.bytes, out.length, NULL), ERR_OK);
	RUN_UNTIL(rig, rig->server.opens == 1);
	return fd;
}

static size_t make_frame(uint8_t *out, uint16_t type, uint32_t sequence)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	uint8_t payload[64];

	request.request = sequence;
	request.name = (char *)"raw";
	return frame_encode(out, type, 0, sequence, payload,
			    cellular__ctl_request__pack(&request, payload));
}

/* After a good hello these bytes close the link with this code, and what came before was delivered.
 */
static void bytes_close_with(const uint8_t *bytes, size_t n, int messages, enum err_code code)
{
	struct rig rig;
	int fd;

	rig_init(&rig, true);
	fd = raw_hello(&rig);
	CU_ASSERT_EQUAL(fd_write_full(fd, bytes, n, NULL), ERR_OK);
	shutdown(fd, SHUT_WR);
	RUN_UNTIL(&rig, rig.server.closes == 1);
	CU_ASSERT_EQUAL(rig.server.why.code, code);
	CU_ASSERT_EQUAL(rig.server.messages, messages);
	CU_ASSERT_EQUAL(link_listener_rejected(rig.listener), code != ERR_OK);
	close(fd);
	rig_end(&rig);
}

static void broken_frames_close_the_link(void)
{
	uint8_t bytes[256];
	size_t n = make_frame(bytes, CTL_TYPE_CTL_REQUEST, 1);

	bytes_close_with(bytes, n, 1, ERR_OK);
	bytes_close_with(bytes, n - 1, 0, ERR_LOST); /* cut */
	bytes_close_with(bytes, n + make_frame(bytes + n, CTL_TYPE_CTL_REQUEST, 3), 1,
			 ERR_PROTOCOL);					     /* gap */
	bytes_close_with(bytes, make_frame(bytes, 999, 1), 0, ERR_PROTOCOL); /* unknown type */
	bytes_close_with(bytes, make_frame(bytes, CTL_TYPE_CTL_REPLY, 1), 1,
			 ERR_OK); /* field numbers happen to fit */
	n = make_frame(bytes, CTL_TYPE_CTL_REQUEST, 1);
	bytes[n - 1] ^= 1;
	bytes_close_with(bytes, n, 0, ERR_PROTOCOL); /* checksum */
	n = frame_encode(bytes, CTL_TYPE_CTL_REQUEST, 0, 1, (const uint8_t *)"\xff\xff\xff", 3);
	bytes_close_with(bytes, n, 0, ERR_PROTOCOL); /* does not unpack */
	n = frame_encode(bytes, CTL_TYPE_CTL_REQUEST, 0, 1, NULL, 0);
	((struct frame_header *)bytes)->length = FRAME_PAYLOAD_MAX + 1;
	bytes_close_with(bytes, n, 0, ERR_TOOBIG);
}

/* A frame that goes on, but slowly, is closed at its time, too: what counts is when it began. */
static void half_a_frame_does_not_stay(void)
{
	uint8_t bytes[256];
	struct rig rig;
	uint64_t start;
	size_t n, sent = 0;
	int fd;

	rig_init(&rig, true);
	fd = raw_hello(&rig);
	n = make_frame(bytes, CTL_TYPE_CTL_REQUEST, 1);
	n += make_frame(bytes + n, CTL_TYPE_CTL_REQUEST, 2);
	CU_ASSERT_EQUAL(fd_write_full(fd, bytes, n / 2 + 1, NULL), ERR_OK);
	RUN_UNTIL(&rig, rig.server.messages == 1);
	start = uv_hrtime();
	while (!rig.server.closes && !rig.late) {
		if (uv_hrtime() - start > sent * 1000000000ull)
			send(fd, bytes + n / 2 + 1 + sent++, 1, MSG_NOSIGNAL);
		uv_run(&rig.loop, UV_RUN_ONCE);
	}
	CU_ASSERT_EQUAL(rig.server.closes, 1);
	CU_ASSERT_EQUAL(rig.server.why.code, ERR_TIMEOUT);
	CU_ASSERT_TRUE((uv_hrtime() - start) / 1000000 >= LINK_FRAME_MS - 500);
	CU_ASSERT_EQUAL(link_listener_rejected(rig.listener), 1);
	close(fd);
	rig_end(&rig);
}

static void optional_messages_are_skipped(void)
{
	uint8_t bytes[512];
	struct rig rig;
	size_t n;
	int fd;

	rig_init(&rig, true);
	fd = raw_hello(&rig);
	n = make_frame(bytes, 999 | FRAME_OPTIONAL, 1);
	n += make_frame(bytes + n, CTL_TYPE_CTL_REQUEST | FRAME_OPTIONAL, 2);
	for (size_t i = 0; i < n; i++) { /* byte by byte, too */
		CU_ASSERT_EQUAL(fd_write_full(fd, bytes + i, 1, NULL), ERR_OK);
		uv_run(&rig.loop, UV_RUN_NOWAIT);
	}
	RUN_UNTIL(&rig, rig.server.messages == 1);
	CU_ASSERT_EQUAL(rig.server.last_type, CTL_TYPE_CTL_REQUEST);
	CU_ASSERT_EQUAL(link_skipped(rig.server.link), 1);
	close(fd);
	RUN_UNTIL(&rig, rig.server.closes);
	rig_end(&rig);
}

static void a_peer_that_does_not_read_loses_the_link(void)
{
	char *text = malloc(1 << 20);
	struct rig rig;
	int fd;

	memset(text, 'a', 1 << 20);
	text[(1 << 20) - 1] = 0;
	rig_init(&rig, true);
	fd = raw_hello(&rig);
	for (int i = 0; i < (LINK_BACKLOG_MAX >> 20) + 8; i++) {
		rig_request(rig.server.link, 1, text);
		CU_ASSERT_EQUAL(rig.server.closes, 0); /* never from inside link_send */
	}
	RUN_UNTIL(&rig, rig.server.closes);
	CU_ASSERT_EQUAL(rig.server.why.code, ERR_TOOBIG);
	close(fd);
	rig_end(&rig);
	free(text);
}

static void closing_does_not_wait_for_ever(void)
{
	struct rig rig;
	int fd;

	rig_init(&rig, true);
	fd = raw_hello(&rig);
	rig_request(rig.server.link, 1, "x");
	link_close(rig.server.link);
	RUN_UNTIL(&rig, rig.server.closes); /* the raw socket neither reads nor closes */
	CU_ASSERT_EQUAL(rig.server.why.code, ERR_OK);
	close(fd);
	rig_end(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(garbage_before_hello),
		UNIT_CASE(a_silent_stranger_is_closed),
		UNIT_CASE(listener_closes_while_a_stranger_waits),
		UNIT_CASE(a_crowd_keeps_nobody_out),
		UNIT_CASE(half_a_frame_does_not_stay),
		UNIT_CASE(broken_frames_close_the_link),
		UNIT_CASE(optional_messages_are_skipped),
		UNIT_CASE(a_peer_that_does_not_read_loses_the_link),
		UNIT_CASE(closing_does_not_wait_for_ever),
	};

	return unit_main("link-hostile", cases, UNIT_COUNT(cases));
}
