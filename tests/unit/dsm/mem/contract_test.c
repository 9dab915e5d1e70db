/* SPDX-License-Identifier: Apache-2.0 */
/* One test a line of the contract in dsm/mem.h (M1 .. M13; M14, M15 in whole_test.c; M3 has a
 * program of its own, hammer_test.c), on the real userfaultfd. */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsm/hand.h"
#include "tests/unit/unit.h"
#include "toucher.h"

static const struct mem_config small = {.pages = 8};
static const struct mem_config with_locals = {
	.pages = 64,
	.locals = 2,
	.local = {{.first = 32, .pages = 8}, {.first = 4, .pages = 4}},
};

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

#define OK(call) CU_ASSERT_EQUAL(call, ERR_OK)

static void m1_read_only_zero_page_faults_on_write(void)
{
	struct mem *m = mem_or_skip(&small);
	struct mem_fault f;
	struct toucher t;

	if (!m)
		return;
	OK(mem_uffd.install(m, page(0), false, NULL, NULL));
	CU_ASSERT_EQUAL(page_at(m, 0)[77], 0);
	touch_write(&t, page_at(m, 0), 5);
	CU_ASSERT_FATAL(next_fault(m, &f));
	CU_ASSERT_EQUAL(f.page.v, 0);
	CU_ASSERT(f.write);
	CU_ASSERT(f.thread == 0 || f.thread == atomic_load(&t.tid));
	OK(mem_uffd.unprotect(m, page(0), NULL));
	CU_ASSERT(touch_waits(&t));
	OK(mem_uffd.wake(m, page(0), NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	CU_ASSERT_EQUAL(page_at(m, 0)[0], 5);
	mem_uffd.close(m);
}

static void m1_writable_zero_page_does_not(void)
{
	struct mem *m = mem_or_skip(&small);
	struct toucher t;

	if (!m)
		return;
	OK(mem_uffd.install(m, page(1), true, NULL, NULL));
	touch_write(&t, page_at(m, 1), 9);
	CU_ASSERT_FATAL(touch_done(&t));
	CU_ASSERT(no_fault(m));
	mem_uffd.close(m);
}

static void m2_protecting_a_missing_page_protects_nothing(void)
{
	struct mem *m = mem_or_skip(&small);
	struct toucher t;

	if (!m)
		return;
	OK(mem_uffd.protect(m, page(2), NULL));
	OK(mem_uffd.install(m, page(2), true, page_of(1), NULL));
	touch_write(&t, page_at(m, 2), 3);
	CU_ASSERT_FATAL(touch_done(&t));
	CU_ASSERT(no_fault(m));
	OK(mem_uffd.protect(m, page(2), NULL)); /* present: now it does */
	touch_write(&t, page_at(m, 2), 4);
	CU_ASSERT(touch_waits(&t));
	OK(mem_uffd.unprotect(m, page(2), NULL));
	OK(mem_uffd.wake(m, page(2), NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	mem_uffd.close(m);
}

static void m4_a_fault_message_may_be_old(void)
{
	struct mem *m = mem_or_skip(&small);
	struct mem_fault first, second;
	struct toucher a, b;

	if (!m)
		return;
	touch_read(&a, page_at(m, 3));
	CU_ASSERT_FATAL(next_fault(m, &first));
	touch_write(&b, page_at(m, 3) + 1, 6);
	CU_ASSERT_FATAL(next_fault(m, &second)); /* same page, second message */
	CU_ASSERT_EQUAL(first.page.v, second.page.v);
	CU_ASSERT_FALSE(first.write);
	CU_ASSERT(second.write);
	OK(mem_uffd.install(m, page(3), true, page_of(7), NULL));
	CU_ASSERT(touch_waits(&a));
	CU_ASSERT(touch_waits(&b));
	OK(mem_uffd.wake(m, page(3), NULL)); /* for the first */
	CU_ASSERT_FATAL(touch_done(&a));
	OK(mem_uffd.wake(m, page(3), NULL)); /* for the second: already gone, no harm */
	CU_ASSERT_FATAL(touch_done(&b));
	CU_ASSERT_EQUAL(a.value, 7);
	CU_ASSERT_EQUAL(page_at(m, 3)[1], 6);
	mem_uffd.close(m);
}

static void m5_install_over_a_page_changes_nothing(void)
{
	uint8_t out[DSM_PAGE_SIZE];
	struct mem *m = mem_or_skip(&small);
	struct err e = {0};
	struct toucher t;

	if (!m)
		return;
	OK(mem_uffd.install(m, page(4), false, page_of(1), NULL));
	touch_write(&t, page_at(m, 4), 2);
	CU_ASSERT(touch_waits(&t));
	CU_ASSERT_EQUAL(mem_uffd.install(m, page(4), true, page_of(9), &e), ERR_EXISTS);
	CU_ASSERT_EQUAL(e.code, ERR_EXISTS);
	CU_ASSERT_EQUAL(mem_uffd.install(m, page(4), true, NULL, NULL), ERR_EXISTS);
	CU_ASSERT(touch_waits(&t));
	OK(mem_uffd.read_out(m, page(4), out, NULL));
	CU_ASSERT_EQUAL(out[0], 1);
	OK(mem_uffd.unprotect(m, page(4), NULL));
	OK(mem_uffd.wake(m, page(4), NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	mem_uffd.close(m);
}

static void m5_a_run_stops_at_the_first_present_page(void)
{
	static uint8_t run[3 * DSM_PAGE_SIZE];
	struct mem *m = mem_or_skip(&small);
	struct uffdio_copy c;

	if (!m)
		return;
	OK(mem_uffd.install(m, page(1), true, page_of(1), NULL));
	c = (struct uffdio_copy){
		.dst = (uintptr_t)page_at(m, 0), .src = (uintptr_t)run, .len = sizeof(run)};
	CU_ASSERT_EQUAL(ioctl(mem_uffd.fd(m), UFFDIO_COPY, &c), -1);
	CU_ASSERT_EQUAL(errno, EAGAIN);
	CU_ASSERT_EQUAL(c.copy, DSM_PAGE_SIZE);
	CU_ASSERT_EQUAL(page_at(m, 1)[0], 1);
	mem_uffd.close(m);
}

static void m5_a_run_wakes_those_who_wait_for_its_pages(void)
{
	static uint8_t run[3 * DSM_PAGE_SIZE];
	struct mem *m = mem_or_skip(&small);
	struct toucher t, other;
	struct mem_fault f;

	if (!m)
		return;
	for (unsigned i = 0; i < 3; i++)
		memset(run + (size_t)i * DSM_PAGE_SIZE, (int)(10 + i), DSM_PAGE_SIZE);
	touch_read(&t, page_at(m, 3));
	touch_read(&other, page_at(m, 4));
	CU_ASSERT_FATAL(next_fault(m, &f) && next_fault(m, &f));
	OK(mem_uffd.install_run(m, page(1), 3, false, run, NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	CU_ASSERT_EQUAL(t.value, 12);
	CU_ASSERT_EQUAL(page_at(m, 1)[99], 10);
	CU_ASSERT(touch_waits(&other));
	touch_write(&t, page_at(m, 2), 5); /* read-only, each of them */
	CU_ASSERT_FATAL(next_fault(m, &f));
	CU_ASSERT(f.write && f.page.v == 2);
	OK(mem_uffd.unprotect(m, page(2), NULL));
	OK(mem_uffd.wake(m, page(2), NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	OK(mem_uffd.install(m, page(4), false, run, NULL));
	OK(mem_uffd.wake(m, page(4), NULL));
	CU_ASSERT_FATAL(touch_done(&other));
	mem_uffd.close(m);
}

static void m5_a_run_over_a_page_says_which(void)
{
	static uint8_t run[3 * DSM_PAGE_SIZE];
	struct mem *m = mem_or_skip(&small);
	struct err e = {0};

	if (!m)
		return;
	OK(mem_uffd.install(m, page(6), true, page_of(1), NULL));
	CU_ASSERT_EQUAL(mem_uffd.install_run(m, page(5), 3, false, run, &e), ERR_EXISTS);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "0x6"));
	CU_ASSERT_EQUAL(page_at(m, 6)[0], 1);
	mem_uffd.close(m);
}

/* All of it, and nothing beside it. */
static void a_run_is_protected_at_once(void)
{
	struct mem *m = mem_or_skip(&small);
	struct mem_fault f;
	struct toucher t;

	if (!m)
		return;
	for (uint64_t p = 0; p < 5; p++)
		OK(mem_uffd.install(m, page(p), true, page_of(1), NULL));
	OK(mem_uffd.protect_run(m, page(1), 3, NULL));
	page_at(m, 0)[0] = page_at(m, 4)[0] = 2;
	for (uint64_t p = 1; p < 4; p++) {
		touch_write(&t, page_at(m, p), 5);
		CU_ASSERT_FATAL(next_fault(m, &f));
		CU_ASSERT(f.write && f.page.v == p);
		OK(mem_uffd.unprotect(m, page(p), NULL));
		OK(mem_uffd.wake(m, page(p), NULL));
		CU_ASSERT_FATAL(touch_done(&t));
	}
	mem_uffd.close(m);
}

static void m6_a_drop_wakes_nobody(void)
{
	struct mem *m = mem_or_skip(&small);
	struct mem_fault f;
	struct toucher t;

	if (!m)
		return;
	OK(mem_uffd.install(m, page(5), false, page_of(1), NULL));
	touch_write(&t, page_at(m, 5) + 8, 2);
	CU_ASSERT_FATAL(next_fault(m, &f));
	OK(mem_uffd.drop(m, page(5), NULL));
	CU_ASSERT(touch_waits(&t));
	OK(mem_uffd.install(m, page(5), false, page_of(3),
			    NULL)); /* it waited for write right, and still does */
	CU_ASSERT(touch_waits(&t));
	OK(mem_uffd.wake(m, page(5), NULL));
	CU_ASSERT_FATAL(next_fault(m, &f)); /* retried: asks again */
	CU_ASSERT(f.write);
	OK(mem_uffd.unprotect(m, page(5), NULL));
	OK(mem_uffd.wake(m, page(5), NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	CU_ASSERT_EQUAL(page_at(m, 5)[0], 3);
	CU_ASSERT_EQUAL(page_at(m, 5)[8], 2);
	mem_uffd.close(m);
}

/* Looks up the features the kernel notes for the descriptor; 0 if it does not. */
static uint64_t features_of(int fd)
{
	unsigned long long api, features = 0, all;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "API: %llx:%llx:%llx", &api, &features, &all) == 3)
			break;
	if (f)
		fclose(f);
	return features;
}

static void m7_no_event_but_faults_is_asked_for(void)
{
	struct mem *m = mem_or_skip(&small);
	uint64_t features;
	pid_t child;

	if (!m)
		return;
	features = features_of(mem_uffd.fd(m));
	CU_ASSERT(features & UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	CU_ASSERT_FALSE(features & (UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
				    UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP));
	OK(mem_uffd.install(m, page(0), true, page_of(1), NULL));
	OK(mem_uffd.drop(m, page(0), NULL)); /* would wait for its reader */
	child = fork();
	if (child == 0)
		_exit(0);
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT(no_fault(m));
	mem_uffd.close(m);
}

/* The calling thread works beside threads that wait, for the very pages it works on. */
static void m8_the_caller_never_waits_for_a_stalled_thread(void)
{
	uint8_t out[DSM_PAGE_SIZE];
	struct mem *m = mem_or_skip(&small);
	struct mem_fault f;
	struct toucher t;

	if (!m)
		return;
	OK(mem_uffd.install(m, page(6), true, page_of(4), NULL));
	OK(mem_uffd.protect(m, page(6), NULL));
	touch_write(&t, page_at(m, 6), 5);
	CU_ASSERT_FATAL(next_fault(m, &f));
	CU_ASSERT(f.thread != (uint32_t)syscall(SYS_gettid));
	OK(mem_uffd.read_out(m, page(6), out, NULL));
	CU_ASSERT_EQUAL(out[0], 4);
	CU_ASSERT_EQUAL(out[DSM_PAGE_SIZE - 1], 4);
	OK(mem_uffd.drop(m, page(6), NULL));
	CU_ASSERT(no_fault(m)); /* nothing of this was a fault of its own */
	OK(mem_uffd.install(m, page(6), true, out, NULL));
	OK(mem_uffd.wake(m, page(6), NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	mem_uffd.close(m);
}

enum { FLAGS_MAX = 512 };

/* VmFlags of the mapping around an address, " rd wr ... "; "" if there is none. */
static void vm_flags(const void *at, char out[FLAGS_MAX])
{
	unsigned long long start, end;
	char line[FLAGS_MAX];
	bool here = false;
	FILE *f = fopen("/proc/self/smaps", "r");

	out[0] = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
			here = start <= (uintptr_t)at && (uintptr_t)at < end;
		else if (here && !strncmp(line, "VmFlags:", 8))
			memcpy(out, line + 8, sizeof(line) - 8);
	}
	if (f)
		fclose(f);
}

static bool coherent_flags(const void *at)
{
	char flags[FLAGS_MAX];

	vm_flags(at, flags);
	return strstr(flags, " dc ") && strstr(flags, " dd ") && strstr(flags, " nh ") &&
	       strstr(flags, " um ") && strstr(flags, " uw ");
}

static bool local_flags(const void *at)
{
	char flags[FLAGS_MAX];

	vm_flags(at, flags);
	return flags[0] && !strstr(flags, " dc ") && !strstr(flags, " um ") &&
	       !strstr(flags, " uw ");
}

static void m9_coherent_pages_are_marked_and_local_ones_are_not(void)
{
	struct mem *m = mem_or_skip(&with_locals);
	int coherent = 0, local = 0;
	siginfo_t info = {0};
	pid_t child;

	if (!m)
		return;
	for (uint64_t p = 0; p < with_locals.pages; p++) {
		coherent += coherent_flags(page_at(m, p));
		local += local_flags(page_at(m, p));
	}
	CU_ASSERT_EQUAL(coherent, 64 - 12);
	CU_ASSERT_EQUAL(local, 12);
	CU_ASSERT(local_flags(page_at(m, 4)) && local_flags(page_at(m, 7)));
	CU_ASSERT(local_flags(page_at(m, 32)) && local_flags(page_at(m, 39)));
	*page_at(m, 33) = 1; /* ordinary memory: nobody is asked */
	CU_ASSERT(no_fault(m));
	OK(mem_uffd.install(m, page(0), true, page_of(1), NULL));
	child = fork(); /* a child has no coherent page at all: it dies instead of reading zeros */
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(*(volatile uint8_t *)page_at(m, 0));
	}
	CU_ASSERT_EQUAL(waitid(P_PID, (id_t)child, &info, WEXITED), 0);
	CU_ASSERT(info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED);
	CU_ASSERT_EQUAL(info.si_status, SIGSEGV);
	mem_uffd.close(m);
}

enum { STILL_WAITS = 200, BROKEN = 201 };

static void *end_after_a_moment(void *unused)
{
	usleep(100000);
	_exit(STILL_WAITS);
	return unused;
}

/* Closes the descriptor and reads a page; exit status: the byte read, or STILL_WAITS. */
static void close_and_read(struct mem *m, bool duplicate)
{
	pthread_t guard;

	if (duplicate && dup(mem_uffd.fd(m)) < 0)
		_exit(BROKEN);
	pthread_create(&guard, NULL, end_after_a_moment, NULL);
	close(mem_uffd.fd(m));
	_exit(*(volatile uint8_t *)page_at(m, 0));
}

static int status_after_close(bool duplicate)
{
	siginfo_t info = {0};
	pid_t child = fork();

	if (child == 0) {
		struct mem *m;

		if (mem_uffd.open(&small, &m, NULL))
			_exit(BROKEN);
		close_and_read(m, duplicate);
	}
	CU_ASSERT_EQUAL_FATAL(waitid(P_PID, (id_t)child, &info, WEXITED), 0);
	return info.si_status;
}

static void m10_a_closed_descriptor_reads_zeros_a_duplicate_guards(void)
{
	struct mem *m = mem_or_skip(&small);

	if (!m)
		return;
	mem_uffd.close(m);
	CU_ASSERT_EQUAL(status_after_close(false), 0);		/* the trap: zeros, silently */
	CU_ASSERT_EQUAL(status_after_close(true), STILL_WAITS); /* why a guardian keeps one */
}

static bool is_all(const uint8_t *bytes, uint8_t value)
{
	for (unsigned i = 0; i < DSM_PAGE_SIZE; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* More often than pages are kept at a time; written, only read, never touched. */
static void m13_a_page_is_taken_at_once(void)
{
	struct mem *m = mem_or_skip(&small);
	const void *bytes;
	struct toucher t;
	bool moves;

	if (!m)
		return;
	moves = features_of(mem_uffd.fd(m)) & HAND_FEATURE;
	for (unsigned i = 1; i <= HAND_PAGES + 8; i++) {
		uint8_t value = (uint8_t)(i % 3 ? i : 0);
		bool writable = i % 2;
		uint32_t taken;

		OK(mem_uffd.install(m, page(i % 4), writable, value ? page_of(value) : NULL, NULL));
		if (value && writable)
			memset(page_at(m, i % 4), ++value, DSM_PAGE_SIZE);
		taken = mem_uffd.take(m, page(i % 4), 1, &bytes);
		CU_ASSERT_EQUAL(taken, moves);
		if (!taken) {
			OK(mem_uffd.drop(m, page(i % 4), NULL));
			continue;
		}
		CU_ASSERT(is_all(bytes, value));
		touch_write(&t, page_at(m, i % 4), 9);
		CU_ASSERT(touch_waits(&t)); /* it is not here any more */
		CU_ASSERT(is_all(bytes, value));
		OK(mem_uffd.install(m, page(i % 4), true, page_of(1), NULL));
		OK(mem_uffd.wake(m, page(i % 4), NULL));
		CU_ASSERT_FATAL(touch_done(&t));
		OK(mem_uffd.drop(m, page(i % 4), NULL));
	}
	mem_uffd.close(m);
}

/* A run: all of it, or as far as the first page that is not moved; what lies beside it stays. */
static void m13_a_run_is_taken_as_far_as_it_goes(void)
{
	struct mem *m = mem_or_skip(&small);
	const uint8_t *bytes;
	const void *at;

	if (!m)
		return;
	if (!(features_of(mem_uffd.fd(m)) & HAND_FEATURE)) {
		mem_uffd.close(m);
		unit_skip("this kernel does not move pages");
		return;
	}
	for (unsigned round = 0; round < HAND_PAGES; round++) {
		for (uint64_t p = 0; p < 5; p++)
			OK(mem_uffd.install(m, page(p), p % 2, page_of((uint8_t)(p + 1)), NULL));
		CU_ASSERT_EQUAL_FATAL(mem_uffd.take(m, page(1), 3, &at), 3);
		bytes = at;
		for (uint64_t p = 1; p < 4; p++)
			CU_ASSERT(is_all(bytes + (p - 1) * DSM_PAGE_SIZE, (uint8_t)(p + 1)));
		CU_ASSERT(is_all(page_at(m, 0), 1) && is_all(page_at(m, 4), 5));
		/* now pages 1 to 3 are not there */
		CU_ASSERT_EQUAL(mem_uffd.take(m, page(0), 3, &at), 1);
		CU_ASSERT(is_all(at, 1));
		CU_ASSERT_EQUAL(mem_uffd.take(m, page(2), 2, &at), 0);
		OK(mem_uffd.drop(m, page(4), NULL));
	}
	mem_uffd.close(m);
}

/* A run with the right to write: no fault follows. */
static void a_run_may_be_writable(void)
{
	static uint8_t run[3 * DSM_PAGE_SIZE];
	struct mem *m = mem_or_skip(&small);
	struct mem_fault f;
	struct toucher t;

	if (!m)
		return;
	memset(run, 7, sizeof(run));
	touch_write(&t, page_at(m, 2), 5);
	CU_ASSERT_FATAL(next_fault(m, &f));
	OK(mem_uffd.install_run(m, page(1), 3, true, run, NULL));
	CU_ASSERT_FATAL(touch_done(&t));
	page_at(m, 1)[0] = page_at(m, 3)[0] = 8;
	CU_ASSERT_EQUAL(page_at(m, 2)[0], 5);
	CU_ASSERT_EQUAL(page_at(m, 2)[1], 7);
	CU_ASSERT_EQUAL(mem_uffd.faults(m, &f, 1), 0);
	mem_uffd.close(m);
}

static void opens_where_asked_and_nowhere_else(void)
{
	struct mem_config at = small;
	struct mem *m = mem_or_skip(&small), *other = NULL;
	struct err e = {0};

	if (!m)
		return;
	CU_ASSERT_EQUAL((uintptr_t)mem_uffd.base(m) % (2 << 20), 0);
	at.want = mem_uffd.base(m);
	CU_ASSERT_EQUAL(mem_uffd.open(&at, &other, &e), ERR_EXISTS); /* taken */
	mem_uffd.close(m);
	OK(mem_uffd.open(&at, &other, &e));
	CU_ASSERT_PTR_EQUAL(mem_uffd.base(other), at.want);
	mem_uffd.close(other);
	at.want = (uint8_t *)at.want + 1;
	CU_ASSERT_EQUAL(mem_uffd.open(&at, &other, &e), ERR_INVALID);
	at = with_locals;
	at.local[0].first = 6; /* overlaps the other one */
	CU_ASSERT_EQUAL(mem_uffd.open(&at, &other, &e), ERR_INVALID);
	at.local[0] = (struct dsm_range){.first = 60, .pages = 5};
	CU_ASSERT_EQUAL(mem_uffd.open(&at, &other, &e), ERR_INVALID);
	at.pages = 0;
	CU_ASSERT_EQUAL(mem_uffd.open(&at, &other, &e), ERR_INVALID);
	mem_uffd.close(NULL);
}

/* As nobody, without /dev/userfaultfd: one sentence that says what to do. */
static void without_the_right_says_so(void)
{
	siginfo_t info = {0};
	pid_t child;

	if (geteuid() != 0) {
		unit_skip("not root: cannot drop to another user");
		return;
	}
	child = fork();
	if (child == 0) {
		struct mem *m;
		struct err e = {0};

		if (setgid(65534) || setuid(65534))
			_exit(99);
		if (access("/dev/userfaultfd", R_OK | W_OK) == 0)
			_exit(ERR_DENIED); /* open to everybody here */
		mem_uffd.open(&small, &m, &e);
		_exit(strstr(e.text, "/dev/userfaultfd") ? (int)e.code : 98);
	}
	CU_ASSERT_EQUAL_FATAL(waitid(P_PID, (id_t)child, &info, WEXITED), 0);
	CU_ASSERT_EQUAL(info.si_status, ERR_DENIED);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(m1_read_only_zero_page_faults_on_write),
		UNIT_CASE(m1_writable_zero_page_does_not),
		UNIT_CASE(m2_protecting_a_missing_page_protects_nothing),
		UNIT_CASE(m4_a_fault_message_may_be_old),
		UNIT_CASE(m5_install_over_a_page_changes_nothing),
		UNIT_CASE(m5_a_run_stops_at_the_first_present_page),
		UNIT_CASE(m5_a_run_wakes_those_who_wait_for_its_pages),
		UNIT_CASE(m5_a_run_over_a_page_says_which),
		UNIT_CASE(a_run_is_protected_at_once),
		UNIT_CASE(m6_a_drop_wakes_nobody),
		UNIT_CASE(m7_no_event_but_faults_is_asked_for),
		UNIT_CASE(m8_the_caller_never_waits_for_a_stalled_thread),
		UNIT_CASE(m9_coherent_pages_are_marked_and_local_ones_are_not),
		UNIT_CASE(m10_a_closed_descriptor_reads_zeros_a_duplicate_guards),
		UNIT_CASE(m13_a_page_is_taken_at_once),
		UNIT_CASE(m13_a_run_is_taken_as_far_as_it_goes),
		UNIT_CASE(a_run_may_be_writable),
		UNIT_CASE(opens_where_asked_and_nowhere_else),
		UNIT_CASE(without_the_right_says_so),
	};

	return unit_main("mem contract", cases, UNIT_COUNT(cases));
}
