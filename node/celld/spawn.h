/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a cell-vm: a child with nothing but
 *
 *   0     /dev/null
 *   1, 2  its log file
 *   3     control link to celld (stream socket pair)
 *   4     hand-over of its userfaultfd (stream socket pair, SCM_RIGHTS)
 *   5     its flight recorder (node/celld/flight.h)
 *
 * in a session of its own, with default signals, and killed by the kernel when celld dies
 * (PR_SET_PDEATHSIG, prctl(2)): a fragment nobody watches would be a leak. The caller reaps it.
 */
#ifndef CELLULAR_CELLD_SPAWN_H
#define CELLULAR_CELLD_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/err.h"

enum { SPAWN_FD_CONTROL = 3, SPAWN_FD_UFFD = 4, SPAWN_FD_FLIGHT = 5 };

/* What it shall give up itself, once it has opened all it needs (node/vm/sandbox.h). */
struct spawn_rights {
	uid_t uid; /* 0: it stays who celld is */
	bool keep; /* for debuggers: all */
};

struct spawned {
	pid_t pid;
	int control; /* our ends, close-on-exec; the caller's */
	int uffd;
	int flight;
};

/* Blocks until the program runs or could not be started. Call it on the thread that lives as long
 * as celld (the death signal is tied to the thread). NOTFOUND, DENIED, NOMEM, SYS: nothing is left
 * behind. */
int spawn_vm(const char *program, const struct spawn_rights *rights, const char *log_path,
	     struct spawned *out, struct err *e);

#endif
