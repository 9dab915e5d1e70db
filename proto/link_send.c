/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending half of a control link. Frames are packed straight into `queue`; one uv_write at a
 * time carries `wire`; when it is done the two are swapped. Nothing is allocated a message once the
 * buffers have grown.
 */
#include "proto/frame.h"
#include "proto/link_state.h"

static void on_written(uv_write_t *request, int status)
{
	struct link *link = request->data;

	link->writing = false;
	buffer_consume(&link->wire, buffer_length(&link->wire));
	buffer_give_back(&link->wire, LINK_BUFFER_KEEP);
	if (link->state == LINK_CLOSED)
		return;
	if (status < 0) {
		link_failf(link, ERR_LOST, "cannot send: %s", uv_strerror(status));
		return;
	}
	link_flush(link);
}

void link_flush(struct link *link)
{
	struct buffer swap = link->wire;
	uv_buf_t buf;
	int rc;

	if (link->writing || link->state < LINK_ADOPTED)
		return;
	if (!buffer_length(&link->queue)) {
		if (link->state == LINK_DRAINING)
			link_drain(link);
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
		link_failf(link, ERR_LOST, "cannot send: %s", uv_strerror(rc));
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
		link_failf(link, ERR_TOOBIG, "the other side does not read: %zu bytes wait for it",
			   link_backlog(link));
		return ERR_OK;
	}
	room = buffer_room(&link->queue, length);
	if (!room) {
		link_failf(link, ERR_NOMEM, "no memory for %zu bytes to send", length);
		return err_set(e, ERR_NOMEM, "no memory for %zu bytes to send", length);
	}
	protobuf_c_message_pack(message, room + sizeof(struct frame_header));
	frame_encode(room, type, 0, link->sequence_out++, room + sizeof(struct frame_header),
		     payload);
	buffer_added(&link->queue, length);
	link_flush(link);
	return ERR_OK;
}
