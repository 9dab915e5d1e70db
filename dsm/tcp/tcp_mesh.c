/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the channels come to stand: every member dials those below it and accepts those above it. One
 * poll(2) loop carries the listener, the connections under way, the caller's stop_fd, and the
 * channels that stand already (a ping now and then keeps them from looking dead to peers that are
 * done; their end ends the attempt).
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "dsm/tcp/tcp_mesh.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"

static int first_missing(const struct mesh *mesh)
{
	int m = 0;

	while (m < mesh->t->config.members && mesh_stands(mesh, m))
		m++;
	return m;
}

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
	add_fd(mesh, mesh_free_place(mesh) ? t->listener : -1, POLLIN, NULL);
	for (int m = 0; m < t->config.members; m++) {
		struct call *call = &mesh->dial[m];

		if (t->channel[m].fd >= 0)
			add_fd(mesh, t->channel[m].fd, POLLRDHUP, NULL);
		else if (call->fd >= 0)
			add_fd(mesh, call->fd, call->connecting ? POLLOUT : POLLIN, call);
	}
	for (int i = 0; i < MESH_STRANGERS_MAX; i++)
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
			rc = mesh_serve_dialer(mesh, call, e);
		else
			rc = mesh_serve_stranger(mesh, call, e);
	}
	if (mesh->fds[AT_LISTENER].revents)
		mesh_accept(mesh);
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

	if (!mesh_is_dialled(mesh, m))
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
		if (!mesh_stands(mesh, m) && mesh->dial[m].fd < 0 && mesh->dial[m].retry_ms < until)
			until = mesh->dial[m].retry_ms;
	for (int i = 0; i < MESH_STRANGERS_MAX; i++)
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
		rc = mesh_dial(mesh, now, e);
		if (rc)
			return rc;
		gather(mesh, stop_fd);
		if (poll(mesh->fds, (nfds_t)mesh->n, patience(mesh, now, deadline)) > 0) {
			rc = serve(mesh, e);
			if (rc)
				return rc;
		}
		now = clock_ms();
		mesh_expire_strangers(mesh, now); /* after what they had said was read */
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
	for (int i = 0; i < MESH_STRANGERS_MAX; i++)
		mesh->stranger[i].fd = -1;
	for (int m = 0; m < t->config.self.v; m++) {
		int rc = !mesh_wants(mesh, m)
				 ? ERR_OK
				 : address_parse(peers[m] ? peers[m] : "", &mesh->address[m], e);

		if (rc)
			return err_wrap(e, rc, "address of member %d", m);
	}
	return ERR_OK;
}

static void hang_up(struct mesh *mesh)
{
	for (int m = 0; m < DSM_MEMBERS_MAX; m++)
		fd_close(&mesh->dial[m].fd);
	for (int i = 0; i < MESH_STRANGERS_MAX; i++)
		fd_close(&mesh->stranger[i].fd);
}

void mesh_free(struct mesh *mesh)
{
	hang_up(mesh);
	explicit_bzero(mesh, sizeof(*mesh)); /* keys */
	free(mesh);
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
	if (!rc && t->config.open)
		rc = tcp_late_open(t, mesh, e);
	if (!t->late)
		mesh_free(mesh);
	return rc;
}
