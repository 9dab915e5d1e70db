/* SPDX-License-Identifier: Apache-2.0 */
/* Control links between two honest ends: messages, closing in order, adopted sockets. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/frame.h"
#include "tests/unit/proto/link_rig.h"

static void both_ways(bool unix_socket)
{
	struct rig rig;

	rig_init(&rig, unix_socket);
	rig.server.echo = true;
	rig_dial(&rig);
	rig_request(rig.dialer.link, 1, "sent before open");
	RUN_UNTIL(&rig, rig.dialer.messages == 1);
	for (int i = 2; i <= 1000; i++)
		rig_request(rig.dialer.link, (uint64_t)i, "x");
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
	rig_request(rig.dialer.link, 1, text);
	rig_request(rig.dialer.link, 2, "small");
	rig_request(rig.dialer.link, 3, text);
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
	rig_request(rig.dialer.link, 1, "the link lives on");
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
		rig_request(rig.dialer.link, (uint64_t)i,
			    "a message of some length, to fill the socket's buffers");
		rig_request(rig.server.link, (uint64_t)i,
			    "and unread input at the side that closes");
	}
	link_close(rig.dialer.link);
	rig_request(rig.dialer.link, 5001, "dropped");
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
		rig_request(rig.dialer.link, (uint64_t)i, "x");
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

/* ---- adopted ---- */

static void adopted_socket_pair(void)
{
	struct rig rig;
	int pair[2];

	rig_init(&rig, true);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CU_ASSERT_EQUAL(
		link_adopt(&rig.loop, pair[0], &rig_ops, &rig.dialer, &rig.dialer.link, NULL),
		ERR_OK);
	CU_ASSERT_EQUAL(
		link_adopt(&rig.loop, pair[1], &rig_ops, &rig.server, &rig.server.link, NULL),
		ERR_OK);
	rig.server.echo = true;
	CU_ASSERT_EQUAL(rig.dialer.opens, 0); /* from the loop, not from link_adopt */
	rig_request(rig.dialer.link, 1, "before open");
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
	CU_ASSERT_EQUAL(link_adopt(&rig.loop, -1, &rig_ops, &rig.dialer, &link, NULL), ERR_INVALID);
	rig_end(&rig);
	CU_ASSERT_EQUAL(rig.dialer.closes, 0);
}

static void the_end_of_a_process_ends_its_link(void)
{
	struct rig rig;
	int pair[2];

	rig_init(&rig, true);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CU_ASSERT_EQUAL(
		link_adopt(&rig.loop, pair[0], &rig_ops, &rig.dialer, &rig.dialer.link, NULL),
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
		UNIT_CASE(adopted_socket_pair),
		UNIT_CASE(adopt_refuses_what_is_no_descriptor),
		UNIT_CASE(the_end_of_a_process_ends_its_link),
	};

	return unit_main("link", cases, UNIT_COUNT(cases));
}
