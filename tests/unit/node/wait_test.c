/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping on a word: nothing is lost, nobody else's wake is taken, a stop wakes all. */
#include "node/vm/wait.h"

#include <stdint.h>

#include "tests/unit/unit.h"

enum { ROUNDS = 20000, THREADS = 3 };

static struct waiters waiters;
static uint32_t word;

static void wait_for(uint32_t old)
{
	struct waiter me;

	wait_enter(&waiters, &me, (struct gpa){64});
	if (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == old)
		wait_sleep(&waiters, &me);
	wait_leave(&waiters, &me);
}

/* Two threads hand a number to and fro; one lost wake-up and the test hangs until its time is over.
 */
static void *player(void *odd)
{
	uint32_t mine = (uint32_t)(uintptr_t)odd, now;

	while ((now = __atomic_load_n(&word, __ATOMIC_SEQ_CST)) < ROUNDS) {
		if (now % 2 != mine) {
			wait_for(now);
			continue;
		}
		__atomic_store_n(&word, now + 1, __ATOMIC_SEQ_CST);
		wait_wake(&waiters, (struct gpa){64});
	}
	return NULL;
}

static void no_wake_is_lost(void)
{
	pthread_t other;

	wait_init(&waiters);
	word = 0;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, player, (void *)1), 0);
	player((void *)0);
	pthread_join(other, NULL);
	CU_ASSERT_TRUE(word >= ROUNDS);
	CU_ASSERT_PTR_NULL(waiters.first);
}

static void a_wake_is_for_its_address(void)
{
	struct waiter a, b;

	wait_init(&waiters);
	wait_enter(&waiters, &a, (struct gpa){64});
	wait_enter(&waiters, &b, (struct gpa){128});
	wait_wake(&waiters, (struct gpa){128});
	CU_ASSERT_FALSE(a.woken);
	CU_ASSERT_TRUE(b.woken);
	wait_sleep(&waiters, &b); /* returns: the wake came before the sleep */
	wait_leave(&waiters, &a);
	wait_leave(&waiters, &b);
	CU_ASSERT_PTR_NULL(waiters.first);
}

static void *sleeper(void *context)
{
	(void)context;
	wait_for(0);
	return NULL;
}

static void a_stop_wakes_all(void)
{
	pthread_t t[THREADS];

	wait_init(&waiters);
	word = 0;
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, sleeper, NULL), 0);
	wait_stop(&waiters);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	wait_for(0); /* nobody sleeps any more */
	CU_ASSERT_PTR_NULL(waiters.first);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(no_wake_is_lost),
		UNIT_CASE(a_wake_is_for_its_address),
		UNIT_CASE(a_stop_wakes_all),
	};
	return unit_main("wait", cases, UNIT_COUNT(cases));
}
