/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that breaks the rules, for the tests of whole clusters:
 *
 *   stranger ADDRESS ACT [SPACE EPOCH]     connects and does ACT
 *   stranger -k KEYFILE ADDRESS ACT        the same after a good hello (acts that begin with
 * frame-) stranger -l [-k KEYFILE] ADDRESS ACT   listens, and does ACT to everyone who comes, until
 * it is ended
 *
 * ADDRESS: unix:PATH or tcp:IP:PORT. Then it waits for the other side to close the connection, and
 * says after how many milliseconds it did ("closed after 12 ms"). Exit: 0 closed, 1 not within
 * PATIENCE_MS, 2 usage or no connection, 3 the other side spoke though it should not.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/control.h"
#include "proto/frame.h"
#include "proto/hello_stream.h"
#include "proto/key.h"
#include "proto/link_address.h"
#include "proto/page.h"

enum { PATIENCE_MS = 60000, JUNK_BYTES = 1 << 20, CROWD_MAX = 4096 };

static struct {
	uint8_t key[CELL_KEY_BYTES];
	uint64_t space; /* of the data plane; 0: control */
	uint32_t epoch;
	enum hello_kind kind;
} self = {.kind = HELLO_CTL};

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "stranger: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void say(int fd, const void *bytes, size_t n)
{
	fd_write_full(fd, bytes, n, NULL); /* the other side may have had enough */
}

/* ---- connections ---- */

static int connect_to(const struct link_address *a)
{
	int fd =
		socket(a->local ? AF_UNIX : a->ip.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = a->local ? connect(fd, (const struct sockaddr *)&a->un, sizeof(a->un))
			  : connect(fd, (const struct sockaddr *)&a->ip.storage, a->ip.length);

	if (rc < 0)
		give_up("connect");
	return fd;
}

/* Reads and drops. true: the other side closed, or reset, the connection in time. */
static bool wait_closed(int fd, size_t *heard)
{
	uint64_t end = clock_ms() + PATIENCE_MS, now;
	char bytes[4096];

	*heard = 0;
	while ((now = clock_ms()) < end) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, (int)(end - now)) <= 0)
			continue;
		n = read(fd, bytes, sizeof(bytes));
		if (n <= 0)
			return true;
		*heard += (size_t)n;
	}
	return false;
}

/* ---- hellos ---- */

static struct hello honest_hello(void)
{
	bool data = self.space != 0;
	struct hello h = {.kind = data ? HELLO_DATA : self.kind,
			  .space = {self.space},
			  .epoch = {self.epoch},
			  .self = data ? (struct member_id){1} : MEMBER_NONE,
			  .peer = data ? (struct member_id){0} : MEMBER_NONE,
			  .version_min = 1,
			  .version_max = 1};

	memcpy(h.key, self.key, sizeof(h.key));
	return h;
}

static struct hello_1 first_word(void)
{
	struct hello h = honest_hello();
	struct hello_1 first;

	if (hello_dial(&h, &first, NULL))
		give_up("hello");
	return first;
}

/* Both ways: as dialer or as listener, to the end. */
static void good_hello(int fd, bool dialer)
{
	struct hello_stream s = {.hello = honest_hello()};
	uint8_t in[HELLO_MESSAGE_MAX];
	struct hello_out out;

	if (hello_stream_begin(&s, dialer, &out, NULL))
		give_up("hello");
	say(fd, out.bytes, out.length);
	while (s.want) {
		if (fd_read_full(fd, in, s.want, NULL))
			give_up("hello");
		if (!dialer && s.want == sizeof(struct hello_1))
			s.hello.kind = (enum hello_kind)((const struct hello_1 *)in)->kind;
		if (hello_stream_take(&s, in, &out, NULL))
			give_up("hello");
		say(fd, out.bytes, out.length);
	}
}

/* ---- acts of one who has no key ---- */

static void say_junk(int fd, int byte)
{
	uint8_t *junk = malloc(JUNK_BYTES);

	for (size_t i = 0; junk && i < JUNK_BYTES; i++)
		junk[i] = byte < 0 ? (uint8_t)(i * i >> 3 ^ i * 131) : (uint8_t)byte;
	say(fd, junk, JUNK_BYTES);
	free(junk);
}

static void act_garbage(int fd)
{
	say_junk(fd, -1);
}

static void act_zeros(int fd)
{
	say_junk(fd, 0);
}

static void act_http(int fd)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: controller.example\r\nAccept: */*\r\n"
				   "User-Agent: nobody in particular\r\n\r\n";

	say(fd, text, sizeof(text) - 1);
}

static void act_short(int fd)
{
	struct hello_1 first = first_word();

	say(fd, &first, sizeof(first) / 2);
	shutdown(fd, SHUT_WR);
}

static void act_version(int fd)
{
	struct hello_1 first = first_word();

	first.version_min = 200;
	first.version_max = 201;
	say(fd, &first, sizeof(first));
}

static void act_kind(int fd)
{
	struct hello_1 first = first_word();

	first.kind = 77;
	say(fd, &first, sizeof(first));
}

static void act_epoch(int fd)
{
	struct hello_1 first = first_word();

	first.epoch += 3;
	say(fd, &first, sizeof(first));
}

static void act_space(int fd)
{
	struct hello_1 first = first_word();

	first.space += 1;
	say(fd, &first, sizeof(first));
}

static void act_member(int fd)
{
	struct hello_1 first = first_word();

	first.from = 63;
	first.to = 62;
	say(fd, &first, sizeof(first));
}

/* A good beginning; the end is made up. */
static void act_mac(int fd)
{
	struct hello_1 first = first_word();
	struct hello_3 third = {.magic = HELLO_MAGIC, .mac = {1, 2, 3}};

	say(fd, &first, sizeof(first));
	say(fd, &third, sizeof(third));
}

/* Page frames, as if there were no hello. */
static void act_pages(int fd)
{
	struct dsm_msg m = {.type = PAGE_GET_X, .requester = {1}, .pages = 1};
	struct page_wire w;

	page_encode(&w, &m, 1, 0);
	for (int i = 0; i < 100; i++)
		say(fd, &w, sizeof(w));
}

static void act_loris(int fd)
{
	say(fd, "C", 1);
}

/* ---- acts of one who has the key ---- */

static size_t a_frame(uint8_t *out, uint16_t type, uint32_t sequence)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	uint8_t payload[64];

	request.name = (char *)"x";
	return frame_encode(out, type, 0, sequence, payload,
			    cellular__ctl_request__pack(&request, payload));
}

static void act_frame_garbage(int fd)
{
	say_junk(fd, -1);
}

static void act_frame_short(int fd)
{
	uint8_t bytes[128];

	say(fd, bytes, a_frame(bytes, CTL_TYPE_CTL_REQUEST, 1) - 1);
	shutdown(fd, SHUT_WR);
}

static void act_frame_version(int fd)
{
	uint8_t bytes[128];
	size_t n = a_frame(bytes, CTL_TYPE_CTL_REQUEST, 1);

	((struct frame_header *)bytes)->version = 99;
	say(fd, bytes, n);
}

static void act_frame_large(int fd)
{
	uint8_t bytes[128];
	size_t n = a_frame(bytes, CTL_TYPE_CTL_REQUEST, 1);

	((struct frame_header *)bytes)->length = UINT32_MAX;
	say(fd, bytes, n);
}

static void act_frame_checksum(int fd)
{
	uint8_t bytes[128];
	size_t n = a_frame(bytes, CTL_TYPE_CTL_REQUEST, 1);

	bytes[n - 1] ^= 1;
	say(fd, bytes, n);
}

static void act_frame_gap(int fd)
{
	uint8_t bytes[128];

	say(fd, bytes, a_frame(bytes, CTL_TYPE_CTL_REQUEST, 7));
}

static void act_frame_type(int fd)
{
	uint8_t bytes[128];

	say(fd, bytes, a_frame(bytes, 4711, 1));
}

static void act_frame_message(int fd)
{
	uint8_t bytes[128];

	say(fd, bytes,
	    frame_encode(bytes, CTL_TYPE_CTL_REQUEST, 0, 1, (const uint8_t *)"\xff\xff\xff", 3));
}

/* A message that neither a client, nor a cell, nor a controller may send. */
static void act_frame_foreign(int fd)
{
	uint8_t bytes[128];

	say(fd, bytes, frame_encode(bytes, CTL_TYPE_FRAG_CONSOLE, 0, 1, NULL, 0));
}

static void act_frame_loris(int fd)
{
	say(fd, "C", 1);
}

static const struct act {
	const char *name;
	void (*run)(int fd);
} acts[] = {
	{"garbage", act_garbage},
	{"zeros", act_zeros},
	{"http", act_http},
	{"short", act_short},
	{"version", act_version},
	{"kind", act_kind},
	{"epoch", act_epoch},
	{"space", act_space},
	{"member", act_member},
	{"mac", act_mac},
	{"pages", act_pages},
	{"loris", act_loris},
	{"frame-garbage", act_frame_garbage},
	{"frame-short", act_frame_short},
	{"frame-version", act_frame_version},
	{"frame-large", act_frame_large},
	{"frame-checksum", act_frame_checksum},
	{"frame-gap", act_frame_gap},
	{"frame-type", act_frame_type},
	{"frame-message", act_frame_message},
	{"frame-foreign", act_frame_foreign},
	{"frame-loris", act_frame_loris},
};

static const struct act *find_act(const char *name)
{
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(acts[i].name, name))
			return &acts[i];
	return NULL;
}

/* ---- what main can do ---- */

static int perform(int fd, const struct act *act, bool dialer)
{
	uint64_t began;
	size_t heard;

	if (!dialer)
		printf("%s: somebody came\n", act->name);
	if (!strncmp(act->name, "frame-", 6))
		good_hello(fd, dialer);
	began = clock_ms();
	act->run(fd);
	if (!wait_closed(fd, &heard)) {
		printf("%s: not closed\n", act->name);
		return 1;
	}
	printf("%s: closed after %llu ms\n", act->name, (unsigned long long)(clock_ms() - began));
	close(fd);
	if (heard > sizeof(struct hello_2)) {
		printf("%s: it said %zu bytes\n", act->name, heard);
		return dialer ? 3 : 0;
	}
	return 0;
}

/* n connections that say nothing, all held until the last is closed by the other side. */
static int crowd(const struct link_address *a, int n)
{
	static int fd[CROWD_MAX];
	uint64_t began = clock_ms();
	size_t heard;

	for (int i = 0; i < n; i++)
		fd[i] = connect_to(a);
	printf("crowd: %d connected after %llu ms\n", n, (unsigned long long)(clock_ms() - began));
	fflush(stdout);
	for (int i = 0; i < n; i++)
		if (!wait_closed(fd[i], &heard))
			return 1;
	printf("crowd: closed after %llu ms\n", (unsigned long long)(clock_ms() - began));
	return 0;
}

static int serve(const struct link_address *a, const struct act *act)
{
	int listener, fd;
	struct err e;

	if (link_address_listen(a, &listener, &e)) {
		fprintf(stderr, "stranger: %s\n", e.text);
		return 2;
	}
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (fork() == 0)
			return perform(fd, act, false);
		close(fd);
	}
	return 2;
}

int main(int argc, char **argv)
{
	struct link_address address;
	const struct act *act;
	bool listens = false;
	struct err e;
	int c;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	setlinebuf(stdout);
	if (fd_raise_limit(&e)) /* a crowd is large */
		give_up(e.text);
	while ((c = getopt(argc, argv, "lck:")) != -1) {
		if (c == 'k' && key_file_read(optarg, self.key, &e))
			give_up(e.text);
		listens |= c == 'l';
		if (c == 'c')
			self.kind = HELLO_CELLD;
	}
	argv += optind;
	argc -= optind;
	if (argc < 2 || link_address_parse(argv[0], &address, &e))
		return 2;
	if (argc == 3 && !strcmp(argv[1], "crowd"))
		return crowd(&address, atoi(argv[2]) < CROWD_MAX ? atoi(argv[2]) : CROWD_MAX);
	if (argc == 4) {
		self.space = strtoull(argv[2], NULL, 10);
		self.epoch = (uint32_t)strtoul(argv[3], NULL, 10);
	}
	act = find_act(argv[1]);
	if (!act)
		return 2;
	return listens ? serve(&address, act) : perform(connect_to(&address), act, true);
}
