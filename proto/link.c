/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control link's life:
 *
 *   link_dial ---> CONNECTING --on_connect--> HELLO --take_hello--> OPEN --link_close--> DRAINING
 * --on_end--> CLOSED a listener's connection ------------------^                      ^ link_adopt
 * --> ADOPTED ----------on_timer-----------------------'
 *
 * and from every state link_fail leads to CLOSED. Only there the handles are closed, and only when
 * both are gone does `closed` come and the memory go: so no callback ever finds a link that was
 * freed under it, and a callback may close its own link.
 *
 * Sending: frames are packed straight into `queue`; one uv_write at a time carries `wire`; when it
 * is done the two are swapped. Nothing is allocated a message once the buffers have grown.
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
	READ_ROOM = 16 << 10,	 /* bytes of room a read is given at least */
	HELLO_ROOM = 512,	 /* the same before the hello is over */
	BUFFER_KEEP = 256 << 10, /* larger buffers are given back once empty */
	KEEPALIVE_IDLE_S = 5,	 /* TCP: a peer whose host vanished is noticed in ~20 s */
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
	memset(&link->talk, 0, sizeof(link->talk));
	free(link);
}

static void end(struct link *link)
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
	end(link);
}

static void __attribute__((format(printf, 3, 4)))
fail(struct link *link, enum err_code code, const char *fmt, ...)
{
	struct err e = {.code = code};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	link_fail(link, &e);
}

/* ---- out ---- */

static void drain(struct link *link);

static void give_back_if_large(struct buffer *b)
{
	if (!buffer_length(b) && b->capacity > BUFFER_KEEP)
		buffer_free(b);
}

static void flush(struct link *link);

static void on_written(uv_write_t *request, int status)
{
	struct link *link = request->data;

	link->writing = false;
	buffer_consume(&link->wire, buffer_length(&link->wire));
	give_back_if_large(&link->wire);
	if (link->state == LINK_CLOSED)
		return;
	if (status < 0) {
		fail(link, ERR_LOST, "cannot send: %s", uv_strerror(status));
		return;
	}
	flush(link);
}

static void flush(struct link *link)
{
	struct buffer swap = link->wire;
	uv_buf_t buf;
	int rc;

	if (link->writing || link->state < LINK_ADOPTED)
		return;
	if (!buffer_length(&link->queue)) {
		if (link->state == LINK_DRAINING)
			drain(link);
		return;
	}
	link->wire = link->queue;
	link->queue = swap;
	buf = uv_buf_init((char *)buffer_bytes(&link->wire), (unsigned)buffer_length(&link->wire));
	link->write.data = link;
	link->writing = true;
	rc = uv_write(&link->write, &link->io.stream, &buf, 1, on_written);
	if (rc < 0) {
		link->writing = false;
		fail(link, ERR_LOST, "cannot send: %s", uv_strerror(rc));
	}
}

size_t link_backlog(const struct link *link)
{
	return buffer_length(&link->queue) + buffer_length(&link->wire);
}

int link_send(struct link *link, uint16_t type, const ProtobufCMessage *message, struct err *e)
{
	size_t payload = protobuf_c_message_get_packed_size(message);
	size_t length = sizeof(struct frame_header) + payload;
	uint8_t *room;

	if (payload > FRAME_PAYLOAD_MAX)
		return err_set(e, ERR_TOOBIG, "%s of %zu bytes is too large for a frame",
			       ctl_type_name(type), payload);
	if (link->state >= LINK_DRAINING)
		return ERR_OK;
	if (link_backlog(link) + length > LINK_BACKLOG_MAX) {
		fail(link, ERR_TOOBIG, "the other side does not read: %zu bytes wait for it",
		     link_backlog(link));
		return ERR_OK;
	}
	room = buffer_room(&link->queue, length);
	if (!room) {
		fail(link, ERR_NOMEM, "no memory for %zu bytes to send", length);
		return err_set(e, ERR_NOMEM, "no memory for %zu bytes to send", length);
	}
	protobuf_c_message_pack(message, room + sizeof(struct frame_header));
	frame_encode(room, type, 0, link->sequence_out++, room + sizeof(struct frame_header),
		     payload);
	buffer_added(&link->queue, length);
	flush(link);
	return ERR_OK;
}

/* ---- opening ---- */

static void on_timer(uv_timer_t *timer);
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void start_reading(struct link *link)
{
	int rc = uv_read_start(&link->io.stream, on_room, on_read);

	if (rc < 0 && rc != UV_EALREADY)
		fail(link, ERR_LOST, "cannot receive: %s", uv_strerror(rc));
}

static void opened(struct link *link)
{
	link->state = LINK_OPEN;
	uv_timer_stop(&link->timer);
	if (link->listener)
		link_listener_accept(link);
	if (link->state == LINK_OPEN)
		link->ops->open(link->context, link);
	if (link->state == LINK_OPEN)
		flush(link);
}

static void on_hello_written(uv_write_t *request, int status)
{
	struct link *link = request->data;

	if (status < 0 && link->state != LINK_CLOSED)
		fail(link, ERR_UNREACHABLE, "the connection broke during the hello: %s",
		     uv_strerror(status));
}

static void write_hello(struct link *link, const struct hello_out *out)
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
		fail(link, ERR_UNREACHABLE, "the connection broke during the hello: %s",
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
	uv_timer_start(&link->timer, on_timer, LINK_HELLO_MS, 0);
	tune_socket(link);
	h->self = h->peer = MEMBER_NONE;
	h->version_min = FRAME_VERSION_MIN;
	h->version_max = FRAME_VERSION_MAX;
	if (hello_stream_begin(&link->talk, dialer, &out, &e)) {
		link_fail(link, &e);
		return;
	}
	write_hello(link, &out);
	if (link->state == LINK_HELLO)
		start_reading(link);
}

static void on_timer(uv_timer_t *timer)
{
	struct link *link = timer->data;

	switch (link->state) {
	case LINK_ADOPTED:
		start_reading(link);
		if (link->state == LINK_ADOPTED)
			opened(link);
		break;
	case LINK_CONNECTING:
		fail(link, ERR_TIMEOUT, "no answer within %d ms", LINK_HELLO_MS);
		break;
	case LINK_HELLO:
		fail(link, ERR_TIMEOUT, "the hello was not over within %d ms", LINK_HELLO_MS);
		break;
	case LINK_DRAINING:
		end(link);
		break;
	case LINK_OPEN:
	case LINK_CLOSED:
		break;
	}
}

/* ---- in ---- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct link *link = handle->data;
	size_t room = link->state == LINK_HELLO ? HELLO_ROOM : READ_ROOM;
	size_t length = buffer_length(&link->in);

	(void)suggested;
	if (link->need > length && link->need - length > room)
		room = link->need - length;
	buf->base = (char *)buffer_room(&link->in, room);
	buf->len = buf->base ? room : 0;
}

static void take_hello(struct link *link)
{
	struct hello_stream *talk = &link->talk;
	struct hello_out out;
	struct hello_1 first;
	struct err e;
	int rc = ERR_OK;

	if (!talk->dialer && talk->want == sizeof(first)) {
		memcpy(&first, buffer_bytes(&link->in), sizeof(first));
		rc = link_listener_identify(link, &first, &e);
	}
	link->need = talk->want;
	if (!rc)
		rc = hello_stream_take(talk, buffer_bytes(&link->in), &out, &e);
	if (rc) {
		link_fail(link, &e);
		return;
	}
	buffer_consume(&link->in, link->need);
	link->need = 0;
	write_hello(link, &out);
	if (!talk->want && link->state == LINK_HELLO)
		opened(link);
}

static void deliver(struct link *link, const struct frame *f)
{
	uint16_t type = f->type & ~FRAME_OPTIONAL;
	ProtobufCMessage *message;
	struct err e;

	if (!ctl_descriptor(type) && (f->type & FRAME_OPTIONAL)) {
		link->skipped++;
		return;
	}
	if (ctl_unpack(type, f->payload, f->length, &message, &e)) {
		fail(link, ERR_PROTOCOL, "%s", e.text);
		return;
	}
	link->ops->message(link->context, link, type, message);
	ctl_free(message);
}

/* false: the next frame is not whole yet, or the link is over. */
static bool take_frame(struct link *link)
{
	struct frame f;
	struct err e;
	size_t used;
	int rc = frame_decode(buffer_bytes(&link->in), buffer_length(&link->in), link->sequence_in,
			      &f, &used, &link->need, &e);

	if (rc == ERR_BUSY)
		return false;
	if (rc) {
		link_fail(link, &e);
		return false;
	}
	link->sequence_in++;
	deliver(link, &f);
	buffer_consume(&link->in, used);
	return true;
}

static void process(struct link *link)
{
	while (link->state == LINK_HELLO && buffer_length(&link->in) >= link->talk.want)
		take_hello(link);
	while (link->state == LINK_OPEN && buffer_length(&link->in) && take_frame(link))
		;
	if (link->state == LINK_DRAINING)
		buffer_consume(&link->in, buffer_length(&link->in));
	give_back_if_large(&link->in);
}

static void on_end(struct link *link, ssize_t n)
{
	bool orderly = n == UV_EOF;

	if (link->state == LINK_DRAINING)
		end(link);
	else if (link->state == LINK_HELLO)
		fail(link, ERR_UNREACHABLE,
		     "the other side closed the connection during the hello");
	else if (orderly && !buffer_length(&link->in))
		fail(link, ERR_OK, "the other side closed the link");
	else if (orderly)
		fail(link, ERR_LOST, "the other side closed the link in the middle of a frame");
	else
		fail(link, n == UV_ENOBUFS ? ERR_NOMEM : ERR_LOST, "the link broke: %s",
		     uv_strerror((int)n));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct link *link = stream->data;

	(void)buf;
	if (link->state == LINK_CLOSED || n == 0)
		return;
	if (n < 0) {
		on_end(link, n);
		return;
	}
	buffer_added(&link->in, (size_t)n);
	process(link);
}

/* ---- closing in order ---- */

static void on_shut(uv_shutdown_t *request, int status)
{
	(void)request;
	(void)status; /* the timer or the peer's end finishes it */
}

/* Everything queued went out: say so, once, and wait for the peer's end. */
static void drain(struct link *link)
{
	if (link->shut)
		return;
	link->shut = true;
	if (uv_shutdown(&link->request.shutdown, &link->io.stream, on_shut) < 0)
		end(link);
}

void link_close(struct link *link)
{
	if (link->state >= LINK_DRAINING)
		return;
	err_set(&link->why, ERR_OK, "the link was closed here");
	if (link->state < LINK_ADOPTED) {
		end(link);
		return;
	}
	link->state = LINK_DRAINING;
	uv_timer_start(&link->timer, on_timer, LINK_LINGER_MS, 0);
	start_reading(link);
	if (link->state == LINK_DRAINING)
		flush(link);
}

/* ---- dialing, adopting ---- */

static void on_connect(uv_connect_t *request, int status)
{
	struct link *link = request->data;

	if (link->state == LINK_CLOSED)
		return;
	if (status < 0)
		fail(link, status == UV_EACCES ? ERR_DENIED : ERR_UNREACHABLE, "cannot connect: %s",
		     uv_strerror(status));
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
		fail(link, ERR_UNREACHABLE, "cannot connect: %s", uv_strerror(rc));
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
		end(link);
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

uint64_t link_skipped(const struct link *link)
{
	return link->skipped;
}
