/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel: one TCP connection to one member, after its hello.
 *
 * Out: a page goes to the kernel straight from where it lies, in one sendmsg with its header and
 * whatever is queued before it; small messages are gathered until flush. Only what the kernel does
 * not take is copied.
 *
 * In: one recv brings as much as there is; messages are cut out of the buffer where they lie, and
 * an event's data points into it. The bytes behind an event are moved or overwritten by the next
 * recv at the earliest, that is, in a later poll (T6).
 *
 * The end: whatever happens, exactly one LOST is handed up, after all that was received before
 * (T3). When the kernel refuses to send because the peer is gone, the channel only falls mute: what
 * the peer said last may still wait to be read, and the recv that finds the end gives the reason.
 */
#include "dsm/tcp/tcp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "proto/base/fd.h"

static int watch(const struct transport *t, struct member_id m, int op, bool armed, struct err *e)
{
	struct epoll_event event = {.events = EPOLLIN | (armed ? EPOLLOUT : 0),
				    .data = {.u32 = m.v}};

	if (epoll_ctl(t->epoll, op, t->channel[m.v].fd, &event) < 0)
		return err_sys(e, errno, "epoll_ctl");
	return ERR_OK;
}

int tcp_channel_open(struct transport *t, struct member_id m, int fd, struct err *e)
{
	struct tcp_channel *c = &t->channel[m.v];
	int on = 1;

	assert(c->fd < 0 && !c->lost);
	c->in = malloc(TCP_IN_BYTES);
	if (!c->in)
		return err_set(e, ERR_NOMEM, "no memory to receive from member %u", m.v);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->fd = fd;
	c->sequence_in = c->sequence_out = 1;
	c->in_need = sizeof(struct page_wire);
	return watch(t, m, EPOLL_CTL_ADD, false, e);
}

void tcp_channel_close(struct tcp_channel *c)
{
	fd_close(&c->fd);
	buffer_free(&c->out);
	free(c->in);
	c->in = NULL;
}

/* The receive buffer stays until close: the user may still look at an event's data. */
void tcp_channel_lose(struct transport *t, struct member_id m, const struct err *why)
{
	struct tcp_channel *c = &t->channel[m.v];

	if (c->lost)
		return;
	c->lost = true;
	c->why = *why;
	fd_close(&c->fd);
	buffer_free(&c->out);
	t->ready &= ~TCP_BIT(m.v);
	t->full &= ~TCP_BIT(m.v);
	t->pending &= ~TCP_BIT(m.v);
	t->lost_due |= TCP_BIT(m.v);
}

/* ---- out ---- */

static void arm(struct transport *t, struct member_id m, bool armed)
{
	struct tcp_channel *c = &t->channel[m.v];
	struct err e;

	if (c->armed == armed)
		return;
	c->armed = armed;
	if (watch(t, m, EPOLL_CTL_MOD, armed, &e))
		tcp_channel_lose(t, m, &e);
}

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
	t->pending &= ~TCP_BIT(m.v);
	arm(t, m, false);
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

static bool speaks(const struct tcp_channel *c)
{
	return c->fd >= 0 && !c->mute;
}

void tcp_channel_flush(struct transport *t, struct member_id m)
{
	struct tcp_channel *c = &t->channel[m.v];
	struct iovec iov;

	t->pending &= ~TCP_BIT(m.v);
	iov = (struct iovec){buffer_bytes(&c->out), buffer_length(&c->out)};
	if (iov.iov_len) {
		size_t sent = give(t, m, &iov, 1);

		if (!speaks(c))
			return;
		buffer_consume(&c->out, sent);
	}
	arm(t, m, buffer_length(&c->out) > 0);
	if (!buffer_length(&c->out) && c->out.capacity > TCP_OUT_KEEP)
		buffer_free(&c->out);
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
static size_t send_direct(struct transport *t, struct member_id m, const struct iovec parts[2])
{
	struct tcp_channel *c = &t->channel[m.v];
	size_t queued = buffer_length(&c->out);
	struct iovec iov[3] = {{buffer_bytes(&c->out), queued}, parts[0], parts[1]};
	size_t sent = queued ? give(t, m, iov, 3) : give(t, m, parts, 2);

	if (!speaks(c))
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
		      const void *data, uint32_t bytes)
{
	struct tcp_channel *c = &t->channel[m.v];
	struct page_wire header;
	struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)data, bytes}};
	size_t sent = 0;

	if (!speaks(c))
		return;
	page_encode(&header, msg, c->sequence_out++, bytes);
	if (bytes >= TCP_DIRECT_BYTES && !c->armed) {
		sent = send_direct(t, m, parts);
		if (!speaks(c))
			return;
	}
	if (sent == sizeof(header) + bytes) {
		t->pending &= ~TCP_BIT(m.v);
		return;
	}
	if (!has_room(t, c, sizeof(header) + bytes - sent) || !queue_rest(c, parts, 2, sent)) {
		overflow(t, m);
		return;
	}
	t->pending |= TCP_BIT(m.v);
}

/* ---- in ---- */

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
		t->full |= TCP_BIT(m.v);
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

/* ---- time ---- */

void tcp_channel_ping(struct transport *t, struct member_id m)
{
	struct dsm_msg msg = {
		.type = PAGE_PING,
		.flags = PAGE_FLAG_OPTIONAL,
		.requester = t->config.self,
		.epoch = t->config.epoch,
	};

	if (buffer_length(&t->channel[m.v].out))
		return; /* something else is under way */
	tcp_channel_send(t, m, &msg, NULL, 0);
	tcp_channel_flush(t, m);
}

/*
 * Ticks are counted, not clock time: a process that was itself stopped for a while gets one tick
 * for all it missed, and reads what has arrived meanwhile before it accuses a peer of silence.
 */
void tcp_channel_tick(struct transport *t, struct member_id m)
{
	struct tcp_channel *c = &t->channel[m.v];
	struct err e;

	c->quiet = c->heard ? 0 : c->quiet + 1;
	c->idle = c->spoke ? 0 : c->idle + 1;
	c->heard = c->spoke = false;
	if (c->quiet >= TCP_SILENCE_TICKS) {
		err_set(&e, ERR_LOST, "member %u was silent for %u ms", m.v, t->config.silence_ms);
		tcp_channel_lose(t, m, &e);
	} else if (c->idle >= TCP_PING_TICKS) {
		tcp_channel_ping(t, m);
	}
}
