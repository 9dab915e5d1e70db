/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"

static void remove_old_logs(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir)
		return;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		size_t n = strlen(d->d_name);

		if (n > 7 && strncmp(d->d_name, "vm-", 3) == 0 &&
		    strcmp(d->d_name + n - 4, ".log") == 0)
			unlinkat(dirfd(dir), d->d_name, 0);
	}
	closedir(dir);
}

int run_dir_open(const char *path, int *lock, struct err *e)
{
	char file[PATH_MAX];
	int fd;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make directory %s", path);
	if (snprintf(file, sizeof(file), "%s/celld.lock", path) >= (int)sizeof(file))
		return err_set(e, ERR_TOOBIG, "the path of the run directory is too long");
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", file);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int rc = errno == EWOULDBLOCK
				 ? err_set(e, ERR_EXISTS, "another celld runs in %s", path)
				 : err_sys(e, errno, "cannot lock %s", file);

		close(fd);
		return rc;
	}
	remove_old_logs(path);
	*lock = fd;
	return ERR_OK;
}

int ready_file_write(const char *path, const char *line, struct err *e)
{
	char draft[PATH_MAX];
	int fd, rc;

	if (snprintf(draft, sizeof(draft), "%s.%ld", path, (long)getpid()) >= (int)sizeof(draft))
		return err_set(e, ERR_TOOBIG, "the path of the ready file is too long");
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, errno, "cannot make %s", draft);
	rc = fd_write_full(fd, line, strlen(line), e);
	close(fd);
	if (!rc && rename(draft, path) != 0)
		rc = err_sys(e, errno, "cannot make %s", path);
	if (rc)
		unlink(draft);
	return rc;
}
