/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unix socket outlives the process that made it. Whoever finds one asks whether somebody answers;
 * if not, it is removed and made anew. Between the question and our listen(2) another process could
 * do the same, and one would remove the other's fresh socket: the directory is locked (flock)
 * meanwhile, which leaves no lock file behind.
 */
#include "proto/link_address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/fd.h"

enum {
	LISTEN_BACKLOG = 128,
	LOCK_TRIES = 100, /* of LOCK_PAUSE_MS each */
	LOCK_PAUSE_MS = 10,
};

static int parse_unix(const char *path, struct link_address *out, struct err *e)
{
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(out->un.sun_path))
		return err_set(e, ERR_INVALID,
			       "the path of a unix socket has 1 to %zu bytes, not %zu",
			       sizeof(out->un.sun_path) - 1, n);
	out->local = true;
	out->un.sun_family = AF_UNIX;
	memcpy(out->un.sun_path, path, n + 1);
	return ERR_OK;
}

int link_address_parse(const char *text, struct link_address *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	if (!strncmp(text, "unix:", 5))
		return parse_unix(text + 5, out, e);
	if (!strncmp(text, "tcp:", 4))
		return address_parse(text + 4, &out->ip, e);
	return err_set(e, ERR_INVALID, "\"%s\" is neither unix:PATH nor tcp:IP:PORT", text);
}

static int listen_tcp(int fd, const struct link_address *a, struct err *e)
{
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&a->ip.storage, a->ip.length) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0)
		return err_sys(e, errno, "cannot listen");
	return ERR_OK;
}

/* A socket at which nobody listens; a full backlog is somebody. (A plain file refuses connections,
 * too.) */
static bool is_dead_socket(const struct sockaddr_un *un)
{
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool dead;

	if (fd < 0)
		return false;
	dead = lstat(un->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       connect(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 && errno == ECONNREFUSED;
	fd_close(&fd);
	return dead;
}

static int bind_unix(int fd, const struct sockaddr_un *un, struct err *e)
{
	const struct sockaddr *sa = (const struct sockaddr *)un;
	int number;

	if (bind(fd, sa, sizeof(*un)) == 0)
		return ERR_OK;
	number = errno;
	if (number != EADDRINUSE || !is_dead_socket(un))
		return err_sys(e, number, "cannot listen on %s", un->sun_path);
	if (unlink(un->sun_path) < 0 || bind(fd, sa, sizeof(*un)) < 0)
		return err_sys(e, errno, "cannot replace the dead socket %s", un->sun_path);
	return ERR_OK;
}

static int open_directory(const char *path, struct err *e)
{
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;
	int fd;

	memcpy(directory, path, strlen(path) + 1);
	slash = strrchr(directory, '/');
	if (!slash)
		strcpy(directory, ".");
	else
		slash[slash == directory] = 0;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		err_sys(e, errno, "cannot open directory %s", directory);
	return fd;
}

static int lock(int directory, struct err *e)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000};

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(directory, LOCK_EX | LOCK_NB) == 0)
			return ERR_OK;
		nanosleep(&pause, NULL);
	}
	return err_set(e, ERR_BUSY, "the socket's directory stays locked by another process");
}

static int listen_unix(int fd, const struct link_address *a, struct err *e)
{
	struct err why = {.code = ERR_OK};
	int directory = open_directory(a->un.sun_path, &why);
	int rc = why.code;

	if (!rc)
		rc = lock(directory, &why);
	if (!rc)
		rc = bind_unix(fd, &a->un, &why);
	if (!rc && listen(fd, LISTEN_BACKLOG) < 0)
		rc = err_sys(&why, errno, "cannot listen on %s", a->un.sun_path);
	fd_close(&directory);
	return rc ? err_set(e, (enum err_code)rc, "%s", why.text) : ERR_OK;
}

int link_address_listen(const struct link_address *a, int *fd, struct err *e)
{
	int family = a->local ? AF_UNIX : a->ip.storage.ss_family;
	int rc;

	*fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return err_sys(e, errno, "cannot make a socket");
	rc = a->local ? listen_unix(*fd, a, e) : listen_tcp(*fd, a, e);
	if (rc)
		fd_close(fd);
	return rc;
}
