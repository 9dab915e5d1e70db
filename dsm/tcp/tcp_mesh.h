/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files that make a mesh stand know of each other: the loop (tcp_mesh.c), those we dial
 * (tcp_dial.c), those who come (tcp_stranger.c), and the hello on either (tcp_call.c).
 */
#ifndef CELLULAR_DSM_TCP_MESH_H
#define CELLULAR_DSM_TCP_MESH_H

#include <poll.h>

#include "dsm/tcp/tcp.h"
#include "proto/base/address.h"
#include "proto/hello_stream.h"

enum {
	MESH_HELLO_MS = 5000,
	MESH_RETRY_MS = 30,
	MESH_STRANGERS_MAX = 64,
	MESH_CALLERS_MAX = 8, /* of these places */
	MESH_CALLER_MS = 30000,
	MESH_FDS_MAX = 2 + DSM_MEMBERS_MAX + MESH_STRANGERS_MAX,
};

/* A connection before its hello is over. */
struct call {
	int fd;		 /* -1: free, or a dialer that waits for retry_ms */
	bool connecting; /* dialer: connect(2) is under way */
	bool callers;	 /* listener: a caller is welcome */
	bool watched;	 /* it is in the epoll set (tcp_late.c) */
	uint32_t caller; /* a caller that waits: its name; else 0 */
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
	struct call stranger[MESH_STRANGERS_MAX];
	struct err refused; /* why the last stranger was closed */
	uint64_t ping_ms;   /* when to ping next */
	struct pollfd fds[MESH_FDS_MAX];
	struct call *owner[MESH_FDS_MAX]; /* of fds[i], or NULL */
	int n;
};

/* Are we to connect, one way or the other? */
static inline bool mesh_wants(const struct mesh *mesh, int m)
{
	const struct transport_config *config = &mesh->t->config;

	return m < config->members && m != config->self.v &&
	       (!config->present || config->present & dsm_bit((uint8_t)m));
}

static inline bool mesh_is_dialled(const struct mesh *mesh, int m)
{
	return mesh_wants(mesh, m) && m < mesh->t->config.self.v;
}

static inline bool mesh_stands(const struct mesh *mesh, int m)
{
	return mesh->t->channel[m].fd >= 0 || !mesh_wants(mesh, m);
}

/* tcp_call.c. Begins the hello; UNREACHABLE: the connection broke; SYS. */
int call_begin(const struct transport_config *config, struct call *call, enum hello_kind kind,
	       bool dialer, struct member_id peer, struct err *e);
/* Reads what is due of the hello and answers. OK: over; BUSY: more must come; UNREACHABLE: the
 * connection ended; else as hello.h. */
int call_go_on(struct call *call, struct err *e);
/* The connection is a channel now. */
int call_promote(struct mesh *mesh, struct call *call, struct member_id m, struct err *e);

/* tcp_dial.c. Errors end the attempt to make a mesh. */
int mesh_dial(struct mesh *mesh, uint64_t now, struct err *e);
int mesh_serve_dialer(struct mesh *mesh, struct call *call, struct err *e);

/* tcp_stranger.c */
void mesh_refuse(struct mesh *mesh, struct call *call, const struct err *why);
struct call *mesh_free_place(struct mesh *mesh);
void mesh_accept(struct mesh *mesh);
int mesh_serve_stranger(struct mesh *mesh, struct call *call, struct err *e);
void mesh_expire_strangers(struct mesh *mesh, uint64_t now);

/* tcp_mesh.c. Hangs up on all that have no channel. */
void mesh_free(struct mesh *mesh);

#endif
