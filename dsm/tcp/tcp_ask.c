/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller: dials a member, proves that it knows the key, and reads the answer until the member
 * closes. Blocking, with one deadline for all of it.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "dsm/tcp/tcp_mesh.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"

struct ask {
	struct call call;
	uint64_t end_ms;
	int stop_fd;
};

/* Waits for the socket. TIMEOUT, INTERRUPTED. */
static int await(const struct ask *a, short events, struct err *e)
{
	struct pollfd fds[] = {{.fd = a->stop_fd, .events = POLLIN},
			       {.fd = a->call.fd, .events = events}};
	uint64_t now = clock_ms();
	int n = now < a->end_ms ? poll(fds, 2, (int)(a->end_ms - now)) : 0;

	if (n < 0 && errno == EINTR)
		return ERR_OK;
	if (n < 0)
		return err_sys(e, errno, "poll");
	if (fds[0].revents)
		return err_set(e, ERR_INTERRUPTED, "asked to stop while calling");
	return n ? ERR_OK : err_set(e, ERR_TIMEOUT, "no answer");
}

static int dial(struct ask *a, const char *text, struct err *e)
{
	socklen_t length = sizeof(int);
	struct address to;
	int errnum = 0;
	int rc = address_parse(text, &to, e);

	if (rc)
		return rc;
	a->call.fd = socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->call.fd < 0)
		return err_sys(e, errno, "cannot make a socket");
	if (connect(a->call.fd, (const struct sockaddr *)&to.storage, to.length) < 0) {
		if (errno != EINPROGRESS)
			return err_sys(e, errno, "cannot connect to %s", text);
		rc = await(a, POLLOUT, e);
		getsockopt(a->call.fd, SOL_SOCKET, SO_ERROR, &errnum, &length);
		if (!rc && errnum)
			rc = err_sys(e, errnum, "cannot connect to %s", text);
	}
	return rc;
}

static int greet(struct ask *a, const struct transport_config *config, struct err *e)
{
	int rc = call_begin(config, &a->call, HELLO_CALLER, true, MEMBER_NONE, e);

	while (!rc && a->call.talk.want) {
		rc = await(a, POLLIN, e);
		if (rc)
			return rc;
		rc = call_go_on(&a->call, e);
		if (rc == ERR_BUSY)
			rc = ERR_OK;
	}
	return rc;
}

/* All there is, but no more than room. */
static int read_answer(const struct ask *a, uint8_t *out, uint32_t room, uint32_t *n, struct err *e)
{
	ssize_t got;

	for (*n = 0;;) {
		int rc = await(a, POLLIN, e);

		if (rc)
			return rc;
		got = recv(a->call.fd, out + *n, room - *n, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got < 0 || (got == 0 && *n == 0))
			return err_set(e, ERR_UNREACHABLE, "the call ended without an answer");
		if (got == 0)
			return ERR_OK;
		*n += (uint32_t)got;
		if (*n == room)
			return ERR_OK;
	}
}

int tcp_ask(const struct transport_config *config, const char *address, int timeout_ms, int stop_fd,
	    void *out, uint32_t room, uint32_t *n, struct err *e)
{
	struct ask a = {.call = {.fd = -1},
			.end_ms = clock_ms() + (uint64_t)timeout_ms,
			.stop_fd = stop_fd};
	int rc = dial(&a, address, e);

	if (!rc)
		rc = greet(&a, config, e);
	if (!rc)
		rc = read_answer(&a, out, room, n, e);
	fd_close(&a.call.fd);
	explicit_bzero(&a, sizeof(a)); /* keys */
	return rc ? err_wrap(e, rc, "calling %s", address) : ERR_OK;
}
