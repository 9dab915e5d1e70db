/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library on pthreads, in an ordinary program: for comparing results with those of a guest.
 *
 *	jacobi-native [vcpus=N] [NAME=PATH]... [ARGUMENT]...
 *
 * vcpus: threads, 1 by default. NAME=PATH: an input file. All else goes to the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "node/guest/abi.h"
#include "node/guest/lib/internal.h"

#define HEAP_BYTES (64ull << 30) /* reserved, not used */

static unsigned vcpus = 1;
static __thread unsigned self;
static char *heap_start;

static struct {
	char name[GUEST_FILE_NAME_MAX];
	struct g_file file;
} files[GUEST_FILES_MAX];
static unsigned file_count;

unsigned g_vcpus(void)
{
	return vcpus;
}

unsigned g_self(void)
{
	return self;
}

uint64_t g_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void g_exit(int code)
{
	_exit(code);
}

void g_wait(const uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void g_wake(const uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void g_console(const char *text, size_t n)
{
	while (n) {
		ssize_t taken = write(STDOUT_FILENO, text, n);

		if (taken < 0 && errno != EINTR)
			return;
		if (taken > 0) {
			text += taken;
			n -= (size_t)taken;
		}
	}
}

void g_heap(uint64_t *start, uint64_t *end)
{
	*start = (uint64_t)heap_start;
	*end = *start + HEAP_BYTES;
}

const struct g_file *g_file(const char *name)
{
	for (unsigned i = 0; i < file_count; i++)
		if (!strcmp(files[i].name, name))
			return &files[i].file;
	return NULL;
}

static void open_file(const char *name, size_t length, const char *path)
{
	struct stat st;
	void *data = NULL;
	int fd;

	if (file_count == GUEST_FILES_MAX || length >= GUEST_FILE_NAME_MAX)
		g_panic("too many files, or too long a name: %s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		g_panic("%s: %s", path, strerror(errno));
	if (st.st_size) {
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
		if (data == MAP_FAILED)
			g_panic("%s: %s", path, strerror(errno));
	}
	close(fd);
	memcpy(files[file_count].name, name, length);
	files[file_count++].file = (struct g_file){data, (uint64_t)st.st_size};
}

/* Takes vcpus= and NAME=PATH out of the arguments; returns how many are left, from argv[0] on. */
static int parse(int argc, char **argv)
{
	int left = 0;

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		uint64_t n;

		if (!value) {
			argv[left++] = argv[i];
			continue;
		}
		if (strncmp(argv[i], "vcpus=", 6)) {
			open_file(argv[i], (size_t)(value - argv[i]), value + 1);
			continue;
		}
		if (!g_number(value + 1, &n) || !n || n > G_VCPUS_MAX)
			g_panic("%s: wanted 1 to %d", argv[i], G_VCPUS_MAX);
		vcpus = (unsigned)n;
	}
	argv[left] = NULL;
	return left;
}

static void *thread(void *number)
{
	self = (unsigned)(uintptr_t)number;
	g_work(self);
}

int main(int argc, char **argv)
{
	pthread_t t;
	int left = parse(argc, argv);

	heap_start = mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (heap_start == MAP_FAILED)
		g_panic("no memory: %s", strerror(errno));
	for (uintptr_t i = 1; i < vcpus; i++)
		if (pthread_create(&t, NULL, thread, (void *)i))
			g_panic("no thread");
	g_exit(g_main(left, argv));
}
