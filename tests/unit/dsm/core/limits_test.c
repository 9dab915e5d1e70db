/* SPDX-License-Identifier: Apache-2.0 */
/* Limits: configuration, tables, 64 members, effects of one step. */
#include "rack.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 64 * DSM_CHUNK_PAGES, ALL = DSM_MEMBERS_MAX };

static struct dsm_core_config good_config(void)
{
	return (struct dsm_core_config){.self = {1}, .members = 3, .epoch = {1}, .pages = 1000};
}

static bool accepted(struct dsm_core_config c)
{
	return dsm_core_bytes(&c) != 0;
}

#define CHANGED(...)                                                                               \
	accepted(({                                                                                \
		struct dsm_core_config c = good_config();                                          \
		__VA_ARGS__;                                                                       \
		c;                                                                                 \
	}))

static void configuration_is_checked(void)
{
	CU_ASSERT_TRUE(CHANGED());
	CU_ASSERT_TRUE(CHANGED(c.members = DSM_MEMBERS_MAX));
	CU_ASSERT_TRUE(CHANGED(c.pages = UINT32_MAX));
	CU_ASSERT_FALSE(CHANGED(c.members = 0; c.self.v = 0));
	CU_ASSERT_PTR_NULL(dsm_core_init(NULL, &(struct dsm_core_config){.members = 0}));
	CU_ASSERT_FALSE(CHANGED(c.members = DSM_MEMBERS_MAX + 1));
	CU_ASSERT_FALSE(CHANGED(c.self.v = 3));
	CU_ASSERT_FALSE(CHANGED(c.pages = 0));
	CU_ASSERT_FALSE(CHANGED(c.pages = 1ull << 32));
	CU_ASSERT_FALSE(CHANGED(c.locals = DSM_LOCALS_MAX + 1));
	CU_ASSERT_TRUE(CHANGED(c.locals = 1; c.local[0] = (struct dsm_range){0, 1000}));
	CU_ASSERT_FALSE(CHANGED(c.locals = 1; c.local[0] = (struct dsm_range){1, 1000}));
	CU_ASSERT_FALSE(CHANGED(c.locals = 1; c.local[0] = (struct dsm_range){1000, 0}));
	CU_ASSERT_FALSE(CHANGED(c.locals = 1; c.local[0] = (struct dsm_range){999, UINT64_MAX}));
}

/* Who is there, who was, and who may come. */
static void members_are_checked(void)
{
	CU_ASSERT_TRUE(CHANGED(c.founders = 3));
	CU_ASSERT_TRUE(CHANGED(c.founders = 2));
	CU_ASSERT_FALSE(CHANGED(c.founders = 4));
	CU_ASSERT_FALSE(CHANGED(c.founders = 1)); /* it is not there */
	CU_ASSERT_TRUE(CHANGED(c.founders = 1; c.present = 3));
	CU_ASSERT_FALSE(CHANGED(c.founders = 1; c.present = 1));
	CU_ASSERT_FALSE(CHANGED(c.founders = 1; c.present = 2)); /* what became of 0? */
	CU_ASSERT_TRUE(CHANGED(c.founders = 1; c.present = 2; c.heir[0] = 2));
	CU_ASSERT_FALSE(CHANGED(c.present = 7 | 8));
	CU_ASSERT_FALSE(CHANGED(c.heir[0] = 2)); /* it is there */
	CU_ASSERT_FALSE(CHANGED(c.present = 6; c.heir[0] = 1));
	CU_ASSERT_FALSE(CHANGED(c.present = 6; c.heir[0] = 4));
	CU_ASSERT_TRUE(CHANGED(c.present = 2; c.heir[0] = 3; c.heir[2] = 2));
	CU_ASSERT_FALSE(CHANGED(c.present = 2; c.heir[0] = 3; c.heir[2] = 1));
	CU_ASSERT_FALSE(CHANGED(c.founders = 2; c.present = 2; c.heir[0] = 3)); /* nobody yet */
	CU_ASSERT_FALSE(CHANGED(c.heir[3] = 2));
	CU_ASSERT_FALSE(CHANGED(c.heir[DSM_MEMBERS_MAX - 1] = 2));
	CU_ASSERT_TRUE(CHANGED(c.members = DSM_MEMBERS_MAX; c.founders = 1;
			       c.present = 3ull << 62 | 2; c.heir[0] = DSM_MEMBERS_MAX));
}

static size_t touched(void *memory, size_t bytes)
{
	static unsigned char in[1 << 16];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;

	for (size_t at = 0; at < bytes; at += page * sizeof(in)) {
		size_t run = bytes - at < page * sizeof(in) ? bytes - at : page * sizeof(in);

		if (mincore((char *)memory + at, run, in))
			return SIZE_MAX;
		for (size_t i = 0; i < run / page; i++)
			n += in[i] & 1;
	}
	return n;
}

/* 1 TiB of space: tables are reserved, not filled; a page costs its holder 16 bytes, and 32 more
 * only where its home is. */
static void tables_are_touched_lazily(void)
{
	struct dsm_core_config c = {
		.self = {0}, .members = 64, .epoch = {1}, .pages = 1ull << 28, .hold_us = 0};
	size_t bytes = dsm_core_bytes(&c);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct dsm_core *core;

	CU_ASSERT_TRUE(bytes < c.pages * (16 + 32 + 1) + (1 << 20));
	CU_ASSERT_NOT_EQUAL_FATAL(memory, MAP_FAILED);
	core = dsm_core_init(memory, &c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(core);
	CU_ASSERT_TRUE(touched(memory, bytes) < 16);
	CU_ASSERT_EQUAL(dsm_core_state(core, (struct gpage){c.pages - 1}), DSM_I);
	munmap(memory, bytes);
}

static void smallest_space(void)
{
	struct rack *r = rack_new(1, 1, RACK_HOLD_US);

	rack_write(r, 0, 0, 5);
	rack_evict(r, 0, 0);
	CU_ASSERT_EQUAL(rack_read(r, 0, 0), 5);
	rack_acquire(r, 0, 0, 1, true, 1);
	CU_ASSERT_EQUAL(r->acquired[0], 1);
	rack_delete(r);
}

static void share_among_all(struct rack *r, uint64_t page, uint64_t value)
{
	rack_write(r, 63, page, value);
	for (uint8_t m = 0; m < ALL; m++)
		CU_ASSERT_EQUAL(rack_read(r, m, page), value);
}

static void a_writer_among_64(void)
{
	struct rack *r = rack_new(ALL, PAGES, 0);
	struct dsm_msg m;

	share_among_all(r, 3, 7);
	rack_fault(r, 5, 3, true);
	rack_deliver(r, 5, 0, PAGE_UPGRADE);
	m = rack_deliver(r, 0, 5, PAGE_GRANT);
	CU_ASSERT_EQUAL(m.acks, 63);
	for (uint8_t s = 1; s < ALL; s++)
		if (s != 5)
			rack_deliver(r, 0, s, PAGE_INVALIDATE);
	rack_deliver(r, 0, 5, PAGE_ACK);
	for (uint8_t s = 1; s < ALL - 1; s++)
		if (s != 5)
			rack_deliver(r, s, 5, PAGE_ACK);
	ASSERT_STATE(r, 5, 3, DSM_S);
	rack_deliver(r, 63, 5, PAGE_ACK);
	ASSERT_STATE(r, 5, 3, DSM_M);
	rack_delete(r);
}

/* All want to write one page: FIFO at home, everybody gets it once. */
static void a_queue_of_64(void)
{
	struct rack *r = rack_new(ALL, PAGES, RACK_HOLD_US);

	for (uint8_t m = 0; m < ALL; m++)
		rack_fault(r, m, 3, true);
	rack_settle(r);
	for (uint8_t m = 0; m < ALL; m++) {
		CU_ASSERT_EQUAL(dsm_core_pending(r->core[m]), 0);
		CU_ASSERT_EQUAL(rack_stats(r, m).write_remote + rack_stats(r, m).write_local, 1);
	}
	rack_delete(r);
}

/* All read what home wrote, and one more writes: home serves the whole queue, its own holder's part
 * too, in the step in which it has the page. */
static void a_queue_that_home_serves_alone(void)
{
	struct rack *r = rack_new(ALL, PAGES, 0);

	rack_write(r, 1, 3, 7);
	rack_fault(r, 0, 3, true); /* begins first: FETCH_X is under way to 1 */
	for (uint8_t m = 1; m < ALL; m++) {
		rack_fault(r, m, 3, m == ALL - 1);
		if (m > 1)
			rack_deliver(r, m, 0, m == ALL - 1 ? PAGE_GET_X : PAGE_GET_S);
	}
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_fault(r, 1, 3, false);
	CU_ASSERT_EQUAL(rack_dir(r, 3).queued, ALL - 2);
	rack_deliver(r, 1, 0, PAGE_GRANT);
	/* MAP, WAKE, PROTECT; READ_OUT and a GRANT each; and, with an INVALIDATE each, UNMAP. */
	CU_ASSERT_EQUAL(r->fx.n, 3 + 2 * (ALL - 2) + (ALL - 3) + 1);
	CU_ASSERT_EQUAL(rack_dir(r, 3).queued, 0);
	rack_settle(r);
	ASSERT_STATE(r, ALL - 1, 3, DSM_O);
	CU_ASSERT_EQUAL(r->page[1][3].value, 7);
	rack_delete(r);
}

/* Every member has all its transactions open at one home: the queue's pool is exactly large enough.
 */
static void all_transactions_at_one_home(void)
{
	struct rack *r = rack_new(ALL, PAGES, RACK_HOLD_US);

	for (uint8_t m = 0; m < ALL; m++)
		for (uint64_t p = 0; p < DSM_TXN_MAX + 36; p++)
			rack_fault(r, m, p, true);
	for (uint8_t m = 1; m < ALL; m++)
		CU_ASSERT_EQUAL(rack_count(r, m, 0), DSM_TXN_MAX);
	rack_settle(r);
	for (uint8_t m = 0; m < ALL; m++) {
		CU_ASSERT_FALSE(dsm_core_ended(r->core[m]));
		CU_ASSERT_EQUAL(dsm_core_pending(r->core[m]), 0);
	}
	rack_delete(r);
}

/* A device at home takes 16 pages that all 64 share: more invalidations than one step may send. */
static void large_work_is_cut_into_steps(void)
{
	struct rack *r = rack_new(ALL, PAGES, 0);

	for (uint64_t p = 0; p < DSM_ACQUIRE_PAGES_MAX; p++)
		share_among_all(r, p, p + 1);
	rack_acquire(r, 0, 0, DSM_ACQUIRE_PAGES_MAX, true, 1);
	CU_ASSERT_TRUE(r->fx.n > 63);
	CU_ASSERT_TRUE(r->fx.n < 400);
	CU_ASSERT_EQUAL(r->deadline[0], r->now);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->acquired[0], 1);
	for (uint64_t p = 0; p < DSM_ACQUIRE_PAGES_MAX; p++)
		ASSERT_STATE(r, 0, p, DSM_M);
	rack_delete(r);
}

/* So many devices at once that one step cannot even begin all their requests. */
static void many_acquires_are_cut_into_steps(void)
{
	struct rack *r = rack_new(2, PAGES, 0);
	uint32_t token = 0;

	for (uint64_t p = 0; p < DSM_TXN_MAX; p++)
		rack_fault(r, 1, 2 * DSM_CHUNK_PAGES + p, true);
	for (uint64_t p = 0; p < 40; p++)
		rack_acquire(r, 1, DSM_CHUNK_PAGES + p * DSM_ACQUIRE_PAGES_MAX, 16, true, token++);
	CU_ASSERT_EQUAL(r->acquired[1], 0);
	while (r->acquired[1] == 0 && rack_next(r, 1, 0)) {
		rack_deliver(r, 1, 0, PAGE_GET_X);
		rack_deliver(r, 0, 1, PAGE_GRANT);
		CU_ASSERT_TRUE(r->fx.n < 400);
	}
	rack_settle(r);
	CU_ASSERT_EQUAL(r->acquired[1], 40);
	rack_delete(r);
}

/* Eviction needs a transaction; without one it is a hint that is not taken. */
static void eviction_without_a_transaction_is_ignored(void)
{
	struct rack *r = rack_new(2, PAGES, 0);

	rack_write(r, 1, 3, 8);
	for (uint64_t p = 100; p < 100 + DSM_TXN_MAX; p++)
		rack_fault(r, 1, p, true);
	rack_evict(r, 1, 3);
	ASSERT_STATE(r, 1, 3, DSM_M);
	CU_ASSERT_EQUAL(rack_stats(r, 1).evicted, 0);
	rack_settle(r);
	rack_delete(r);
}

/* While a page of ours waits for a transaction, its owner puts it back: home here has it then. */
static void a_page_in_the_backlog_may_come_by_itself(bool write)
{
	struct rack *r = rack_new(2, PAGES, 0);

	rack_write(r, 1, 3, 8);
	rack_evict(r, 1, 3);
	for (uint64_t p = 0; p < DSM_TXN_MAX; p++)
		rack_fault(r, 0, DSM_CHUNK_PAGES + p, true);
	rack_fault(r, 0, 3, write);
	rack_deliver(r, 1, 0, PAGE_PUT);
	ASSERT_STATE(r, 0, 3, DSM_E);
	r->wakes[0] = 0;
	rack_deliver(r, 0, 1, PAGE_GET_X);
	rack_deliver(r, 1, 0, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->wakes[0], 2);
	ASSERT_STATE(r, 0, 3, write ? DSM_M : DSM_E);
	CU_ASSERT_EQUAL(r->page[0][3].value, 8);
	rack_settle(r);
	rack_delete(r);
}

static void backlog_read_comes_by_itself(void)
{
	a_page_in_the_backlog_may_come_by_itself(false);
}
static void backlog_write_comes_by_itself(void)
{
	a_page_in_the_backlog_may_come_by_itself(true);
}

/* Hundreds of holds end at one moment. */
static void many_holds_end_at_once(void)
{
	enum { ASKING = 3 };

	struct rack *r = rack_new(1 + ASKING, PAGES, RACK_HOLD_US);

	for (uint64_t p = 0; p < ASKING * DSM_TXN_MAX; p++)
		rack_fault(r, 0, p, true);
	for (uint8_t m = 1; m <= ASKING; m++)
		for (uint64_t i = 0; i < DSM_TXN_MAX; i++)
			rack_fault(r, m, (m - 1) * DSM_TXN_MAX + i, true);
	for (uint8_t m = 1; m <= ASKING; m++)
		while (rack_next(r, m, 0))
			rack_deliver(r, m, 0, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_stats(r, 0).deferred, ASKING * DSM_TXN_MAX);
	r->now += 100000;
	r->deadline[0] = UINT64_MAX;
	rack_step(r, 0, (struct dsm_event){.type = DSM_EV_TIMER});
	CU_ASSERT_TRUE(r->fx.n >= 256);
	CU_ASSERT_TRUE(r->fx.n < 300);
	CU_ASSERT_TRUE(r->deadline[0] <= r->now);
	rack_settle(r);
	for (uint64_t p = 0; p < ASKING * DSM_TXN_MAX; p++)
		ASSERT_STATE(r, (uint8_t)(1 + p / DSM_TXN_MAX), p, DSM_M);
	rack_delete(r);
}

static void names(void)
{
	CU_ASSERT_STRING_EQUAL(dsm_state_name(DSM_I), "I");
	CU_ASSERT_STRING_EQUAL(dsm_state_name(DSM_M), "M");
	CU_ASSERT_STRING_EQUAL(dsm_state_name(99), "?");
}

static void stall(struct rack *r, uint32_t thread, uint64_t page)
{
	rack_step(r, 1, (struct dsm_event){.type = DSM_EV_FAULT, .fault = {{page}, true, thread}});
}

static void all_stall_but(struct rack *r, uint32_t silent, uint32_t ids[])
{
	for (uint32_t i = 0; i < DSM_THREADS_MAX; i++)
		if (i != silent)
			stall(r, ids[i], 3);
	rack_tick(r, 1);
}

/* R40: of 64 threads the set is known; a new one takes the place of who was silent for longest. */
static void the_longest_silent_loses_its_place(void)
{
	static const uint32_t silent[] = {1, 0, 5, DSM_THREADS_MAX - 1};
	struct rack *r = rack_new(2, PAGES, RACK_HOLD_US);
	uint32_t ids[DSM_THREADS_MAX];

	for (uint32_t i = 0; i < DSM_THREADS_MAX; i++) {
		ids[i] = 1000 + i;
		stall(r, ids[i], 3);
		CU_ASSERT_EQUAL(r->core[1]->threads, i + 1);
	}
	rack_tick(r, 1);
	for (uint32_t i = 0; i < 4; i++) {
		all_stall_but(r, silent[i], ids);
		ids[silent[i]] = DSM_THREADS_MAX + i; /* a number that means something else, too */
		stall(r, ids[silent[i]], 4);
		for (uint32_t t = 0; t < DSM_THREADS_MAX; t++)
			CU_ASSERT_EQUAL(r->core[1]->thread[t].id, ids[t]);
		CU_ASSERT_EQUAL(r->core[1]->collection[DSM_ACQUIRES_MAX + silent[i]].pages, 1);
	}
	rack_settle(r);
	rack_delete(r);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(configuration_is_checked),
		UNIT_CASE(members_are_checked),
		UNIT_CASE(tables_are_touched_lazily),
		UNIT_CASE(smallest_space),
		UNIT_CASE(a_writer_among_64),
		UNIT_CASE(a_queue_of_64),
		UNIT_CASE(a_queue_that_home_serves_alone),
		UNIT_CASE(all_transactions_at_one_home),
		UNIT_CASE(large_work_is_cut_into_steps),
		UNIT_CASE(many_acquires_are_cut_into_steps),
		UNIT_CASE(eviction_without_a_transaction_is_ignored),
		UNIT_CASE(backlog_read_comes_by_itself),
		UNIT_CASE(backlog_write_comes_by_itself),
		UNIT_CASE(many_holds_end_at_once),
		UNIT_CASE(the_longest_silent_loses_its_place),
		UNIT_CASE(names),
	};

	return unit_main("core-limits", cases, UNIT_COUNT(cases));
}
