/* SPDX-License-Identifier: Apache-2.0 */
/* The console's window: what is written and not passed on is bounded, and all of it arrives in
 * order. */
#include "node/vm/console.h"

#include <string.h>

#include "tests/unit/unit.h"

static char out[CONSOLE_WINDOW];
static uint32_t from[DSM_MEMBERS_MAX];

static const struct member_id one = {1}, two = {2};

static void bytes_come_out_in_order(void)
{
	struct console c;

	CU_ASSERT_EQUAL_FATAL(console_init(&c, 3, NULL), ERR_OK);
	CU_ASSERT_EQUAL(console_put(&c, one, "abc", 3, NULL), ERR_OK);
	CU_ASSERT_EQUAL(console_put(&c, two, "de", 2, NULL), ERR_OK);
	CU_ASSERT_EQUAL(console_take(&c, out, from), 5);
	CU_ASSERT_EQUAL(memcmp(out, "abcde", 5), 0);
	CU_ASSERT_TRUE(from[0] == 0 && from[1] == 3 && from[2] == 2);
	CU_ASSERT_EQUAL(console_take(&c, out, from), 0);
	CU_ASSERT_TRUE(from[1] == 0 && from[2] == 0);
	console_free(&c);
}

static void a_member_beyond_its_window_is_refused(void)
{
	static char much[CONSOLE_WINDOW];
	uint64_t credit[3] = {0};
	struct console c;

	CU_ASSERT_EQUAL_FATAL(console_init(&c, 3, NULL), ERR_OK);
	CU_ASSERT_EQUAL(console_put(&c, one, much, sizeof(much), NULL), ERR_OK);
	CU_ASSERT_EQUAL(console_put(&c, one, much, 1, NULL), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(console_put(&c, two, much, 100, NULL), ERR_OK);
	while (console_take(&c, out, from))
		for (int m = 0; m < 3; m++)
			credit[m] += from[m];
	CU_ASSERT_TRUE(credit[0] == 0 && credit[1] == sizeof(much) && credit[2] == 100);
	CU_ASSERT_EQUAL(console_put(&c, one, much, 1, NULL), ERR_OK);
	console_free(&c);
}

static void no_device_no_bytes(void)
{
	struct console c;

	CU_ASSERT_EQUAL_FATAL(console_init(&c, 0, NULL), ERR_OK);
	CU_ASSERT_EQUAL(console_put(&c, one, "x", 1, NULL), ERR_PROTOCOL);
	console_free(&c);
}

static void *reserve(void *context)
{
	return (void *)(uintptr_t)console_reserve(context, 1);
}

static void a_full_window_sleeps_until_credit(void)
{
	struct console c;
	pthread_t t;
	void *ok;

	CU_ASSERT_EQUAL_FATAL(console_init(&c, 0, NULL), ERR_OK);
	CU_ASSERT_TRUE(console_reserve(&c, CONSOLE_WINDOW));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, reserve, &c), 0);
	CU_ASSERT_EQUAL(console_credit(&c, 1, NULL), ERR_OK);
	pthread_join(t, &ok);
	CU_ASSERT_TRUE(ok != NULL);
	CU_ASSERT_EQUAL(c.waiting, CONSOLE_WINDOW);
	CU_ASSERT_EQUAL(console_credit(&c, CONSOLE_WINDOW + 1, NULL), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(console_credit(&c, UINT64_MAX, NULL), ERR_PROTOCOL);

	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, reserve, &c), 0);
	console_stop(&c);
	pthread_join(t, &ok);
	CU_ASSERT_TRUE(ok == NULL);
	console_free(&c);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(bytes_come_out_in_order),
		UNIT_CASE(a_member_beyond_its_window_is_refused),
		UNIT_CASE(no_device_no_bytes),
		UNIT_CASE(a_full_window_sleeps_until_credit),
	};
	return unit_main("console", cases, UNIT_COUNT(cases));
}
