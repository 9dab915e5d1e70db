/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control link's life:
 *
 *   link_dial --> CONNECTING --on_connect--> HELLO --take_hello--> OPEN
 *   a listener's connection -------------------^                     ^
 *   link_adopt --> ADOPTED ---------------on_timer------------------'
 *
 *   OPEN --link_close--> DRAINING --on_end, on_timer--> CLOSED
 *
 * and from every state link_fail leads to CLOSED. Only there the handles are closed, and only when
 * both are gone does `closed` come and the memory go: so no callback ever finds a link that was
 * freed under it, and a callback may close its own link.
 *
 * Closing in order: queue, FIN, then read and drop until the peer closes too (or LINK_LINGER_MS):
 * closing a socket with unread input would send a reset that takes our last words from the peer.
 */
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/frame.h"
#include "proto/link_address.h"
#include "proto/link_state.h"

enum {
	KEEPALIVE_IDLE_S = 5, /* TCP: a peer whose host vanished is noticed in ~20 s */
	KEEPALIVE_INTERVAL_S = 5,
	KEEPALIVE_COUNT = 3,
};

struct link *link_new(uv_loop_t *loop, const struct link_ops *ops, void *context)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->ops = ops;
	link->context = context;
	link->sequence_in = link->sequence_out = 1;
	uv_timer_init(loop, &link->timer);
	link->timer.data = link;
	link->io.handle.data = link;
	link->handles = 2;
	return link;
}

void link_init_stream(uv_loop_t *loop, union link_stream *io, bool local)
{
	int rc = local ? uv_pipe_init(loop, &io->pipe, 0) : uv_tcp_init(loop, &io->tcp);

	assert(!rc); /* makes no socket yet: there is nothing that could fail */
}

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;

	if (--link->handles)
		return;
	link_listener_forget(link);
	if (link->ops)
		link->ops->closed(link->context, link, &link->why);
	buffer_free(&link->in);
	buffer_free(&link->queue);
	buffer_free(&link->wire);
	explicit_bzero(&link->talk, sizeof(link->talk));
	free(link);
}

void link_end(struct link *link)
{
	assert(link->state != LINK_CLOSED);
	link->state = LINK_CLOSED;
	uv_close(&link->io.handle, on_handle_closed);
	uv_close((uv_handle_t *)&link->timer, on_handle_closed);
}

void link_fail(struct link *link, const struct err *e)
{
	if (link->state == LINK_CLOSED)
		return;
	if (link->state != LINK_DRAINING)
		link->why = *e;
	if (link->peer[0] && link->state < LINK_OPEN)
		err_wrap(&link->why, link->why.code, "%s", link->peer);
	link_end(link);
}

void link_failf(struct link *link, enum err_code code, const char *fmt, ...)
{
	struct err e = {.code = code};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	link_fail(link, &e);
}

/* ---- opening ---- */

static void on_timer(uv_timer_t *timer);

void link_opened(struct link *link)
{
	link->state = LINK_OPEN;
	uv_timer_stop(&link->timer);
	if (link->listener)
		link_listener_accept(link);
	if (link->state == LINK_OPEN)
		link->ops->open(link->context, link);
	if (link->state == LINK_OPEN)
		link_flush(link);
}

static void on_hello_written(uv_write_t *request, int status)
{
	struct link *link = request->data;

	if (status < 0 && link->state != LINK_CLOSED)
		link_failf(link, ERR_UNREACHABLE, "the connection broke during the hello: %s",
			   uv_strerror(status));
}

void link_write_hello(struct link *link, const struct hello_out *out)
{
	struct link_hello_write *w;
	uv_buf_t buf;
	int rc;

	if (!out->length)
		return;
	assert(link->hello_writes < 2);
	w = &link->hello_write[link->hello_writes++];
	w->out = *out;
	w->request.data = link;
	buf = uv_buf_init((char *)w->out.bytes, (unsigned)w->out.length);
	rc = uv_write(&w->request, &link->io.stream, &buf, 1, on_hello_written);
	if (rc < 0)
		link_failf(link, ERR_UNREACHABLE, "the connection broke during the hello: %s",
			   uv_strerror(rc));
}

/* A control link's socket may be TCP or not: what does not fit is refused by the kernel and not
 * missed. */
static void tune_socket(struct link *link)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
	};
	uv_os_fd_t fd;

	if (link->io.handle.type != UV_TCP || uv_fileno(&link->io.handle, &fd))
		return;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

void link_start_hello(struct link *link, bool dialer)
{
	struct hello *h = &link->talk.hello;
	struct hello_out out;
	struct err e;

	link->state = LINK_HELLO;
	link->reached = true;
	uv_timer_start(&link->timer, on_timer, LINK_HELLO_MS, 0);
	tune_socket(link);
	h->self = h->peer = MEMBER_NONE;
	h->version_min = FRAME_VERSION_MIN;
	h->version_max = FRAME_VERSION_MAX;
	if (hello_stream_begin(&link->talk, dialer, &out, &e)) {
		link_fail(link, &e);
		return;
	}
	link_write_hello(link, &out);
	if (link->state == LINK_HELLO)
		link_start_reading(link);
}

static void on_timer(uv_timer_t *timer)
{
	struct link *link = timer->data;

	switch (link->state) {
	case LINK_ADOPTED:
		link_start_reading(link);
		if (link->state == LINK_ADOPTED)
			link_opened(link);
		break;
	case LINK_CONNECTING:
		link_failf(link, ERR_TIMEOUT, "no answer within %d ms", LINK_HELLO_MS);
		break;
	case LINK_HELLO:
		link_failf(link, ERR_TIMEOUT, "the hello was not over within %d ms", LINK_HELLO_MS);
		break;
	case LINK_DRAINING:
		link_end(link);
		break;
	case LINK_OPEN:
		link_failf(link, ERR_TIMEOUT, "a frame was not whole within %d ms", LINK_FRAME_MS);
		break;
	case LINK_CLOSED:
		break;
	}
}

void link_await_frame(struct link *link)
{
	uv_timer_start(&link->timer, on_timer, LINK_FRAME_MS, 0);
}

/* ---- closing in order ---- */

static void on_shut(uv_shutdown_t *request, int status)
{
	(void)request;
	(void)status; /* the timer or the peer's end finishes it */
}

/* Everything queued went out: say so, once, and wait for the peer's end. */
void link_drain(struct link *link)
{
	if (link->shut)
		return;
	link->shut = true;
	if (uv_shutdown(&link->request.shutdown, &link->io.stream, on_shut) < 0)
		link_end(link);
}

void link_close(struct link *link)
{
	if (link->state >= LINK_DRAINING)
		return;
	err_set(&link->why, ERR_OK, "the link was closed here");
	if (link->state < LINK_ADOPTED) {
		link_end(link);
		return;
	}
	link->state = LINK_DRAINING;
	uv_timer_start(&link->timer, on_timer, LINK_LINGER_MS, 0);
	link_start_reading(link);
	if (link->state == LINK_DRAINING)
		link_flush(link);
}

/* ---- dialing, adopting ---- */

static void on_connect(uv_connect_t *request, int status)
{
	struct link *link = request->data;

	if (link->state == LINK_CLOSED)
		return;
	if (status < 0)
		link_failf(link, status == UV_EACCES ? ERR_DENIED : ERR_UNREACHABLE,
			   "cannot connect: %s", uv_strerror(status));
	else
		link_start_hello(link, true);
}

int link_dial(uv_loop_t *loop, const char *address, const struct link_identity *identity,
	      const struct link_ops *ops, void *context, struct link **out, struct err *e)
{
	struct link_address a;
	struct link *link;
	int rc = link_address_parse(address, &a, e);

	if (rc)
		return rc;
	link = link_new(loop, ops, context);
	if (!link)
		return err_set(e, ERR_NOMEM, "no memory for a link");
	link_init_stream(loop, &link->io, a.local);
	link->state = LINK_CONNECTING;
	link->talk.hello.kind = identity->kind;
	memcpy(link->talk.hello.key, identity->key, CELL_KEY_BYTES);
	snprintf(link->peer, sizeof(link->peer), "%s", address);
	uv_timer_start(&link->timer, on_timer, LINK_HELLO_MS, 0);
	link->request.connect.data = link;
	rc = 0;
	if (a.local)
		uv_pipe_connect(&link->request.connect, &link->io.pipe, a.un.sun_path, on_connect);
	else
		rc = uv_tcp_connect(&link->request.connect, &link->io.tcp,
				    (const struct sockaddr *)&a.ip.storage, on_connect);
	if (rc < 0)
		link_failf(link, ERR_UNREACHABLE, "cannot connect: %s", uv_strerror(rc));
	*out = link;
	return ERR_OK;
}

int link_adopt(uv_loop_t *loop, int fd, const struct link_ops *ops, void *context,
	       struct link **out, struct err *e)
{
	struct link *link = link_new(loop, ops, context);
	int rc;

	if (!link)
		return err_set(e, ERR_NOMEM, "no memory for a link");
	link_init_stream(loop, &link->io, true);
	rc = uv_pipe_open(&link->io.pipe, fd);
	if (rc < 0) {
		link->ops = NULL; /* the caller learns it from us */
		err_set(&link->why, ERR_INVALID, "descriptor %d cannot be adopted", fd);
		link_end(link);
		return err_set(e, ERR_INVALID, "descriptor %d is not a connected stream: %s", fd,
			       uv_strerror(rc));
	}
	link->state = LINK_ADOPTED;
	uv_timer_start(&link->timer, on_timer, 0, 0);
	*out = link;
	return ERR_OK;
}

void link_set_ops(struct link *link, const struct link_ops *ops, void *context)
{
	link->ops = ops;
	link->context = context;
}

void *link_context(const struct link *link)
{
	return link->context;
}

bool link_rejected(const struct link *link)
{
	switch (link->why.code) {
	case ERR_AUTH:
	case ERR_VERSION:
	case ERR_PROTOCOL:
	case ERR_TOOBIG:
		return true;
	case ERR_TIMEOUT:
		return link->reached;
	default:
		return false;
	}
}

uint64_t link_skipped(const struct link *link)
{
	return link->skipped;
}
