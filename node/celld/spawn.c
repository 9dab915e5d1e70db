/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork, not posix_spawn: the death signal must be set in the child. Between fork and exec the child
 * calls only async-signal-safe functions. A close-on-exec pipe tells the parent how it went: end of
 * file, the program runs; an errno, it does not.
 */
#include "node/celld/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/celld/flight.h"
#include "proto/base/fd.h"

enum { FIRST_FREE_FD = SPAWN_FD_FLIGHT + 1, CHILD_FAILED = 127 };

struct child_fds {
	int log;
	int control;
	int uffd;
	int flight;
	int failure;
};

/* Moves fd to number `want`; the sources were lifted above all targets before. */
static int place(int fd, int want)
{
	return dup2(fd, want) < 0 ? -1 : 0;
}

static int lift(int *fd)
{
	int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);

	if (lifted < 0)
		return -1;
	*fd = lifted; /* the old one is closed by exec */
	return 0;
}

static void default_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL); /* refused for some: those cannot have been changed */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_up_child(struct child_fds *fds, pid_t parent)
{
	int null;

	setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return -1;
	if (getppid() != parent) { /* it died before the line above */
		errno = ESRCH;
		return -1;
	}
	default_signals();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || lift(&null) || lift(&fds->log) || lift(&fds->control) || lift(&fds->uffd) ||
	    lift(&fds->flight) || lift(&fds->failure))
		return -1;
	if (place(null, 0) || place(fds->log, 1) || place(fds->log, 2) ||
	    place(fds->control, SPAWN_FD_CONTROL) || place(fds->uffd, SPAWN_FD_UFFD) ||
	    place(fds->flight, SPAWN_FD_FLIGHT))
		return -1;
	return close_range(FIRST_FREE_FD, ~0U, CLOSE_RANGE_CLOEXEC);
}

enum { WORDS_MAX = 4 };

struct words {
	char *argv[WORDS_MAX + 1];
	char uid[16];
};

static void put_words(const struct spawn_rights *rights, struct words *w)
{
	char **next = w->argv;

	*next++ = (char *)"cell-vm";
	if (rights->keep)
		*next++ = (char *)"--no-sandbox";
	if (rights->uid) {
		snprintf(w->uid, sizeof(w->uid), "%u", rights->uid);
		*next++ = (char *)"--uid";
		*next++ = w->uid;
	}
	*next = NULL;
}

static _Noreturn void child(const char *program, char *const *argv, struct child_fds fds,
			    pid_t parent)
{
	int errnum;

	if (set_up_child(&fds, parent) == 0)
		execv(program, argv);
	errnum = errno;
	while (write(fds.failure, &errnum, sizeof(errnum)) < 0 && errno == EINTR)
		;
	_exit(CHILD_FAILED);
}

/* 0: the program runs; else the errno of what failed in the child. */
static int await_exec(int fd)
{
	int errnum;
	ssize_t n;

	do
		n = read(fd, &errnum, sizeof(errnum));
	while (n < 0 && errno == EINTR);
	return n == sizeof(errnum) ? errnum : 0;
}

static void close_pair(int pair[2])
{
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
}

int spawn_vm(const char *program, const struct spawn_rights *rights, const char *log_path,
	     struct spawned *out, struct err *e)
{
	int control[2] = {-1, -1}, uffd[2] = {-1, -1}, failure[2] = {-1, -1}, flight = -1, log,
	    errnum, rc = ERR_OK;
	pid_t parent = getpid(), pid;
	struct words words;

	log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0)
		return err_sys(e, errno, "cannot make log file %s", log_path);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, uffd) != 0 ||
	    pipe2(failure, O_CLOEXEC) != 0) {
		rc = err_sys(e, errno, "cannot make sockets for cell-vm");
		goto out;
	}
	flight = flight_open(e);
	if (flight < 0) {
		rc = e->code;
		goto out;
	}
	put_words(rights, &words);
	pid = fork();
	if (pid < 0) {
		rc = err_sys(e, errno, "cannot fork");
		goto out;
	}
	if (pid == 0)
		child(program, words.argv,
		      (struct child_fds){log, control[1], uffd[1], flight, failure[1]}, parent);
	close(failure[1]);
	failure[1] = -1;
	errnum = await_exec(failure[0]);
	if (errnum) {
		waitpid(pid, NULL, 0);
		rc = err_sys(e, errnum, "cannot start %s", program);
		goto out;
	}
	*out = (struct spawned){pid, control[0], uffd[0], flight};
	control[0] = uffd[0] = flight = -1;
out:
	close(log);
	close_pair(control);
	close_pair(uffd);
	close_pair(failure);
	fd_close(&flight);
	if (rc)
		unlink(log_path);
	return rc;
}
