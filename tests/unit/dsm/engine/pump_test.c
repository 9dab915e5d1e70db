/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs a shard (dsm/pump.h): one at a time, and no fault is left lying. */
#include "dsm/pump.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/unit/unit.h"

enum {
	MANY = PUMP_SLOTS + 16, /* threads: more than slots */
	TURNS = 30000,		/* in all */
	SECOND = 1000000000,

};

/* A fault that waits for so long was left lying. */
static const uint64_t patience_ns = 10ull * SECOND;

static struct pump pump;
static uint64_t served;	    /* by who has the lock: not atomic */
static atomic_uint inside;  /* who have it */
static atomic_uint left;    /* faults nobody served */
static atomic_uint crowded; /* times the lock was not one thread's */
static atomic_bool stop;
static unsigned threads;

static void serve(void)
{
	struct mem_fault f[8];
	int n;

	if (atomic_fetch_add(&inside, 1))
		atomic_fetch_add(&crowded, 1);
	while ((n = pump_take(&pump, f, 8)) > 0)
		for (int i = 0; i < n; i++) {
			served++;
			pump_answer(&pump, f[i].page);
		}
	sched_yield(); /* faults come now that were not seen */
	atomic_fetch_sub(&inside, 1);
}

/* As a thread does that faults. */
static void run_if_free(void)
{
	while (pump_asked(&pump) && pump_try(&pump)) {
		serve();
		pump_unlock(&pump);
	}
}

static void *fault(void *context)
{
	unsigned turns = TURNS / threads;

	for (unsigned i = 0; i < turns; i++) {
		const struct mem_fault f = {.page = {(uintptr_t)context}};
		unsigned slot = pump_ask(&pump, &f);
		uint64_t end = clock_ns() + patience_ns;

		run_if_free();
		/* It may wake too early: of an answer to the one that had the slot before. */
		while (!pump_answered(&pump, slot) && clock_ns() < end)
			pump_sleep(&pump, slot, patience_ns);
		if (!pump_answered(&pump, slot)) {
			atomic_fetch_add(&left, 1);
			return NULL;
		}
		pump_free(&pump, slot);
	}
	return NULL;
}

/* As the shard's thread does, which is always busy, and sleeps for a moment in between. */
static void *shard(void *context)
{
	(void)context;
	while (!atomic_load(&stop)) {
		pump_lock(&pump);
		serve();
		pump_unlock(&pump);
		run_if_free();
		sched_yield();
	}
	return NULL;
}

static void run(unsigned n, bool with_shard)
{
	static pthread_t thread[MANY];
	pthread_t own;

	memset(&pump, 0, sizeof(pump));
	served = 0;
	left = 0;
	atomic_store(&crowded, 0);
	threads = n;
	atomic_store(&stop, false);
	if (with_shard)
		pthread_create(&own, NULL, shard, NULL);
	for (unsigned i = 0; i < n; i++)
		pthread_create(&thread[i], NULL, fault, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&stop, true);
	if (with_shard)
		pthread_join(own, NULL);
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_EQUAL(crowded, 0);
	CU_ASSERT_EQUAL(served, TURNS / n * n);
	CU_ASSERT_EQUAL(pump.used, 0);
	CU_ASSERT_EQUAL(pump.waiting, 0);
}

static void no_fault_is_left_lying(void)
{
	run(2, false);
	run(5, false);
}

static void the_shards_thread_gets_its_turn(void)
{
	run(2, true);
	run(5, true);
}

static void more_threads_than_slots_wait_for_one(void)
{
	run(MANY, false);
	run(MANY, true);
}

static void *sleep_on_a_fault(void *slept_ns)
{
	const struct mem_fault f = {.page = {7}};
	unsigned slot = pump_ask(&pump, &f);
	uint64_t began = clock_ns();

	pump_sleep(&pump, slot, patience_ns);
	*(uint64_t *)slept_ns = clock_ns() - began;
	CU_ASSERT(pump_answered(&pump, slot));
	pump_free(&pump, slot);
	return NULL;
}

static void an_answer_wakes_who_sleeps(void)
{
	struct mem_fault f;
	pthread_t thread;
	uint64_t slept;

	memset(&pump, 0, sizeof(pump));
	pthread_create(&thread, NULL, sleep_on_a_fault, &slept);
	while (!pump_asked(&pump))
		usleep(1000);
	usleep(20000); /* it sleeps by now */
	CU_ASSERT_EQUAL(pump_take(&pump, &f, 1), 1);
	pump_answer(&pump, f.page);
	pthread_join(thread, NULL);
	CU_ASSERT(slept < patience_ns);
}

static void who_wants_it_is_not_overtaken(void)
{
	memset(&pump, 0, sizeof(pump));
	CU_ASSERT(pump_try(&pump));
	CU_ASSERT(!pump_try(&pump));
	pump_unlock(&pump);
	atomic_store(&pump.wanted, true);
	CU_ASSERT(!pump_try(&pump));
	atomic_store(&pump.wanted, false);
	CU_ASSERT(pump_try(&pump));
}

static void an_answer_is_for_its_page_only(void)
{
	struct mem_fault f = {.page = {7}, .write = true, .thread = 3}, out[2];
	unsigned a, b, c;
	uint64_t began;

	memset(&pump, 0, sizeof(pump));
	a = pump_ask(&pump, &f);
	f.page.v = 8;
	b = pump_ask(&pump, &f);
	CU_ASSERT_EQUAL(pump_take(&pump, out, 1), 1);
	CU_ASSERT(out[0].page.v == 7 && out[0].write && out[0].thread == 3);
	CU_ASSERT_EQUAL(pump_take(&pump, out, 2), 1);
	CU_ASSERT_EQUAL(out[0].page.v, 8);
	f.page.v = 7;
	c = pump_ask(&pump, &f);
	pump_answer(&pump, (struct gpage){7});
	CU_ASSERT(pump_answered(&pump, a) && !pump_answered(&pump, b));
	CU_ASSERT(!pump_answered(&pump, c)); /* nobody took it yet */
	pump_free(&pump, a);
	began = clock_ns();
	pump_sleep(&pump, b, SECOND / 100);
	CU_ASSERT(clock_ns() - began >= SECOND / 100);
	pump_withdraw(&pump, b);
	pump_withdraw(&pump, c);
	CU_ASSERT(!pump_asked(&pump) && pump.used == 0 && pump.waiting == 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(no_fault_is_left_lying),
		UNIT_CASE(the_shards_thread_gets_its_turn),
		UNIT_CASE(more_threads_than_slots_wait_for_one),
		UNIT_CASE(an_answer_wakes_who_sleeps),
		UNIT_CASE(who_wants_it_is_not_overtaken),
		UNIT_CASE(an_answer_is_for_its_page_only),
	};

	return unit_main("dsm pump", cases, UNIT_COUNT(cases));
}
