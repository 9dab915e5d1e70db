/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come to a listener of control links, and where it may listen. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/link_address.h"
#include "tests/unit/proto/link_rig.h"

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
	rig_request(rig.dialer.link, 1, "never arrives");
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
	int rc = link_listen(&rig->loop, address, &identity, 1, rig_accept, rig, &listener, NULL);

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
	rig_request(rig.dialer.link, 1, "still there");
	RUN_UNTIL(&rig, rig.dialer.messages == 1);
	rig_end(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(accept_may_close_or_name_nobody),
		UNIT_CASE(wrong_key),
		UNIT_CASE(kind_that_is_not_served),
		UNIT_CASE(nobody_listens),
		UNIT_CASE(bad_addresses),
		UNIT_CASE(port_or_path_in_use),
		UNIT_CASE(dead_unix_socket_is_replaced),
		UNIT_CASE(a_file_in_the_way_is_kept),
		UNIT_CASE(listener_closes_and_links_stay),
	};

	return unit_main("link-listen", cases, UNIT_COUNT(cases));
}
