/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of named spaces: who holds a name, for how long, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/policy/spaces.h"
#include "tests/unit/unit.h"

static struct policy_spaces *p;
static uint64_t now;
static struct err e;

static void fresh(bool again)
{
	free(p);
	p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	now = 1000;
	policy_spaces_init(p, now, again);
}

static struct policy_claim claim(const char *name, uint64_t instance, uint32_t member)
{
	return (struct policy_claim){
		.name = name,
		.instance = instance,
		.bytes = 1 << 20,
		.members = 8,
		.drawn = true,
		.key = "a key that was drawn for it",
		.created_ms = 77,
		.member = member,
		.address = "10.0.0.1:4711",
		.pid = 100 + member,
	};
}

static int sound(int rc)
{
	struct err why;

	if (policy_spaces_check(p, &why)) {
		fprintf(stderr, "\n%s\n", why.text);
		CU_FAIL("the directory contradicts itself");
	}
	if (rc)
		CU_ASSERT(rc == (int)e.code && e.text[0]);
	return rc;
}

static int create(uint64_t link, struct policy_claim c)
{
	return sound(policy_space_create(p, now, link, &c, &e));
}

static int hold(uint64_t link, struct policy_claim c)
{
	return sound(policy_space_hold(p, now, link, &c, &e));
}

static void drop(uint64_t link)
{
	policy_space_drop(p, link);
	sound(0);
}

/* How many hold it; -code if it is not found. */
static int holders(const char *name)
{
	const struct policy_space *space;
	int rc = sound(policy_space_find(p, now, name, &space, &e));

	return rc ? -rc : (int)space->n_holders;
}

static void a_name_outlives_its_creator(void)
{
	const struct policy_space *space;

	fresh(false);
	CU_ASSERT_EQUAL(holders("demo"), -ERR_NOTFOUND);
	CU_ASSERT_STRING_EQUAL(e.text, "there is no space named demo");
	CU_ASSERT_EQUAL(create(1, claim("demo", 5, 0)), ERR_OK);
	CU_ASSERT_EQUAL(hold(2, claim("demo", 5, 1)), ERR_OK);
	CU_ASSERT_EQUAL(holders("demo"), 2);
	drop(1);
	CU_ASSERT_EQUAL_FATAL(policy_space_find(p, now, "demo", &space, &e), ERR_OK);
	CU_ASSERT_PTR_NULL(policy_space_holder(p, space, 0));
	CU_ASSERT_EQUAL(policy_space_holder(p, space, 1)->pid, 101);
	CU_ASSERT_STRING_EQUAL(policy_space_holder(p, space, 1)->address, "10.0.0.1:4711");
	CU_ASSERT_EQUAL(space->created_ms, 77);
	CU_ASSERT(space->drawn && !strcmp((const char *)space->key, "a key that was drawn for it"));
	drop(2);
	CU_ASSERT_EQUAL(holders("demo"), -ERR_NOTFOUND);
	CU_ASSERT_EQUAL(create(3, claim("demo", 6, 0)), ERR_OK);
}

static void a_name_is_taken(void)
{
	fresh(false);
	CU_ASSERT_EQUAL(create(1, claim("demo", 5, 0)), ERR_OK);
	CU_ASSERT_EQUAL(create(2, claim("demo", 6, 0)), ERR_EXISTS);
	CU_ASSERT_STRING_EQUAL(e.text, "there is a space named demo already");
	CU_ASSERT_EQUAL(hold(2, claim("demo", 6, 1)), ERR_EXISTS);
	CU_ASSERT_EQUAL(create(1, claim("other", 7, 0)), ERR_STATE);
	CU_ASSERT_EQUAL(hold(1, claim("other", 7, 0)), ERR_STATE);
	CU_ASSERT_EQUAL(hold(1, claim("demo", 5, 1)), ERR_STATE);
	CU_ASSERT_EQUAL(holders("demo"), 1);
	CU_ASSERT_EQUAL(holders("other"), -ERR_NOTFOUND);
}

static void who_is_silent_is_forgotten(void)
{
	fresh(false);
	create(1, claim("demo", 5, 0));
	hold(2, claim("demo", 5, 1));
	now += POLICY_SPACE_SILENT_MS - 1;
	hold(2, claim("demo", 5, 1));
	CU_ASSERT_EQUAL(holders("demo"), 2);
	now++;
	CU_ASSERT_EQUAL(holders("demo"), 1);
	/* It was the controller who was slow: what is said now is heard first. */
	now += POLICY_SPACE_SILENT_MS;
	CU_ASSERT_EQUAL(hold(2, claim("demo", 5, 1)), ERR_OK);
	CU_ASSERT_EQUAL(holders("demo"), 1);
	now += POLICY_SPACE_SILENT_MS;
	CU_ASSERT_EQUAL(create(3, claim("demo", 6, 0)), ERR_OK);
	CU_ASSERT_EQUAL(hold(2, claim("demo", 5, 1)), ERR_EXISTS);
}

/* Its old link may be half dead, and end later. */
static void a_member_dials_again(void)
{
	fresh(false);
	create(1, claim("demo", 5, 0));
	CU_ASSERT_EQUAL(hold(2, claim("demo", 5, 0)), ERR_OK);
	CU_ASSERT_EQUAL(holders("demo"), 1);
	drop(1);
	CU_ASSERT_EQUAL(holders("demo"), 1);
	drop(2);
	CU_ASSERT_EQUAL(holders("demo"), -ERR_NOTFOUND);
}

static void started_again(void)
{
	fresh(true);
	CU_ASSERT_EQUAL(holders("demo"), -ERR_BUSY);
	CU_ASSERT_EQUAL(holders("../demo"), -ERR_NOTFOUND);
	CU_ASSERT_EQUAL(create(1, claim("demo", 6, 0)), ERR_BUSY);
	CU_ASSERT_EQUAL(hold(2, claim("demo", 5, 1)), ERR_OK);
	CU_ASSERT_EQUAL(holders("demo"), 1);
	CU_ASSERT_EQUAL(create(1, claim("demo", 6, 0)), ERR_EXISTS);
	CU_ASSERT_EQUAL(hold(3, claim("demo", 5, 3)), ERR_OK);
	now += POLICY_SPACE_LEARN_MS;
	CU_ASSERT_EQUAL(holders("demo"), 2);
	CU_ASSERT_EQUAL(holders("other"), -ERR_NOTFOUND);
	CU_ASSERT_EQUAL(create(1, claim("other", 6, 0)), ERR_OK);
}

static void differs(struct policy_claim c)
{
	CU_ASSERT_EQUAL(hold(2, c), ERR_INVALID);
}

static void says_something_else(void)
{
	struct policy_claim c = claim("demo", 5, 1);

	fresh(false);
	create(1, claim("demo", 5, 0));
	c.bytes += 4096, differs(c), c = claim("demo", 5, 1);
	c.space.v = 1, differs(c), c = claim("demo", 5, 1);
	c.members = 9, differs(c), c = claim("demo", 5, 1);
	c.drawn = false, differs(c), c = claim("demo", 5, 1);
	c.key[3] ^= 1, differs(c);
	CU_ASSERT_EQUAL(holders("demo"), 1);
}

static void refuses(struct policy_claim c)
{
	CU_ASSERT_EQUAL(create(1, c), ERR_INVALID);
	CU_ASSERT_EQUAL(hold(1, c), ERR_INVALID);
}

static void claims_that_make_no_sense(void)
{
	struct policy_claim c = claim("demo", 5, 0);
	char long_name[CELL_NAME_MAX + 1], far[POLICY_TEXT_MAX + 1];

	fresh(false);
	memset(long_name, 'x', sizeof(long_name));
	long_name[CELL_NAME_MAX] = 0;
	memset(far, '1', sizeof(far));
	far[POLICY_TEXT_MAX] = 0;
	refuses(claim("", 5, 0));
	refuses(claim("a/b", 5, 0));
	refuses(claim(".a", 5, 0));
	refuses(claim(long_name, 5, 0));
	refuses(claim("demo", 0, 0));
	refuses(claim("demo", 5, 8));
	c.bytes = 0, refuses(c), c.bytes = 4097, refuses(c), c.bytes = 1ull << 44, refuses(c);
	c = claim("demo", 5, 0);
	c.members = 0, refuses(c), c.members = 65, refuses(c);
	c = claim("demo", 5, 0);
	c.address = "", refuses(c), c.address = far, refuses(c);
	long_name[CELL_NAME_MAX - 1] = 0;
	CU_ASSERT_EQUAL(create(1, claim(long_name, 5, 0)), ERR_OK);
	CU_ASSERT_EQUAL(holders(long_name), 1);
}

static void no_room(void)
{
	char name[16];

	fresh(false);
	for (unsigned i = 0; i < POLICY_HOLDERS_MAX; i++) {
		struct policy_claim c = claim(name, 5, 0);

		snprintf(name, sizeof(name), "s%u", i);
		if (policy_space_create(p, now, i + 1, &c, &e))
			CU_FAIL("there is room");
	}
	sound(0);
	CU_ASSERT_EQUAL(create(5000, claim("one-more", 5, 0)), ERR_NOSPACE);
	CU_ASSERT_EQUAL(hold(5000, claim("one-more", 5, 0)), ERR_NOSPACE);
	CU_ASSERT_EQUAL(hold(5000, claim("s7", 5, 1)), ERR_NOSPACE);
	CU_ASSERT_EQUAL(hold(5000, claim("s7", 5, 0)), ERR_OK); /* takes over link 8 */
	drop(1);
	CU_ASSERT_EQUAL(hold(5001, claim("s7", 5, 1)), ERR_OK);
	CU_ASSERT_EQUAL(holders("s7"), 2);
	CU_ASSERT_EQUAL(holders("s0"), -ERR_NOTFOUND);
}

/* Anything, in any order, from few links about few names. */
static void a_storm(void)
{
	static const char *const names[] = {"a", "b", "c", "-bad"};
	unsigned seed = 20261130, done = 0;

	fresh(true);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned r = (unsigned)rand_r(&seed);
		struct policy_claim c =
			claim(names[r % 16 ? r % 3 : 3], 1 + r / 16 % 2, r / 32 % 9);
		uint64_t link = 1 + r / 512 % 6;
		int rc = 0;

		c.key[0] ^= r / 4096 % 16 == 0;
		switch (r / 65536 % 4) {
		case 0:
			rc = policy_space_create(p, now, link, &c, &e);
			break;
		case 1:
			policy_space_drop(p, link);
			break;
		default:
			rc = policy_space_hold(p, now, link, &c, &e);
		}
		done += !rc;
		now += r / 262144 % 64 ? r / 262144 % 300 : POLICY_SPACE_SILENT_MS;
		if (i % 16 == 0)
			sound(0);
	}
	CU_ASSERT(done > 1000 && done < 19000);
	free(p);
	p = NULL;
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_name_outlives_its_creator),
		UNIT_CASE(a_name_is_taken),
		UNIT_CASE(who_is_silent_is_forgotten),
		UNIT_CASE(a_member_dials_again),
		UNIT_CASE(started_again),
		UNIT_CASE(says_something_else),
		UNIT_CASE(claims_that_make_no_sense),
		UNIT_CASE(no_room),
		UNIT_CASE(a_storm),
	};

	return unit_main("policy-spaces", cases, UNIT_COUNT(cases));
}
