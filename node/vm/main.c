/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell-vm: one fragment of one VM. Started by celld, which holds the other ends of fd 3 (control)
 * and fd 4 (userfaultfd) and a duplicate of fd 5 (flight recorder); stderr is celld's log.
 *
 * The ladder: signals, descriptors, /dev/kvm, loop, control. All that needs a right is opened here
 * or at FragStart (userfaultfd, socket, VM, the guest's files); then the rights are given up
 * (node/vm/sandbox.h), before anything of the guest or of a peer is looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/vm/control.h"
#include "node/vm/sandbox.h"
#include "node/vm/vcpu.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"

enum { FD_CONTROL = 3, FD_UFFD = 4, FD_FLIGHT = 5 };

static int open_kvm(struct err *e)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), version;

	if (fd < 0) {
		err_sys(e, errno, "/dev/kvm");
		return -1;
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version == KVM_API_VERSION &&
	    ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) > 0 &&
	    ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_MMU) > 0)
		return fd;
	err_set(e, ERR_UNSUPPORTED, "/dev/kvm: version %d, or without immediate exit", version);
	close(fd);
	return -1;
}

static bool is_a(int fd, mode_t kind)
{
	struct stat st;

	return !fstat(fd, &st) && (st.st_mode & S_IFMT) == kind;
}

/* Nothing celld had open by accident stays open here. */
static int take_descriptors(struct err *e)
{
	int rc;

	if (!is_a(FD_CONTROL, S_IFSOCK) || !is_a(FD_UFFD, S_IFSOCK) || !is_a(FD_FLIGHT, S_IFREG))
		return err_set(
			e, ERR_INVALID,
			"started by celld only: descriptors 3 and 4 must be sockets, 5 a file");
	close_range(FD_FLIGHT + 1, ~0u, 0);
	for (int fd = FD_CONTROL; fd <= FD_FLIGHT; fd++)
		if ((rc = fd_set_cloexec(fd, true, e)))
			return rc;
	return ERR_OK;
}

static int run(const struct sandbox *sandbox, struct err *e)
{
	struct control_config config = {
		.link_fd = FD_CONTROL,
		.uffd_socket = FD_UFFD,
		.flight = FD_FLIGHT,
		.sandbox = *sandbox,
	};
	struct control *control;
	uv_loop_t loop;
	int rc = take_descriptors(e);

	if (rc)
		return rc;
	config.kvm = open_kvm(&config.kvm_why);
	uv_loop_init(&loop);
	if ((rc = control_open(&loop, &config, &control, e)))
		return rc;
	uv_run(&loop, UV_RUN_DEFAULT);
	if (!control_close(control))
		_exit(0);
	uv_loop_close(&loop);
	fd_close(&config.kvm);
	return ERR_OK;
}

/* celld's words; a person has no reason to start this, but may ask what it may do. */
static int parse(int argc, char **argv, struct sandbox *s, struct err *e)
{
	for (int i = 1; i < argc; i++) {
		char *end = NULL;

		if (!strcmp(argv[i], "--no-sandbox")) {
			s->off = true;
		} else if (!strcmp(argv[i], "--uid") && i + 1 < argc) {
			s->uid = (uid_t)strtoul(argv[++i], &end, 10);
			if (*end || !s->uid)
				return err_set(e, ERR_INVALID, "'%.40s' is no uid", argv[i]);
		} else {
			return err_set(e, ERR_INVALID,
				       "unknown word '%.40s'; this program is started by celld",
				       argv[i]);
		}
	}
	return ERR_OK;
}

int main(int argc, char **argv)
{
	struct sandbox sandbox = {0};
	struct err e = {0};
	sigset_t kick;

	if (argc == 2 && !strcmp(argv[1], "--list-calls")) {
		sandbox_list(stdout);
		return 0;
	}
	log_open("cell-vm");
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&kick);
	sigaddset(&kick, VCPU_KICK_SIGNAL);
	sigprocmask(SIG_BLOCK, &kick, NULL);
	if (!parse(argc, argv, &sandbox, &e) && !run(&sandbox, &e))
		return 0;
	log_error("%s", e.text);
	return err_exit_status(e.code);
}
