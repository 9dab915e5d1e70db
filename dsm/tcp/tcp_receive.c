/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiving half of a channel. One recv brings as much as there is; messages are cut out of the
 * buffer where they lie, and an event's data points into it. The bytes behind an event are moved or
 * overwritten by the next recv at the earliest, that is, in a later poll (T6).
 */
#include "dsm/tcp/tcp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Where the next bytes go: behind those that are there, which move to the front if the frame under
 * way would not fit else. */
static size_t make_room(struct tcp_channel *c)
{
	size_t have = c->in_end - c->in_start;
	size_t want = c->in_need > have ? c->in_need - have : 0;

	if (want < TCP_READ_BYTES)
		want = TCP_READ_BYTES;
	if (have == 0 || TCP_IN_BYTES - c->in_end < want) {
		memmove(c->in, c->in + c->in_start, have);
		c->in_start = 0;
		c->in_end = have;
	}
	return want < TCP_IN_BYTES - c->in_end ? want : TCP_IN_BYTES - c->in_end;
}

static void found_end(struct transport *t, struct member_id m, int errnum)
{
	const struct tcp_channel *c = &t->channel[m.v];
	struct err e;

	if (errnum)
		err_sys(&e, errnum, "the connection to member %u broke", m.v);
	else
		err_set(&e, ERR_LOST, "member %u closed the connection%s", m.v,
			c->in_start < c->in_end ? " in the middle of a message" : "");
	e.code = ERR_LOST;
	tcp_channel_lose(t, m, &e);
}

void tcp_channel_receive(struct transport *t, struct member_id m)
{
	struct tcp_channel *c = &t->channel[m.v];
	size_t room = make_room(c);
	ssize_t got = recv(c->fd, c->in + c->in_end, room, MSG_DONTWAIT);

	if (got > 0) {
		c->in_end += (size_t)got;
		c->heard = true;
		t->full |= dsm_bit(m.v);
		t->near |= dsm_bit(m.v);
		t->stats.bytes_in += (size_t)got;
	} else if (got == 0) {
		found_end(t, m, 0);
	} else if (errno != EAGAIN && errno != EINTR) {
		found_end(t, m, errno);
	}
}

/* Looks at the frame that begins at in_start. OK: whole and good; UNSUPPORTED: whole and to be
 * skipped; BUSY: not whole. */
static int look(struct transport *t, struct tcp_channel *c, struct transport_event *out)
{
	size_t have = c->in_end - c->in_start;
	struct page_wire header;
	int rc;

	c->in_need = sizeof(header);
	if (have < sizeof(header))
		return ERR_BUSY;
	memcpy(&header, c->in + c->in_start, sizeof(header));
	rc = page_decode(&header, t->config.members, t->config.pages, c->sequence_in, &out->msg,
			 &out->bytes, &out->why);
	if (rc && rc != ERR_UNSUPPORTED)
		return rc;
	c->in_need += out->bytes;
	return have < c->in_need ? ERR_BUSY : rc;
}

static void hand_up(struct transport *t, struct member_id m, const uint8_t *frame,
		    struct transport_event *out)
{
	out->type = TRANSPORT_MSG;
	out->from = m;
	out->data = out->bytes ? frame + sizeof(struct page_wire) : NULL;
	t->stats.messages_in++;
}

bool tcp_channel_next(struct transport *t, struct member_id m, struct transport_event *out)
{
	struct tcp_channel *c = &t->channel[m.v];

	for (;;) {
		const uint8_t *frame = c->in + c->in_start;
		int rc = look(t, c, out);

		if (rc == ERR_BUSY)
			return false;
		if (rc && rc != ERR_UNSUPPORTED) {
			err_wrap(&out->why, rc, "member %u", m.v);
			tcp_channel_lose(t, m, &out->why);
			return false;
		}
		c->in_start += c->in_need;
		c->in_need = sizeof(struct page_wire);
		c->sequence_in++;
		t->stats.skipped += rc == ERR_UNSUPPORTED;
		if (rc || out->msg.type == PAGE_PING)
			continue;
		hand_up(t, m, frame, out);
		return true;
	}
}
