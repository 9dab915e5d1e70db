/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps duplicates of a fragment's userfaultfds. When the last descriptor of a userfaultfd is
 * closed, later faults are answered with zero pages (userfaultfd(2)); a fragment that dies closes
 * its own before its last thread is gone, so celld holds one until it has reaped the process.
 *
 * Threads: the loop's only.
 */
#ifndef CELLULAR_CELLD_GUARD_H
#define CELLULAR_CELLD_GUARD_H

#include <stdbool.h>
#include <uv.h>

#include "proto/base/err.h"

enum { GUARD_FDS_MAX = 64 }; /* one a shard */

struct guard {
	uv_poll_t poll;
	void (*closed)(struct guard *g);
	int socket;
	int fd[GUARD_FDS_MAX];
	unsigned n;
	unsigned refused; /* descriptors that were no userfaultfd, or too many: closed at once */
};

/* Takes over the socket (closed on an error too) and receives what comes over it. */
int guard_start(struct guard *g, uv_loop_t *loop, int socket, struct err *e);

/* Takes what has arrived already. For the moment between death and reaping; also called by the
 * loop. */
void guard_receive(struct guard *g);

/* Lets go of all descriptors and closes the handle; `closed` comes later from the loop. */
void guard_stop(struct guard *g, void (*closed)(struct guard *g));

#endif
