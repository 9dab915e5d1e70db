/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGBUS of ranges of memory, handed to those who own them, in the thread that made the access. The
 * first range installs the handler, the last one takes it away; a signal that no range expects goes
 * to the handler that was there before, or ends the process as it would have.
 *
 * What `fault` may do. The signal is synchronous: it comes from an access to the range, and from
 * nowhere else. So the interrupted function holds no lock of ours and none of malloc's, unless it
 * keeps such things in the range, which is forbidden. It may hold any lock of the program, of stdio
 * too: `fault` calls nothing of the program and does not print. While it runs all signals are
 * blocked in the thread, and it cannot be cancelled. It runs on the thread's own stack.
 *
 * Only where the processor says whether an access was a write (x86-64).
 *
 * Threads: trap_add and trap_remove from any; `fault` in any thread, in several at once.
 */
#ifndef CELLULAR_DSM_TRAP_H
#define CELLULAR_DSM_TRAP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/err.h"

enum { TRAPS_MAX = 64 };

struct trap {
	void *base;
	size_t bytes;
	/* `before`: the signals that were blocked. When it returns the access is tried again. */
	void (*fault)(void *context, size_t offset, bool write, const sigset_t *before);
	void *context;
};

/* NOSPACE: TRAPS_MAX are there; UNSUPPORTED: another processor; SYS. */
int trap_add(const struct trap *t, struct err *e);
/* Nobody touches the range any more. One that was not added is ignored. */
void trap_remove(const void *base);

#endif
