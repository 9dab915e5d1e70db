/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a member may send after its hello, however the stream is cut: the first byte says into how
 * many bytes a piece the rest is cut. The channel is a socket pair; the transport around it is real
 * but for its mesh.
 */
#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "dsm/tcp/tcp.h"
#include "proto/base/fd.h"
#include "tests/fuzz/fuzz.h"

enum { MEMBERS = 3, PAGES = 1000, PEER = 1, MESSAGES_MAX = 1 << 16 };

/* *left: bytes that were sent and not handed up. */
static void check(const struct transport_event *event, size_t *left)
{
	const struct dsm_msg *m = &event->msg;
	uint8_t sum = 0;

	assert(sizeof(struct page_wire) + event->bytes <= *left); /* none is made up */
	*left -= sizeof(struct page_wire) + event->bytes;
	assert(event->from.v == PEER && m->type >= 1 && m->type <= PAGE_TYPE_LAST &&
	       m->type != PAGE_PING);
	assert(m->page.v + m->pages <= PAGES && m->acks < MEMBERS);
	assert(event->bytes == 0 || event->data);
	for (uint32_t i = 0; i < event->bytes; i++)
		sum ^= ((const uint8_t *)event->data)[i]; /* all of it is there */
	__asm__ volatile("" ::"r"(sum));
}

/* Hands up what there is. false: the channel is lost, and stays silent from then on. */
static bool drain(struct transport *t, size_t *left)
{
	struct transport_event event;

	for (int i = 0; i < MESSAGES_MAX; i++) {
		transport_tcp.poll(t, &event);
		if (event.type == TRANSPORT_NONE)
			return true;
		if (event.type == TRANSPORT_LOST) {
			assert(event.why.code == ERR_PROTOCOL || event.why.code == ERR_LOST);
			transport_tcp.poll(t, &event);
			assert(event.type == TRANSPORT_NONE);
			return false;
		}
		check(&event, left);
	}
	assert(!"a stream of so few bytes has no end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct transport_config config = {
		.members = MEMBERS, .pages = PAGES, .listen = "127.0.0.1:0"};
	struct transport *t;
	size_t piece, left = 0;
	int pair[2];

	if (size < 1 || size > 16 << 10) /* what a socket pair takes without a reader */
		return 0;
	if (transport_tcp.open(&config, &t, NULL) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		abort();
	if (tcp_channel_open(t, (struct member_id){PEER}, pair[0], NULL))
		abort();
	piece = (size_t)data[0] * 16 + 1;
	for (size_t at = 1; at < size; at += piece) {
		size_t n = piece < size - at ? piece : size - at;

		if (send(pair[1], data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		left += n;
		if (!drain(t, &left))
			break;
	}
	fd_close(&pair[1]);
	drain(t, &left);
	transport_tcp.close(t);
	return 0;
}

/* The last page and one more. */
static void put_range(fuzz_put put)
{
	struct dsm_msg m = {.type = PAGE_GET_S, .requester = {1}, .page = {PAGES - 1}, .pages = 2};
	uint8_t input[1 + sizeof(struct page_wire)] = {255};

	page_encode((struct page_wire *)(input + 1), &m, 1, 0);
	put(input, sizeof(input));
}

void fuzz_seeds(fuzz_put put)
{
	static uint8_t input[3 * DSM_PAGE_SIZE] = {255};
	size_t n = 1;

	for (uint8_t type = 1; type <= PAGE_TYPE_LAST + 1; type++) {
		struct dsm_msg m = {.type = type, .requester = {1}, .page = {77}, .pages = 1};
		uint32_t bytes = type == PAGE_GRANT ? DSM_PAGE_SIZE : type == PAGE_POST ? 100 : 0;

		m.flags = type == PAGE_GRANT	  ? PAGE_FLAG_DATA
			  : type > PAGE_TYPE_LAST ? PAGE_FLAG_OPTIONAL
						  : 0;
		page_encode((struct page_wire *)(input + n), &m, type, bytes);
		n += sizeof(struct page_wire) + bytes;
	}
	put(input, n);
	input[0] = 2;
	put(input, n);
	put(input, 500);
	put_range(put);
}
