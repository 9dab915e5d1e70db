/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/account.h"

#include "tests/unit/unit.h"

enum { MIB = 1 << 20 };

static void share_is_whole_chunks(void)
{
	CU_ASSERT_EQUAL(account_share(2 * MIB, 1), 2 * MIB);
	CU_ASSERT_EQUAL(account_share(1, 1), 2 * MIB);
	CU_ASSERT_EQUAL(account_share(6 * MIB, 2), 4 * MIB);
	CU_ASSERT_EQUAL(account_share(6 * MIB, 64), 2 * MIB);
	CU_ASSERT_EQUAL(account_share(256 * MIB, 4), 64 * MIB);
	CU_ASSERT_EQUAL(account_share(1ull << 46, 64), 1ull << 40);
}

static void no_more_is_promised_than_there_is(void)
{
	struct account a = {.memory = 10 * MIB, .cpus = 2};
	struct err e;

	CU_ASSERT_EQUAL(account_take(&a, 8 * MIB, 1, &e), ERR_OK);
	CU_ASSERT_EQUAL(account_take(&a, 4 * MIB, 1, &e), ERR_NOSPACE);
	CU_ASSERT_STRING_EQUAL(e.text, "4 MiB of memory are wanted, 2 MiB are free");
	CU_ASSERT_EQUAL(account_take(&a, 2 * MIB, 2, &e), ERR_NOSPACE);
	CU_ASSERT_STRING_EQUAL(e.text, "2 CPUs are wanted, 1 are free");
	CU_ASSERT(a.memory_used == 8 * MIB && a.vcpus == 1);
	CU_ASSERT_EQUAL(account_take(&a, 2 * MIB, 1, &e), ERR_OK);
	CU_ASSERT_EQUAL(account_take(&a, UINT64_MAX, 0, &e), ERR_NOSPACE);
	CU_ASSERT_EQUAL(account_take(&a, 0, UINT32_MAX, &e), ERR_NOSPACE);
	account_give_back(&a, 8 * MIB, 1);
	account_give_back(&a, 2 * MIB, 1);
	CU_ASSERT(a.memory_used == 0 && a.vcpus == 0);
}

static void machine_has_something(void)
{
	struct account a;

	account_default(&a);
	CU_ASSERT(a.memory >= 2 * MIB && a.memory % (2 * MIB) == 0);
	CU_ASSERT(a.cpus >= 1);
	CU_ASSERT(a.memory_used == 0 && a.vcpus == 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(share_is_whole_chunks),
		UNIT_CASE(no_more_is_promised_than_there_is),
		UNIT_CASE(machine_has_something),
	};

	return unit_main("celld-account", cases, UNIT_COUNT(cases));
}
