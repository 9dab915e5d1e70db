/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/second.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum { BYTES = 4096, ROUNDS_MAX = 4096, MESSAGE_MAX = 2 * BYTES };

static uint64_t ticks[ROUNDS_MAX];

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Of the time stamp counter, by the clock it is compared with for a moment. */
static double ticks_a_us(void)
{
	struct timespec a, b;
	uint64_t t = __rdtsc();

	clock_gettime(CLOCK_MONOTONIC_RAW, &a);
	do
		clock_gettime(CLOCK_MONOTONIC_RAW, &b);
	while ((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec < 2000000);
	return (double)(__rdtsc() - t) /
	       ((double)((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec) / 1e3);
}

static double median_us(unsigned n)
{
	uint64_t middle;

	qsort(ticks, n, sizeof(ticks[0]), by_size);
	middle = ticks[n / 2];
	return (double)middle / ticks_a_us();
}

/* ---- faults ---- */

static int uffd;
static char source[BYTES];

static void bring(unsigned long address)
{
	struct uffdio_copy c = {
		.dst = address / BYTES * BYTES, .src = (unsigned long)source, .len = BYTES};

	if (ioctl(uffd, UFFDIO_COPY, &c) && errno != EEXIST)
		abort();
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	bring((unsigned long)info->si_addr);
}

/* An address in the last page is the end. */
static void *bring_all(void *last)
{
	struct uffd_msg m;

	do {
		if (read(uffd, &m, sizeof(m)) != sizeof(m))
			abort();
		bring(m.arg.pagefault.address);
	} while (m.arg.pagefault.address < (unsigned long)last);
	return NULL;
}

static char *watched(unsigned pages, unsigned long features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	size_t bytes = (size_t)pages * BYTES;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register r = {.range = {(unsigned long)p, bytes},
				    .mode = UFFDIO_REGISTER_MODE_MISSING};

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0) {
		int dev = open("/dev/userfaultfd", O_RDWR);

		uffd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC);
		close(dev);
	}
	if (uffd < 0 || p == MAP_FAILED || madvise(p, bytes, MADV_NOHUGEPAGE) ||
	    ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &r))
		return NULL;
	return p;
}

static int touch_all(volatile char *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t t = __rdtsc();
		char c = p[(size_t)i * BYTES];

		ticks[i] = __rdtsc() - t;
		if (c != 'x')
			return -1;
	}
	return 0;
}

double second_fault(bool in_thread, unsigned n)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, before;
	char *p = watched(n, in_thread ? 0 : UFFD_FEATURE_SIGBUS);
	pthread_t thread;
	int rc;

	if (!p)
		return -1;
	memset(source, 'x', sizeof(source));
	if (in_thread)
		rc = pthread_create(&thread, NULL, bring_all, p + (size_t)(n - 1) * BYTES);
	else
		rc = sigaction(SIGBUS, &action, &before);
	if (!rc)
		rc = touch_all(p, n);
	if (in_thread)
		pthread_join(thread, NULL);
	else
		sigaction(SIGBUS, &before, NULL);
	close(uffd);
	munmap(p, (size_t)n * BYTES);
	return rc ? -1 : median_us(n);
}

/* ---- exchanges ---- */

/* Reads or writes all of it, never asleep. */
static int move(ssize_t (*call)(int, const struct iovec *, int), int fd, char *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		struct iovec v = {bytes + done, n - done};
		ssize_t now = call(fd, &v, 1);

		if (now == 0 || (now < 0 && errno != EAGAIN))
			return -1;
		done += now > 0 ? (size_t)now : 0;
	}
	return 0;
}

static int ready(int fd)
{
	int one = 1;

	if (fd >= 0 && !setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

static void answer(int listener, size_t ask, size_t reply, unsigned n)
{
	char bytes[MESSAGE_MAX] = {0};
	int fd = ready(accept(listener, NULL, NULL));

	while (n--)
		if (move(readv, fd, bytes, ask) || move(writev, fd, bytes, reply))
			_exit(1);
	_exit(0);
}

/* A child that begins on another core. */
static pid_t fork_on(int core)
{
	cpu_set_t here, there;
	pid_t child;

	CPU_ZERO(&there);
	CPU_SET(core, &there);
	sched_getaffinity(0, sizeof(here), &here);
	sched_setaffinity(0, sizeof(there), &there);
	child = fork();
	if (child)
		sched_setaffinity(0, sizeof(here), &here);
	return child;
}

static int ask_all(int fd, size_t ask, size_t reply, unsigned n)
{
	char bytes[MESSAGE_MAX] = {0};

	for (unsigned i = 0; i < n; i++) {
		uint64_t t = __rdtsc();

		if (move(writev, fd, bytes, ask) || move(readv, fd, bytes, reply))
			return -1;
		ticks[i] = __rdtsc() - t;
	}
	return 0;
}

double second_exchange(size_t ask, size_t reply, int other_core, unsigned n)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t bytes = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd, status = 1, rc;
	pid_t child;

	if (listener < 0 || bind(listener, (struct sockaddr *)&at, bytes) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&at, &bytes))
		return -1;
	child = fork_on(other_core);
	if (child == 0)
		answer(listener, ask, reply, n);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	rc = connect(fd, (struct sockaddr *)&at, bytes);
	if (!rc)
		rc = ask_all(ready(fd), ask, reply, n);
	close(fd);
	close(listener);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return rc || status ? -1 : median_us(n);
}
