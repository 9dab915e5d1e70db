/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: forbid PID NUMBER [REQUEST]. Makes a thread of another process that sleeps in a system
 * call make system call NUMBER next, with the second argument REQUEST: what a guest that took the
 * process over would do. Needs the right to trace it; x86-64.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { SYSCALL_BYTES = 2 };

static int fail(const char *what)
{
	fprintf(stderr, "forbid: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	struct user_regs_struct r;
	int status;
	pid_t pid;

	if (argc < 3)
		return 2;
	pid = atoi(argv[1]);
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL))
		return fail("attach");
	if (waitpid(pid, &status, __WALL) != pid || ptrace(PTRACE_GETREGS, pid, NULL, &r))
		return fail("stop");
	if ((long)r.orig_rax < 0) {
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
		fprintf(stderr, "forbid: it was not in a system call\n");
		return 3;
	}
	r.rip -= SYSCALL_BYTES; /* the instruction again, as another call */
	r.orig_rax = (unsigned long)-1;
	r.rax = strtoul(argv[2], NULL, 0);
	r.rsi = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &r) || ptrace(PTRACE_DETACH, pid, NULL, NULL))
		return fail("go on");
	return 0;
}
