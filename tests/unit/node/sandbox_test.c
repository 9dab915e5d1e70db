/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox of cell-vm in a child for each case: what it promises is so when it is entered, each
 * forbidden call kills with SIGSYS after it was named, each allowed one does not.
 */
#include "node/vm/sandbox.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { UID = 70123, NOBODY = 65534, TEXT = 4096, PROMISE_BROKEN = 9, ENTER_FAILED = 8 };

/* ---- a child in the sandbox ---- */

struct outcome {
	int status;
	char said[TEXT]; /* on stderr */
};

typedef int (*body)(void *context); /* its value is the exit status */

static const struct sandbox *sandbox;

static _Noreturn void child(body run, void *context, int out)
{
	struct err e = {0};

	dup2(out, STDERR_FILENO);
	dup2(out, STDOUT_FILENO);
	if (sandbox_enter(sandbox, &e)) {
		dprintf(STDERR_FILENO, "%s\n", e.text);
		_exit(ENTER_FAILED);
	}
	_exit(run(context));
}

static void in_sandbox(body run, void *context, struct outcome *o)
{
	int pipes[2] = {-1, -1};
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	if (pipe(pipes) || (pid = fork()) < 0)
		abort();
	if (!pid)
		child(run, context, pipes[1]);
	close(pipes[1]);
	while (n < sizeof(o->said) - 1 &&
	       (got = read(pipes[0], o->said + n, sizeof(o->said) - 1 - n)) > 0)
		n += (size_t)got;
	o->said[n] = '\0';
	close(pipes[0]);
	waitpid(pid, &o->status, 0);
}

/* ---- forbidden ---- */

struct call {
	const char *name; /* as the log names it */
	long number;
	long a[6];
	bool connected; /* only forbidden after sandbox_connected */
};

static int make_call(void *context)
{
	const struct call *c = context;
	struct err e = {0};

	if (c->connected && sandbox_connected(&e)) {
		dprintf(STDERR_FILENO, "%s\n", e.text);
		return ENTER_FAILED;
	}
	syscall(c->number, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
	return 0;
}

static char memory[8192] __attribute__((aligned(4096)));

#define P(x) ((long)(x))
#define CALL(call, ...)                                                                            \
	{                                                                                          \
		.name = #call, .number = SYS_##call, .a = { __VA_ARGS__ }                          \
	}
#define LATER(call, ...)                                                                           \
	{                                                                                          \
		.name = #call, .number = SYS_##call, .a = {__VA_ARGS__}, .connected = true         \
	}

static void forbidden_calls_kill(void)
{
	const struct call calls[] = {
		CALL(open, P("/etc/passwd"), O_RDONLY),
		CALL(openat, AT_FDCWD, P("/"), O_RDONLY),
		CALL(openat2, AT_FDCWD, P("/")),
		CALL(execve, P("/bin/sh")),
		CALL(execveat, 0, P(""), 0, 0, AT_EMPTY_PATH),
		CALL(fork, 0),
		CALL(vfork, 0),
		CALL(clone, SIGCHLD),
		CALL(clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWNS),
		CALL(socket, AF_UNIX, SOCK_STREAM),
		CALL(socket, AF_NETLINK, SOCK_RAW),
		CALL(socket, AF_PACKET, SOCK_RAW),
		CALL(socket, AF_INET, SOCK_DGRAM),
		CALL(socket, AF_INET6, SOCK_RAW | SOCK_CLOEXEC),
		CALL(socket, 40 /* AF_VSOCK */, SOCK_STREAM),
		CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, P(memory)),
		CALL(bind, 0, P(memory), 16),
		CALL(listen, 0, 1),
		CALL(setsockopt, 0, SOL_SOCKET, SO_REUSEADDR, P(memory), 4),
		CALL(ioctl, 0, 0x5412 /* TIOCSTI */, P(memory)),
		CALL(ioctl, 0, KVM_CREATE_VM, 0),
		CALL(ioctl, 0, P(KVM_SET_USER_MEMORY_REGION), P(memory)),
		CALL(ioctl, 0, P(KVM_CREATE_DEVICE), P(memory)),
		CALL(ioctl, 0, P(UFFDIO_UNREGISTER), P(memory)),
		CALL(ioctl, 0, P(KVM_RUN) | 1L << 40, 0),
		CALL(ptrace, PTRACE_TRACEME),
		CALL(process_vm_readv, 1),
		CALL(process_vm_writev, 1),
		CALL(kill, P(getpid()), 0),
		CALL(tkill, P(getpid()), 0),
		CALL(tgkill, P(getpid()), P(getpid()), SIGUSR1),
		CALL(pidfd_open, P(getpid())),
		CALL(mmap, 0, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		CALL(mprotect, P(memory), 4096, PROT_READ | PROT_EXEC),
		CALL(pkey_mprotect, P(memory), 4096, PROT_EXEC, -1),
		CALL(userfaultfd, 0),
		CALL(memfd_create, P("x")),
		CALL(io_uring_setup, 1, P(memory)),
		CALL(bpf, BPF_MAP_CREATE),
		CALL(perf_event_open, 0),
		CALL(keyctl, 0),
		CALL(mount, 0),
		CALL(umount2, P("/")),
		CALL(unshare, CLONE_NEWUSER),
		CALL(setns, 0),
		CALL(chroot, P("/")),
		CALL(pivot_root, P("."), P(".")),
		CALL(setuid, 0),
		CALL(setresuid, 0),
		CALL(capset, P(memory)),
		CALL(prctl, PR_SET_DUMPABLE, 1),
		CALL(prctl, PR_SET_SECCOMP, 0),
		CALL(seccomp, 0 /* strict */),
		CALL(rt_sigaction, SIGSYS, P(memory), 0, 8),
		CALL(setpriority, PRIO_USER),
		CALL(sched_setattr, 1, P(memory), 0),
		CALL(fcntl, 0, F_DUPFD, 9),
		CALL(fcntl, 0, F_SETFL, 0),
		CALL(getdents64, 0, P(memory), 100),
		CALL(stat, P("/"), P(memory)),
		CALL(readlink, P("/proc/self/exe"), P(memory), 100),
		CALL(reboot, 0),
		CALL(kexec_load, 0),
		CALL(init_module, 0),
		LATER(socket, AF_INET, SOCK_STREAM),
		LATER(connect, 0),
		LATER(eventfd2, 0),
		LATER(seccomp, 1, 0, P(memory)),
	};

	for (size_t i = 0; i < UNIT_COUNT(calls); i++) {
		struct outcome o;
		char named[100];

		in_sandbox(make_call, (void *)&calls[i], &o);
		snprintf(named, sizeof(named), "the sandbox forbids system call %ld (%s)",
			 calls[i].number, calls[i].name);
		CU_ASSERT(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSYS);
		CU_ASSERT_PTR_NOT_NULL(strstr(o.said, named));
		if (!WIFSIGNALED(o.status) || !strstr(o.said, named))
			fprintf(stderr, "case %zu, %s: status 0x%x, said: %s\n", i, calls[i].name,
				(unsigned)o.status, o.said);
	}
	printf("%zu forbidden calls killed\n", UNIT_COUNT(calls));
}

static void *forbidden_in_thread(void *context)
{
	(void)context;
	syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);
	return NULL;
}

/* The shard's and the vCPUs' threads block nearly all signals. */
static int in_a_thread(void *context)
{
	pthread_t thread = 0;
	sigset_t all;

	sigfillset(&all);
	if (!context)
		sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	pthread_create(&thread, NULL, forbidden_in_thread, NULL);
	pthread_join(thread, NULL);
	return 0;
}

static void a_thread_that_makes_one_ends_the_process(void)
{
	struct outcome o;

	in_sandbox(in_a_thread, NULL, &o);
	CU_ASSERT(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(o.said, "(openat)"));
	in_sandbox(in_a_thread, memory, &o); /* SIGSYS blocked: dies as well, unnamed */
	CU_ASSERT(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSYS);
}

/* ---- promised ---- */

static int promise(const char *what, bool kept)
{
	if (!kept)
		dprintf(STDERR_FILENO, "broken: %s\n", what);
	return kept ? 0 : PROMISE_BROKEN;
}

static void *nothing(void *context)
{
	return context;
}

static int allowed_calls(void *context)
{
	struct err e = {0};
	pthread_t thread = 0;
	char *big = malloc(64 << 20);
	int bad = 0, tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(1)};

	(void)context;
	nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bad |= promise("a TCP socket", tcp >= 0);
	bad |= promise("a connect that is refused, not forbidden",
		       connect(tcp, (struct sockaddr *)&nobody, sizeof(nobody)) < 0 &&
			       (errno == ECONNREFUSED || errno == EINPROGRESS));
	bad |= promise("memory", big != NULL);
	free(big);
	bad |= promise("the second list", !sandbox_connected(&e));
	bad |= promise("a thread after it", !pthread_create(&thread, NULL, nothing, NULL));
	pthread_join(thread, NULL);
	sandbox_common_priority();
	bad |= promise("priority 0", getpid() > 0);
	usleep(1);
	return bad;
}

static void allowed_calls_live(void)
{
	struct outcome o;

	in_sandbox(allowed_calls, NULL, &o);
	CU_ASSERT(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0);
	if (!WIFEXITED(o.status) || WEXITSTATUS(o.status))
		fprintf(stderr, "status 0x%x, said: %s\n", (unsigned)o.status, o.said);
}

/* ---- what others see of the process ---- */

struct waiting {
	int ready, go; /* the child's ends */
};

static int wait_for_parent(void *context)
{
	const struct waiting *w = context;
	char byte = 0;

	if (write(w->ready, &byte, 1) != 1)
		return PROMISE_BROKEN;
	return read(w->go, &byte, 1) < 0;
}

/* The line of /proc/PID/status, without its name and leading space; "" if there is none. */
static void status_field(pid_t pid, const char *name, char out[128])
{
	char path[64], line[256];
	size_t n = strlen(name);
	FILE *f;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (!(f = fopen(path, "r")))
		return;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, n) && line[n] == ':')
			snprintf(out, 128, "%.*s", (int)strcspn(line + n + 2, "\n"), line + n + 2);
	fclose(f);
}

static void expect_status(pid_t pid, const char *name, const char *wanted)
{
	char is[128];

	status_field(pid, name, is);
	CU_ASSERT_STRING_EQUAL(is, wanted);
	if (strcmp(is, wanted))
		fprintf(stderr, "%s is '%s', not '%s'\n", name, is, wanted);
}

static void expect_empty_root(pid_t pid)
{
	char path[64];
	struct dirent *d;
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/root/", (int)pid);
	dir = opendir(path);
	CU_ASSERT_PTR_NOT_NULL(dir);
	if (!dir)
		return;
	while ((d = readdir(dir)))
		n += strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
	closedir(dir);
	CU_ASSERT_EQUAL(n, 0);
	snprintf(path, sizeof(path), "/proc/%d/root/x", (int)pid);
	CU_ASSERT(open(path, O_WRONLY | O_CREAT, 0600) < 0);
}

static bool own_namespace(pid_t pid, const char *name)
{
	char path[64], his[64] = "", mine[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	if (readlink(path, his, sizeof(his) - 1) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	return readlink(path, mine, sizeof(mine) - 1) > 0 && strcmp(his, mine) != 0;
}

/* prlimit(2) of another user's process would take CAP_SYS_RESOURCE. */
static unsigned long long hard_limit(pid_t pid, const char *name)
{
	unsigned long long soft, hard = ULLONG_MAX;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	if (!(f = fopen(path, "r")))
		return hard;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) &&
		    sscanf(line + strlen(name), "%llu %llu", &soft, &hard) != 2)
			hard = ULLONG_MAX;
	fclose(f);
	return hard;
}

static void look_at(pid_t pid)
{
	static const char none[] = "0000000000000000";
	static const char *const own[] = {"mnt", "ipc", "uts", "cgroup"};
	char ids[64];

	if (sandbox->uid) {
		snprintf(ids, sizeof(ids), "%u\t%u\t%u\t%u", sandbox->uid, sandbox->uid,
			 sandbox->uid, sandbox->uid);
		expect_status(pid, "Uid", ids);
		expect_status(pid, "Gid", ids);
		expect_status(pid, "Groups", " ");
		expect_status(pid, "CapBnd", none);
	}
	expect_status(pid, "CapInh", none);
	expect_status(pid, "CapPrm", none);
	expect_status(pid, "CapEff", none);
	expect_status(pid, "CapAmb", none);
	expect_status(pid, "NoNewPrivs", "1");
	expect_status(pid, "Seccomp", "2");
	expect_empty_root(pid);
	for (size_t i = 0; i < UNIT_COUNT(own); i++)
		CU_ASSERT(own_namespace(pid, own[i]));
	CU_ASSERT(!own_namespace(pid, "net"));
	CU_ASSERT_EQUAL(hard_limit(pid, "Max core file size"), 0);
	CU_ASSERT_EQUAL(hard_limit(pid, "Max locked memory"), 0);
	CU_ASSERT(hard_limit(pid, "Max open files") <= SANDBOX_FDS);
	CU_ASSERT(hard_limit(pid, "Max file size") <= SANDBOX_LOG_BYTES);
}

static void the_process_is_what_was_promised(void)
{
	int ready[2] = {-1, -1}, go[2] = {-1, -1}, status = -1;
	struct waiting w;
	char byte;
	pid_t pid;

	CU_ASSERT_FATAL(!pipe(ready) && !pipe(go));
	w = (struct waiting){.ready = ready[1], .go = go[0]};
	pid = fork();
	if (!pid)
		child(wait_for_parent, &w, STDERR_FILENO);
	close(ready[1]);
	CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
	look_at(pid);
	CU_ASSERT_EQUAL(write(go[1], &byte, 1), 1);
	waitpid(pid, &status, 0);
	CU_ASSERT(WIFEXITED(status) && !WEXITSTATUS(status));
	close(ready[0]);
	close(go[0]);
	close(go[1]);
}

/* ---- abort keeps its name ---- */

static int abort_now(void *context)
{
	(void)context;
	abort();
}

static void abort_is_sigabrt(void)
{
	struct outcome o;

	in_sandbox(abort_now, NULL, &o);
	CU_ASSERT(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGABRT);
}

/* `user`: as somebody without a capability. */
static int become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return -1;
	return prctl(PR_SET_DUMPABLE, 1); /* else its own /proc is not its own */
}

static bool user_namespaces(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWUSER) ? 1 : 0);
	return waitpid(pid, &status, 0) == pid && !status;
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(forbidden_calls_kill),
		UNIT_CASE(a_thread_that_makes_one_ends_the_process),
		UNIT_CASE(allowed_calls_live),
		UNIT_CASE(the_process_is_what_was_promised),
		UNIT_CASE(abort_is_sigabrt),
	};
	bool as_user = argc == 2 && !strcmp(argv[1], "user");
	static struct sandbox as;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	puts("SKIP: builds with a sanitizer have no sandbox");
	return 77;
#endif
	if (as_user && become_nobody()) {
		puts("SKIP: wants root, to become somebody else");
		return 77;
	}
	if (geteuid() && !user_namespaces()) {
		puts("SKIP: this user may not make namespaces");
		return 77;
	}
	as.uid = geteuid() ? 0 : UID;
	sandbox = &as;
	return unit_main(as_user ? "sandbox of a user" : "sandbox", cases, UNIT_COUNT(cases));
}
