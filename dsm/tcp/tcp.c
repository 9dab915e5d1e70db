/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport of spaces over TCP: dsm/transport.h's contract on plain sockets. One connection a
 * pair of members, made by the higher number; after the mesh stands the listener is closed, if
 * nobody else may come: a stranger then finds no port. One that is open goes on (tcp_late.c).
 *
 * poll hands up one event a call, in this order: messages that lie in buffers, one recv for each
 * channel the kernel has input for, channels that were lost. A tick is dealt with only when all of
 * that is done, so that silence is judged after everything received was seen.
 */
#include "dsm/tcp/tcp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/base/address.h"
#include "proto/base/fd.h"

_Static_assert((int)ADDRESS_TEXT_MAX == (int)TRANSPORT_ADDRESS_MAX,
	       "addresses are written by address.h");

enum {
	LISTEN_BACKLOG = 128,
};

/* ---- open, close ---- */

static int check(const struct transport_config *config, struct err *e)
{
	if (config->members < 1 || config->members > DSM_MEMBERS_MAX ||
	    config->self.v >= config->members)
		return err_set(e, ERR_INVALID, "member %u of %u", config->self.v, config->members);
	if (config->present && !(config->present & dsm_bit(config->self.v)))
		return err_set(e, ERR_INVALID, "member %u is not one of its own", config->self.v);
	if (!config->listen)
		return err_set(e, ERR_INVALID, "no address to listen on");
	return ERR_OK;
}

static int start_listening(struct transport *t, const char *address, struct err *e)
{
	struct address a;
	int on = 1;
	int rc = address_parse(address, &a, e);

	if (rc)
		return rc;
	t->listener = socket(a.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->listener < 0)
		return err_sys(e, errno, "cannot make a socket");
	if (setsockopt(t->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(t->listener, (struct sockaddr *)&a.storage, a.length) < 0 ||
	    listen(t->listener, LISTEN_BACKLOG) < 0)
		return err_sys(e, errno, "cannot listen on %s", address);
	return address_of_socket(t->listener, t->address, sizeof(t->address), e);
}

static int make_descriptors(struct transport *t, struct err *e)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = TCP_TICK}};

	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->ticks = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->epoll < 0 || t->ticks < 0 ||
	    epoll_ctl(t->epoll, EPOLL_CTL_ADD, t->ticks, &event) < 0)
		return err_sys(e, errno, "cannot make epoll and timer");
	return ERR_OK;
}

static void tcp_close(struct transport *t)
{
	if (!t)
		return;
	for (int m = 0; m < DSM_MEMBERS_MAX; m++)
		tcp_channel_close(&t->channel[m]);
	tcp_late_close(t);
	fd_close(&t->listener);
	fd_close(&t->ticks);
	fd_close(&t->epoll);
	free(t);
}

static struct transport *make(const struct transport_config *config)
{
	struct transport *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->config = *config;
	t->config.listen = NULL; /* the caller's */
	if (!t->config.backlog_bytes)
		t->config.backlog_bytes = TCP_BACKLOG_BYTES;
	if (!t->config.silence_ms)
		t->config.silence_ms = TRANSPORT_SILENCE_MS;
	t->listener = t->epoll = t->ticks = -1;
	for (int m = 0; m < DSM_MEMBERS_MAX; m++)
		t->channel[m].fd = -1;
	return t;
}

static int tcp_open(const struct transport_config *config, struct transport **out, struct err *e)
{
	struct transport *t;
	int rc = check(config, e);

	if (rc)
		return rc;
	t = make(config);
	if (!t)
		return err_set(e, ERR_NOMEM, "no memory for a transport");
	rc = make_descriptors(t, e);
	if (!rc)
		rc = start_listening(t, config->listen, e);
	if (rc) {
		tcp_close(t);
		return rc;
	}
	*out = t;
	return ERR_OK;
}

static int tcp_address(const struct transport *t, char out[TRANSPORT_ADDRESS_MAX])
{
	memcpy(out, t->address, TRANSPORT_ADDRESS_MAX);
	return ERR_OK;
}

static int start_ticking(struct transport *t, struct err *e)
{
	uint64_t ns = (uint64_t)t->config.silence_ms * 1000000u / TCP_SILENCE_TICKS;
	struct timespec period = {.tv_sec = (time_t)(ns / 1000000000u),
				  .tv_nsec = (long)(ns % 1000000000u)};
	struct itimerspec every = {.it_interval = period, .it_value = period};

	if (timerfd_settime(t->ticks, 0, &every, NULL) < 0)
		return err_sys(e, errno, "cannot start a timer");
	return ERR_OK;
}

static int tcp_connect(struct transport *t, const char *const *peers, int timeout_ms, int stop_fd,
		       struct err *e)
{
	int rc = tcp_mesh_connect(t, peers, timeout_ms, stop_fd, e);

	if (rc || !t->config.open)
		fd_close(&t->listener);
	return rc ? rc : start_ticking(t, e);
}

/* ---- events ---- */

static int tcp_fd(const struct transport *t)
{
	return t->epoll;
}

static bool take_up(struct transport *t, struct transport_event *out)
{
	if (!t->up_due)
		return false;
	out->type = TRANSPORT_UP;
	out->from = dsm_lowest(t->up_due);
	t->up_due &= t->up_due - 1;
	return true;
}

static bool take_lost(struct transport *t, struct transport_event *out)
{
	struct member_id m;

	if (!t->lost_due)
		return false;
	m = dsm_lowest(t->lost_due);
	t->lost_due &= ~dsm_bit(m.v);
	out->type = t->channel[m.v].ending ? TRANSPORT_ENDED : TRANSPORT_LOST;
	out->from = m;
	out->why = t->channel[m.v].why;
	return true;
}

static bool take_message(struct transport *t, struct transport_event *out)
{
	while (t->full || t->ready) {
		struct member_id m = dsm_lowest(t->full ? t->full : t->ready);

		if (!t->full) {
			t->ready &= ~dsm_bit(m.v);
			tcp_channel_receive(t, m);
			continue;
		}
		if (tcp_channel_next(t, m, out))
			return true;
		t->full &= ~dsm_bit(m.v);
	}
	return false;
}

/* Asks the kernel, without waiting. */
static void ask(struct transport *t)
{
	struct epoll_event events[DSM_MEMBERS_MAX + 1];
	uint64_t missed;
	int n = epoll_wait(t->epoll, events, DSM_MEMBERS_MAX + 1, 0);

	for (int i = 0; i < n; i++) {
		uint32_t who = events[i].data.u32;
		struct member_id m = {(uint8_t)who};

		if (who == TCP_TICK)
			t->tick_due = read(t->ticks, &missed, sizeof(missed)) == sizeof(missed);
		else if (who == TCP_LISTENER)
			tcp_late_accept(t);
		else if (who >= TCP_STRANGER)
			tcp_late_serve(t, who - TCP_STRANGER);
		if (who >= DSM_MEMBERS_MAX)
			continue;
		if (events[i].events & ~EPOLLOUT)
			t->ready |= dsm_bit(m.v);
		if ((events[i].events & EPOLLOUT) && t->channel[m.v].fd >= 0)
			tcp_channel_flush(t, m);
	}
}

static void tick(struct transport *t)
{
	t->tick_due = false;
	t->near = 0;
	for (int m = 0; m < t->config.members; m++)
		if (t->channel[m].fd >= 0)
			tcp_channel_tick(t, (struct member_id){(uint8_t)m});
	if (t->late)
		tcp_late_tick(t);
}

/* A recv for each of a few channels costs less than to ask which of them. */
static bool tcp_look(struct transport *t)
{
	t->asked = true;
	if (!t->near || __builtin_popcountll(t->near) > TCP_NEAR_MAX)
		ask(t);
	else
		t->ready |= t->near;
	for (; t->ready; t->ready &= t->ready - 1)
		tcp_channel_receive(t, dsm_lowest(t->ready));
	return t->full || t->lost_due || t->tick_due || t->up_due || t->caller_due;
}

static void tcp_poll(struct transport *t, struct transport_event *out)
{
	for (;;) {
		if (take_up(t, out) || take_message(t, out) || take_lost(t, out) ||
		    tcp_late_take_caller(t, out))
			return;
		if (t->tick_due) {
			tick(t);
		} else if (!t->asked) {
			t->asked = true;
			ask(t);
		} else {
			t->asked = false;
			out->type = TRANSPORT_NONE;
			return;
		}
	}
}

static bool tcp_more(const struct transport *t)
{
	dsm_set left = t->full;

	for (; left; left &= left - 1) {
		const struct tcp_channel *c = &t->channel[dsm_lowest(left).v];

		if (c->in_end - c->in_start >= sizeof(struct page_wire))
			return true;
	}
	return false;
}

/* ---- sending ---- */

static void send_parts(struct transport *t, struct member_id to, const struct dsm_msg *msg,
		       const struct iovec payload[TCP_PAYLOAD_PARTS])
{
	assert(to.v < t->config.members && !member_eq(to, t->config.self) &&
	       payload[0].iov_len + payload[1].iov_len <= PAGE_BYTES_MAX);
	if (t->channel[to.v].fd >= 0)
		t->stats.messages_out++;
	tcp_channel_send(t, to, msg, payload);
}

static void tcp_send(struct transport *t, struct member_id to, const struct dsm_msg *msg,
		     const void *data, uint32_t bytes)
{
	send_parts(t, to, msg, (struct iovec[TCP_PAYLOAD_PARTS]){{(void *)data, bytes}});
}

static void tcp_send_run(struct transport *t, struct member_id to, const struct dsm_msg *msg,
			 const struct page_item *items, const void *data)
{
	send_parts(t, to, msg,
		   (struct iovec[TCP_PAYLOAD_PARTS]){
			   {(void *)items, msg->pages * sizeof(*items)},
			   {(void *)data, (size_t)msg->pages * DSM_PAGE_SIZE}});
}

static void tcp_end(struct transport *t, struct member_id to)
{
	assert(to.v < t->config.members && !member_eq(to, t->config.self));
	tcp_channel_end(t, to);
}

static void tcp_flush(struct transport *t)
{
	dsm_set left = t->pending;

	for (; left; left &= left - 1) {
		struct member_id m = dsm_lowest(left);

		if (!t->channel[m.v].armed)
			tcp_channel_flush(t, m);
	}
}

static void tcp_stats(const struct transport *t, struct transport_stats *out)
{
	*out = t->stats;
}

const struct transport_ops transport_tcp = {
	.name = "tcp",
	.open = tcp_open,
	.address = tcp_address,
	.connect = tcp_connect,
	.fd = tcp_fd,
	.look = tcp_look,
	.poll = tcp_poll,
	.more = tcp_more,
	.send = tcp_send,
	.send_run = tcp_send_run,
	.end = tcp_end,
	.expect = tcp_expect,
	.answer = tcp_answer,
	.ask = tcp_ask,
	.flush = tcp_flush,
	.stats = tcp_stats,
	.close = tcp_close,
};
