/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/lib/control.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/base/text.h"
#include "proto/frame.h"
#include "proto/hello_stream.h"
#include "proto/link_address.h"

void control_init(struct control *c)
{
	*c = (struct control){.fd = -1, .stop_fd = -1};
}

void control_close(struct control *c)
{
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RDWR); /* a child may have a copy */
	fd_close(&c->fd);
	buffer_free(&c->in);
	c->in = (struct buffer){0};
}

/* ---- bytes ---- */

static int broken(const struct control *c, int errnum, struct err *e)
{
	err_sys(e, errnum, "the link to the controller at %s broke", c->controller);
	return e->code = ERR_UNREACHABLE;
}

/* A peer that says a byte now and then, or talks of other things for ever, gets no more time. */
static int check_time(const struct control *c, uint64_t end_ms, int *left_ms, struct err *e)
{
	uint64_t now = clock_ms();

	if (now >= end_ms)
		return err_set(e, ERR_UNREACHABLE, "the controller at %s does not answer",
			       c->controller);
	*left_ms = end_ms - now < INT_MAX ? (int)(end_ms - now) : INT_MAX;
	return ERR_OK;
}

static int await(const struct control *c, short events, uint64_t end_ms, struct err *e)
{
	struct pollfd fds[] = {{.fd = c->fd, .events = events},
			       {.fd = c->stop_fd, .events = POLLIN}};
	int left_ms = 0, n;

	for (;;) {
		if (check_time(c, end_ms, &left_ms, e))
			return ERR_UNREACHABLE;
		n = poll(fds, 2, left_ms);
		if (n < 0 && errno != EINTR)
			return err_sys(e, errno, "poll");
		if (n > 0 && fds[1].revents)
			return err_set(e, ERR_INTERRUPTED, "asked to stop");
		if (n > 0)
			return ERR_OK;
	}
}

static int transmit(const struct control *c, const uint8_t *bytes, size_t n, uint64_t end_ms,
		    struct err *e)
{
	while (n) {
		ssize_t sent = send(c->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		int rc = ERR_OK;

		if (sent > 0) {
			bytes += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN) {
			rc = await(c, POLLOUT, end_ms, e);
		} else if (errno != EINTR) {
			rc = broken(c, errno, e);
		}
		if (rc)
			return rc;
	}
	return ERR_OK;
}

/* Until `want` bytes are in the buffer: no more, what follows is the next message's. */
static int receive(struct control *c, size_t want, uint64_t end_ms, struct err *e)
{
	while (buffer_length(&c->in) < want) {
		size_t missing = want - buffer_length(&c->in);
		uint8_t *room = buffer_room(&c->in, missing);
		ssize_t got;
		int rc = ERR_OK;

		if (!room)
			return err_set(e, ERR_NOMEM, "no memory for an answer");
		got = recv(c->fd, room, missing, MSG_DONTWAIT);
		if (got > 0)
			buffer_added(&c->in, (size_t)got);
		else if (got == 0)
			rc = err_set(e, ERR_UNREACHABLE, "the controller at %s has closed the link",
				     c->controller);
		else if (errno == EAGAIN)
			rc = await(c, POLLIN, end_ms, e);
		else if (errno != EINTR)
			rc = broken(c, errno, e);
		if (rc)
			return rc;
	}
	return ERR_OK;
}

/* ---- dialling ---- */

/* Whatever a socket's address does not let us reach is not there. */
static int not_there(const struct control *c, int errnum, struct err *e)
{
	int rc = err_sys(e, errnum, "there is no controller at %s", c->controller);

	if (rc == ERR_DENIED || rc == ERR_NOMEM)
		return rc;
	e->code = ERR_UNREACHABLE;
	return ERR_UNREACHABLE;
}

static int finish_connecting(const struct control *c, uint64_t end_ms, struct err *e)
{
	socklen_t length = sizeof(int);
	int errnum = 0, rc = await(c, POLLOUT, end_ms, e);

	if (rc)
		return rc;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &errnum, &length))
		errnum = errno;
	return errnum ? not_there(c, errnum, e) : ERR_OK;
}

static int dial(struct control *c, uint64_t end_ms, struct err *e)
{
	struct link_address a;
	int rc = link_address_parse(c->controller, &a, e), on = 1;
	const struct sockaddr *to = (const struct sockaddr *)&a.ip.storage;
	socklen_t length = a.ip.length;

	if (rc)
		return rc;
	if (a.local) {
		to = (const struct sockaddr *)&a.un;
		length = sizeof(a.un);
	}
	c->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return err_sys(e, errno, "cannot make a socket");
	if (!a.local)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	do
		rc = connect(c->fd, to, length);
	while (rc && errno == EINTR);
	if (!rc)
		return ERR_OK;
	return errno == EINPROGRESS ? finish_connecting(c, end_ms, e) : not_there(c, errno, e);
}

static int say_hello(struct control *c, uint64_t end_ms, struct err *e)
{
	struct hello_stream talk = {.hello = {.kind = HELLO_CTL,
					      .self = MEMBER_NONE,
					      .peer = MEMBER_NONE,
					      .version_min = FRAME_VERSION_MIN,
					      .version_max = FRAME_VERSION_MAX}};
	struct hello_out out;
	int rc;

	memcpy(talk.hello.key, c->cluster_key, sizeof(talk.hello.key));
	rc = hello_stream_begin(&talk, true, &out, e);
	if (!rc)
		rc = transmit(c, out.bytes, out.length, end_ms, e);
	while (!rc && talk.want) {
		size_t want = talk.want;

		rc = receive(c, want, end_ms, e);
		if (!rc)
			rc = hello_stream_take(&talk, buffer_bytes(&c->in), &out, e);
		if (rc)
			break;
		buffer_consume(&c->in, want);
		rc = transmit(c, out.bytes, out.length, end_ms, e);
	}
	explicit_bzero(&talk, sizeof(talk));
	return rc;
}

int control_open(struct control *c, uint64_t end_ms, struct err *e)
{
	int rc;

	if (c->fd >= 0)
		return ERR_OK;
	c->sent = c->received = 0;
	rc = dial(c, end_ms, e);
	if (!rc) {
		rc = say_hello(c, end_ms, e);
		if (rc == ERR_AUTH || rc == ERR_VERSION || rc == ERR_PROTOCOL)
			err_wrap(e, rc, "the controller at %s", c->controller);
	}
	if (rc)
		control_close(c);
	return rc;
}

/* ---- questions ---- */

static int put(struct control *c, const Cellular__CtlRequest *request, uint64_t end_ms,
	       struct err *e)
{
	size_t n = cellular__ctl_request__get_packed_size(request), length;
	uint8_t *out = n <= FRAME_PAYLOAD_MAX ? malloc(sizeof(struct frame_header) + n) : NULL;
	int rc;

	if (!out)
		return err_set(e, ERR_NOMEM, "no memory for a question of %zu bytes", n);
	cellular__ctl_request__pack(request, out + sizeof(struct frame_header));
	length = frame_encode(out, CTL_TYPE_CTL_REQUEST, 0, ++c->sent,
			      out + sizeof(struct frame_header), n);
	rc = transmit(c, out, length, end_ms, e);
	explicit_bzero(out, length);
	free(out);
	return rc;
}

/* One frame; *reply is NULL if it is not an answer to the last question. */
static int take(struct control *c, const struct frame *f, Cellular__CtlReply **reply, struct err *e)
{
	ProtobufCMessage *message;
	int rc;

	*reply = NULL;
	if (f->type & FRAME_OPTIONAL)
		return ERR_OK;
	if (f->type != CTL_TYPE_CTL_REPLY)
		return err_set(e, ERR_PROTOCOL, "the controller at %s sends %s to a client",
			       c->controller, ctl_type_name(f->type));
	rc = ctl_unpack(f->type, f->payload, f->length, &message, e);
	if (rc)
		return rc;
	*reply = (Cellular__CtlReply *)message;
	if ((*reply)->request != c->asked) {
		control_free(*reply); /* to one that was given up */
		*reply = NULL;
	}
	return ERR_OK;
}

static int get(struct control *c, uint64_t end_ms, Cellular__CtlReply **reply, struct err *e)
{
	size_t used, need;
	struct frame f;
	int rc, left_ms = 0;

	do {
		rc = check_time(c, end_ms, &left_ms, e);
		if (rc)
			return rc;
		while ((rc = frame_decode(buffer_bytes(&c->in), buffer_length(&c->in),
					  c->received + 1, &f, &used, &need, e)) == ERR_BUSY) {
			rc = receive(c, need, end_ms, e);
			if (rc)
				return rc;
		}
		if (rc == ERR_TOOBIG)
			rc = e->code = ERR_PROTOCOL;
		if (!rc)
			rc = take(c, &f, reply, e);
		if (rc)
			return rc;
		c->received++;
		explicit_bzero(buffer_bytes(&c->in), used); /* there may have been a key in it */
		buffer_consume(&c->in, used);
	} while (!*reply);
	return ERR_OK;
}

int control_ask(struct control *c, Cellular__CtlRequest *request, uint64_t end_ms,
		Cellular__CtlReply **reply, struct err *e)
{
	bool whole;
	int rc;

	request->request = ++c->asked;
	rc = put(c, request, end_ms, e);
	whole = !rc;
	if (!rc)
		rc = get(c, end_ms, reply, e);
	if (rc && !(whole && rc == ERR_INTERRUPTED))
		control_close(c);
	return rc;
}

int control_refused(const Cellular__CtlReply *reply, struct err *e)
{
	char safe[ERR_TEXT_MAX];

	if (!reply->error)
		return ERR_OK;
	if (*err_name((int)reply->error) == '?')
		return err_set(e, ERR_PROTOCOL, "the controller refuses with unknown error %u",
			       reply->error);
	text_escape(reply->text, safe, sizeof(safe));
	return err_set(e, (enum err_code)reply->error, "%s",
		       safe[0] ? safe : err_sentence((int)reply->error));
}

void control_free(Cellular__CtlReply *reply)
{
	if (!reply)
		return;
	for (size_t i = 0; i < reply->n_spaces; i++)
		if (reply->spaces[i]->key.len)
			explicit_bzero(reply->spaces[i]->key.data, reply->spaces[i]->key.len);
	ctl_free(&reply->base);
}
