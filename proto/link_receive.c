/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiving half of a control link: first the hello, then frames, each cut out of the buffer
 * where it lies. A callback may close the link: every loop looks at the state again.
 */
#include <string.h>

#include "proto/frame.h"
#include "proto/link_state.h"

enum {
	READ_ROOM = 16 << 10, /* bytes of room a read is given at least */
	HELLO_ROOM = 512,     /* the same before the hello is over */
};

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
	link_write_hello(link, &out);
	if (!talk->want && link->state == LINK_HELLO)
		link_opened(link);
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
		link_failf(link, ERR_PROTOCOL, "%s", e.text);
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

/*
 * Half a frame may not stay for ever: a link from outside would keep its place and its buffer, one
 * to the controller would never be dialled again. An adopted link is one to a process of our own,
 * whose end is noticed.
 */
static void watch(struct link *link, bool went_on)
{
	bool adopted = !link->listener && !link->peer[0];

	if (link->state != LINK_OPEN || adopted)
		return;
	if (!buffer_length(&link->in))
		uv_timer_stop(&link->timer);
	else if (went_on || !uv_is_active((uv_handle_t *)&link->timer))
		link_await_frame(link);
}

static void process(struct link *link)
{
	uint32_t before = link->sequence_in;

	while (link->state == LINK_HELLO && buffer_length(&link->in) >= link->talk.want)
		take_hello(link);
	while (link->state == LINK_OPEN && buffer_length(&link->in) && take_frame(link))
		;
	if (link->state == LINK_DRAINING)
		buffer_consume(&link->in, buffer_length(&link->in));
	buffer_give_back(&link->in, LINK_BUFFER_KEEP);
	watch(link, link->sequence_in != before);
}

static void on_end(struct link *link, ssize_t n)
{
	bool orderly = n == UV_EOF;

	if (link->state == LINK_DRAINING)
		link_end(link);
	else if (link->state == LINK_HELLO)
		link_failf(link, ERR_UNREACHABLE,
			   "the other side closed the connection during the hello");
	else if (orderly && !buffer_length(&link->in))
		link_failf(link, ERR_OK, "the other side closed the link");
	else if (orderly)
		link_failf(link, ERR_LOST,
			   "the other side closed the link in the middle of a frame");
	else
		link_failf(link, n == UV_ENOBUFS ? ERR_NOMEM : ERR_LOST, "the link broke: %s",
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

void link_start_reading(struct link *link)
{
	int rc = uv_read_start(&link->io.stream, on_room, on_read);

	if (rc < 0 && rc != UV_EALREADY)
		link_failf(link, ERR_LOST, "cannot receive: %s", uv_strerror(rc));
}
