/* SPDX-License-Identifier: Apache-2.0 */
/*
 * T5 and the ways a mesh comes to stand, or not: late members, strangers, impostors.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/address.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "tests/unit/dsm/tcp/rack.h"
#include "tests/unit/unit.h"

static void all_talk(struct rack *rack)
{
	for (int from = 0; from < rack->n; from++) {
		for (int to = 0; to < rack->n; to++) {
			struct transport_event event;

			if (from == to)
				continue;
			rack_send_number(rack, from, to, (uint32_t)(from * 10 + to));
			event = rack_wait(rack, to);
			CU_ASSERT_EQUAL(event.from.v, from);
			CU_ASSERT_EQUAL(rack_number(&event), (uint32_t)(from * 10 + to));
		}
	}
}

static void one_to_four_members(void)
{
	struct rack rack;

	for (int n = 1; n <= RACK_MAX; n++) {
		rack_up(&rack, n);
		all_talk(&rack);
		CU_ASSERT_EQUAL(rack_stats(&rack, 0).rejected, 0);
		rack_close(&rack);
	}
}

static void over_ipv6(void)
{
	struct transport *probe;
	struct rack rack;

	rack_init(&rack, 2);
	rack.config.listen = "[::1]:0";
	if (transport_tcp.open(&rack.config, &probe, NULL)) {
		CU_PASS("no IPv6 here");
		return;
	}
	transport_tcp.close(probe);
	rack_open(&rack, 0);
	rack_connect_all(&rack);
	all_talk(&rack);
	rack_close(&rack);
}

/* Silence does not count while a mesh grows: those that wait ping each other. */
static void a_member_that_comes_late(void)
{
	struct rack rack;

	rack_init(&rack, 3);
	rack.config.silence_ms = 600;
	rack_open(&rack, 0);
	rack_connect_start(&rack, 0, RACK_TIMEOUT_MS);
	rack_connect_start(&rack, 1, RACK_TIMEOUT_MS);
	usleep(1500000);
	rack_connect_start(&rack, 2, RACK_TIMEOUT_MS);
	for (int m = 0; m < 3; m++)
		CU_ASSERT_EQUAL(rack_join(&rack, m), ERR_OK);
	all_talk(&rack);
	rack_close(&rack);
}

static void a_peer_that_does_not_listen_yet(void)
{
	struct rack rack;

	rack_init(&rack, 2);
	rack_open(&rack, 0);
	transport_tcp.close(rack.t[0]);
	rack_connect_start(&rack, 1, RACK_TIMEOUT_MS);
	usleep(300000);
	rack.config.self = (struct member_id){0};
	rack.config.listen = rack.address[0];
	CU_ASSERT_EQUAL_FATAL(transport_tcp.open(&rack.config, &rack.t[0], NULL), ERR_OK);
	rack_connect_start(&rack, 0, RACK_TIMEOUT_MS);
	CU_ASSERT_EQUAL(rack_join(&rack, 0), ERR_OK);
	CU_ASSERT_EQUAL(rack_join(&rack, 1), ERR_OK);
	all_talk(&rack);
	rack_close(&rack);
}

static void nobody_comes(void)
{
	struct rack rack;

	rack_init(&rack, 2);
	rack_open(&rack, 0);
	rack_connect_start(&rack, 0, 200); /* member 1 never dials */
	CU_ASSERT_EQUAL(rack_join(&rack, 0), ERR_TIMEOUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(rack.why[0].text, "member 1"));
	rack_connect_start(&rack, 1, 200); /* member 0 has closed its listener */
	CU_ASSERT_EQUAL(rack_join(&rack, 1), ERR_UNREACHABLE);
	CU_ASSERT_PTR_NOT_NULL(strstr(rack.why[1].text, "member 0"));
	rack_close(&rack);
}

static void a_peer_that_says_nothing(void)
{
	struct rack rack;

	rack_init(&rack, 2);
	rack_open(&rack, 0); /* listens, does not connect */
	rack_connect_start(&rack, 1, 300);
	CU_ASSERT_EQUAL(rack_join(&rack, 1), ERR_TIMEOUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(rack.why[1].text, "member 0"));
	rack_close(&rack);
}

static void asked_to_stop(void)
{
	struct rack rack;
	struct err e;
	int pipes[2];

	rack_init(&rack, 2);
	rack_open(&rack, 0);
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	CU_ASSERT_EQUAL(write(pipes[1], "x", 1), 1);
	CU_ASSERT_EQUAL(transport_tcp.connect(rack.t[0], rack.peers, RACK_TIMEOUT_MS, pipes[0], &e),
			ERR_INTERRUPTED);
	close(pipes[0]);
	close(pipes[1]);
	rack_close(&rack);
}

static void a_member_leaves_before_all_are_there(void)
{
	struct rack rack;
	int fd;

	rack_init(&rack, 3);
	rack_open(&rack, 0);
	rack_connect_start(&rack, 0, RACK_TIMEOUT_MS);
	fd = raw_peer(&rack, 1, 0);
	usleep(50000);
	close(fd);
	CU_ASSERT_EQUAL(rack_join(&rack, 0), ERR_LOST);
	CU_ASSERT_PTR_NOT_NULL(strstr(rack.why[0].text, "member 1"));
	rack_close(&rack);
}

static void bad_configurations(void)
{
	struct transport *t;
	struct rack rack;
	struct err e;

	rack_init(&rack, 2);
	rack_open(&rack, 0);
	rack.config.listen = rack.address[0];
	CU_ASSERT_EQUAL(transport_tcp.open(&rack.config, &t, &e), ERR_EXISTS);
	rack.config.listen = "192.0.2.1:0"; /* TEST-NET: not ours */
	CU_ASSERT_EQUAL(transport_tcp.open(&rack.config, &t, &e), ERR_UNREACHABLE);
	rack.config.listen = "localhost";
	CU_ASSERT_EQUAL(transport_tcp.open(&rack.config, &t, &e), ERR_INVALID);
	rack.config.listen = NULL;
	CU_ASSERT_EQUAL(transport_tcp.open(&rack.config, &t, &e), ERR_INVALID);
	rack.config.listen = "127.0.0.1:0";
	rack.config.self = (struct member_id){2};
	CU_ASSERT_EQUAL(transport_tcp.open(&rack.config, &t, &e), ERR_INVALID);
	rack.config.members = 65;
	CU_ASSERT_EQUAL(transport_tcp.open(&rack.config, &t, &e), ERR_INVALID);
	rack.peers[0] = "nonsense";
	CU_ASSERT_EQUAL(transport_tcp.connect(rack.t[1], rack.peers, 100, -1, &e), ERR_INVALID);
	rack_close(&rack);
}

/* ---- strangers ---- */

/* Members 0 and 1; member 0 is connecting while the test plays the stranger. */
static void half_up(struct rack *rack)
{
	rack_init(rack, 2);
	rack_open(rack, 0);
	rack_connect_start(rack, 0, RACK_TIMEOUT_MS);
}

/* Member 1 comes: whatever happened before did no harm. */
static void complete(struct rack *rack, uint64_t rejected)
{
	rack_connect_start(rack, 1, RACK_TIMEOUT_MS);
	CU_ASSERT_EQUAL(rack_join(rack, 0), ERR_OK);
	CU_ASSERT_EQUAL(rack_join(rack, 1), ERR_OK);
	all_talk(rack);
	CU_ASSERT_TRUE(rack_stats(rack, 0).rejected >= rejected);
	rack_close(rack);
}

static void garbage_before_the_hello(void)
{
	static const char text[] =
		"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a stranger with a long name\r\n\r\n";
	struct rack rack;
	char byte;
	int fd;

	half_up(&rack);
	fd = raw_connect(rack.address[0]);
	CU_ASSERT_EQUAL(fd_write_full(fd, text, sizeof(text), NULL), ERR_OK);
	CU_ASSERT_TRUE(read(fd, &byte, 1) <= 0); /* closed without a word */
	close(fd);
	close(raw_connect(rack.address[0]));
	fd = raw_connect(rack.address[0]); /* says nothing and stays */
	complete(&rack, 1);
	close(fd);
}

static void a_silent_stranger_is_closed(void)
{
	struct rack rack;
	char byte;
	int fd;

	half_up(&rack);
	fd = raw_connect(rack.address[0]);
	CU_ASSERT_EQUAL(fd_write_full(fd, "CLCH", 4, NULL), ERR_OK);
	CU_ASSERT_TRUE(read(fd, &byte, 1) <= 0); /* returns when the listener has lost patience */
	close(fd);
	complete(&rack, 1);
}

static void a_crowd_of_strangers(void)
{
	enum { CROWD = 100 };
	struct rack rack;
	int fds[CROWD];

	half_up(&rack);
	for (int i = 0; i < CROWD; i++)
		fds[i] = raw_connect(rack.address[0]);
	complete(&rack, 1);
	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
}

/* Somebody with a configuration of his own dials member 0. */
static int impostor(const struct rack *rack, const struct transport_config *config, struct err *e)
{
	const char *peers[DSM_MEMBERS_MAX] = {rack->address[0]};
	struct transport *t;
	int rc;

	for (int m = 1; m < DSM_MEMBERS_MAX; m++)
		peers[m] = "127.0.0.1:1";
	CU_ASSERT_EQUAL_FATAL(transport_tcp.open(config, &t, e), ERR_OK);
	rc = transport_tcp.connect(t, peers, 300, -1, e);
	transport_tcp.close(t);
	return rc;
}

static void impostors(void)
{
	struct transport_config config;
	struct rack rack;
	struct err e;

	half_up(&rack);
	rack.config.self = (struct member_id){1};
	rack.config.listen = "127.0.0.1:0";

	config = rack.config;
	config.key[0] ^= 1;
	CU_ASSERT_EQUAL(impostor(&rack, &config, &e), ERR_AUTH);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "member 0"));

	config = rack.config;
	config.epoch.v++;
	CU_ASSERT_EQUAL(impostor(&rack, &config, &e), ERR_UNREACHABLE);

	config = rack.config;
	config.space.v++;
	CU_ASSERT_EQUAL(impostor(&rack, &config, &e), ERR_UNREACHABLE);

	config = rack.config;
	config.members = 10;
	config.self = (struct member_id){9}; /* knows the key, but there is no member 9 */
	CU_ASSERT_NOT_EQUAL(impostor(&rack, &config, &e), ERR_OK);
	complete(&rack, 4);
}

static void a_key_that_is_wrong_in_the_listener(void)
{
	struct rack rack;

	rack_init(&rack, 2);
	rack_open(&rack, 1);
	rack.config.key[5] ^= 1;
	rack.config.self = (struct member_id){0};
	CU_ASSERT_EQUAL_FATAL(transport_tcp.open(&rack.config, &rack.t[0], NULL), ERR_OK);
	transport_tcp.address(rack.t[0], rack.address[0]);
	rack.peers[0] = rack.address[0];
	rack_connect_start(&rack, 0, 500);
	rack_connect_start(&rack, 1, RACK_TIMEOUT_MS);
	CU_ASSERT_EQUAL(rack_join(&rack, 1), ERR_AUTH);
	CU_ASSERT_EQUAL(rack_join(&rack, 0), ERR_TIMEOUT);
	rack_close(&rack);
}

static void a_member_calls_twice(void)
{
	struct transport_event event;
	struct rack rack;
	struct page_wire header;
	struct dsm_msg post = rack_post();
	int first, second, third;
	char byte;

	rack_init(&rack, 3);
	rack_open(&rack, 0);
	rack_connect_start(&rack, 0, RACK_TIMEOUT_MS);
	first = raw_peer(&rack, 1, 0);
	second = raw_peer(&rack, 1, 0);
	CU_ASSERT_TRUE(read(second, &byte, 1) <= 0);
	third = raw_peer(&rack, 2, 0);
	CU_ASSERT_EQUAL(rack_join(&rack, 0), ERR_OK);
	CU_ASSERT_EQUAL(rack_stats(&rack, 0).rejected, 1);
	page_encode(&header, &post, 1, 0);
	CU_ASSERT_EQUAL(fd_write_full(first, &header, sizeof(header), NULL), ERR_OK);
	event = rack_wait(&rack, 0);
	CU_ASSERT_EQUAL(event.type, TRANSPORT_MSG);
	CU_ASSERT_EQUAL(event.from.v, 1);
	close(first);
	close(second);
	close(third);
	rack_close(&rack);
}

static void nobody_listens_once_the_mesh_stands(void)
{
	struct rack rack;
	struct address a;
	int fd;

	rack_up(&rack, 2);
	CU_ASSERT_EQUAL(address_parse(rack.address[0], &a, NULL), ERR_OK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&a.storage, a.length), -1);
	CU_ASSERT_EQUAL(errno, ECONNREFUSED);
	close(fd);
	rack_close(&rack);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(one_to_four_members),
		UNIT_CASE(over_ipv6),
		UNIT_CASE(a_member_that_comes_late),
		UNIT_CASE(a_peer_that_does_not_listen_yet),
		UNIT_CASE(nobody_comes),
		UNIT_CASE(a_peer_that_says_nothing),
		UNIT_CASE(asked_to_stop),
		UNIT_CASE(a_member_leaves_before_all_are_there),
		UNIT_CASE(bad_configurations),
		UNIT_CASE(garbage_before_the_hello),
		UNIT_CASE(a_silent_stranger_is_closed),
		UNIT_CASE(a_crowd_of_strangers),
		UNIT_CASE(impostors),
		UNIT_CASE(a_key_that_is_wrong_in_the_listener),
		UNIT_CASE(a_member_calls_twice),
		UNIT_CASE(nobody_listens_once_the_mesh_stands),
	};

	return unit_main("tcp-mesh", cases, UNIT_COUNT(cases));
}
