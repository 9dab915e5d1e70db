/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiving half of a control link on a real loop and a real socket. The first byte says who
 * the other side is, the second into how many bytes a piece the rest is cut:
 *
 *   ADOPTED   the other end of an inherited pair: frames from the first byte on
 *   STRANGER  somebody at a listener who has not the key
 *   MEMBER    somebody at a listener who has it: the hello is good, then come frames
 *
 * Whatever it is, the link ends with a reason, once, and a stranger never has one.
 */
#include <assert.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/link.h"
#include "proto/link_address.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz.h"

enum { ADOPTED, STRANGER, MEMBER, WHO, REPAIR = 0x80 }; /* REPAIR: bit of the first byte */

enum { TURNS_MAX = 10000, PIECES_MAX = 64, INPUT_MAX = 64 << 10 };

struct run {
	uv_loop_t loop;
	struct link_listener *listener;
	struct link *link;
	int fd; /* the other side */
	bool opened, over;
};

static const uint8_t key[CELL_KEY_BYTES] = {7};

static void on_open(void *context, struct link *link)
{
	struct run *r = context;

	assert(!r->opened);
	r->opened = true;
	r->link = link;
}

static void on_message(void *context, struct link *link, uint16_t type, const ProtobufCMessage *m)
{
	const struct run *r = context;

	assert(r->opened && !r->over && ctl_descriptor(type) == m->descriptor);
	if (type == CTL_TYPE_FRAG_QUIT)
		link_close(link);
}

static void on_closed(void *context, struct link *link, const struct err *why)
{
	struct run *r = context;

	(void)link;
	assert(!r->over && why->text[0]);
	r->over = true;
}

static const struct link_ops ops = {on_open, on_message, on_closed};

static void on_accept(void *context, struct link *link, enum hello_kind kind)
{
	assert(kind == HELLO_CTL);
	link_set_ops(link, &ops, context);
}

static void turn(struct run *r)
{
	uv_run(&r->loop, UV_RUN_NOWAIT);
}

/* ---- how it begins ---- */

static void adopt(struct run *r)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
	    link_adopt(&r->loop, pair[0], &ops, r, &r->link, NULL))
		abort();
	r->fd = pair[1];
}

static void come(struct run *r)
{
	struct link_identity identity = {.kind = HELLO_CTL};
	struct link_address a;
	char address[LINK_ADDRESS_MAX];

	memcpy(identity.key, key, sizeof(key));
	snprintf(address, sizeof(address), "unix:/tmp/cellular-fuzz-link.%d", (int)getpid());
	r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link_listen(&r->loop, address, &identity, 1, on_accept, r, &r->listener, NULL) ||
	    link_address_parse(address, &a, NULL) ||
	    connect(r->fd, (const struct sockaddr *)&a.un, sizeof(a.un)))
		abort();
}

static void greet(struct run *r)
{
	struct hello_1 first;
	struct hello_2 second;
	struct hello_3 third;
	struct hello h = {.kind = HELLO_CTL,
			  .self = MEMBER_NONE,
			  .peer = MEMBER_NONE,
			  .version_min = FRAME_VERSION_MIN,
			  .version_max = FRAME_VERSION_MAX};
	ssize_t got = -1;

	memcpy(h.key, key, sizeof(key));
	if (hello_dial(&h, &first, NULL) ||
	    send(r->fd, &first, sizeof(first), MSG_NOSIGNAL) != sizeof(first))
		abort();
	for (int i = 0; i < TURNS_MAX && got < 0; i++) {
		turn(r);
		got = recv(r->fd, &second, sizeof(second), MSG_DONTWAIT);
	}
	if (got != sizeof(second) || hello_dial_answer(&h, &second, &third, NULL) ||
	    send(r->fd, &third, sizeof(third), MSG_NOSIGNAL) != sizeof(third))
		abort();
}

/* ---- and goes on ---- */

static void feed(struct run *r, const uint8_t *data, size_t size, size_t piece)
{
	if (size / piece > PIECES_MAX)
		piece = size / PIECES_MAX;
	for (size_t at = 0; at < size; at += piece) {
		size_t n = piece < size - at ? piece : size - at;

		if (send(r->fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
			break;
		turn(r);
	}
}

static void finish(struct run *r, int who)
{
	fd_close(&r->fd);
	for (int i = 0; i < TURNS_MAX && !r->over; i++) {
		turn(r);
		if (who == STRANGER && link_listener_rejected(r->listener))
			break;
	}
	assert(who == STRANGER ? !r->opened && link_listener_rejected(r->listener) == 1 : r->over);
	link_listener_close(r->listener);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	assert(uv_loop_close(&r->loop) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = {.fd = -1};
	uint8_t *copy;
	int who;

	signal(SIGPIPE, SIG_IGN); /* as all programs with links do */
	if (size < 2 || size > INPUT_MAX || uv_loop_init(&r.loop))
		return 0;
	who = (data[0] & ~REPAIR) % WHO;
	copy = malloc(size);
	assert(copy);
	memcpy(copy, data, size);
	if (data[0] & REPAIR)
		for (size_t at = 2, n = 1; n; at += n)
			n = frames_repair(copy + at, size - at);
	if (who == ADOPTED)
		adopt(&r);
	else
		come(&r);
	if (who == MEMBER)
		greet(&r);
	feed(&r, copy + 2, size - 2, (size_t)copy[1] + 1);
	finish(&r, who);
	free(copy);
	return 0;
}

/* ---- seeds ---- */

static size_t add_frame(uint8_t *out, uint16_t type, uint32_t sequence, const ProtobufCMessage *m)
{
	uint8_t payload[512];
	size_t n = m ? protobuf_c_message_pack(m, payload) : 0;

	return frame_encode(out, type, 0, sequence, payload, n);
}

static void put_stream(fuzz_put put, int who)
{
	Cellular__FragQuery query = CELLULAR__FRAG_QUERY__INIT;
	uint8_t input[2048] = {(uint8_t)(who | REPAIR), 9};
	size_t n = 2;

	query.vm_id = 7;
	n += add_frame(input + n, CTL_TYPE_FRAG_QUERY, 1, &query.base);
	n += add_frame(input + n, FRAME_OPTIONAL | 0x7777, 2, NULL);
	n += add_frame(input + n, CTL_TYPE_FRAG_RUN, 3, NULL);
	put(input, n);
	put(input, n - 3); /* ends in the middle of a frame */
	n += add_frame(input + n, CTL_TYPE_FRAG_QUIT, 4, NULL);
	n += add_frame(input + n, CTL_TYPE_FRAG_RUN, 5, NULL);
	put(input, n); /* we close, and more comes */
	input[1] = 255;
	put(input, n);
	n += add_frame(input + n, 0x7777, 6, NULL);
	put(input, n);
	memset(input + 2, 0x55, 100);
	put(input, 102);
}

static void put_hello(fuzz_put put, uint8_t kind)
{
	struct hello_1 first = {.magic = htole32(HELLO_MAGIC),
				.kind = kind,
				.version_min = FRAME_VERSION_MIN,
				.version_max = FRAME_VERSION_MAX,
				.from = MEMBER_NONE.v,
				.to = MEMBER_NONE.v};
	struct hello_3 third = {.magic = htole32(HELLO_MAGIC)};
	uint8_t input[2 + sizeof(first) + sizeof(third)] = {STRANGER, 40};

	memcpy(input + 2, &first, sizeof(first));
	memcpy(input + 2 + sizeof(first), &third, sizeof(third));
	put(input, sizeof(input));
	put(input, 2 + sizeof(first));
	put(input, 3);
}

void fuzz_seeds(fuzz_put put)
{
	for (int who = ADOPTED; who < WHO; who++)
		put_stream(put, who);
	put_hello(put, HELLO_CTL);
	put_hello(put, HELLO_CELLD);
}
