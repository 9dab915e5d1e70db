/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGBUS and whose it is (dsm/trap.h). The ranges are files that end too early: an access behind
 * the end raises SIGBUS, and who handles it lets the file grow.
 */
#include "dsm/trap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { PAGE = 4096, PAGES = 4, BYTES = PAGES * PAGE, TIMES = 300 };

struct range {
	int fd;
	volatile uint8_t *base;
	atomic_uint faults;
	size_t offset;
	bool write;
	bool blocked; /* signals, in the handler */
	bool before;  /* as the handler was told */
};

static void range_open(struct range *r)
{
	*r = (struct range){.fd = memfd_create("range", MFD_CLOEXEC)};
	r->base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	CU_ASSERT_FATAL(r->fd >= 0 && r->base != MAP_FAILED);
}

static void range_close(struct range *r)
{
	munmap((void *)r->base, BYTES);
	close(r->fd);
}

static void empty(struct range *r)
{
	if (ftruncate(r->fd, 0))
		abort();
}

static void grow(struct range *r)
{
	atomic_fetch_add(&r->faults, 1);
	if (ftruncate(r->fd, BYTES))
		abort();
}

static void on_fault(void *context, size_t offset, bool write, const sigset_t *before)
{
	struct range *r = context;
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	r->offset = offset;
	r->write = write;
	r->blocked = sigismember(&now, SIGTERM) && sigismember(&now, SIGALRM);
	r->before = sigismember(before, SIGTERM);
	grow(r);
	errno = ENOTTY;
}

static int add(struct range *r)
{
	return trap_add(
		&(struct trap){
			.base = (void *)r->base, .bytes = BYTES, .fault = on_fault, .context = r},
		NULL);
}

static void a_fault_goes_to_its_range(void)
{
	struct range a, b;

	range_open(&a);
	range_open(&b);
	CU_ASSERT_EQUAL(add(&a), ERR_OK);
	CU_ASSERT_EQUAL(add(&b), ERR_OK);
	errno = EXDEV;
	b.base[PAGE + 7] = 1;
	CU_ASSERT_EQUAL(errno, EXDEV);
	CU_ASSERT_EQUAL(b.base[PAGE + 7], 1);
	CU_ASSERT(b.faults == 1 && b.offset == PAGE + 7 && b.write);
	CU_ASSERT(b.blocked && !b.before);
	CU_ASSERT_EQUAL(a.faults, 0);
	CU_ASSERT_EQUAL(a.base[BYTES - 1], 0);
	CU_ASSERT(a.faults == 1 && a.offset == BYTES - 1 && !a.write);
	trap_remove((void *)a.base);
	trap_remove((void *)b.base);
	range_close(&a);
	range_close(&b);
}

static struct range foreign;

static void on_foreign(int number)
{
	(void)number;
	grow(&foreign);
}

static void on_foreign_info(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (number == SIGBUS && info->si_addr == (void *)foreign.base)
		grow(&foreign);
}

static void another_address_goes_to_the_handler_before(void)
{
	const struct sigaction kinds[] = {
		{.sa_handler = on_foreign},
		{.sa_sigaction = on_foreign_info, .sa_flags = SA_SIGINFO},
	};
	struct sigaction was, now;
	struct range ours;

	range_open(&ours);
	sigaction(SIGBUS, NULL, &was);
	for (int i = 0; i < 2; i++) {
		range_open(&foreign);
		sigaction(SIGBUS, &kinds[i], NULL);
		CU_ASSERT_EQUAL(add(&ours), ERR_OK);
		CU_ASSERT_EQUAL(foreign.base[0], 0);
		CU_ASSERT_EQUAL(foreign.faults, 1);
		CU_ASSERT_EQUAL(ours.faults, 0);
		trap_remove((void *)ours.base);
		sigaction(SIGBUS, NULL, &now);
		CU_ASSERT(now.sa_handler == kinds[i].sa_handler);
		range_close(&foreign);
	}
	sigaction(SIGBUS, &was, NULL);
	range_close(&ours);
}

/* How a child ends in which SIGBUS comes from nowhere we know. */
static int ends(struct range *ours, void (*before)(int), bool sent)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGBUS, before);
		if (add(ours))
			_exit(2);
		if (sent)
			raise(SIGBUS);
		else
			foreign.base[0] = 1;
		_exit(3);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void without_a_handler_it_ends_the_process(void)
{
	struct range ours;

	range_open(&ours);
	range_open(&foreign);
	CU_ASSERT_EQUAL(ends(&ours, SIG_DFL, false), 128 + SIGBUS);
	CU_ASSERT_EQUAL(ends(&ours, SIG_DFL, true), 128 + SIGBUS);
	CU_ASSERT_EQUAL(ends(&ours, SIG_IGN, false), 128 + SIGBUS);
	CU_ASSERT_EQUAL(ends(&ours, SIG_IGN, true), 3);
	range_close(&foreign);
	range_close(&ours);
}

static void there_are_so_many(void)
{
	static struct range r[TRAPS_MAX + 1];

	for (int i = 0; i <= TRAPS_MAX; i++)
		range_open(&r[i]);
	for (int i = 0; i < TRAPS_MAX; i++)
		CU_ASSERT_EQUAL(add(&r[i]), ERR_OK);
	CU_ASSERT_EQUAL(add(&r[TRAPS_MAX]), ERR_NOSPACE);
	r[TRAPS_MAX - 1].base[0] = 1;
	CU_ASSERT_EQUAL(r[TRAPS_MAX - 1].faults, 1);
	trap_remove((void *)r[0].base);
	trap_remove((void *)r[0].base); /* ignored */
	CU_ASSERT_EQUAL(add(&r[TRAPS_MAX]), ERR_OK);
	for (int i = 0; i <= TRAPS_MAX; i++) {
		trap_remove((void *)r[i].base);
		range_close(&r[i]);
	}
}

/* Ranges come and go while there are faults in another one. */
static void *come_and_go(void *stop)
{
	struct range r;

	range_open(&r);
	while (!atomic_load((atomic_bool *)stop)) {
		if (add(&r))
			abort();
		r.base[0] = 1;
		empty(&r);
		trap_remove((void *)r.base);
	}
	range_close(&r);
	return NULL;
}

static void ranges_come_and_go_beside_faults(void)
{
	atomic_bool stop = false;
	pthread_t thread[2];
	struct range r;

	range_open(&r);
	CU_ASSERT_EQUAL(add(&r), ERR_OK);
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, come_and_go, &stop);
	for (unsigned i = 0; i < TIMES; i++) {
		empty(&r);
		r.base[i] = 1;
		CU_ASSERT_EQUAL(r.faults, i + 1);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	trap_remove((void *)r.base);
	range_close(&r);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_fault_goes_to_its_range),
		UNIT_CASE(another_address_goes_to_the_handler_before),
		UNIT_CASE(without_a_handler_it_ends_the_process),
		UNIT_CASE(there_are_so_many),
		UNIT_CASE(ranges_come_and_go_beside_faults),
	};

	return unit_main("dsm trap", cases, UNIT_COUNT(cases));
}
