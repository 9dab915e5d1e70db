/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of dsm/mem.h about who waits and who is woken, in cases with raw operations (M5), and
 * about accesses that are not a plain load or store: by the kernel (M11), over two pages (M12), to
 * locked memory (M9), and when nobody serves any more (M10).
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "toucher.h"

#define OK(call) CU_ASSERT_EQUAL(call, ERR_OK)

static const struct mem_config small = {.pages = 8};

static uint8_t filled[DSM_PAGE_SIZE];

static const void *page_of(uint8_t value)
{
	memset(filled, value, sizeof(filled));
	return filled;
}

static struct gpage page(uint64_t v)
{
	return (struct gpage){v};
}

/* ---- M5 ---- */

/* COPY of n pages from page first on, which wakes; returns its result, sets *done to its bytes. */
static int copy_and_wake(struct mem *m, uint64_t first, unsigned n, int64_t *done)
{
	static uint8_t run[4 * DSM_PAGE_SIZE];
	struct uffdio_copy c = {
		.dst = (uintptr_t)page_at(m, first),
		.src = (uintptr_t)run,
		.len = (uint64_t)n * DSM_PAGE_SIZE,
	};
	int rc = ioctl(mem_uffd.fd(m), UFFDIO_COPY, &c) ? errno : 0;

	*done = c.copy;
	return rc;
}

static void m5_a_copy_that_fails_wakes_nobody(void)
{
	struct mem *m = mem_or_skip(&small);
	struct mem_fault f;
	struct toucher t;
	int64_t done;

	if (!m)
		return;
	touch_read(&t, page_at(m, 1));
	CU_ASSERT_FATAL(next_fault(m, &f));
	OK(mem_uffd.install(m, page(1), false, page_of(7), NULL)); /* no wake */
	CU_ASSERT_EQUAL(copy_and_wake(m, 1, 1, &done), EEXIST);
	CU_ASSERT_EQUAL(done, -EEXIST);
	CU_ASSERT(touch_waits(&t));
	OK(mem_uffd.wake(m, page(1), NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	CU_ASSERT_EQUAL(t.value, 7);
	mem_uffd.close(m);
}

static void m5_a_run_that_stops_wakes_those_of_the_pages_done(void)
{
	struct toucher before, at, behind;
	struct mem *m = mem_or_skip(&small);
	struct mem_fault f;
	int64_t done;

	if (!m)
		return;
	touch_read(&before, page_at(m, 0));
	CU_ASSERT_FATAL(next_fault(m, &f));
	touch_read(&behind, page_at(m, 2));
	CU_ASSERT_FATAL(next_fault(m, &f));
	OK(mem_uffd.install(m, page(1), false, page_of(7), NULL));
	touch_write(&at, page_at(m, 1), 8);
	CU_ASSERT_FATAL(next_fault(m, &f));
	CU_ASSERT_EQUAL(copy_and_wake(m, 0, 3, &done), EAGAIN);
	CU_ASSERT_EQUAL(done, DSM_PAGE_SIZE);
	CU_ASSERT_FATAL(touch_done(&before));
	CU_ASSERT(touch_waits(&at));
	CU_ASSERT(touch_waits(&behind));
	CU_ASSERT_EQUAL(copy_and_wake(m, 2, 1, &done), 0); /* goes on behind the page */
	CU_ASSERT_FATAL(touch_done(&behind));
	OK(mem_uffd.unprotect(m, page(1), NULL));
	OK(mem_uffd.wake(m, page(1), NULL));
	CU_ASSERT_FATAL(touch_done(&at));
	mem_uffd.close(m);
}

/* ---- threads that do more than touch a byte ---- */

struct doer {
	pthread_t thread;
	void (*run)(struct doer *d);
	uint8_t *at;
	int fd;
	ssize_t result;
	atomic_bool done;
};

static void *do_it(void *context)
{
	struct doer *d = context;

	d->run(d);
	atomic_store(&d->done, true);
	return NULL;
}

static void start(struct doer *d)
{
	atomic_store(&d->done, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&d->thread, NULL, do_it, d), 0);
}

/* Gives what is asked for, until the doer is through: every missing page with `value` in it,
 * read-only unless a write asks. Returns how many faults that took, or -1: it never ended. */
static int serve(struct mem *m, struct doer *d, uint8_t value)
{
	enum { LOOKS = 20000 };
	struct mem_fault f;
	int faults = 0;

	for (int look = 0; look < LOOKS && !atomic_load(&d->done); look++) {
		if (mem_uffd.faults(m, &f, 1) < 1) {
			usleep(1000);
			continue;
		}
		faults++;
		if (mem_uffd.install(m, f.page, false, page_of(value), NULL) == ERR_EXISTS)
			OK(mem_uffd.unprotect(m, f.page, NULL));
		OK(mem_uffd.wake(m, f.page, NULL));
	}
	if (!atomic_load(&d->done))
		return -1;
	pthread_join(d->thread, NULL);
	return faults;
}

/* ---- M11 ---- */

enum { CALL_BYTES = 2 * DSM_PAGE_SIZE - 100 };

static void call_read(struct doer *d)
{
	for (ssize_t n = 1; n > 0 && d->result < CALL_BYTES; d->result += n)
		n = read(d->fd, d->at + d->result, (size_t)(CALL_BYTES - d->result));
}

static void call_write(struct doer *d)
{
	d->result = write(d->fd, d->at, CALL_BYTES);
}

static void m11_a_system_call_that_writes_the_range_faults_and_waits(void)
{
	struct mem *m = mem_or_skip(&small);
	static uint8_t text[CALL_BYTES];
	int pipes[2], faults;
	struct doer d;

	if (!m)
		return;
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7 + 1);
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	CU_ASSERT_EQUAL_FATAL(write(pipes[1], text, sizeof(text)), (ssize_t)sizeof(text));
	d = (struct doer){.run = call_read, .at = page_at(m, 1) + 50, .fd = pipes[0]};
	start(&d);
	faults = serve(m, &d, 9);
	CU_ASSERT(faults >= 2); /* two pages, missing, then perhaps protected */
	CU_ASSERT_EQUAL(d.result, CALL_BYTES);
	CU_ASSERT_EQUAL(memcmp(d.at, text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(page_at(m, 1)[49], 9);
	CU_ASSERT_EQUAL(d.at[CALL_BYTES], 9);
	close(pipes[0]);
	close(pipes[1]);
	mem_uffd.close(m);
}

static void m11_a_system_call_that_reads_the_range_faults_and_waits(void)
{
	struct mem *m = mem_or_skip(&small);
	uint8_t text[CALL_BYTES];
	struct doer d;
	int pipes[2];

	if (!m)
		return;
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	d = (struct doer){.run = call_write, .at = page_at(m, 3), .fd = pipes[1]};
	start(&d);
	CU_ASSERT_EQUAL(serve(m, &d, 5), 2);
	CU_ASSERT_EQUAL(d.result, CALL_BYTES);
	CU_ASSERT_EQUAL(read(pipes[0], text, sizeof(text)), CALL_BYTES);
	CU_ASSERT_EQUAL(text[0], 5);
	CU_ASSERT_EQUAL(memcmp(text, text + 1, sizeof(text) - 1), 0);
	close(pipes[0]);
	close(pipes[1]);
	mem_uffd.close(m);
}

/* A call that waits for a protected page is held off as a store is: nothing reaches the page. */
static void m11_protect_stops_a_system_call(void)
{
	struct mem *m = mem_or_skip(&small);
	uint8_t out[DSM_PAGE_SIZE];
	struct mem_fault f;
	int pipes[2];
	struct doer d;

	if (!m)
		return;
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	OK(mem_uffd.install(m, page(0), true, page_of(3), NULL));
	OK(mem_uffd.install(m, page(1), true, page_of(3), NULL));
	OK(mem_uffd.protect(m, page(0), NULL));
	CU_ASSERT_EQUAL_FATAL(write(pipes[1], filled, 1), 1);
	d = (struct doer){.run = call_read, .at = page_at(m, 0), .fd = pipes[0], .result = 0};
	start(&d);
	CU_ASSERT_FATAL(next_fault(m, &f));
	CU_ASSERT_EQUAL(f.page.v, 0);
	CU_ASSERT(f.write);
	OK(mem_uffd.read_out(m, page(0), out, NULL));
	OK(mem_uffd.drop(m, page(0), NULL));
	CU_ASSERT_EQUAL(memcmp(out, page_of(3), sizeof(out)), 0);
	OK(mem_uffd.install(m, page(0), true, page_of(4), NULL));
	OK(mem_uffd.wake(m, page(0), NULL));
	close(pipes[1]); /* its end */
	CU_ASSERT_EQUAL(serve(m, &d, 0), 0);
	CU_ASSERT_EQUAL(d.result, 1);
	CU_ASSERT_EQUAL(page_at(m, 0)[0], 3); /* the byte read, over the 4 */
	CU_ASSERT_EQUAL(page_at(m, 0)[1], 4);
	close(pipes[0]);
	mem_uffd.close(m);
}

/* ---- M12 ---- */

enum { BEFORE = 3 }; /* bytes on the first of the two pages */

static void store_8(struct doer *d)
{
	__asm__ volatile("movq %1, %0"
			 : "=m"(*(uint64_t *)d->at)
			 : "r"(0x1122334455667788ull)
			 : "memory");
}

static void lock_inc_8(struct doer *d)
{
	__asm__ volatile("lock incq %0" : "+m"(*(uint64_t *)d->at) : : "memory", "cc");
}

static void m12_a_store_over_two_pages_needs_both(void)
{
	struct mem *m = mem_or_skip(&small);
	uint64_t now;
	struct mem_fault f;
	struct doer d;

	if (!m)
		return;
	OK(mem_uffd.install(m, page(0), true, page_of(1), NULL));
	d = (struct doer){.run = store_8, .at = page_at(m, 1) - BEFORE};
	start(&d);
	CU_ASSERT_FATAL(next_fault(m, &f));
	CU_ASSERT_EQUAL(f.page.v, 1);
	CU_ASSERT_EQUAL(d.at[0], 1); /* the half whose page is here was not stored */
	OK(mem_uffd.install(m, page(1), true, page_of(1), NULL));
	OK(mem_uffd.protect(m, page(0), NULL)); /* now the other one goes away */
	OK(mem_uffd.drop(m, page(0), NULL));
	OK(mem_uffd.wake(m, page(1), NULL));
	CU_ASSERT_FATAL(next_fault(m, &f));
	CU_ASSERT_EQUAL(f.page.v, 0);
	CU_ASSERT_EQUAL(page_at(m, 1)[0], 1);
	OK(mem_uffd.install(m, page(0), true, page_of(1), NULL));
	OK(mem_uffd.wake(m, page(0), NULL));
	CU_ASSERT_EQUAL(serve(m, &d, 0), 0);
	memcpy(&now, d.at, sizeof(now));
	CU_ASSERT_EQUAL(now, 0x1122334455667788ull);
	mem_uffd.close(m);
}

/* One, and with --long only: processors that watch for locked accesses over two lines make them
 * last seconds, and the machine with them. */
static void m12_a_locked_instruction_over_two_pages_needs_both(void)
{
	struct mem *m = mem_or_skip(&small);
	struct doer d;
	uint64_t now;

	if (!m)
		return;
	d = (struct doer){.run = lock_inc_8, .at = page_at(m, 1) - BEFORE};
	start(&d);
	CU_ASSERT(serve(m, &d, 0) >= 2);
	memcpy(&now, d.at, sizeof(now));
	CU_ASSERT_EQUAL(now, 1);
	mem_uffd.close(m);
}

/* ---- M9 ---- */

/* Locked memory cannot be dropped: the adapter says so, and the page stays what it was. */
static void m9_a_locked_page_is_not_dropped_in_silence(void)
{
	struct mem *m = mem_or_skip(&small);
	struct err e = {0};

	if (!m)
		return;
	OK(mem_uffd.install(m, page(2), true, page_of(6), NULL));
	if (mlock2(page_at(m, 2), DSM_PAGE_SIZE, MLOCK_ONFAULT)) {
		unit_skip("mlock2: %s", strerror(errno));
		mem_uffd.close(m);
		return;
	}
	CU_ASSERT_EQUAL(mem_uffd.drop(m, page(2), &e), ERR_SYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "drop page 0x2"));
	CU_ASSERT_EQUAL(page_at(m, 2)[0], 6);
	mem_uffd.close(m);
}

/* ---- M10 ---- */

enum { STILL_WAITS = 200, GOT_THROUGH = 201 };

static void *end_after_a_moment(void *unused)
{
	usleep(100000);
	_exit(STILL_WAITS);
	return unused;
}

/* In a child: a system call waits for a page when the descriptor closes; a guardian (a forked
 * process, as celld is one) has a duplicate. */
static void m10_a_guardian_keeps_even_system_calls_waiting(void)
{
	struct doer d = {.run = call_write};
	siginfo_t info = {0};
	int pipes[2];
	pid_t child;

	if (pipe(pipes))
		CU_FAIL_FATAL("pipe");
	child = fork();
	if (child == 0) {
		pthread_t guard;
		struct mem *m = mem_or_skip(&small);
		pid_t guardian;

		if (!m)
			_exit(STILL_WAITS);
		guardian = fork();
		if (guardian == 0) {
			usleep(300000);
			_exit(0);
		}
		d.at = page_at(m, 0);
		d.fd = pipes[1];
		pthread_create(&d.thread, NULL, do_it, &d);
		pthread_create(&guard, NULL, end_after_a_moment, NULL);
		usleep(20000);
		close(mem_uffd.fd(m));
		pthread_join(d.thread, NULL);
		_exit(GOT_THROUGH);
	}
	CU_ASSERT_EQUAL_FATAL(waitid(P_PID, (id_t)child, &info, WEXITED), 0);
	CU_ASSERT_EQUAL(info.si_status, STILL_WAITS);
	close(pipes[1]);
	CU_ASSERT_EQUAL(read(pipes[0], filled, 1), 0); /* nothing was written: end of file */
	close(pipes[0]);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(m5_a_copy_that_fails_wakes_nobody),
		UNIT_CASE(m5_a_run_that_stops_wakes_those_of_the_pages_done),
		UNIT_CASE(m9_a_locked_page_is_not_dropped_in_silence),
		UNIT_CASE(m10_a_guardian_keeps_even_system_calls_waiting),
		UNIT_CASE(m11_a_system_call_that_writes_the_range_faults_and_waits),
		UNIT_CASE(m11_a_system_call_that_reads_the_range_faults_and_waits),
		UNIT_CASE(m11_protect_stops_a_system_call),
		UNIT_CASE(m12_a_store_over_two_pages_needs_both),
		UNIT_CASE(m12_a_locked_instruction_over_two_pages_needs_both),
	};

	return unit_main("mem access", cases, UNIT_COUNT(cases) - (LONG ? 0 : 1));
}
