/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel: one TCP connection to one member, after its hello. How it begins, keeps alive and
 * ends; tcp_send.c and tcp_receive.c are what it is for.
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
#include <sys/epoll.h>
#include <sys/socket.h>

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
	if (!c->in || !buffer_room(&c->out, TCP_OUT_BYTES)) {
		free(c->in);
		c->in = NULL;
		fd_close(&fd);
		return err_set(e, ERR_NOMEM, "no memory for the channel to member %u", m.v);
	}
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
	t->ready &= ~dsm_bit(m.v);
	t->full &= ~dsm_bit(m.v);
	t->pending &= ~dsm_bit(m.v);
	t->lost_due |= dsm_bit(m.v);
	t->near &= ~dsm_bit(m.v);
}

void tcp_channel_arm(struct transport *t, struct member_id m, bool armed)
{
	struct tcp_channel *c = &t->channel[m.v];
	struct err e;

	if (c->armed == armed)
		return;
	c->armed = armed;
	if (watch(t, m, EPOLL_CTL_MOD, armed, &e))
		tcp_channel_lose(t, m, &e);
}

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
	tcp_channel_send(t, m, &msg, (struct iovec[TCP_PAYLOAD_PARTS]){0});
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
