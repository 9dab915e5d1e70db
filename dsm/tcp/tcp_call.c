/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hello on a socket. Exactly its bytes are read: what follows is the channel's.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "dsm/tcp/tcp_mesh.h"

static void fill_hello(const struct transport_config *config, struct hello *h, enum hello_kind kind,
		       struct member_id peer)
{
	*h = (struct hello){
		.kind = kind,
		.space = config->space,
		.epoch = config->epoch,
		.self = config->self,
		.peer = peer,
		.version_min = PAGE_VERSION_MIN,
		.version_max = PAGE_VERSION_MAX,
	};
	memcpy(h->key, config->key, sizeof(h->key));
}

/* A hello fits any socket's empty buffer: what does not go out at once is a broken connection. */
static int say(const struct call *call, const struct hello_out *out, struct err *e)
{
	ssize_t sent;

	if (!out->length)
		return ERR_OK;
	sent = send(call->fd, out->bytes, out->length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent == (ssize_t)out->length)
		return ERR_OK;
	err_sys(e, sent < 0 ? errno : EPIPE, "the connection broke during the hello");
	return e->code = ERR_UNREACHABLE;
}

int call_begin(const struct transport_config *config, struct call *call, enum hello_kind kind,
	       bool dialer, struct member_id peer, struct err *e)
{
	struct hello_out out;
	int rc;

	call->have = 0;
	call->connecting = call->watched = false;
	call->callers = !dialer && config->open;
	call->caller = 0;
	fill_hello(config, &call->talk.hello, kind, peer);
	rc = hello_stream_begin(&call->talk, dialer, &out, e);
	return rc ? rc : say(call, &out, e);
}

/* Who listens learns from the first message whether a member comes or a caller. */
static void look_at_kind(struct call *call)
{
	struct hello_1 first;

	if (!call->callers || call->talk.want != sizeof(first))
		return;
	memcpy(&first, call->in, sizeof(first));
	if (first.kind == HELLO_CALLER)
		call->talk.hello.kind = HELLO_CALLER;
}

int call_go_on(struct call *call, struct err *e)
{
	struct hello_stream *talk = &call->talk;
	struct hello_out out;
	ssize_t got;
	int rc;

	while (talk->want) {
		got = recv(call->fd, call->in + call->have, talk->want - call->have, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return ERR_BUSY;
		if (got <= 0)
			return err_set(e, ERR_UNREACHABLE,
				       "the other side closed the connection during the hello");
		call->have += (size_t)got;
		if (call->have < talk->want)
			continue;
		call->have = 0;
		look_at_kind(call);
		rc = hello_stream_take(talk, call->in, &out, e);
		if (!rc)
			rc = say(call, &out, e);
		if (rc)
			return rc;
	}
	return ERR_OK;
}

int call_promote(struct mesh *mesh, struct call *call, struct member_id m, struct err *e)
{
	int fd = call->fd;

	call->fd = -1;
	return tcp_channel_open(mesh->t, m, fd, e);
}
