/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members below us, dialled again and again until they listen and answer. A dialer knows whom
 * it dials: a wrong answer ends the attempt with the member's name.
 */
#include <errno.h>
#include <sys/socket.h>

#include "dsm/tcp/tcp_mesh.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"

/* The attempt failed in a way that a later one may not. */
static void try_again(struct call *call)
{
	fd_close(&call->fd);
	call->connecting = false;
	call->retry_ms = clock_ms() + MESH_RETRY_MS;
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

int mesh_dial(struct mesh *mesh, uint64_t now, struct err *e)
{
	for (int m = 0; m < mesh->t->config.self.v; m++) {
		struct call *call = &mesh->dial[m];
		int rc;

		if (mesh_stands(mesh, m) || call->fd >= 0 || now < call->retry_ms)
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
		return call_begin(&mesh->t->config, call, HELLO_DATA, true, m, e);
	err_sys(e, errnum, "cannot connect");
	return e->code = ERR_UNREACHABLE;
}

int mesh_serve_dialer(struct mesh *mesh, struct call *call, struct err *e)
{
	struct member_id m = {(uint8_t)(call - mesh->dial)};
	int rc;

	if (call->connecting)
		rc = finish_connecting(mesh, call, m, &call->why);
	else
		rc = call_go_on(call, &call->why);
	if (rc == ERR_UNREACHABLE) {
		try_again(call);
		return ERR_OK;
	}
	if (rc && rc != ERR_BUSY)
		return err_set(e, (enum err_code)rc, "member %u: %s", m.v, call->why.text);
	if (rc || call->talk.want)
		return ERR_OK;
	return call_promote(mesh, call, m, e);
}
