/* SPDX-License-Identifier: Apache-2.0 */
/* Named spaces at cell-controller as a process: claims over real links. usage: PROGRAM
 * CELL-CONTROLLER */
#include <stdio.h>
#include <string.h>

#include "tests/unit/controller/server_rig.h"

enum { SILENT_MS = 20000 };

static struct rig r;
static uint8_t key[CELL_KEY_BYTES] = "a key that was drawn for it";

static Cellular__SpaceClaim good(void)
{
	Cellular__SpaceClaim c = CELLULAR__SPACE_CLAIM__INIT;

	c.instance = 5;
	c.bytes = 8192;
	c.members = 4;
	c.key = (ProtobufCBinaryData){sizeof(key), key};
	c.address = (char *)"10.0.0.1:4711";
	c.pid = 4321;
	return c;
}

static int say(Cellular__CtlOp op, const char *name, Cellular__SpaceClaim *claim)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	request.op = op;
	request.name = (char *)name;
	request.claim = claim;
	return (int)rig_ask(&r, &request)->error;
}

static int create(const char *name, Cellular__SpaceClaim claim)
{
	return say(CELLULAR__CTL_OP__OP_SPACE_CREATE, name, &claim);
}

static int hold(const char *name, Cellular__SpaceClaim claim)
{
	return say(CELLULAR__CTL_OP__OP_SPACE_HOLD, name, &claim);
}

static int find(const char *name)
{
	return say(CELLULAR__CTL_OP__OP_SPACE_FIND, name, NULL);
}

/* Sooner than silence alone would do it. */
static void until_unknown(const char *name)
{
	for (unsigned ms = 0; find(name) != ERR_NOTFOUND && ms < SILENT_MS / 2; ms += 20)
		rig_spin(&r, 20);
	CU_ASSERT_EQUAL(r.reply->error, ERR_NOTFOUND);
}

static void what_is_told_of_it(void)
{
	const Cellular__SpaceInfo *info;
	Cellular__SpaceClaim c = good();

	rig_new(&r);
	rig_start_controller(&r, NULL);
	CU_ASSERT_EQUAL(find("demo"), ERR_NOTFOUND);
	CU_ASSERT_EQUAL(create("demo", c), ERR_OK);
	CU_ASSERT(r.reply->n_spaces == 1 && r.reply->spaces[0]->created_ms > 1000000000000);
	CU_ASSERT_EQUAL(create("demo", c), ERR_EXISTS);
	CU_ASSERT_EQUAL(find("demo"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(r.reply->n_spaces, 1);
	info = r.reply->spaces[0];
	CU_ASSERT(info->instance == 5 && info->bytes == 8192 && info->members == 4 && info->drawn);
	CU_ASSERT(info->key.len == sizeof(key) && !memcmp(info->key.data, key, sizeof(key)));
	CU_ASSERT(info->n_present == 1 && info->present[0]->pid == 4321);
	CU_ASSERT_STRING_EQUAL(info->present[0]->address, "10.0.0.1:4711");
	/* People are not told the key. */
	CU_ASSERT_EQUAL(say(CELLULAR__CTL_OP__OP_SPACE_SHOW, "demo", NULL), ERR_OK);
	CU_ASSERT(r.reply->spaces[0]->drawn && !r.reply->spaces[0]->key.len);
	CU_ASSERT_EQUAL(say(CELLULAR__CTL_OP__OP_SPACE_LIST, "", NULL), ERR_OK);
	CU_ASSERT(r.reply->n_spaces == 1 && !r.reply->spaces[0]->key.len);
	CU_ASSERT_EQUAL(say(CELLULAR__CTL_OP__OP_SPACE_DROP, "", NULL), ERR_OK);
	CU_ASSERT_EQUAL(find("demo"), ERR_NOTFOUND);
	c.key.len = 0;
	CU_ASSERT_EQUAL(create("demo", c), ERR_OK);
	CU_ASSERT_EQUAL(find("demo"), ERR_OK);
	CU_ASSERT(!r.reply->spaces[0]->drawn && !r.reply->spaces[0]->key.len);
	rig_free(&r);
}

static void a_name_ends_with_its_link(void)
{
	rig_new(&r);
	rig_start_controller(&r, NULL);
	CU_ASSERT_EQUAL(create("demo", good()), ERR_OK);
	rig_client_goes(&r);
	until_unknown("demo");
	rig_free(&r);
}

static void refuses(Cellular__SpaceClaim c)
{
	CU_ASSERT_EQUAL(create("demo", c), ERR_INVALID);
	CU_ASSERT_EQUAL(hold("demo", c), ERR_INVALID);
}

static void claims_that_make_no_sense(void)
{
	static const char *const addresses[] = {"",	     "nowhere",	   "0.0.0.0:4711",
						"[::]:4711", "10.0.0.1:0", "10.0.0.1:4711 "};
	Cellular__SpaceClaim c = good();

	rig_new(&r);
	rig_start_controller(&r, NULL);
	CU_ASSERT_EQUAL(say(CELLULAR__CTL_OP__OP_SPACE_CREATE, "demo", NULL), ERR_INVALID);
	CU_ASSERT_EQUAL(say(CELLULAR__CTL_OP__OP_SPACE_HOLD, "demo", NULL), ERR_INVALID);
	CU_ASSERT_EQUAL(create("de mo", c), ERR_INVALID);
	CU_ASSERT_EQUAL(create("", c), ERR_INVALID);
	for (unsigned i = 0; i < UNIT_COUNT(addresses); i++) {
		c = good();
		c.address = (char *)addresses[i];
		CU_ASSERT_EQUAL(create("demo", c), ERR_INVALID);
	}
	c = good(), c.key.len = 31, refuses(c);
	c = good(), c.members = 65, refuses(c);
	c = good(), c.member = UINT32_MAX, refuses(c);
	c = good(), c.bytes = UINT64_MAX, refuses(c);
	c = good(), c.instance = 0, refuses(c);
	CU_ASSERT_EQUAL(say(CELLULAR__CTL_OP__OP_SPACE_LIST, "", NULL), ERR_OK);
	CU_ASSERT_EQUAL(r.reply->n_spaces, 0);
	CU_ASSERT_EQUAL(find("demo\033[2J"), ERR_NOTFOUND);
	CU_ASSERT_PTR_NULL(strchr(r.reply->text, '\033'));
	rig_free(&r);
}

/* The first time there is nothing to learn; the second time there may be. */
static void started_again(void)
{
	rig_new(&r);
	rig_start_controller(&r, NULL);
	CU_ASSERT_EQUAL(create("demo", good()), ERR_OK);
	rig_kill_controller(&r);
	rig_start_controller(&r, NULL);
	CU_ASSERT_EQUAL(find("demo"), ERR_BUSY);
	CU_ASSERT_EQUAL(create("demo", good()), ERR_BUSY);
	CU_ASSERT_EQUAL(hold("demo", good()), ERR_OK);
	CU_ASSERT_EQUAL(find("demo"), ERR_OK);
	until_unknown("other");
	rig_free(&r);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(what_is_told_of_it),
		UNIT_CASE(a_name_ends_with_its_link),
		UNIT_CASE(claims_that_make_no_sense),
		UNIT_CASE(started_again),
	};

	return server_main(argc, argv, "controller-spaces", cases, UNIT_COUNT(cases));
}
