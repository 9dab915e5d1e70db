/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every operation of the memory adapter fails once, at member 1, in the middle of work: the space
 * ends with member 1 as the culprit at both members, and no access ever sees a wrong value.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rack.h"
#include "tests/unit/unit.h"

enum op {
	FAULTS,
	INSTALL,
	PROTECT,
	UNPROTECT,
	READ_OUT,
	DROP,
	WAKE,
	OPS,
	INSTALL_RUN,
	PROTECT_RUN
};

static const char *const op_names[] = {"faults",      "install",    "protect", "unprotect",
				       "read_out",    "drop",	    "wake",    "",
				       "install_run", "protect_run"};

static enum op failing;	  /* set before the fork */
static atomic_bool armed; /* at member 1 only */
static atomic_uint calls;

enum { FAIL_AT = 8, PAGES = 3, START = 100 };

static bool fails(enum op op)
{
	return op == failing && atomic_load(&armed) && atomic_fetch_add(&calls, 1) == FAIL_AT;
}

static int refuse(enum op op, struct err *e)
{
	return err_set(e, ERR_SYS, "planted failure of %s", op_names[op]);
}

static int failing_faults(struct mem *m, struct mem_fault *out, int max)
{
	return fails(FAULTS) ? -ERR_SYS : mem_uffd.faults(m, out, max);
}

static int failing_install(struct mem *m, struct gpage page, bool writable, const void *data,
			   struct err *e)
{
	return fails(INSTALL) ? refuse(INSTALL, e) : mem_uffd.install(m, page, writable, data, e);
}

static int failing_protect(struct mem *m, struct gpage page, struct err *e)
{
	return fails(PROTECT) ? refuse(PROTECT, e) : mem_uffd.protect(m, page, e);
}

static int failing_unprotect(struct mem *m, struct gpage page, struct err *e)
{
	return fails(UNPROTECT) ? refuse(UNPROTECT, e) : mem_uffd.unprotect(m, page, e);
}

static int failing_read_out(struct mem *m, struct gpage page, void *out, struct err *e)
{
	return fails(READ_OUT) ? refuse(READ_OUT, e) : mem_uffd.read_out(m, page, out, e);
}

/* A page to be read by others is read out so, be it one or a run. */
static int failing_read_run(struct mem *m, struct gpage first, uint32_t n, void *room,
			    const void **at, struct err *e)
{
	return fails(READ_OUT) ? refuse(READ_OUT, e) : mem_uffd.read_run(m, first, n, room, at, e);
}

static int failing_drop(struct mem *m, struct gpage page, struct err *e)
{
	return fails(DROP) ? refuse(DROP, e) : mem_uffd.drop(m, page, e);
}

/* Moves every second page only, so that the others are given away in three steps. */
static uint32_t sometimes_take(struct mem *m, struct gpage first, uint32_t n, const void **out)
{
	static unsigned tried;

	return tried++ % 2 ? 0 : mem_uffd.take(m, first, n, out);
}

static int failing_wake(struct mem *m, struct gpage page, struct err *e)
{
	return fails(WAKE) ? refuse(WAKE, e) : mem_uffd.wake(m, page, e);
}

static int failing_install_run(struct mem *m, struct gpage first, uint32_t n, bool writable,
			       const void *data, struct err *e)
{
	return fails(INSTALL_RUN) ? refuse(INSTALL_RUN, e)
				  : mem_uffd.install_run(m, first, n, writable, data, e);
}

static int failing_protect_run(struct mem *m, struct gpage first, uint32_t n, struct err *e)
{
	return fails(PROTECT_RUN) ? refuse(PROTECT_RUN, e) : mem_uffd.protect_run(m, first, n, e);
}

static void *work(void *context)
{
	struct rack_member *m = context;
	uint64_t seen[PAGES] = {0};

	for (uint64_t i = 0;; i++) {
		_Atomic uint64_t *word = rack_page(m, i % PAGES);
		uint64_t value = i / PAGES % 2 ? atomic_fetch_add(word, 1) : atomic_load(word);

		EXPECT(m->rack, value >= START && value >= seen[i % PAGES]);
		seen[i % PAGES] = value;
	}
	return NULL;
}

/* A device beside it: each of its calls returns. */
static void *acquire(void *context)
{
	struct rack_member *m = context;
	uint32_t token;
	int rc;

	while ((rc = dsm_acquire(m->dsm, (struct gpage){0}, PAGES, true, &token, NULL)) == ERR_OK) {
		dsm_release(m->dsm, token);
		usleep(10000);
	}
	EXPECT(m->rack, rc == ERR_LOST);
	return NULL;
}

static void work_until_it_fails(struct rack_member *m)
{
	pthread_t thread, device;

	for (uint64_t p = 0; p < PAGES && m->self == 0; p++)
		atomic_store((_Atomic uint64_t *)rack_page(m, p), START);
	EXPECT(m->rack, rack_barrier(m));
	atomic_store(&armed, m->self == 1);
	pthread_create(&thread, NULL, work, m);
	pthread_detach(thread);
	pthread_create(&device, NULL, acquire, m);
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->member[m->self].lost, 1));
	pthread_join(device, NULL);
	usleep(100000);
	EXPECT(m->rack, atomic_load(&m->rack->member[m->self].lost) == 1);
	EXPECT(m->rack, atomic_load(&m->rack->member[m->self].culprit) == 1);
	EXPECT(m->rack,
	       atomic_load(&m->rack->member[m->self].code) == (m->self == 1 ? ERR_SYS : ERR_LOST));
	EXPECT(m->rack, rack_barrier(m)); /* else the other one sees this process go first */
	_exit(0);
}

static void every_failing_operation_ends_the_space(void)
{
	static struct mem_ops ops;

	ops = mem_uffd;
	ops.faults = failing_faults;
	ops.install = failing_install;
	ops.protect = failing_protect;
	ops.unprotect = failing_unprotect;
	ops.read_out = failing_read_out;
	ops.read_run = failing_read_run;
	ops.drop = failing_drop;
	ops.take = sometimes_take;
	ops.wake = failing_wake;
	failing = getenv("CELLULAR_INLINE_FAULTS") ? INSTALL : FAULTS; /* none is read then */
	for (; failing < OPS; failing++)
		rack_run(2, &(struct rack_config){.pages = 64, .mem = &ops}, work_until_it_fails);
}

/* ---- runs ---- */

enum { RUN_PAGES = 4 * DSM_CHUNK_PAGES };

static void *read_region(void *context)
{
	const struct rack_member *m = context;

	for (uint64_t p = 0; p < RUN_PAGES; p++)
		EXPECT(m->rack, atomic_load((_Atomic uint64_t *)rack_page(m, p)) == START + p);
	return NULL;
}

/* The reader stalls for ever where its page did not come. */
static void stream_until_it_fails(struct rack_member *m)
{
	uint8_t owner = failing == INSTALL_RUN ? 0 : 1;
	pthread_t thread;

	for (uint64_t p = 0; p < RUN_PAGES && m->self == owner; p++)
		atomic_store((_Atomic uint64_t *)rack_page(m, p), START + p);
	EXPECT(m->rack, rack_barrier(m));
	atomic_store(&armed, m->self == 1);
	if (m->self != owner) {
		pthread_create(&thread, NULL, read_region, m);
		pthread_detach(thread);
	}
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->member[m->self].lost, 1));
	EXPECT(m->rack, atomic_load(&m->rack->member[m->self].culprit) == 1);
	EXPECT(m->rack, rack_barrier(m));
	_exit(0);
}

static void a_run_that_fails_ends_the_space(void)
{
	static struct mem_ops ops;

	ops = mem_uffd;
	ops.install_run = failing_install_run;
	ops.protect_run = failing_protect_run;
	for (failing = INSTALL_RUN; failing <= PROTECT_RUN; failing++)
		rack_run(2, &(struct rack_config){.pages = RUN_PAGES, .mem = &ops},
			 stream_until_it_fails);
}

static int open_with(struct dsm_config config)
{
	struct dsm *d = NULL;
	struct err e = {0};
	int rc = dsm_open(&config, &d, &e);

	CU_ASSERT(rc == ERR_OK || strlen(e.text) > 0);
	CU_ASSERT_EQUAL(rc == ERR_OK, d != NULL);
	dsm_close(d);
	return rc;
}

static void a_space_out_of_range_is_refused(void)
{
	const struct dsm_config good = {.members = 2, .pages = 16, .listen = "127.0.0.1:0"};
	struct dsm_config c = good;
	int rc = open_with(good);

	if (rc == ERR_DENIED) {
		unit_skip("no userfaultfd");
		return;
	}
	CU_ASSERT_EQUAL(rc, ERR_OK);
	c.pages = 0;
	CU_ASSERT_EQUAL(open_with(c), ERR_INVALID);
	c = good;
	c.self.v = 2;
	CU_ASSERT_EQUAL(open_with(c), ERR_INVALID);
	c = good;
	c.members = 0;
	CU_ASSERT_EQUAL(open_with(c), ERR_INVALID);
	c = good;
	c.locals = 1;
	c.local[0] = (struct dsm_range){.first = 10, .pages = 10};
	CU_ASSERT_EQUAL(open_with(c), ERR_INVALID);
	c = good;
	c.listen = "not an address";
	CU_ASSERT_NOT_EQUAL(open_with(c), ERR_OK);
	dsm_close(NULL);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(every_failing_operation_ends_the_space),
		UNIT_CASE(a_run_that_fails_ends_the_space),
		UNIT_CASE(a_space_out_of_range_is_refused),
	};

	return unit_main("dsm failure", cases, UNIT_COUNT(cases));
}
