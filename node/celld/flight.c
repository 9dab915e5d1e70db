/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/flight.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/log.h"

int flight_open(struct err *e)
{
	int fd = memfd_create("flight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && ftruncate(fd, FLIGHT_BYTES) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
	err_sys(e, errno, "cannot make a flight recorder");
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- old recordings ---- */

static bool is_flight(const char *name)
{
	size_t n = strlen(name);

	return n > 10 && strncmp(name, "vm-", 3) == 0 && strcmp(name + n - 7, ".flight") == 0;
}

/* Counts the recordings; name[] is the oldest. */
static unsigned count_flights(DIR *dir, char name[256])
{
	struct timespec oldest = {0};
	unsigned n = 0;

	rewinddir(dir);
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		struct stat st;

		if (!is_flight(d->d_name) ||
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (n++ &&
		    (st.st_mtim.tv_sec > oldest.tv_sec ||
		     (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec >= oldest.tv_nsec)))
			continue;
		oldest = st.st_mtim;
		snprintf(name, 256, "%s", d->d_name);
	}
	return n;
}

static void make_room(const char *run)
{
	DIR *dir = opendir(run);
	char name[256];

	if (!dir)
		return;
	while (count_flights(dir, name) >= FLIGHTS_MAX)
		if (unlinkat(dirfd(dir), name, 0))
			break;
	closedir(dir);
}

/* ---- saving ---- */

/* The parts that were written, each to its place: what was not stays a hole. */
static int copy_parts(int from, int to)
{
	off_t at = 0;

	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(from, at, SEEK_HOLE);

		if (end < 0 || lseek(to, at, SEEK_SET) < 0)
			return -1;
		while (at < end) {
			ssize_t n = sendfile(to, from, &at, (size_t)(end - at));

			if (n < 0 && errno != EINTR)
				return -1;
			if (n == 0) {
				errno = EIO;
				return -1;
			}
		}
	}
	return errno == ENXIO ? ftruncate(to, FLIGHT_BYTES) : -1;
}

bool flight_save(int fd, const char *run, uint64_t vm_id, uint32_t member,
		 char path[FLIGHT_PATH_MAX])
{
	int out;

	if (fd < 0 || lseek(fd, 0, SEEK_DATA) < 0)
		return false; /* it never came so far */
	make_room(run);
	snprintf(path, FLIGHT_PATH_MAX, "%s/vm-%" PRIu64 "-%u.flight", run, vm_id, member);
	out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0 || copy_parts(fd, out)) {
		log_warning("vm %" PRIu64 ": its flight recording cannot be written to %s: %s",
			    vm_id, path, strerror(errno));
		if (out >= 0) {
			close(out);
			unlink(path);
		}
		return false;
	}
	close(out);
	return true;
}
