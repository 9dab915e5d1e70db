/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small helpers around file descriptors. Threads: any; a descriptor belongs to one owner.
 */
#ifndef CELLULAR_BASE_FD_H
#define CELLULAR_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/err.h"

/* Closes *fd if it is not negative and makes it -1; keeps errno. */
void fd_close(int *fd);

/* Sets or clears close-on-exec / non-blocking mode. Errors: SYS. */
int fd_set_cloexec(int fd, bool on, struct err *e);
int fd_set_nonblock(int fd, bool on, struct err *e);

/*
 * Lets this process hold as many descriptors as it may be given: its soft RLIMIT_NOFILE becomes the
 * hard one (getrlimit(2)). Children inherit it; so only in programs, and libraries, that never use
 * select(2), which ends at 1024. SYS: the hard limit is above fs.nr_open; the limit stays.
 */
int fd_raise_limit(struct err *e);

/* Reads exactly n bytes from a blocking descriptor, over short reads and EINTR. LOST: end of file
 * before n bytes; SYS. */
int fd_read_full(int fd, void *to, size_t n, struct err *e);

/* Writes exactly n bytes to a blocking descriptor, over short writes and EINTR. SYS (EPIPE too:
 * ignore SIGPIPE). */
int fd_write_full(int fd, const void *from, size_t n, struct err *e);

/*
 * Reads a whole file into memory of the caller (free it); a NUL follows the *n bytes, which is not
 * counted. TOOBIG: larger than max; NOTFOUND, DENIED, NOMEM, SYS.
 */
int fd_read_file(const char *path, size_t max, char **out, size_t *n, struct err *e);

#endif
