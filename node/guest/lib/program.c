/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the library that is the same on vCPUs and on pthreads: jobs, memory, console. */
#include "node/guest/lib/internal.h"

/* Written by vCPU 0 only, read by all. */
static struct {
	uint32_t number; /* jobs so far */
	void (*fn)(unsigned vcpu, void *arg);
	void *arg;
} job G_PAGE_ALIGNED;

static struct g_barrier job_done;

static struct {
	struct g_lock lock;
	uint64_t next; /* 0: nothing was handed out yet */
} heap G_PAGE_ALIGNED;

void g_parallel(void (*fn)(unsigned vcpu, void *arg), void *arg)
{
	job.fn = fn;
	job.arg = arg;
	g_store(&job.number, job.number + 1);
	g_wake(&job.number);
	fn(0, arg);
	g_barrier_wait(&job_done);
}

void g_work(unsigned vcpu)
{
	for (uint32_t done = 0;; done++) {
		g_wait_while(&job.number, done);
		job.fn(vcpu, job.arg);
		g_barrier_wait(&job_done);
	}
}

void *g_alloc(size_t bytes)
{
	uint64_t unit = bytes >= G_PAGE ? G_PAGE : 16, first, limit, start, left;
	uint64_t size = bytes > UINT64_MAX - unit ? UINT64_MAX : (bytes + unit - 1) & -unit;

	g_heap(&first, &limit);
	g_lock_take(&heap.lock);
	start = ((heap.next ? heap.next : first) + unit - 1) & -unit;
	left = limit > start ? limit - start : 0;
	if (size <= left)
		heap.next = start + size;
	g_lock_drop(&heap.lock);
	if (size > left)
		g_panic("out of memory: %zu bytes wanted, %zu left", bytes, (size_t)left);
	return (void *)start;
}

static void print(const char *fmt, va_list ap)
{
	char line[1024];
	size_t n = g_format(line, sizeof(line), fmt, ap);

	g_console(line, n < sizeof(line) ? n : sizeof(line) - 1);
}

void g_printf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(fmt, ap);
	va_end(ap);
}

void g_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(fmt, ap);
	va_end(ap);
	g_console("\n", 1);
	g_exit(G_EXIT_PANIC);
}
