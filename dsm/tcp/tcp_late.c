/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may still come when the mesh stands, of a transport that stays open: members that are
 * expected, and callers, which have no number yet. Strangers as before (tcp_stranger.c), but served
 * by the transport's epoll set, between messages.
 *
 * A caller that knows the key keeps its place until it is answered, and says nothing: one that does
 * is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "dsm/tcp/tcp_mesh.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"

static int watch(const struct transport *t, int fd, int op, uint32_t events, uint32_t who)
{
	struct epoll_event event = {.events = events, .data = {.u32 = who}};

	return epoll_ctl(t->epoll, op, fd, &event);
}

int tcp_late_open(struct transport *t, struct mesh *mesh, struct err *e)
{
	if (watch(t, t->listener, EPOLL_CTL_ADD, EPOLLIN, TCP_LISTENER) < 0)
		return err_sys(e, errno, "epoll_ctl");
	t->late = mesh;
	return ERR_OK;
}

void tcp_late_close(struct transport *t)
{
	if (!t->late)
		return;
	mesh_free(t->late);
	t->late = NULL;
}

/* While no place is free, the kernel's backlog holds who comes. */
static void listen_if_room(struct transport *t)
{
	watch(t, t->listener, EPOLL_CTL_MOD, mesh_free_place(t->late) ? EPOLLIN : 0, TCP_LISTENER);
}

void tcp_late_accept(struct transport *t)
{
	struct mesh *mesh = t->late;

	mesh_accept(mesh);
	for (uint32_t i = 0; i < MESH_STRANGERS_MAX; i++) {
		struct call *call = &mesh->stranger[i];

		if (call->fd < 0 || call->watched)
			continue;
		call->watched = true;
		if (watch(t, call->fd, EPOLL_CTL_ADD, EPOLLIN, TCP_STRANGER + i) < 0)
			fd_close(&call->fd);
	}
	listen_if_room(t);
}

/* A channel has its own entry in the epoll set. */
static void promote(struct transport *t, struct call *call, struct member_id m)
{
	struct err e;

	watch(t, call->fd, EPOLL_CTL_DEL, 0, 0);
	t->expected &= ~dsm_bit(m.v);
	if (call_promote(t->late, call, m, &e))
		tcp_channel_lose(t, m, &e);
	else
		t->up_due |= dsm_bit(m.v);
}

static unsigned callers(const struct mesh *mesh)
{
	unsigned n = 0;

	for (int i = 0; i < MESH_STRANGERS_MAX; i++)
		n += mesh->stranger[i].fd >= 0 && mesh->stranger[i].caller;
	return n;
}

static void take_caller(struct transport *t, struct call *call)
{
	struct err e;

	if (callers(t->late) == MESH_CALLERS_MAX) {
		err_set(&e, ERR_NOSPACE, "%d callers wait already", MESH_CALLERS_MAX);
		mesh_refuse(t->late, call, &e);
		return;
	}
	call->deadline_ms = clock_ms() + MESH_CALLER_MS;
	call->caller = ++t->callers;
	t->caller_due |= 1ULL << (call - t->late->stranger);
}

void tcp_late_serve(struct transport *t, uint32_t i)
{
	struct call *call = &t->late->stranger[i];
	struct member_id m;
	struct err why;
	int rc;

	if (call->fd < 0)
		return; /* closed in this very round */
	rc = call->caller ? err_set(&why, ERR_PROTOCOL, "a caller spoke, or left")
			  : call_go_on(call, &why);
	if (rc == ERR_BUSY)
		return;
	m = call->talk.hello.peer;
	if (!rc && call->talk.hello.kind == HELLO_DATA && !(t->expected & dsm_bit(m.v)))
		rc = err_set(&why, ERR_PROTOCOL, "member %u has no reason to call", m.v);
	if (rc)
		mesh_refuse(t->late, call, &why);
	else if (call->talk.hello.kind == HELLO_CALLER)
		take_caller(t, call);
	else
		promote(t, call, m);
	listen_if_room(t);
}

void tcp_late_tick(struct transport *t)
{
	mesh_expire_strangers(t->late, clock_ms());
	listen_if_room(t);
}

bool tcp_late_take_caller(struct transport *t, struct transport_event *out)
{
	while (t->caller_due) {
		const struct call *call = &t->late->stranger[__builtin_ctzll(t->caller_due)];

		t->caller_due &= t->caller_due - 1;
		if (call->fd < 0 || !call->caller)
			continue;
		out->type = TRANSPORT_CALLER;
		out->caller = call->caller;
		return true;
	}
	return false;
}

/* ---- transport_ops ---- */

int tcp_answer(struct transport *t, uint32_t caller, const void *bytes, uint32_t n, struct err *e)
{
	struct call *call = NULL;
	ssize_t sent;

	for (int i = 0; t->late && i < MESH_STRANGERS_MAX; i++)
		if (t->late->stranger[i].fd >= 0 && t->late->stranger[i].caller == caller)
			call = &t->late->stranger[i];
	if (!call)
		return err_set(e, ERR_NOTFOUND, "the caller has left");
	sent = send(call->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	fd_close(&call->fd);
	listen_if_room(t);
	if (sent != (ssize_t)n)
		return err_set(e, ERR_NOTFOUND, "the caller does not hear");
	return ERR_OK;
}

void tcp_expect(struct transport *t, struct member_id member, bool expected)
{
	struct tcp_channel *c = &t->channel[member.v];

	if (expected) {
		t->expected |= dsm_bit(member.v);
		return;
	}
	t->expected &= ~dsm_bit(member.v);
	t->up_due &= ~dsm_bit(member.v);
	c->ending = c->shut = true; /* who hung up on it looks for no answer */
	tcp_channel_lose(t, member, &(struct err){.code = ERR_OK});
	t->lost_due &= ~dsm_bit(member.v);
}
