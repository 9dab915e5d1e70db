/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static int set_flag(int fd, int get, int set, int flag, bool on, struct err *e)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return err_sys(e, errno, "cannot read flags of descriptor %d", fd);
	if (fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0)
		return err_sys(e, errno, "cannot set flags of descriptor %d", fd);
	return ERR_OK;
}

int fd_set_cloexec(int fd, bool on, struct err *e)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on, e);
}

int fd_set_nonblock(int fd, bool on, struct err *e)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on, e);
}

int fd_raise_limit(struct err *e)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return err_sys(e, errno, "cannot read the limit of descriptors");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return err_sys(e, errno, "cannot raise the limit of descriptors to %llu",
			       (unsigned long long)limit.rlim_max);
	return ERR_OK;
}

int fd_read_full(int fd, void *to, size_t n, struct err *e)
{
	char *at = to;

	while (n) {
		ssize_t got = read(fd, at, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, errno, "cannot read");
		if (got == 0)
			return err_set(e, ERR_LOST, "end of file, %zu bytes are missing", n);
		at += got;
		n -= (size_t)got;
	}
	return ERR_OK;
}

int fd_write_full(int fd, const void *from, size_t n, struct err *e)
{
	const char *at = from;

	while (n) {
		ssize_t put = write(fd, at, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(e, errno, "cannot write");
		at += put;
		n -= (size_t)put;
	}
	return ERR_OK;
}

static int read_opened(int fd, const char *path, size_t max, char **out, size_t *n, struct err *e)
{
	struct stat st;
	char *bytes;
	int rc;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "%s is not a file", path);
	if ((uint64_t)st.st_size > max)
		return err_set(e, ERR_TOOBIG, "%s is larger than %zu bytes", path, max);
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return err_set(e, ERR_NOMEM, "%s: no memory for %zu bytes", path,
			       (size_t)st.st_size);
	rc = fd_read_full(fd, bytes, (size_t)st.st_size, e);
	if (rc) {
		free(bytes);
		return err_wrap(e, rc, "%s", path);
	}
	bytes[st.st_size] = 0;
	*out = bytes;
	*n = (size_t)st.st_size;
	return ERR_OK;
}

int fd_read_file(const char *path, size_t max, char **out, size_t *n, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc;

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	rc = read_opened(fd, path, max, out, n, e);
	fd_close(&fd);
	return rc;
}
