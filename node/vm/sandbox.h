/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fragment gives up, before it looks at a byte of the guest's program or of a peer. Whoever
 * takes this process over from inside a guest finds:
 *
 *	user          a uid and gid of its own that own nothing (celld's --vm-uids)
 *	capabilities  none and no way to one (capabilities(7), no_new_privs)
 *	root          an empty directory that cannot be written (pivot_root(2))
 *	namespaces    own mount, IPC, UTS and cgroup namespaces
 *	limits        no core file, 64 MiB of log, no locked memory
 *	system calls  those of the table in sandbox_calls.c (seccomp(2))
 *
 * The network namespace stays the cell's: the peers are dialled after this. There is no PID
 * namespace: the first process of one ignores its own signals (pid_namespaces(7)), and no call that
 * names another process is left anyway.
 *
 * A forbidden call kills the process with SIGSYS after its number was written to the log; celld
 * puts that into the reason of the end.
 *
 * All that needs a right is opened before: /dev/kvm, the userfaultfd, the listening socket, the VM
 * with its vCPUs, the guest's files.
 *
 * What the user celld runs as may not give up, because that takes a right it lacks (EPERM), stays,
 * with a line in the log; anything else that fails is an error. An ordinary user gets the empty
 * root through a user namespace where the kernel lets him (user_namespaces(7)).
 *
 * Builds with a sanitizer give up nothing: the leak checker wants ptrace, /proc and threads of its
 * own at the very end.
 */
#ifndef CELLULAR_NODE_SANDBOX_H
#define CELLULAR_NODE_SANDBOX_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "proto/base/err.h"

enum {
	SANDBOX_FDS = 512,	      /* a descriptor a peer, a vCPU, an input file, and 20 */
	SANDBOX_LOG_BYTES = 64 << 20, /* what goes beyond is not written */
};

struct sandbox {
	uid_t uid; /* and gid; 0: stays who it is */
	bool off;  /* for debuggers: nothing is given up */
};

/*
 * For the whole process, which must have one thread, once. SYS: a step failed; UNSUPPORTED: the
 * kernel has no seccomp filters; STATE: after all steps a right was left. After an error the
 * process must end: it may have given up half.
 */
int sandbox_enter(const struct sandbox *s, struct err *e);

/*
 * Tightens it: from now on no socket is made, no connection begun. All threads, whenever they
 * started. Nothing if sandbox_enter was off. Errors: SYS.
 */
int sandbox_connected(struct err *e);

/*
 * Who waits for a page waits for the shard's thread, so that one goes first (dsm/shard_loop.c); the
 * right to it is inherited from the thread that starts it. Every other thread calls this as soon as
 * it starts none any more.
 */
void sandbox_common_priority(void);

/* The table, a line a call: name, condition, reason. */
void sandbox_list(FILE *out);

#endif
