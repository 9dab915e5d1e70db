/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the channels come to stand: every member dials those below it, again and again until they
 * listen, and accepts those above it. One poll(2) loop carries the listener, the connections under
 * way, the caller's stop_fd, and the channels that stand already (a ping now and then keeps them
 * from looking dead to peers that are done; their end ends the attempt).
 *
 * A connection from outside is a stranger until its hello is over. Strangers have HELLO_MS and a
 * few places; while all places are taken the listener is not served and the kernel's backlog holds
 * who comes, so that a crowd delays members but does not turn them away. Whatever a stranger does
 * wrong closes its connection and nothing else. A dialer knows whom it dials: a wrong answer there
 * ends the attempt with the member's name; its deadline is the caller's.
 *
 * Exactly the hello's bytes are read from a socket: what follows is the channel's.
 */
#include "dsm/tcp/tcp.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/base/address.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/hello_stream.h"

enum {
	HELLO_MS = 2000,
	RETRY_MS = 30,
	STRANGERS_MAX = 64,
	FDS_MAX = 2 + 2 * DSM_MEMBERS_MAX + STRANGERS_MAX,
};

/* A connection before its hello is over. */
struct call {
	int fd;		 /* -1: free, or a dialer that waits for retry_ms */
	bool connecting; /* dialer: connect(2) is under way */
	struct hello_stream talk;
	uint8_t in[HELLO_MESSAGE_MAX];
	size_t have;
	uint64_t retry_ms;    /* dialer: when to dial (again) */
	uint64_t deadline_ms; /* stranger: when its patience ends */
	struct err why;	      /* dialer: what the last attempt ended with */
};

struct mesh {
	struct transport *t;
	struct address address[DSM_MEMBERS_MAX];
	struct call dial[DSM_MEMBERS_MAX];
	struct call stranger[STRANGERS_MAX];
	struct err refused; /* why the last stranger was closed */
	uint64_t ping_ms;   /* when to ping next */
	struct pollfd fds[FDS_MAX];
	struct call *owner[FDS_MAX]; /* of fds[i], or NULL */
	int n;
};

static bool is_dialled(const struct mesh *mesh, int m)
{
	return m < mesh->t->config.self.v;
}

static bool stands(const struct mesh *mesh, int m)
{
	return mesh->t->channel[m].fd >= 0 || m == mesh->t->config.self.v;
}

static int first_missing(const struct mesh *mesh)
{
	int m = 0;

	while (m < mesh->t->config.members && stands(mesh, m))
		m++;
	return m;
}

/* ---- the hello on a socket ---- */

static void fill_hello(const struct mesh *mesh, struct hello *h, struct member_id peer)
{
	const struct transport_config *config = &mesh->t->config;

	*h = (struct hello){
		.kind = HELLO_DATA,
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

static int begin(const struct mesh *mesh, struct call *call, bool dialer, struct member_id peer,
		 struct err *e)
{
	struct hello_out out;
	int rc;

	call->have = 0;
	call->connecting = false;
	fill_hello(mesh, &call->talk.hello, peer);
	rc = hello_stream_begin(&call->talk, dialer, &out, e);
	return rc ? rc : say(call, &out, e);
}

/* Reads what is due of the hello and answers. OK with talk.want == 0: over; BUSY: more must come;
 * UNREACHABLE: the connection ended; else as hello.h. */
static int listen_to(struct call *call, struct err *e)
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
		rc = hello_stream_take(talk, call->in, &out, e);
		if (!rc)
			rc = say(call, &out, e);
		if (rc)
			return rc;
	}
	return ERR_OK;
}

/* The connection is a channel now. */
static int promote(struct mesh *mesh, struct call *call, struct member_id m, struct err *e)
{
	int fd = call->fd;

	call->fd = -1;
	return tcp_channel_open(mesh->t, m, fd, e);
}

/* ---- dialing ---- */

/* The attempt failed in a way that a later one may not. */
static void try_again(struct call *call)
{
	fd_close(&call->fd);
	call->connecting = false;
	call->retry_ms = clock_ms() + RETRY_MS;
}

static int dial(struct mesh *mesh, int m, struct err *e)
{
	struct call *call = &mesh->dial[m];
	const struct address *a = &mesh->address[m];
	int rc;

	call->fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (call->fd < 0)
		return err_sys(e, errno, "cannot make a socket");
	call->connecting = true;
	rc = connect(call->fd, (const struct sockaddr *)&a->storage, a->length);
	if (rc == 0 || errno == EINPROGRESS)
		return ERR_OK; /* either way the socket becomes writable */
	err_sys(&call->why, errno, "cannot connect");
	try_again(call);
	return ERR_OK;
}

static int dial_those_due(struct mesh *mesh, uint64_t now, struct err *e)
{
	for (int m = 0; m < mesh->t->config.self.v; m++) {
		struct call *call = &mesh->dial[m];
		int rc;

		if (stands(mesh, m) || call->fd >= 0 || now < call->retry_ms)
			continue;
		rc = dial(mesh, m, e);
		if (rc)
			return rc;
	}
	return ERR_OK;
}

static int finish_connecting(struct mesh *mesh, struct call *call, struct member_id m,
			     struct err *e)
{
	socklen_t length = sizeof(int);
	int errnum = 0;

	getsockopt(call->fd, SOL_SOCKET, SO_ERROR, &errnum, &length);
	if (!errnum)
		return begin(mesh, call, true, m, e);
	err_sys(e, errnum, "cannot connect");
	return e->code = ERR_UNREACHABLE;
}

static int serve_dialer(struct mesh *mesh, struct call *call, struct err *e)
{
	struct member_id m = {(uint8_t)(call - mesh->dial)};
	int rc;

	if (call->connecting)
		rc = finish_connecting(mesh, call, m, &call->why);
	else
		rc = listen_to(call, &call->why);
	if (rc == ERR_UNREACHABLE) {
		try_again(call);
		return ERR_OK;
	}
	if (rc && rc != ERR_BUSY)
		return err_set(e, (enum err_code)rc, "member %u: %s", m.v, call->why.text);
	if (rc || call->talk.want)
		return ERR_OK;
	return promote(mesh, call, m, e);
}

/* ---- strangers ---- */

static void refuse(struct mesh *mesh, struct call *call, const struct err *why)
{
	fd_close(&call->fd);
	mesh->refused = *why;
	mesh->t->stats.rejected++;
}

static struct call *free_place(struct mesh *mesh)
{
	for (int i = 0; i < STRANGERS_MAX; i++)
		if (mesh->stranger[i].fd < 0)
			return &mesh->stranger[i];
	return NULL;
}

static void accept_strangers(struct mesh *mesh)
{
	struct call *call;

	while ((call = free_place(mesh))) {
		struct err e;

		call->fd = accept4(mesh->t->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (call->fd < 0)
			return;
		call->deadline_ms = clock_ms() + HELLO_MS;
		if (begin(mesh, call, false, MEMBER_NONE, &e))
			refuse(mesh, call, &e);
	}
}

/* Its hello was good; is it one we wait for? */
static int check_caller(const struct mesh *mesh, struct member_id m, struct err *e)
{
	if (m.v >= mesh->t->config.members || is_dialled(mesh, m.v))
		return err_set(e, ERR_PROTOCOL, "member %u has no reason to call", m.v);
	if (stands(mesh, m.v))
		return err_set(e, ERR_EXISTS, "member %u called twice", m.v);
	return ERR_OK;
}

static int serve_stranger(struct mesh *mesh, struct call *call, struct err *e)
{
	struct member_id m;
	struct err why;
	int rc = listen_to(call, &why);

	if (rc == ERR_BUSY)
		return ERR_OK;
	m = call->talk.hello.peer;
	if (!rc)
		rc = check_caller(mesh, m, &why);
	if (!rc)
		return promote(mesh, call, m, e);
	refuse(mesh, call, &why);
	return ERR_OK;
}

static void expire_strangers(struct mesh *mesh, uint64_t now)
{
	struct err e;

	err_set(&e, ERR_TIMEOUT, "the hello was not over within %d ms", HELLO_MS);
	for (int i = 0; i < STRANGERS_MAX; i++)
		if (mesh->stranger[i].fd >= 0 && now >= mesh->stranger[i].deadline_ms)
			refuse(mesh, &mesh->stranger[i], &e);
}

/* ---- the loop ---- */

static void add_fd(struct mesh *mesh, int fd, short events, struct call *owner)
{
	mesh->fds[mesh->n] = (struct pollfd){.fd = fd, .events = events};
	mesh->owner[mesh->n++] = owner;
}

enum { AT_STOP, AT_LISTENER, AT_OTHERS };

/* stop_fd, the listener, then calls and channels in any order. poll(2) passes over negative
 * descriptors. */
static void gather(struct mesh *mesh, int stop_fd)
{
	struct transport *t = mesh->t;

	mesh->n = 0;
	add_fd(mesh, stop_fd, POLLIN, NULL);
	add_fd(mesh, free_place(mesh) ? t->listener : -1, POLLIN, NULL);
	for (int m = 0; m < t->config.members; m++) {
		struct call *call = &mesh->dial[m];

		if (t->channel[m].fd >= 0)
			add_fd(mesh, t->channel[m].fd, POLLRDHUP, NULL);
		else if (call->fd >= 0)
			add_fd(mesh, call->fd, call->connecting ? POLLOUT : POLLIN, call);
	}
	for (int i = 0; i < STRANGERS_MAX; i++)
		if (mesh->stranger[i].fd >= 0)
			add_fd(mesh, mesh->stranger[i].fd, POLLIN, &mesh->stranger[i]);
}

static int who_left(const struct mesh *mesh, int fd, struct err *e)
{
	int m = 0;

	while (mesh->t->channel[m].fd != fd)
		m++;
	return err_set(e, ERR_LOST, "member %d left while others were still connecting", m);
}

static int serve(struct mesh *mesh, struct err *e)
{
	int rc = ERR_OK;

	if (mesh->fds[AT_STOP].revents)
		return err_set(e, ERR_INTERRUPTED, "asked to stop while connecting");
	for (int i = AT_OTHERS; i < mesh->n && !rc; i++) {
		struct call *call = mesh->owner[i];

		if (!mesh->fds[i].revents)
			continue;
		if (!call)
			rc = who_left(mesh, mesh->fds[i].fd, e);
		else if (call->talk.dialer || call->connecting)
			rc = serve_dialer(mesh, call, e);
		else
			rc = serve_stranger(mesh, call, e);
	}
	if (mesh->fds[AT_LISTENER].revents)
		accept_strangers(mesh);
	return rc;
}

static void ping_standing(struct mesh *mesh, uint64_t now)
{
	struct transport *t = mesh->t;

	if (now < mesh->ping_ms)
		return;
	mesh->ping_ms = now + t->config.silence_ms / TCP_SILENCE_TICKS + 1;
	for (int m = 0; m < t->config.members; m++)
		if (t->channel[m].fd >= 0)
			tcp_channel_ping(t, (struct member_id){(uint8_t)m});
}

static int timed_out(const struct mesh *mesh, int timeout_ms, struct err *e)
{
	int m = first_missing(mesh);
	const struct call *call = &mesh->dial[m];

	if (!is_dialled(mesh, m))
		return err_set(e, ERR_TIMEOUT, "member %d did not connect within %d ms%s%.200s", m,
			       timeout_ms, mesh->refused.code ? "; the last one refused: " : "",
			       mesh->refused.text);
	if (call->fd < 0 || call->connecting)
		return err_set(e, ERR_UNREACHABLE,
			       "member %d cannot be reached within %d ms: %.200s", m, timeout_ms,
			       call->why.code ? call->why.text : "no answer");
	return err_set(e, ERR_TIMEOUT, "member %d did not end the hello within %d ms", m,
		       timeout_ms);
}

static int lost_early(const struct mesh *mesh, struct err *e)
{
	int m = __builtin_ctzll(mesh->t->lost_due);

	return err_set(e, ERR_LOST, "while others were still connecting: %.250s",
		       mesh->t->channel[m].why.text);
}

/* How long poll may sleep: until the next thing that happens by itself. */
static int patience(const struct mesh *mesh, uint64_t now, uint64_t deadline)
{
	uint64_t until = deadline < mesh->ping_ms ? deadline : mesh->ping_ms;

	for (int m = 0; m < mesh->t->config.self.v; m++)
		if (!stands(mesh, m) && mesh->dial[m].fd < 0 && mesh->dial[m].retry_ms < until)
			until = mesh->dial[m].retry_ms;
	for (int i = 0; i < STRANGERS_MAX; i++)
		if (mesh->stranger[i].fd >= 0 && mesh->stranger[i].deadline_ms < until)
			until = mesh->stranger[i].deadline_ms;
	return until <= now ? 0 : (int)(until - now < INT_MAX ? until - now : INT_MAX);
}

static int run(struct mesh *mesh, int timeout_ms, int stop_fd, struct err *e)
{
	uint64_t now = clock_ms(), deadline = now + (uint64_t)timeout_ms;
	int rc;

	while (first_missing(mesh) < mesh->t->config.members) {
		if (now >= deadline)
			return timed_out(mesh, timeout_ms, e);
		rc = dial_those_due(mesh, now, e);
		if (rc)
			return rc;
		gather(mesh, stop_fd);
		if (poll(mesh->fds, (nfds_t)mesh->n, patience(mesh, now, deadline)) > 0) {
			rc = serve(mesh, e);
			if (rc)
				return rc;
		}
		now = clock_ms();
		expire_strangers(mesh, now); /* after what they had said was read */
		ping_standing(mesh, now);
		if (mesh->t->lost_due)
			return lost_early(mesh, e);
	}
	return ERR_OK;
}

static int prepare(struct mesh *mesh, struct transport *t, const char *const *peers, struct err *e)
{
	mesh->t = t;
	mesh->ping_ms = clock_ms();
	for (int m = 0; m < DSM_MEMBERS_MAX; m++)
		mesh->dial[m].fd = -1;
	for (int i = 0; i < STRANGERS_MAX; i++)
		mesh->stranger[i].fd = -1;
	for (int m = 0; m < t->config.self.v; m++) {
		int rc = address_parse(peers[m] ? peers[m] : "", &mesh->address[m], e);

		if (rc)
			return err_wrap(e, rc, "address of member %d", m);
	}
	return ERR_OK;
}

static void hang_up(struct mesh *mesh)
{
	for (int m = 0; m < DSM_MEMBERS_MAX; m++)
		fd_close(&mesh->dial[m].fd);
	for (int i = 0; i < STRANGERS_MAX; i++)
		fd_close(&mesh->stranger[i].fd);
}

int tcp_mesh_connect(struct transport *t, const char *const *peers, int timeout_ms, int stop_fd,
		     struct err *e)
{
	struct mesh *mesh = calloc(1, sizeof(*mesh));
	int rc;

	if (!mesh)
		return err_set(e, ERR_NOMEM, "no memory to connect");
	rc = prepare(mesh, t, peers, e);
	if (!rc)
		rc = run(mesh, timeout_ms, stop_fd, e);
	hang_up(mesh);
	explicit_bzero(mesh, sizeof(*mesh)); /* keys */
	free(mesh);
	return rc;
}
