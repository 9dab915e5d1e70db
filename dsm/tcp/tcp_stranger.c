/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections from outside: strangers until their hello is over. They have MESH_HELLO_MS and a few
 * places; while all places are taken the listener is not served and the kernel's backlog holds who
 * comes, so that a crowd delays members but does not turn them away. Whatever a stranger does wrong
 * closes its connection and nothing else.
 */
#include <sys/socket.h>

#include "dsm/tcp/tcp_mesh.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"

void mesh_refuse(struct mesh *mesh, struct call *call, const struct err *why)
{
	fd_close(&call->fd);
	mesh->refused = *why;
	mesh->t->stats.rejected++;
}

struct call *mesh_free_place(struct mesh *mesh)
{
	for (int i = 0; i < MESH_STRANGERS_MAX; i++)
		if (mesh->stranger[i].fd < 0)
			return &mesh->stranger[i];
	return NULL;
}

void mesh_accept(struct mesh *mesh)
{
	struct call *call;

	while ((call = mesh_free_place(mesh))) {
		struct err e;

		call->fd = accept4(mesh->t->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (call->fd < 0)
			return;
		call->deadline_ms = clock_ms() + MESH_HELLO_MS;
		if (call_begin(&mesh->t->config, call, HELLO_DATA, false, MEMBER_NONE, &e))
			mesh_refuse(mesh, call, &e);
	}
}

/* Its hello was good; is it one we wait for? */
static int check_caller(const struct mesh *mesh, struct member_id m, struct err *e)
{
	if (!mesh_wants(mesh, m.v) || mesh_is_dialled(mesh, m.v))
		return err_set(e, ERR_PROTOCOL, "member %u has no reason to call", m.v);
	if (mesh_stands(mesh, m.v))
		return err_set(e, ERR_EXISTS, "member %u called twice", m.v);
	return ERR_OK;
}

int mesh_serve_stranger(struct mesh *mesh, struct call *call, struct err *e)
{
	struct member_id m;
	struct err why;
	int rc = call_go_on(call, &why);

	if (rc == ERR_BUSY)
		return ERR_OK;
	m = call->talk.hello.peer;
	if (!rc && call->talk.hello.kind == HELLO_CALLER)
		rc = err_set(&why, ERR_BUSY, "members are still connecting");
	if (!rc)
		rc = check_caller(mesh, m, &why);
	if (!rc)
		return call_promote(mesh, call, m, e);
	mesh_refuse(mesh, call, &why);
	return ERR_OK;
}

void mesh_expire_strangers(struct mesh *mesh, uint64_t now)
{
	struct err e;

	err_set(&e, ERR_TIMEOUT, "the hello was not over within %d ms", MESH_HELLO_MS);
	for (int i = 0; i < MESH_STRANGERS_MAX; i++)
		if (mesh->stranger[i].fd >= 0 && now >= mesh->stranger[i].deadline_ms)
			mesh_refuse(mesh, &mesh->stranger[i], &e);
}
