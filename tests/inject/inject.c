/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-ins. Each asks hit() whether it is the call to fail, else it calls the real function.
 * Nothing here allocates after the first call: allocations of the C library's own (__libc_malloc)
 * are used before the real functions are found.
 */
#include "tests/inject/inject.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/userfaultfd.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t each);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);
extern void __libc_free(void *p);

static bool sandboxed;
static struct inject *in; /* NULL: nothing is counted */
static __thread bool busy __attribute__((tls_model("initial-exec")));

/* ---- which call this is ---- */

static void put(char *out, size_t room, size_t *n, const char *text)
{
	while (*text && *n + 1 < room)
		out[(*n)++] = *text++;
	out[*n] = '\0';
}

static void copy(char *out, size_t room, const char *text)
{
	size_t n = 0;

	put(out, room, &n, text);
}

static void put_hex(char *out, size_t room, size_t *n, uint64_t v)
{
	char digits[20];
	unsigned at = sizeof(digits);

	digits[--at] = '\0';
	do
		digits[--at] = "0123456789abcdef"[v & 15];
	while (v >>= 4);
	put(out, room, n, "+0x");
	put(out, room, n, digits + at);
}

static uint64_t mix(uint64_t hash, uint64_t v)
{
	return (hash ^ v) * 0x100000001b3u; /* FNV-1a, a word at a time */
}

struct object {
	uint64_t offset;
	char name[32];
};

static void find_object(void *address, struct object *o)
{
	Dl_info info;
	const char *slash;

	*o = (struct object){.offset = (uint64_t)address};
	if (!dladdr(address, &info) || !info.dli_fname)
		return;
	slash = strrchr(info.dli_fname, '/');
	o->offset = (uint64_t)address - (uint64_t)info.dli_fbase;
	copy(o->name, sizeof(o->name), slash ? slash + 1 : info.dli_fname);
}

static uint64_t text_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	while (*text)
		hash = mix(hash, (unsigned char)*text++);
	return hash;
}

enum { OWN_FRAMES = 3 }; /* this function, hit, the stand-in */

static uint64_t find_site(const char *name, void *caller, char where[INJECT_WHERE_MAX])
{
	void *frame[INJECT_FRAMES + OWN_FRAMES] = {[OWN_FRAMES] = caller};
	unsigned most = in ? atomic_load(&in->frames) : 0;
	int got = OWN_FRAMES + (int)(most ? most : INJECT_FRAMES);
	uint64_t hash = text_hash(name);
	size_t n = 0;

	if (got > OWN_FRAMES + 1)
		got = backtrace(frame, got); /* slow */
	where[0] = '\0';
	for (int i = OWN_FRAMES; i < got; i++) {
		struct object o;

		find_object(frame[i], &o);
		hash = mix(mix(hash, text_hash(o.name)), o.offset);
		put(where, INJECT_WHERE_MAX, &n, n ? " " : "");
		put(where, INJECT_WHERE_MAX, &n, o.name);
		put_hex(where, INJECT_WHERE_MAX, &n, o.offset);
	}
	return hash ? hash : 1;
}

/* Lock-free: threads may meet here. */
static void note_site(uint64_t hash, const char *name, const char *where)
{
	for (uint64_t i = hash;; i++) {
		struct inject_site *s = &in->sites[i % INJECT_SITES_MAX];
		uint64_t free = 0;

		if (atomic_load(&s->hash) == hash)
			return;
		if (atomic_load(&in->sites_seen) > INJECT_SITES_MAX * 3 / 4)
			return;
		if (atomic_compare_exchange_strong(&s->hash, &free, hash)) {
			copy(s->name, sizeof(s->name), name);
			copy(s->where, sizeof(s->where), where);
			atomic_fetch_add(&in->sites_seen, 1);
			return;
		}
		if (free == hash)
			return;
	}
}

/* True once: for the call that shall fail. */
static bool chosen(const char *name, void *caller)
{
	uint64_t nth = atomic_fetch_add(&in->calls, 1) + 1, wanted = atomic_load(&in->nth), site,
		 one = 0;
	char where[INJECT_WHERE_MAX];

	if (wanted ? nth != wanted : atomic_load(&in->fired) != 0)
		return false;
	site = find_site(name, caller, where);
	if (!wanted) {
		note_site(site, name, where);
		if (site != atomic_load(&in->site))
			return false;
	}
	if (!atomic_compare_exchange_strong(&in->fired, &one, 1))
		return false;
	copy(in->name, sizeof(in->name), name);
	copy(in->where, sizeof(in->where), where);
	return true;
}

/* hard, soft: the errno to give; 0: this call does not fail so. */
#define hit(name, hard, soft) hit_from(name, hard, soft, __builtin_return_address(0))
static __attribute__((noinline)) bool hit_from(const char *name, int hard, int soft, void *caller)
{
	int errnum;
	bool is;

	if (!in || busy || !atomic_load(&in->armed))
		return false;
	errnum = atomic_load(&in->kind) == INJECT_SOFT ? soft : hard;
	if (!errnum)
		return false;
	busy = true;
	is = chosen(name, caller);
	busy = false;
	if (!is)
		return false;
	atomic_store(&in->errnum, errnum);
	errno = errnum;
	return true;
}

/* ---- start ---- */

static bool meant(void)
{
	const char *program = getenv("INJECT_PROGRAM");

	return program && !strcmp(program, program_invocation_short_name);
}

static struct inject *map_file(const char *path)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	void *p;

	if (fd < 0)
		return NULL;
	p = (void *)syscall(SYS_mmap, NULL, sizeof(struct inject), PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0L);
	syscall(SYS_close, fd);
	return p == MAP_FAILED ? NULL : p;
}

static void warm_up(void)
{
	char where[INJECT_WHERE_MAX];

	busy = true;
	find_site("", NULL, where); /* loads the unwinder */
	busy = false;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("INJECT_FILE");

	if (!path || !meant())
		return;
	warm_up();
	sandboxed = !strcmp(program_invocation_short_name, "cell-vm");
	in = map_file(path);
	if (in && atomic_fetch_add(&in->started, 1) != atomic_load(&in->which))
		in = NULL;
}

void inject_self(struct inject *own)
{
	warm_up();
	in = own;
}

/* ---- allocations ---- */

static void count_live(const void *before, const void *after)
{
	if (in && !busy && atomic_load(&in->armed))
		atomic_fetch_add(&in->live, (after != NULL) - (before != NULL));
}

void *malloc(size_t n)
{
	void *p = hit("malloc", ENOMEM, 0) ? NULL : __libc_malloc(n);

	count_live(NULL, p);
	return p;
}

void *calloc(size_t n, size_t each)
{
	void *p = hit("calloc", ENOMEM, 0) ? NULL : __libc_calloc(n, each);

	count_live(NULL, p);
	return p;
}

void *realloc(void *old, size_t n)
{
	void *p;

	if (hit("realloc", ENOMEM, 0))
		return NULL;
	p = __libc_realloc(old, n);
	if (p || !n)
		count_live(old, p);
	return p;
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
	void *p = hit("posix_memalign", ENOMEM, 0) ? NULL : __libc_memalign(alignment, n);

	if (!p)
		return ENOMEM;
	count_live(NULL, p);
	*out = p;
	return 0;
}

void *aligned_alloc(size_t alignment, size_t n)
{
	void *p = hit("aligned_alloc", ENOMEM, 0) ? NULL : __libc_memalign(alignment, n);

	count_live(NULL, p);
	return p;
}

void free(void *p)
{
	count_live(p, NULL);
	__libc_free(p);
}

/* ---- calls ---- */

#define REAL(name)                                                                                 \
	({                                                                                         \
		static __typeof__(name) *real;                                                     \
		if (!real) {                                                                       \
			bool was = busy;                                                           \
			busy = true;                                                               \
			real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);                        \
			busy = was;                                                                \
		}                                                                                  \
		real;                                                                              \
	})

/* name(arguments) of `type`: fails with `hard` or `soft`, returning `failure`. */
#define STAND_IN(type, failure, hard, soft, name, parameters, arguments)                           \
	type name parameters                                                                       \
	{                                                                                          \
		if (hit(#name, hard, soft))                                                        \
			return failure;                                                            \
		return REAL(name) arguments;                                                       \
	}
#define CALL(hard, soft, name, parameters, arguments)                                              \
	STAND_IN(int, -1, hard, soft, name, parameters, arguments)
#define BYTES(hard, soft, name, parameters, arguments)                                             \
	STAND_IN(ssize_t, -1, hard, soft, name, parameters, arguments)

/* clang-format off */
BYTES(EIO, EINTR, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
BYTES(EIO, EINTR, pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))
BYTES(EIO, EINTR, readv, (int fd, const struct iovec *v, int n), (fd, v, n))
BYTES(ENOSPC, EINTR, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
BYTES(ENOSPC, EINTR, pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
BYTES(EPIPE, EINTR, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
BYTES(ENOBUFS, EINTR, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
BYTES(ENOBUFS, EINTR, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
BYTES(ECONNRESET, EINTR, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
BYTES(ECONNRESET, EINTR, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
BYTES(EIO, EINTR, getrandom, (void *p, size_t n, unsigned flags), (p, n, flags))
BYTES(EIO, 0, readlink, (const char *path, char *out, size_t n), (path, out, n))
STAND_IN(void *, MAP_FAILED, ENOMEM, 0, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t o), (at, n, prot, flags, fd, o))
STAND_IN(void *, MAP_FAILED, ENOMEM, 0, mmap64, (void *at, size_t n, int prot, int flags, int fd, off64_t o), (at, n, prot, flags, fd, o))
STAND_IN(DIR *, NULL, EMFILE, 0, opendir, (const char *path), (path))
STAND_IN(FILE *, NULL, EMFILE, 0, fopen, (const char *path, const char *mode), (path, mode))
STAND_IN(char *, NULL, EACCES, 0, realpath, (const char *path, char *out), (path, out))
CALL(ENOMEM, 0, mprotect, (void *p, size_t n, int prot), (p, n, prot))
CALL(ENOMEM, 0, madvise, (void *p, size_t n, int advice), (p, n, advice))
CALL(EMFILE, 0, epoll_create1, (int flags), (flags))
CALL(ENOSPC, 0, epoll_ctl, (int fd, int op, int of, struct epoll_event *e), (fd, op, of, e))
CALL(0, EINTR, epoll_wait, (int fd, struct epoll_event *e, int n, int ms), (fd, e, n, ms))
CALL(0, EINTR, epoll_pwait, (int fd, struct epoll_event *e, int n, int ms, const sigset_t *s), (fd, e, n, ms, s))
CALL(ENOMEM, EINTR, poll, (struct pollfd *p, nfds_t n, int ms), (p, n, ms))
CALL(EMFILE, 0, socket, (int domain, int type, int protocol), (domain, type, protocol))
CALL(EMFILE, 0, socketpair, (int domain, int type, int protocol, int fds[2]), (domain, type, protocol, fds))
CALL(EADDRINUSE, 0, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
CALL(EADDRINUSE, 0, listen, (int fd, int n), (fd, n))
CALL(ENETUNREACH, EINTR, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
CALL(EMFILE, EINTR, accept, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
CALL(EMFILE, EINTR, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags))
CALL(ENOBUFS, 0, setsockopt, (int fd, int level, int name, const void *v, socklen_t n), (fd, level, name, v, n))
CALL(ENOBUFS, 0, getsockopt, (int fd, int level, int name, void *v, socklen_t *n), (fd, level, name, v, n))
CALL(ENOBUFS, 0, getsockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
STAND_IN(pid_t, -1, EAGAIN, 0, fork, (void), ())
CALL(EMFILE, 0, memfd_create, (const char *name, unsigned flags), (name, flags))
CALL(EMFILE, 0, eventfd, (unsigned v, int flags), (v, flags))
CALL(EMFILE, 0, timerfd_create, (int clock, int flags), (clock, flags))
CALL(EINVAL, 0, timerfd_settime, (int fd, int flags, const struct itimerspec *v, struct itimerspec *old), (fd, flags, v, old))
CALL(EMFILE, EINTR, dup2, (int from, int to), (from, to))
CALL(EMFILE, 0, pipe, (int fds[2]), (fds))
CALL(EMFILE, 0, pipe2, (int fds[2], int flags), (fds, flags))
CALL(ENOMEM, 0, stat, (const char *path, struct stat *st), (path, st))
CALL(ENOMEM, 0, stat64, (const char *path, struct stat64 *st), (path, st))
CALL(ENOMEM, 0, lstat, (const char *path, struct stat *st), (path, st))
CALL(ENOMEM, 0, lstat64, (const char *path, struct stat64 *st), (path, st))
CALL(ENOMEM, 0, fstat, (int fd, struct stat *st), (fd, st))
CALL(ENOMEM, 0, fstat64, (int fd, struct stat64 *st), (fd, st))
CALL(ENOSPC, 0, mkdir, (const char *path, mode_t mode), (path, mode))
CALL(EIO, 0, rename, (const char *from, const char *to), (from, to))
CALL(EIO, 0, unlink, (const char *path), (path))
CALL(EACCES, 0, chmod, (const char *path, mode_t mode), (path, mode))
CALL(ENOLCK, EINTR, flock, (int fd, int op), (fd, op))
CALL(EIO, EINTR, fsync, (int fd), (fd))
CALL(EIO, EINTR, fdatasync, (int fd), (fd))
CALL(ENOSPC, EINTR, ftruncate, (int fd, off_t n), (fd, n))
CALL(ENOSPC, EINTR, ftruncate64, (int fd, off64_t n), (fd, n))
CALL(EACCES, 0, access, (const char *path, int mode), (path, mode))
CALL(EPERM, 0, unshare, (int flags), (flags))
CALL(EPERM, 0, mount, (const char *what, const char *where, const char *type, unsigned long flags, const void *data), (what, where, type, flags, data))
CALL(EINVAL, 0, umount2, (const char *where, int flags), (where, flags))
CALL(EPERM, 0, setresuid, (uid_t a, uid_t b, uid_t c), (a, b, c))
CALL(EPERM, 0, setresgid, (gid_t a, gid_t b, gid_t c), (a, b, c))
CALL(EPERM, 0, setgroups, (size_t n, const gid_t *g), (n, g))
CALL(EIO, 0, chdir, (const char *path), (path))
CALL(EINVAL, 0, sigaction, (int s, const struct sigaction *a, struct sigaction *old), (s, a, old))
STAND_IN(pid_t, -1, 0, EINTR, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
CALL(ENOMEM, 0, close_range, (unsigned a, unsigned b, int flags), (a, b, flags))
/* clang-format on */

int setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
	return hit("setrlimit", EPERM, 0) ? -1 : REAL(setrlimit)(what, limit);
}

int getrlimit(__rlimit_resource_t what, struct rlimit *limit)
{
	return hit("getrlimit", EINVAL, 0) ? -1 : REAL(getrlimit)(what, limit);
}

ssize_t sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *a, socklen_t an)
{
	return hit("sendto", ENOBUFS, EINTR) ? -1 : REAL(sendto)(fd, p, n, flags, a, an);
}

ssize_t recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *a, socklen_t *an)
{
	return hit("recvfrom", ECONNRESET, EINTR) ? -1 : REAL(recvfrom)(fd, p, n, flags, a, an);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
		   void *context)
{
	return hit("pthread_create", EAGAIN, 0) ? EAGAIN
						: REAL(pthread_create)(thread, attr, run, context);
}

/* A pipe's own end does not break. In its sandbox cell-vm may not ask what a descriptor is. */
static bool is_pipe(int fd)
{
	struct stat st;

	return in && !sandboxed && !REAL(fstat)(fd, &st) && S_ISFIFO(st.st_mode);
}

ssize_t read(int fd, void *p, size_t n)
{
	return hit("read", is_pipe(fd) ? 0 : EIO, EINTR) ? -1 : REAL(read)(fd, p, n);
}

ssize_t write(int fd, const void *p, size_t n)
{
	return hit("write", is_pipe(fd) ? 0 : ENOSPC, EINTR) ? -1 : REAL(write)(fd, p, n);
}

/* ---- with a variable part ---- */

#define LAST_ARGUMENT(type, after)                                                                 \
	({                                                                                         \
		va_list ap;                                                                        \
		type value_;                                                                       \
		va_start(ap, after);                                                               \
		value_ = va_arg(ap, type);                                                         \
		va_end(ap);                                                                        \
		value_;                                                                            \
	})

#define OPEN(name)                                                                                 \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? LAST_ARGUMENT(mode_t, flags) : 0;    \
		return hit(#name, EMFILE, EINTR) ? -1 : REAL(name)(path, flags, mode);             \
	}
OPEN(open)
OPEN(open64)

int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? LAST_ARGUMENT(mode_t, flags) : 0;

	return hit("openat", EMFILE, EINTR) ? -1 : REAL(openat)(dir, path, flags, mode);
}

int fcntl(int fd, int what, ...)
{
	void *last = LAST_ARGUMENT(void *, what);

	return hit("fcntl", EMFILE, 0) ? -1 : REAL(fcntl)(fd, what, last);
}

int fcntl64(int fd, int what, ...)
{
	void *last = LAST_ARGUMENT(void *, what);

	return hit("fcntl64", EMFILE, 0) ? -1 : REAL(fcntl64)(fd, what, last);
}

/* EAGAIN is what userfaultfd answers while the address space changes. */
int ioctl(int fd, unsigned long request, ...)
{
	void *last = LAST_ARGUMENT(void *, request);
	bool uffd = (request >> 8 & 0xff) == UFFDIO, retry = uffd && request != UFFDIO_API &&
							     request != UFFDIO_REGISTER &&
							     request != USERFAULTFD_IOC_NEW;

	return hit("ioctl", ENOMEM, retry ? EAGAIN : 0) ? -1 : REAL(ioctl)(fd, request, last);
}

int prctl(int what, ...)
{
	va_list ap;
	unsigned long a[4];

	va_start(ap, what);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	return hit("prctl", EPERM, 0) ? -1 : REAL(prctl)(what, a[0], a[1], a[2], a[3]);
}

long syscall(long number, ...)
{
	va_list ap;
	long a[6];

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (hit("syscall", EPERM, 0))
		return -1;
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
