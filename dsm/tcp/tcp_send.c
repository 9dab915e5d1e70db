/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending half of a channel. A page goes to the kernel straight from where it lies, in one
 * sendmsg with its header and whatever is queued before it; small messages are gathered until
 * flush. Only what the kernel does not take is copied.
 */
#include "dsm/tcp/tcp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void fall_mute(struct transport *t, struct member_id m, int errnum)
{
	struct tcp_channel *c = &t->channel[m.v];
	struct err e;

	if (errnum != EPIPE && errnum != ECONNRESET) {
		err_sys(&e, errnum, "cannot send to member %u", m.v);
		e.code = ERR_LOST;
		tcp_channel_lose(t, m, &e);
		return;
	}
	c->mute = true;
	buffer_free(&c->out);
	t->pending &= ~dsm_bit(m.v);
	tcp_channel_arm(t, m, false);
}

/* Bytes the kernel took; 0 if it takes none now, or never again. */
static size_t give(struct transport *t, struct member_id m, const struct iovec *iov, size_t n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
	struct tcp_channel *c = &t->channel[m.v];
	ssize_t sent;

	do
		sent = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0) {
		c->spoke = true;
		t->stats.bytes_out += (size_t)sent;
		return (size_t)sent;
	}
	if (errno != EAGAIN && errno != ENOBUFS)
		fall_mute(t, m, errno);
	return 0;
}

/* Half of the connection is closed when all is said: the peer reads to the end, and closes. */
static void shut(struct tcp_channel *c)
{
	if (!c->ending || c->shut || buffer_length(&c->out))
		return;
	shutdown(c->fd, SHUT_WR);
	c->shut = true;
}

void tcp_channel_end(struct transport *t, struct member_id m)
{
	struct tcp_channel *c = &t->channel[m.v];

	c->ending = true;
	if (tcp_channel_speaks(c))
		tcp_channel_flush(t, m);
}

void tcp_channel_flush(struct transport *t, struct member_id m)
{
	struct tcp_channel *c = &t->channel[m.v];
	struct iovec iov;

	t->pending &= ~dsm_bit(m.v);
	iov = (struct iovec){buffer_bytes(&c->out), buffer_length(&c->out)};
	if (iov.iov_len) {
		size_t sent = give(t, m, &iov, 1);

		if (!tcp_channel_speaks(c))
			return;
		buffer_consume(&c->out, sent);
	}
	tcp_channel_arm(t, m, buffer_length(&c->out) > 0);
	if (!buffer_length(&c->out) && c->out.capacity > TCP_OUT_KEEP)
		buffer_free(&c->out);
	if (c->fd >= 0)
		shut(c);
}

/* Queues what is left of the parts after the first `sent` bytes. */
static bool queue_rest(struct tcp_channel *c, const struct iovec *iov, size_t n, size_t sent)
{
	for (size_t i = 0; i < n; i++) {
		size_t skip = sent < iov[i].iov_len ? sent : iov[i].iov_len;

		sent -= skip;
		if (skip < iov[i].iov_len &&
		    !buffer_append(&c->out, (const uint8_t *)iov[i].iov_base + skip,
				   iov[i].iov_len - skip))
			return false;
	}
	return true;
}

/* In front of header and payload goes what is queued; returns how much of those two was sent. */
static size_t send_direct(struct transport *t, struct member_id m,
			  const struct iovec parts[TCP_PARTS])
{
	struct tcp_channel *c = &t->channel[m.v];
	size_t queued = buffer_length(&c->out);
	struct iovec iov[1 + TCP_PARTS] = {{buffer_bytes(&c->out), queued}};
	size_t sent;

	memcpy(&iov[1], parts, TCP_PARTS * sizeof(parts[0]));
	sent = queued ? give(t, m, iov, 1 + TCP_PARTS) : give(t, m, parts, TCP_PARTS);

	if (!tcp_channel_speaks(c))
		return 0;
	if (sent < queued) {
		buffer_consume(&c->out, sent);
		return 0;
	}
	buffer_consume(&c->out, queued);
	return sent - queued;
}

static bool has_room(const struct transport *t, const struct tcp_channel *c, size_t n)
{
	return n <= t->config.backlog_bytes &&
	       buffer_length(&c->out) <= t->config.backlog_bytes - n;
}

static void overflow(struct transport *t, struct member_id m)
{
	struct err e;

	err_set(&e, ERR_TOOBIG, "member %u does not read: %zu bytes wait for it", m.v,
		buffer_length(&t->channel[m.v].out));
	tcp_channel_lose(t, m, &e);
}

void tcp_channel_send(struct transport *t, struct member_id m, const struct dsm_msg *msg,
		      const struct iovec payload[TCP_PAYLOAD_PARTS])
{
	struct tcp_channel *c = &t->channel[m.v];
	struct page_wire header;
	struct iovec parts[TCP_PARTS] = {{&header, sizeof(header)}, payload[0], payload[1]};
	size_t bytes = payload[0].iov_len + payload[1].iov_len, sent = 0;

	if (!tcp_channel_speaks(c) || c->ending)
		return;
	page_encode(&header, msg, c->sequence_out++, (uint32_t)bytes);
	if (bytes >= TCP_DIRECT_BYTES && !c->armed) {
		sent = send_direct(t, m, parts);
		if (!tcp_channel_speaks(c))
			return;
	}
	if (sent == sizeof(header) + bytes) {
		t->pending &= ~dsm_bit(m.v);
		return;
	}
	if (!has_room(t, c, sizeof(header) + bytes - sent) ||
	    !queue_rest(c, parts, TCP_PARTS, sent)) {
		overflow(t, m);
		return;
	}
	t->pending |= dsm_bit(m.v);
}
