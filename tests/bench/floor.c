/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint64_t floor_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- faults ---- */

struct floor_faults {
	enum floor_handler handler;
	int core;
	int uffd, epoll;
	uint8_t *base;
	size_t bytes;
	pthread_t thread;
	bool threaded;
	atomic_bool stop;
};

static uint8_t content[FLOOR_PAGE] __attribute__((aligned(FLOOR_PAGE)));

/* A signal handler has no argument of ours. */
static struct floor_faults *inline_faults;
static struct sigaction sigbus_before;

static int copy_to(const struct floor_faults *f, uint64_t address)
{
	struct uffdio_copy c = {
		.dst = address & ~(uint64_t)(FLOOR_PAGE - 1),
		.src = (uintptr_t)content,
		.len = FLOOR_PAGE,
	};

	return ioctl(f->uffd, UFFDIO_COPY, &c);
}

static bool is_ours(const struct floor_faults *f, const void *at)
{
	return f && (uintptr_t)at - (uintptr_t)f->base < f->bytes;
}

/* What is measured raises the same signal, perhaps. */
static void on_sigbus(int number, siginfo_t *info, void *context)
{
	bool ours = is_ours(inline_faults, info->si_addr);

	if (!ours && (sigbus_before.sa_flags & SA_SIGINFO))
		sigbus_before.sa_sigaction(number, info, context);
	else if (!ours || copy_to(inline_faults, (uintptr_t)info->si_addr))
		_exit(70);
}

static void resolve_one(const struct floor_faults *f)
{
	struct uffd_msg msg;

	if (read(f->uffd, &msg, sizeof(msg)) == sizeof(msg) && msg.event == UFFD_EVENT_PAGEFAULT)
		copy_to(f, msg.arg.pagefault.address);
}

static void pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *handle(void *context)
{
	struct floor_faults *f = context;
	struct epoll_event ev;

	if (f->handler != FLOOR_THREAD)
		pin(f->core);
	while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		if (f->handler != FLOOR_THREAD_SPINS && epoll_wait(f->epoll, &ev, 1, 100) <= 0)
			continue;
		resolve_one(f);
	}
	return NULL;
}

static int open_uffd(struct floor_faults *f)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	if (dev >= 0) {
		f->uffd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
		close(dev);
	} else {
		f->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	}
	if (f->uffd < 0)
		return -1;
	if (f->handler == FLOOR_INLINE)
		api.features = UFFD_FEATURE_SIGBUS;
	f->base = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->base == MAP_FAILED) {
		f->base = NULL;
		return -1;
	}
	madvise(f->base, f->bytes, MADV_NOHUGEPAGE);
	reg.range.start = (uintptr_t)f->base;
	reg.range.len = f->bytes;
	return ioctl(f->uffd, UFFDIO_API, &api) || ioctl(f->uffd, UFFDIO_REGISTER, &reg) ? -1 : 0;
}

static int start_handler(struct floor_faults *f)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
	struct epoll_event ev = {.events = EPOLLIN};

	if (f->handler == FLOOR_INLINE) {
		inline_faults = f;
		return sigaction(SIGBUS, &action, &sigbus_before);
	}
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll < 0 || epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->uffd, &ev))
		return -1;
	errno = pthread_create(&f->thread, NULL, handle, f);
	f->threaded = errno == 0;
	return errno ? -1 : 0;
}

int floor_faults_open(enum floor_handler handler, int core, unsigned pages,
		      struct floor_faults **out)
{
	struct floor_faults *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->handler = handler;
	f->core = core;
	f->bytes = (size_t)pages * FLOOR_PAGE;
	f->uffd = f->epoll = -1;
	memset(content, 1, sizeof(content));
	if (open_uffd(f) || start_handler(f)) {
		floor_faults_close(f);
		return -1;
	}
	*out = f;
	return 0;
}

void *floor_faults_base(struct floor_faults *f)
{
	return f->base;
}

int floor_faults_forget(struct floor_faults *f)
{
	return madvise(f->base, f->bytes, MADV_DONTNEED);
}

int floor_faults_run(struct floor_faults *f, uint64_t *ns, unsigned n)
{
	if ((size_t)n * FLOOR_PAGE > f->bytes) {
		errno = EINVAL;
		return -1;
	}
	if (floor_faults_forget(f))
		return -1;
	for (unsigned i = 0; i < n; i++) {
		volatile uint8_t *at = f->base + (size_t)i * FLOOR_PAGE;
		uint64_t began = floor_now();
		uint8_t seen = *at;

		ns[i] = floor_now() - began;
		if (seen != 1) {
			errno = EIO;
			return -1;
		}
	}
	return 0;
}

void floor_faults_close(struct floor_faults *f)
{
	if (!f)
		return;
	if (f->threaded) {
		atomic_store(&f->stop, true);
		pthread_join(f->thread, NULL);
	}
	if (inline_faults == f) {
		sigaction(SIGBUS, &sigbus_before, NULL);
		inline_faults = NULL;
	}
	if (f->base)
		munmap(f->base, f->bytes);
	if (f->epoll >= 0)
		close(f->epoll);
	if (f->uffd >= 0)
		close(f->uffd);
	free(f);
}

/* ---- exchanges ---- */

int floor_link(int link[2])
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	bool good;

	link[1] = socket(AF_INET, SOCK_STREAM, 0);
	good = !bind(listener, (struct sockaddr *)&at, n) && !listen(listener, 1) &&
	       !getsockname(listener, (struct sockaddr *)&at, &n) &&
	       !connect(link[1], (struct sockaddr *)&at, n) &&
	       (link[0] = accept(listener, NULL, NULL)) >= 0;
	close(listener);
	for (int i = 0; i < 2 && good; i++)
		setsockopt(link[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return good ? 0 : -1;
}

static int send_all(int fd, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (n) {
		ssize_t sent = send(fd, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (sent > 0) {
			at += sent;
			n -= (size_t)sent;
		}
	}
	return 0;
}

static int take_all(int fd, void *bytes, size_t n)
{
	uint8_t *at = bytes;

	while (n) {
		ssize_t got = recv(fd, at, n, MSG_DONTWAIT);

		if (got == 0)
			errno = ECONNRESET;
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return -1;
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
	return 0;
}

int floor_call(int fd, size_t ask, size_t reply, uint64_t *ns, unsigned n)
{
	uint8_t buffer[FLOOR_REPLY] = {1};

	for (unsigned i = 0; i < n; i++) {
		uint64_t began = floor_now();

		if (send_all(fd, buffer, ask) || take_all(fd, buffer, reply))
			return -1;
		ns[i] = floor_now() - began;
	}
	return 0;
}

int floor_answer(int fd, size_t ask, size_t reply, unsigned n)
{
	uint8_t buffer[FLOOR_REPLY] = {1};

	for (unsigned i = 0; i < n; i++)
		if (take_all(fd, buffer, ask) || send_all(fd, buffer, reply))
			return -1;
	return 0;
}

enum { PIECE = 1 << 20 };

int floor_stream_send(int fd, size_t bytes)
{
	uint8_t *piece = calloc(1, PIECE);
	int rc = piece ? 0 : -1;

	for (size_t done = 0; !rc && done < bytes; done += PIECE)
		rc = send_all(fd, piece, bytes - done < PIECE ? bytes - done : PIECE);
	free(piece);
	return rc;
}

int floor_stream_take(int fd, size_t bytes, uint64_t *ns)
{
	uint8_t *piece = calloc(1, PIECE);
	uint64_t began = floor_now();
	int rc = piece ? 0 : -1;

	for (size_t done = 0; !rc && done < bytes; done += PIECE)
		rc = take_all(fd, piece, bytes - done < PIECE ? bytes - done : PIECE);
	*ns = floor_now() - began;
	free(piece);
	return rc;
}
