/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control links: two ends on one loop, and strangers on raw sockets.
 */
#include "proto/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/frame.h"
#include "proto/hello_stream.h"
#include "proto/link_address.h"
#include "tests/unit/unit.h"

enum { PATIENCE_MS = 20000, TICK_MS = 20 };

/* One end as its user sees it. */
struct side {
	struct link *link;
	int opens, messages, closes;
	uint16_t last_type;
	uint64_t last_request;
	size_t last_text;
	bool gap; /* requests did not count up by one */
	bool close_on_message;
	bool echo;
	struct err why;
};

struct rig {
	uv_loop_t loop;
	uv_timer_t guard;
	uint64_t deadline;
	bool late;
	char directory[64];
	char address[LINK_ADDRESS_MAX];
	struct link_listener *listener;
	struct side dialer, server;
	struct link_identity identity;
	int accepts;
	bool refuse; /* accept closes */
	bool ignore; /* accept names nobody */
	enum hello_kind kind;
};

static void send_request(struct link *link, uint64_t n, const char *text)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	request.request = n;
	request.name = (char *)text;
	CU_ASSERT_EQUAL(link_send(link, CTL_TYPE_CTL_REQUEST, &request.base, NULL), ERR_OK);
}

static void on_open(void *context, struct link *link)
{
	struct side *side = context;

	CU_ASSERT_EQUAL(side->closes, 0);
	side->link = link;
	side->opens++;
}

static void on_message(void *context, struct link *link, uint16_t type,
		       const ProtobufCMessage *message)
{
	struct side *side = context;
	const Cellular__CtlRequest *request = (const Cellular__CtlRequest *)message;

	CU_ASSERT_EQUAL(side->opens, 1);
	side->messages++;
	side->last_type = type;
	if (type != CTL_TYPE_CTL_REQUEST)
		return;
	side->gap = side->gap || (side->messages > 1 && request->request != side->last_request + 1);
	side->last_request = request->request;
	side->last_text = strlen(request->name);
	if (side->echo)
		send_request(link, request->request, request->name);
	if (side->close_on_message)
		link_close(link);
}

static void on_closed(void *context, struct link *link, const struct err *why)
{
	struct side *side = context;

	CU_ASSERT_PTR_EQUAL(link_context(link), context);
	side->closes++;
	side->why = *why;
	side->link = NULL;
}

static const struct link_ops ops = {on_open, on_message, on_closed};

static void on_accept(void *context, struct link *link, enum hello_kind kind)
{
	struct rig *rig = context;

	rig->accepts++;
	rig->kind = kind;
	if (rig->refuse)
		link_close(link);
	else if (!rig->ignore)
		link_set_ops(link, &ops, &rig->server);
}

static void on_guard(uv_timer_t *timer)
{
	struct rig *rig = timer->data;

	rig->late = uv_now(&rig->loop) >= rig->deadline;
}

/* Runs the loop until the condition holds; the test fails, and does not hang, if it never does. */
#define RUN_UNTIL(rig, condition)                                                                  \
	do {                                                                                       \
		while (!(condition) && !(rig)->late)                                               \
			uv_run(&(rig)->loop, UV_RUN_ONCE);                                         \
		CU_ASSERT_TRUE(condition);                                                         \
	} while (0)

static void rig_listen(struct rig *rig, const char *address)
{
	struct link_identity both[2] = {{.kind = HELLO_CELLD}, {.kind = HELLO_CTL}};
	struct err e = {0};

	memset(both[0].key, 7, CELL_KEY_BYTES);
	memset(both[1].key, 7, CELL_KEY_BYTES);
	CU_ASSERT_EQUAL_FATAL(
		link_listen(&rig->loop, address, both, 2, on_accept, rig, &rig->listener, &e),
		ERR_OK);
	link_listener_address(rig->listener, rig->address);
}

static void rig_init(struct rig *rig, bool unix_socket)
{
	char address[LINK_ADDRESS_MAX];

	memset(rig, 0, sizeof(*rig));
	uv_loop_init(&rig->loop);
	uv_timer_init(&rig->loop, &rig->guard);
	rig->guard.data = rig;
	rig->deadline = uv_now(&rig->loop) + PATIENCE_MS;
	uv_timer_start(&rig->guard, on_guard, TICK_MS, TICK_MS);
	strcpy(rig->directory, "/tmp/cellular-link-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->directory));
	rig->identity.kind = HELLO_CTL;
	memset(rig->identity.key, 7, CELL_KEY_BYTES);
	if (unix_socket)
		snprintf(address, sizeof(address), "unix:%s/sock", rig->directory);
	else
		strcpy(address, "tcp:127.0.0.1:0");
	rig_listen(rig, address);
}

static void rig_dial(struct rig *rig)
{
	struct err e = {0};

	CU_ASSERT_EQUAL_FATAL(link_dial(&rig->loop, rig->address, &rig->identity, &ops,
					&rig->dialer, &rig->dialer.link, &e),
			      ERR_OK);
}

/* Everything that is left must end by itself: a handle that stays open would hang here until the
 * guard speaks. */
static void rig_end(struct rig *rig)
{
	if (rig->late)
		return; /* failed already */
	if (rig->dialer.link)
		link_close(rig->dialer.link);
	if (rig->server.link)
		link_close(rig->server.link);
	link_listener_close(rig->listener);
	uv_unref((uv_handle_t *)&rig->guard);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	CU_ASSERT_FALSE(rig->late);
	CU_ASSERT_EQUAL(rig->dialer.closes + rig->server.closes,
			(rig->dialer.opens || rig->dialer.closes) + rig->server.opens);
	uv_close((uv_handle_t *)&rig->guard, NULL);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&rig->loop), 0);
	CU_ASSERT_EQUAL(rmdir(rig->directory), 0); /* the socket's file went with the listener */
}

static void both_ways(bool unix_socket)
{
	struct rig rig;

	rig_init(&rig, unix_socket);
	rig.server.echo = true;
	rig_dial(&rig);
	send_request(rig.dialer.link, 1, "sent before open");
	RUN_UNTIL(&rig, rig.dialer.messages == 1);
	for (int i = 2; i <= 1000; i++)
		send_request(rig.dialer.link, (uint64_t)i, "x");
	RUN_UNTIL(&rig, rig.dialer.messages == 1000);
	CU_ASSERT_EQUAL(rig.kind, HELLO_CTL);
	CU_ASSERT_EQUAL(rig.server.messages, 1000);
	CU_ASSERT_FALSE(rig.server.gap || rig.dialer.gap);
	link_close(rig.dialer.link);
	CU_ASSERT_EQUAL(rig.dialer.closes, 0); /* never from inside link_close */
	RUN_UNTIL(&rig, rig.dialer.closes && rig.server.closes);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_OK);
	CU_ASSERT_EQUAL(rig.server.why.code, ERR_OK);
	CU_ASSERT_EQUAL(link_listener_rejected(rig.listener), 0);
	rig_end(&rig);
}

static void messages_both_ways_unix(void)
{
	both_ways(true);
}

static void messages_both_ways_tcp(void)
{
	both_ways(false);
}

static void a_large_message(void)
{
	struct rig rig;
	char *text = malloc(3 << 20);

	memset(text, 'a', 3 << 20);
	text[(3 << 20) - 1] = 0;
	rig_init(&rig, true);
	rig.server.echo = true;
	rig_dial(&rig);
	send_request(rig.dialer.link, 1, text);
	send_request(rig.dialer.link, 2, "small");
	send_request(rig.dialer.link, 3, text);
	RUN_UNTIL(&rig, rig.dialer.messages == 3);
	CU_ASSERT_EQUAL(rig.dialer.last_text, (3 << 20) - 1);
	rig_end(&rig);
	free(text);
}

static void too_large_a_message_is_refused(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	struct rig rig;
	struct err e;

	request.name = malloc(FRAME_PAYLOAD_MAX + 1);
	memset(request.name, 'a', FRAME_PAYLOAD_MAX);
	request.name[FRAME_PAYLOAD_MAX] = 0;
	rig_init(&rig, true);
	rig_dial(&rig);
	CU_ASSERT_EQUAL(link_send(rig.dialer.link, CTL_TYPE_CTL_REQUEST, &request.base, &e),
			ERR_TOOBIG);
	send_request(rig.dialer.link, 1, "the link lives on");
	RUN_UNTIL(&rig, rig.server.messages == 1);
	rig_end(&rig);
	free(request.name);
}

static void close_sends_what_is_queued(void)
{
	struct rig rig;

	rig_init(&rig, false);
	rig_dial(&rig);
	RUN_UNTIL(&rig, rig.dialer.opens && rig.server.opens);
	for (int i = 1; i <= 5000; i++) {
		send_request(rig.dialer.link, (uint64_t)i,
			     "a message of some length, to fill the socket's buffers");
		send_request(rig.server.link, (uint64_t)i,
			     "and unread input at the side that closes");
	}
	link_close(rig.dialer.link);
	send_request(rig.dialer.link, 5001, "dropped");
	RUN_UNTIL(&rig, rig.dialer.closes && rig.server.closes);
	CU_ASSERT_EQUAL(rig.server.messages, 5000);
	CU_ASSERT_EQUAL(rig.dialer.messages, 0);
	CU_ASSERT_EQUAL(rig.server.why.code, ERR_OK);
	rig_end(&rig);
}

static void close_from_inside_message(void)
{
	struct rig rig;

	rig_init(&rig, true);
	rig.server.close_on_message = true;
	rig_dial(&rig);
	for (int i = 1; i <= 3; i++)
		send_request(rig.dialer.link, (uint64_t)i, "x");
	RUN_UNTIL(&rig, rig.dialer.closes && rig.server.closes);
	CU_ASSERT_EQUAL(rig.server.messages, 1);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_OK);
	rig_end(&rig);
}

static void close_before_open(void)
{
	struct rig rig;

	rig_init(&rig, true);
	rig_dial(&rig);
	link_close(rig.dialer.link);
	link_close(rig.dialer.link);
	RUN_UNTIL(&rig, rig.dialer.closes);
	CU_ASSERT_EQUAL(rig.dialer.opens, 0);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_OK);
	rig_end(&rig);
}

static void refused_by_accept(bool ignore)
{
	struct rig rig;

	rig_init(&rig, true);
	rig.refuse = !ignore;
	rig.ignore = ignore;
	rig_dial(&rig);
	RUN_UNTIL(&rig, rig.dialer.closes);
	CU_ASSERT_EQUAL(rig.accepts, 1);
	CU_ASSERT_EQUAL(rig.server.opens, 0);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_OK);
	rig_end(&rig);
}

static void accept_may_close_or_name_nobody(void)
{
	refused_by_accept(false);
	refused_by_accept(true);
}

static void wrong_key(void)
{
	struct rig rig;

	rig_init(&rig, true);
	rig.identity.key[31] ^= 1;
	rig_dial(&rig);
	send_request(rig.dialer.link, 1, "never arrives");
	RUN_UNTIL(&rig, rig.dialer.closes && link_listener_rejected(rig.listener) == 1);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_AUTH);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.dialer.why.text, rig.address));
	CU_ASSERT_EQUAL(rig.dialer.opens, 0);
	CU_ASSERT_EQUAL(rig.accepts, 0);
	rig_end(&rig);
}

static void kind_that_is_not_served(void)
{
	struct rig rig;

	rig_init(&rig, true);
	rig.identity.kind = HELLO_DATA;
	rig_dial(&rig);
	RUN_UNTIL(&rig, rig.dialer.closes && link_listener_rejected(rig.listener) == 1);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_UNREACHABLE);
	CU_ASSERT_EQUAL(rig.accepts, 0);
	rig_end(&rig);
}

static void nobody_listens(void)
{
	struct rig rig;

	rig_init(&rig, false);
	link_listener_close(rig.listener);
	rig.listener = NULL;
	rig_dial(&rig);
	CU_ASSERT_EQUAL(rig.dialer.closes, 0); /* never from inside link_dial */
	RUN_UNTIL(&rig, rig.dialer.closes);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_UNREACHABLE);
	rig.dialer = (struct side){0};
	snprintf(rig.address, sizeof(rig.address), "unix:%s/nothing", rig.directory);
	rig_dial(&rig);
	RUN_UNTIL(&rig, rig.dialer.closes);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_UNREACHABLE);
	rig_end(&rig);
}

static void bad_addresses(void)
{
	static const char *const bad[] = {"",
					  "unix:",
					  "tcp:",
					  "tcp:1.2.3.4",
					  "tcp:1.2.3.4:70000",
					  "tcp:host:1",
					  "tcp:[::1:4",
					  "tcp:::1:4",
					  "tcp:[::1]",
					  "tcp:1.2.3.4:-1",
					  "tcp:1.2.3.4:1x",
					  "udp:1.2.3.4:1",
					  "1.2.3.4:1"};
	char text[2 * LINK_ADDRESS_MAX];
	struct link_address a;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(link_address_parse(bad[i], &a, NULL), ERR_INVALID);
	memset(text, 'x', sizeof(text));
	memcpy(text, "unix:", 5);
	text[5 + sizeof(a.un.sun_path)] = 0;
	CU_ASSERT_EQUAL(link_address_parse(text, &a, NULL), ERR_INVALID);
	text[5 + sizeof(a.un.sun_path) - 1] = 0;
	CU_ASSERT_EQUAL(link_address_parse(text, &a, NULL), ERR_OK);
	CU_ASSERT_EQUAL(link_address_parse("tcp:[::1]:0", &a, NULL), ERR_OK);
	CU_ASSERT_EQUAL(link_address_parse("tcp:127.0.0.1:65535", &a, NULL), ERR_OK);
}

/* ---- listening ---- */

static int try_listen(struct rig *rig, const char *address)
{
	struct link_identity identity = {.kind = HELLO_CTL};
	struct link_listener *listener;
	int rc = link_listen(&rig->loop, address, &identity, 1, on_accept, rig, &listener, NULL);

	if (!rc)
		link_listener_close(listener);
	return rc;
}

static void port_or_path_in_use(void)
{
	struct rig rig;

	rig_init(&rig, false);
	CU_ASSERT_EQUAL(try_listen(&rig, rig.address), ERR_EXISTS);
	CU_ASSERT_EQUAL(try_listen(&rig, "tcp:192.0.2.1:0"),
			ERR_UNREACHABLE); /* TEST-NET: not ours */
	rig_end(&rig);
	rig_init(&rig, true);
	CU_ASSERT_EQUAL(try_listen(&rig, rig.address), ERR_EXISTS);
	CU_ASSERT_EQUAL(try_listen(&rig, "unix:/nonexistent/sock"), ERR_NOTFOUND);
	rig_dial(&rig); /* the one that was there is unharmed */
	RUN_UNTIL(&rig, rig.dialer.opens && rig.server.opens);
	rig_end(&rig);
}

static void leave_dead_socket(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memccpy(un.sun_path, path, 0, sizeof(un.sun_path));
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	CU_ASSERT_EQUAL(listen(fd, 1), 0);
	close(fd);
}

static void dead_unix_socket_is_replaced(void)
{
	struct rig rig;

	rig_init(&rig, true);
	link_listener_close(rig.listener);
	rig.listener = NULL;
	leave_dead_socket(rig.address + 5);
	rig_listen(&rig, rig.address);
	rig_dial(&rig);
	RUN_UNTIL(&rig, rig.dialer.opens && rig.server.opens);
	rig_end(&rig);
}

static void a_file_in_the_way_is_kept(void)
{
	struct rig rig;
	struct stat st;
	FILE *f;

	rig_init(&rig, true);
	link_listener_close(rig.listener);
	rig.listener = NULL;
	f = fopen(rig.address + 5, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fclose(f);
	CU_ASSERT_EQUAL(try_listen(&rig, rig.address), ERR_EXISTS);
	CU_ASSERT_EQUAL(stat(rig.address + 5, &st), 0);
	unlink(rig.address + 5);
	rig_end(&rig);
}

static void listener_closes_and_links_stay(void)
{
	struct rig rig;

	rig_init(&rig, true);
	rig.server.echo = true;
	rig_dial(&rig);
	RUN_UNTIL(&rig, rig.dialer.opens && rig.server.opens);
	link_listener_close(rig.listener);
	rig.listener = NULL;
	send_request(rig.dialer.link, 1, "still there");
	RUN_UNTIL(&rig, rig.dialer.messages == 1);
	rig_end(&rig);
}

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
		send_request(rig.server.link, 1, text);
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
	send_request(rig.server.link, 1, "x");
	link_close(rig.server.link);
	RUN_UNTIL(&rig, rig.server.closes); /* the raw socket neither reads nor closes */
	CU_ASSERT_EQUAL(rig.server.why.code, ERR_OK);
	close(fd);
	rig_end(&rig);
}

/* ---- adopted ---- */

static void adopted_socket_pair(void)
{
	struct rig rig;
	int pair[2];

	rig_init(&rig, true);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CU_ASSERT_EQUAL(link_adopt(&rig.loop, pair[0], &ops, &rig.dialer, &rig.dialer.link, NULL),
			ERR_OK);
	CU_ASSERT_EQUAL(link_adopt(&rig.loop, pair[1], &ops, &rig.server, &rig.server.link, NULL),
			ERR_OK);
	rig.server.echo = true;
	CU_ASSERT_EQUAL(rig.dialer.opens, 0); /* from the loop, not from link_adopt */
	send_request(rig.dialer.link, 1, "before open");
	RUN_UNTIL(&rig, rig.dialer.messages == 1);
	link_close(rig.server.link);
	RUN_UNTIL(&rig, rig.dialer.closes && rig.server.closes);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_OK);
	rig_end(&rig);
}

static void adopt_refuses_what_is_no_descriptor(void)
{
	struct link *link;
	struct rig rig;

	rig_init(&rig, true);
	CU_ASSERT_EQUAL(link_adopt(&rig.loop, -1, &ops, &rig.dialer, &link, NULL), ERR_INVALID);
	rig_end(&rig);
	CU_ASSERT_EQUAL(rig.dialer.closes, 0);
}

static void the_end_of_a_process_ends_its_link(void)
{
	struct rig rig;
	int pair[2];

	rig_init(&rig, true);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CU_ASSERT_EQUAL(link_adopt(&rig.loop, pair[0], &ops, &rig.dialer, &rig.dialer.link, NULL),
			ERR_OK);
	RUN_UNTIL(&rig, rig.dialer.opens == 1);
	close(pair[1]);
	RUN_UNTIL(&rig, rig.dialer.closes == 1);
	CU_ASSERT_EQUAL(rig.dialer.why.code, ERR_OK);
	rig_end(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(messages_both_ways_unix),
		UNIT_CASE(messages_both_ways_tcp),
		UNIT_CASE(a_large_message),
		UNIT_CASE(too_large_a_message_is_refused),
		UNIT_CASE(close_sends_what_is_queued),
		UNIT_CASE(close_from_inside_message),
		UNIT_CASE(close_before_open),
		UNIT_CASE(accept_may_close_or_name_nobody),
		UNIT_CASE(wrong_key),
		UNIT_CASE(kind_that_is_not_served),
		UNIT_CASE(nobody_listens),
		UNIT_CASE(bad_addresses),
		UNIT_CASE(port_or_path_in_use),
		UNIT_CASE(dead_unix_socket_is_replaced),
		UNIT_CASE(a_file_in_the_way_is_kept),
		UNIT_CASE(listener_closes_and_links_stay),
		UNIT_CASE(garbage_before_hello),
		UNIT_CASE(a_silent_stranger_is_closed),
		UNIT_CASE(listener_closes_while_a_stranger_waits),
		UNIT_CASE(broken_frames_close_the_link),
		UNIT_CASE(optional_messages_are_skipped),
		UNIT_CASE(a_peer_that_does_not_read_loses_the_link),
		UNIT_CASE(closing_does_not_wait_for_ever),
		UNIT_CASE(adopted_socket_pair),
		UNIT_CASE(adopt_refuses_what_is_no_descriptor),
		UNIT_CASE(the_end_of_a_process_ends_its_link),
	};

	return unit_main("link", cases, UNIT_COUNT(cases));
}
