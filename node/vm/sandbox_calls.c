/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of system calls, by libseccomp (seccomp(2), seccomp_rule_add(3)). Arguments that are
 * pointers cannot be checked; where a call is harmful by what its pointer says (clone3), it is
 * answered with ENOSYS and the C library takes the older one.
 *
 * A forbidden call is not executed: the kernel raises SIGSYS in the thread. The handler writes one
 * line and makes another forbidden call; SIGSYS is blocked meanwhile, and that one kills.
 */
#include "node/vm/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "node/vm/vcpu.h"

/* Linux 6.8; 40 bytes of arguments. */
#ifndef UFFDIO_MOVE
#define UFFDIO_MOVE _IOC(_IOC_READ | _IOC_WRITE, UFFDIO, 5, 40)
#endif

enum { CONDITIONS_MAX = 2, NAMES = 512, NAME_MAX_BYTES = 24 };

/* What a thread of the C library is; without all of these it would be a process. */
#define THREAD_FLAGS (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define NAMESPACE_FLAGS                                                                            \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
	 CLONE_NEWCGROUP)

enum { C_LIBRARY_SIGNAL = 33 }; /* its SIGSETXID: a thread that changes the uid tells the others */

enum { SOCKET_TYPE_MASK = 0xf }; /* without SOCK_CLOEXEC and SOCK_NONBLOCK */

struct call {
	int number;
	unsigned conditions; /* all of them must hold */
	struct scmp_arg_cmp condition[CONDITIONS_MAX];
	const char *shown; /* the conditions in words */
	const char *why;
};

#define CALL(name, why)                                                                            \
	{                                                                                          \
		SCMP_SYS(name), 0, {{0}}, "", why                                                  \
	}
#define CALL_IF(name, c, why)                                                                      \
	{                                                                                          \
		SCMP_SYS(name), 1, {c}, #c, why                                                    \
	}
#define CALL_IF2(name, c1, c2, why)                                                                \
	{                                                                                          \
		SCMP_SYS(name), 2, {c1, c2}, #c1 ", " #c2, why                                     \
	}

/* clang-format off */
#define IS(argument, value)	      {argument, SCMP_CMP_EQ, (scmp_datum_t)(value), 0}
#define BITS(argument, mask, value)   {argument, SCMP_CMP_MASKED_EQ, mask, value}
#define IOCTL(request, why)	      {SCMP_SYS(ioctl), 1, {IS(1, request)}, #request, why}

static const struct call calls[] = {
	/* vCPUs and pages */
	IOCTL(KVM_RUN,             "a vCPU runs the guest"),
	IOCTL(KVM_GET_REGS,        "why a vCPU stopped"),
	IOCTL(KVM_SET_REGS,        "where a vCPU starts"),
	IOCTL(KVM_GET_SREGS,       "which address a fault was for"),
	IOCTL(UFFDIO_COPY,         "a page arrives"),
	IOCTL(UFFDIO_ZEROPAGE,     "a page nobody ever wrote arrives"),
	IOCTL(UFFDIO_WRITEPROTECT, "a page becomes read-only, or writable"),
	IOCTL(UFFDIO_MOVE,         "a page leaves as it is"),
	IOCTL(UFFDIO_REGISTER,     "a chunk that only this fragment used is shared from now on"),
	IOCTL(UFFDIO_WAKE,         "a thread that waited for a page goes on"),
	CALL(madvise,              "a page leaves; the C library gives memory back"),

	/* descriptors that are open already */
	CALL(read,                 "userfaultfd, timers, event descriptors, the guest's files, celld's link"),
	CALL(write,                "event descriptors, celld's link, the log"),
	CALL(readv,                "libuv may read in pieces"),
	CALL(writev,               "libuv writes a frame in pieces; the C library a line to stderr"),
	CALL(close,                "a peer that is lost, a file that is loaded"),
	CALL(epoll_wait,           "the shard and the loop sleep here"),
	CALL(epoll_pwait,          "the same, by another libuv"),
	CALL(epoll_ctl,            "what they sleep for"),
	CALL(poll,                 "connecting with a time limit"),
	CALL(timerfd_settime,      "the core's timer, the transport's tick"),
	CALL(eventfd2,             "stops a connecting that takes too long"),
	CALL_IF(fcntl, IS(1, F_GETFL), "libuv asks how a descriptor was opened"),

	/* the peers */
	CALL_IF2(socket, IS(0, AF_INET), BITS(1, SOCKET_TYPE_MASK, SOCK_STREAM),
					   "dials a member with a lower number"),
	CALL_IF2(socket, IS(0, AF_INET6), BITS(1, SOCKET_TYPE_MASK, SOCK_STREAM), "the same over IPv6"),
	CALL(connect,              "dials it"),
	CALL(accept4,              "a member with a higher number dials"),
	CALL(sendto,               "the hello"),
	CALL(recvfrom,             "page frames"),
	CALL(sendmsg,              "page frames with their pages"),
	CALL(recvmsg,              "celld's link"),
	CALL(shutdown,             "the end of a link"),
	CALL_IF2(getsockopt, IS(1, SOL_SOCKET), IS(2, SO_ERROR), "how a connect went"),
	CALL_IF2(setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY), "small frames leave at once"),
	CALL(getrandom,            "the nonce of the hello"),

	/* threads and memory of the C library */
	CALL_IF(clone, BITS(0, THREAD_FLAGS | NAMESPACE_FLAGS, THREAD_FLAGS), "a thread, never a process"),
	CALL(set_robust_list,      "a thread starts"),
	CALL(rseq,                 "a thread starts"),
	CALL_IF(prctl, IS(0, PR_SET_NAME), "a thread's name"),
	CALL(exit,                 "a thread ends"),
	CALL(exit_group,           "the process ends"),
	CALL(futex,                "locks, joins"),
	CALL(sched_yield,          "libuv, while another thread wakes it"),
	CALL(sched_getaffinity,    "malloc counts CPUs before it makes a further arena"),
	CALL_IF(sched_setattr, IS(0, 0), "the shard's thread goes first"),
	CALL_IF2(setpriority, IS(0, PRIO_PROCESS), IS(1, 0), "all others do not"),
	CALL_IF(mmap, BITS(2, PROT_EXEC, 0), "malloc, stacks, a chunk nobody else uses; never code"),
	CALL_IF(mprotect, BITS(2, PROT_EXEC, 0), "malloc, stacks; never code"),
	CALL(munmap,               "malloc, stacks, the space"),
	CALL(mremap,               "realloc"),
	CALL(brk,                  "malloc"),

	/* signals */
	CALL(rt_sigprocmask,       "threads take no signal but the kick"),
	CALL(rt_sigreturn,         "the kick was taken"),
	CALL_IF(rt_sigaction, IS(0, VCPU_KICK_SIGNAL), "the kick gets its handler"),
	CALL_IF(rt_sigaction, IS(0, C_LIBRARY_SIGNAL), "the C library, at the first thread"),
	CALL_IF(rt_sigaction, IS(0, SIGABRT), "abort"),
	CALL(getpid,               "before a signal is sent"),
	CALL(gettid,               "abort"),

	/* time */
	CALL(clock_gettime,        "where the vDSO has no clock"),
	CALL(clock_nanosleep,      "a vCPU waits for room in a channel"),
	CALL(getrusage,            "whether another thread took the engine's core"),
	CALL(nanosleep,            "the same, by an older C library"),
	CALL(restart_syscall,      "a sleep that a signal interrupted"),

	/* the second list */
	CALL_IF(seccomp, IS(0, SECCOMP_SET_MODE_FILTER), "can only take more away"),
};

/* No more after the peers are connected. */
static const int connecting[] = {SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(eventfd2),
				 SCMP_SYS(seccomp)};
/* clang-format on */

static char names[NAMES][NAME_MAX_BYTES]; /* of all calls; the handler may not allocate */

static void fill_names(void)
{
	for (int i = 0; i < NAMES; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);

		strncpy(names[i], name ? name : "?", NAME_MAX_BYTES - 1);
		free(name);
	}
}

static char *put_text(char *at, const char *text)
{
	size_t n = strlen(text);

	memcpy(at, text, n);
	return at + n;
}

static char *put_number(char *at, unsigned long v, unsigned base)
{
	char digits[24], *first = digits + sizeof(digits);

	do
		*--first = "0123456789abcdef"[v % base];
	while (v /= base);
	memcpy(at, first, (size_t)(digits + sizeof(digits) - first));
	return at + (digits + sizeof(digits) - first);
}

/* Async-signal-safe: no stdio, no lock. */
static void forbidden(int signal, siginfo_t *info, void *context)
{
	const greg_t *r = ((const ucontext_t *)context)->uc_mcontext.gregs;
	unsigned number = (unsigned)info->si_syscall;
	char line[160], *at = line;

	(void)signal;
	at = put_text(at, "cell-vm: error: the sandbox forbids system call ");
	at = put_number(at, number, 10);
	at = put_text(at, " (");
	at = put_text(at, number < NAMES ? names[number] : "?");
	at = put_text(at, ") with arguments 0x");
	at = put_number(at, (unsigned long)r[REG_RDI], 16);
	at = put_text(at, ", 0x");
	at = put_number(at, (unsigned long)r[REG_RSI], 16);
	at = put_text(at, ", 0x");
	at = put_number(at, (unsigned long)r[REG_RDX], 16);
	*at++ = '\n';
	(void)!write(STDERR_FILENO, line, (size_t)(at - line));
	syscall(SYS_reboot, 0, 0, 0, 0); /* in no list; SIGSYS is blocked here: this kills */
	__builtin_trap();
}

static int catch_forbidden(struct err *e)
{
	struct sigaction action = {.sa_sigaction = forbidden, .sa_flags = SA_SIGINFO};

	fill_names();
	sigfillset(&action.sa_mask);
	return sigaction(SIGSYS, &action, NULL) ? err_sys(e, errno, "cannot watch for SIGSYS")
						: ERR_OK;
}

static int add_all(scmp_filter_ctx filter)
{
	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	for (size_t i = 0; !rc && i < sizeof(calls) / sizeof(calls[0]); i++)
		rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i].number,
					    calls[i].conditions, calls[i].condition);
	/* Signals only to threads of this process. */
	for (int i = 0; !rc && i < 2; i++) {
		const struct scmp_arg_cmp own[] = {
			{.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid()},
			{.arg = 2, .op = SCMP_CMP_EQ, .datum_a = i ? SIGABRT : VCPU_KICK_SIGNAL},
		};

		rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 2, own);
	}
	return rc;
}

static int add_connecting(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(connecting) / sizeof(connecting[0]); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_TRAP, connecting[i], 0);
	return rc;
}

/* `others`: what happens to a call without a rule. */
static int load(uint32_t others, int (*add)(scmp_filter_ctx filter), struct err *e)
{
	scmp_filter_ctx filter = seccomp_init(others);
	int rc;

	if (!filter)
		return err_set(e, ERR_NOMEM, "no memory for the list of system calls");
	rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	rc = rc ? rc : seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0); /* it is set */
	rc = rc ? rc : seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	rc = rc ? rc : add(filter);
	rc = rc ? rc : seccomp_load(filter);
	seccomp_release(filter);
	if (rc == -EINVAL || rc == -ENOSYS)
		return err_set(e, ERR_UNSUPPORTED,
			       "this kernel has no seccomp filters (celld --no-sandbox goes "
			       "without)");
	return rc ? err_sys(e, -rc, "cannot restrict system calls") : ERR_OK;
}

int calls_restrict(struct err *e)
{
	int rc = catch_forbidden(e);

	return rc ? rc : load(SCMP_ACT_TRAP, add_all, e);
}

int calls_restrict_connected(struct err *e)
{
	return load(SCMP_ACT_ALLOW, add_connecting, e);
}

unsigned calls_count(void)
{
	return sizeof(calls) / sizeof(calls[0]) + 1; /* tgkill */
}

void calls_list(FILE *out)
{
	fill_names();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		fprintf(out, "%-18s %-24s %s\n", names[calls[i].number], calls[i].shown,
			calls[i].why);
	fprintf(out, "%-18s %-24s %s\n", "tgkill", "own process, kick or SIGABRT",
		"a vCPU leaves the guest; abort");
}
