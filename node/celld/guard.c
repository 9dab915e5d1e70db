/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_A_MESSAGE = 8, MESSAGES_A_TURN = 64 };

static bool is_userfaultfd(int fd)
{
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, "anon_inode:[userfaultfd]") == 0;
}

static void keep(struct guard *g, int fd)
{
	if (g->n < GUARD_FDS_MAX && is_userfaultfd(fd)) {
		g->fd[g->n++] = fd;
		return;
	}
	g->refused++;
	close(fd);
}

static void keep_all(struct guard *g, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			keep(g, fd);
		}
	}
}

void guard_receive(struct guard *g)
{
	char byte[64] = {0}, control[CMSG_SPACE(FDS_A_MESSAGE * sizeof(int))];
	ssize_t n;

	if (g->socket < 0)
		return;
	for (int turn = 0; turn < MESSAGES_A_TURN; turn++) {
		struct iovec iov = {byte, sizeof(byte)};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control)};

		n = recvmsg(g->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			uv_poll_stop(&g->poll);
			return;
		}
		keep_all(g, &msg);
	}
}

static void readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	guard_receive(poll->data);
}

int guard_start(struct guard *g, uv_loop_t *loop, int socket, struct err *e)
{
	int rc;

	*g = (struct guard){.socket = socket};
	rc = uv_poll_init(loop, &g->poll, socket);
	if (rc < 0) {
		close(socket);
		return err_sys(e, -rc, "cannot watch a socket");
	}
	g->poll.data = g;
	uv_poll_start(&g->poll, UV_READABLE, readable);
	return ERR_OK;
}

static void poll_closed(uv_handle_t *handle)
{
	struct guard *g = handle->data;

	g->closed(g);
}

void guard_stop(struct guard *g, void (*closed)(struct guard *g))
{
	g->closed = closed;
	uv_poll_stop(&g->poll);
	close(g->socket);
	g->socket = -1;
	for (unsigned i = 0; i < g->n; i++)
		close(g->fd[i]);
	g->n = 0;
	uv_close((uv_handle_t *)&g->poll, poll_closed);
}
