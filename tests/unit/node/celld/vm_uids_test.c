/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/vm_uids.h"

#include <string.h>

#include "tests/unit/unit.h"

static void each_is_given_once(void)
{
	uid_t uid[3] = {0}, more = 1;
	struct vm_uids u;
	struct err e;

	CU_ASSERT_EQUAL_FATAL(vm_uids_parse("100-102", &u, &e), ERR_OK);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(vm_uids_take(&u, &uid[i], &e), ERR_OK);
		CU_ASSERT_EQUAL(uid[i], 100 + i);
	}
	CU_ASSERT_EQUAL(vm_uids_take(&u, &more, &e), ERR_NOSPACE);
	CU_ASSERT_STRING_EQUAL(e.text, "all 3 uids for fragments are taken (--vm-uids)");
	CU_ASSERT_EQUAL(more, 0);
	vm_uids_give_back(&u, &more); /* none: nothing */
	vm_uids_give_back(&u, &uid[1]);
	CU_ASSERT_EQUAL(uid[1], 0);
	CU_ASSERT_EQUAL(vm_uids_take(&u, &more, &e), ERR_OK);
	CU_ASSERT_EQUAL(more, 101);
}

static void the_last_freed_is_given_last(void)
{
	struct vm_uids u;
	uid_t uid;
	struct err e;

	vm_uids_default(&u);
	for (unsigned i = 0; i < 2 * VM_UIDS_MAX; i++) {
		CU_ASSERT_EQUAL_FATAL(vm_uids_take(&u, &uid, &e), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(uid, VM_UIDS_FIRST + i % VM_UIDS_MAX);
		vm_uids_give_back(&u, &uid);
	}
}

static void an_empty_range_gives_none(void)
{
	struct vm_uids u = {0};
	uid_t uid = 5;
	struct err e;

	CU_ASSERT_EQUAL(vm_uids_take(&u, &uid, &e), ERR_OK);
	CU_ASSERT_EQUAL(uid, 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(each_is_given_once),
		UNIT_CASE(the_last_freed_is_given_last),
		UNIT_CASE(an_empty_range_gives_none),
	};

	return unit_main("celld-vm-uids", cases, UNIT_COUNT(cases));
}
