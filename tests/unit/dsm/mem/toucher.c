/* SPDX-License-Identifier: Apache-2.0 */
#include "toucher.h"

#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { GENEROUS_MS = 20000, MOMENT_MS = 40 };

static void *touch(void *context)
{
	struct toucher *t = context;

	atomic_store(&t->tid, (unsigned)syscall(SYS_gettid));
	if (t->write)
		*t->at = t->value;
	else
		t->value = *t->at;
	atomic_store(&t->through, true);
	return NULL;
}

static void start(struct toucher *t, volatile uint8_t *at, bool write, uint8_t value)
{
	t->at = at;
	t->write = write;
	t->value = value;
	atomic_store(&t->tid, 0);
	atomic_store(&t->through, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t->thread, NULL, touch, t), 0);
}

void touch_read(struct toucher *t, volatile uint8_t *at)
{
	start(t, at, false, 0);
}

void touch_write(struct toucher *t, volatile uint8_t *at, uint8_t value)
{
	start(t, at, true, value);
}

bool touch_done(struct toucher *t)
{
	for (int ms = 0; ms < GENEROUS_MS && !atomic_load(&t->through); ms++)
		usleep(1000);
	return atomic_load(&t->through) && pthread_join(t->thread, NULL) == 0;
}

bool touch_waits(struct toucher *t)
{
	usleep(MOMENT_MS * 1000);
	return !atomic_load(&t->through);
}

struct mem *mem_or_skip(const struct mem_config *config)
{
	struct mem *m = NULL;
	struct err e = {0};
	int rc = mem_uffd.open(config, &m, &e);

	if (rc == ERR_DENIED || rc == ERR_UNSUPPORTED)
		unit_skip("%s", e.text);
	else if (rc)
		CU_FAIL_FATAL("mem_uffd.open");
	return m;
}

bool next_fault(struct mem *m, struct mem_fault *out)
{
	struct pollfd p = {.fd = mem_uffd.fd(m), .events = POLLIN};

	return poll(&p, 1, GENEROUS_MS) == 1 && mem_uffd.faults(m, out, 1) == 1;
}

bool no_fault(struct mem *m)
{
	struct pollfd p = {.fd = mem_uffd.fd(m), .events = POLLIN};

	return poll(&p, 1, MOMENT_MS) == 0;
}

uint8_t *page_at(struct mem *m, uint64_t page)
{
	return (uint8_t *)mem_uffd.base(m) + (page << DSM_PAGE_SHIFT);
}
