/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/options.h"

#include <string.h>

#include "node/celld/preflight.h"
#include "tests/unit/unit.h"

#define COMPLETE                                                                                   \
	"--name", "c", "--controller", "unix:/x", "--key", "/k", "--data", "127.0.0.1", "--run",   \
		"/r"

static int parse(char **argv, struct celld_options *o, struct err *e)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return options_parse(argc, argv, o, e);
}

#define PARSE(o, e, ...) parse((char *[]){(char *)"celld", __VA_ARGS__, NULL}, o, e)

static void complete_line_is_read(void)
{
	struct celld_options o;
	struct err e;

	CU_ASSERT_EQUAL(PARSE(&o, &e, COMPLETE, "--memory", "1GiB", "--cpus=3", "--start-timeout",
			      "2", "--ready-file", "/f", "--cell-vm", "/v"),
			ERR_OK);
	CU_ASSERT_STRING_EQUAL(o.name, "c");
	CU_ASSERT_STRING_EQUAL(o.controller, "unix:/x");
	CU_ASSERT_STRING_EQUAL(o.data, "127.0.0.1");
	CU_ASSERT_STRING_EQUAL(o.ready_file, "/f");
	CU_ASSERT_STRING_EQUAL(o.program, "/v");
	CU_ASSERT_EQUAL(o.account.memory, 1ull << 30);
	CU_ASSERT_EQUAL(o.account.cpus, 3);
	CU_ASSERT_EQUAL(o.start_ms, 2000);
	CU_ASSERT_EQUAL(PARSE(&o, &e, COMPLETE), ERR_OK);
	CU_ASSERT(o.account.memory > 0 && o.account.cpus > 0 && o.start_ms == 30000 &&
		  !o.ready_file);
	CU_ASSERT(o.uids.first == 70000 && o.uids.n == 4096 && !o.no_sandbox);
	CU_ASSERT_EQUAL(PARSE(&o, &e, COMPLETE, "--no-sandbox", "--vm-uids", "9-9"), ERR_OK);
	CU_ASSERT(o.uids.first == 9 && o.uids.n == 1 && o.no_sandbox);
	CU_ASSERT(PARSE(&o, &e, "--help") == ERR_OK && o.help);
	CU_ASSERT(PARSE(&o, &e, "--version") == ERR_OK && o.version);
}

static void refused(const char *told, char **argv)
{
	struct celld_options o;
	struct err e = {0};

	CU_ASSERT_EQUAL(parse(argv, &o, &e), ERR_INVALID);
	if (strcmp(e.text, told) != 0)
		fprintf(stderr, "\n  want: %s\n  got:  %s\n", told, e.text);
	CU_ASSERT_STRING_EQUAL(e.text, told);
}

#define REFUSED(told, ...) refused(told, (char *[]){(char *)"celld", __VA_ARGS__, NULL})

static void mistakes_are_told(void)
{
	REFUSED("--controller is missing; see celld --help", "--name", "c");
	REFUSED("'a/b' is no name: 1 to 63 of A-Z a-z 0-9 . _ -", "--name", "a/b");
	REFUSED("unknown option --wrong; see celld --help", "--wrong");
	REFUSED("--name wants a value; see celld --help", "--name");
	REFUSED("'more' is no option; see celld --help", COMPLETE, "more");
	REFUSED("--cpus wants a number from 1 to 4096, not '0'", "--cpus", "0");
	REFUSED("--cpus wants a number from 1 to 4096, not '-1'", "--cpus", "-1");
	REFUSED("--cpus wants a number from 1 to 4096, not '2x'", "--cpus", "2x");
	static char *const bad_uids[] = {"0-9",
					 "",
					 "7",
					 "7-",
					 "-7",
					 "9-8",
					 "1-4097",
					 "1-5x",
					 "1-2-3",
					 " 1-2",
					 "+1-2",
					 "4294967290-4294967295",
					 "99999999999999999999-99999999999999999999"};

	for (size_t i = 0; i < UNIT_COUNT(bad_uids); i++) {
		char told[200];

		snprintf(
			told, sizeof(told),
			"--vm-uids wants FIRST-LAST, at most 4096 uids and not root's, not '%.40s'",
			bad_uids[i]);
		REFUSED(told, "--vm-uids", bad_uids[i]);
	}
	REFUSED("--memory must not be 0", "--memory", "0");
	REFUSED("--memory: '1GB' is no size; write a whole number with KiB, MiB, GiB or TiB, e.g. "
		"256MiB",
		"--memory", "1GB");
}

static void addresses_are_checked(void)
{
	struct err e;

	CU_ASSERT_EQUAL(preflight_address("127.0.0.1", &e), ERR_OK);
	CU_ASSERT_EQUAL(preflight_address("127.9.8.7", &e), ERR_OK);
	CU_ASSERT_EQUAL(preflight_address("192.0.2.1", &e), ERR_NOTFOUND); /* RFC 5737: nobody's */
	CU_ASSERT_STRING_EQUAL(e.text, "192.0.2.1 is no address of this machine");
	CU_ASSERT_EQUAL(preflight_address("0.0.0.0", &e), ERR_INVALID);
	CU_ASSERT_EQUAL(preflight_address("localhost", &e), ERR_INVALID);
	CU_ASSERT_EQUAL(preflight_address("", &e), ERR_INVALID);
}

static void programs_are_checked(void)
{
	struct err e;

	CU_ASSERT_EQUAL(preflight_program("/bin/sh", &e), ERR_OK);
	CU_ASSERT_EQUAL(preflight_program("/nowhere/cell-vm", &e), ERR_NOTFOUND);
	CU_ASSERT_EQUAL(preflight_program("/etc/passwd", &e), ERR_DENIED);
	CU_ASSERT_EQUAL(preflight_program("/tmp", &e), ERR_INVALID);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(complete_line_is_read),
		UNIT_CASE(mistakes_are_told),
		UNIT_CASE(addresses_are_checked),
		UNIT_CASE(programs_are_checked),
	};

	return unit_main("celld-options", cases, UNIT_COUNT(cases));
}
