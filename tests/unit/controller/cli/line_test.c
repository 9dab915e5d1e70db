/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: what is understood, what is refused and how, and that help names everything. */
#include <stdlib.h>
#include <string.h>

#include "controller/cli/cli.h"
#include "tests/unit/unit.h"

static struct cli cli;
static const struct verb *verb;
static struct err e;

static int parse(char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	memset(&e, 0, sizeof(e));
	return cli_parse(argc, argv, &cli, &verb, &e);
}

#define PARSE(...) parse((char *[]){(char *)"cellctl", __VA_ARGS__, NULL})

static void verbs_are_found(void)
{
	CU_ASSERT_EQUAL(PARSE("vm", "start", "x.yaml"), ERR_OK);
	CU_ASSERT_STRING_EQUAL(verb->name, "start");
	CU_ASSERT_STRING_EQUAL(cli.args[0], "x.yaml");
	CU_ASSERT_EQUAL(cli.server.timeout_ms, 60000);
	CU_ASSERT_EQUAL(PARSE("-o", "json", "cell", "list", "-t", "1.5"), ERR_OK);
	CU_ASSERT(cli.json && cli.server.timeout_ms == 1500);
	CU_ASSERT_EQUAL(PARSE("status", "--timeout=0"), ERR_OK);
	CU_ASSERT_EQUAL(cli.server.timeout_ms, 0);
	CU_ASSERT_EQUAL(PARSE("vm", "wait", "v"), ERR_OK);
	CU_ASSERT_EQUAL(cli.server.timeout_ms, 0);
	CU_ASSERT_EQUAL(PARSE("vm", "console", "v", "--follow"), ERR_OK);
	CU_ASSERT(cli.given & CLI_FOLLOW);
	CU_ASSERT_EQUAL(PARSE("mem", "map", "v", "--width", "100", "--color", "never"), ERR_OK);
	CU_ASSERT(cli.width == 100 && cli.colour == CLI_COLOUR_NEVER);
	CU_ASSERT_EQUAL(PARSE("vm", "show", "--", "-name"), ERR_OK);
	CU_ASSERT_STRING_EQUAL(cli.args[0], "-name");
}

static void environment_names_the_controller(void)
{
	setenv("CELLCTL_CONTROLLER", "unix:/e", 1);
	setenv("CELLCTL_KEY", "", 1);
	CU_ASSERT_EQUAL(PARSE("status"), ERR_OK);
	CU_ASSERT_STRING_EQUAL(cli.server.controller, "unix:/e");
	CU_ASSERT_STRING_EQUAL(cli.server.key, CLI_DEFAULT_KEY);
	CU_ASSERT_EQUAL(PARSE("-c", "tcp:127.0.0.1:1", "status"), ERR_OK);
	CU_ASSERT_STRING_EQUAL(cli.server.controller, "tcp:127.0.0.1:1");
	unsetenv("CELLCTL_CONTROLLER");
	CU_ASSERT_EQUAL(PARSE("status"), ERR_OK);
	CU_ASSERT_STRING_EQUAL(cli.server.controller, CLI_DEFAULT_CONTROLLER);
}

static void refused(const char *told, char **argv)
{
	CU_ASSERT_EQUAL(parse(argv), ERR_INVALID);
	if (strcmp(e.text, told) != 0)
		fprintf(stderr, "\n  want: %s\n  got:  %s\n", told, e.text);
	CU_ASSERT_STRING_EQUAL(e.text, told);
}

#define REFUSED(told, ...) refused(told, (char *[]){(char *)"cellctl", __VA_ARGS__, NULL})

static void mistakes_are_told(void)
{
	REFUSED("what shall I do? See cellctl --help", NULL);
	REFUSED("there is no verb 'vm'; see cellctl --help", "vm");
	REFUSED("there is no verb 'vm fly'; see cellctl --help", "vm", "fly");
	REFUSED("usage: cellctl vm start FILE.yaml", "vm", "start");
	REFUSED("usage: cellctl vm start FILE.yaml", "vm", "start", "a", "b");
	REFUSED("usage: cellctl status", "status", "a");
	REFUSED("unknown option --fly; see cellctl --help", "status", "--fly");
	REFUSED("--key wants a value; see cellctl --help", "status", "--key");
	REFUSED("--follow is no option of this verb", "status", "--follow");
	REFUSED("--width is no option of this verb", "mem", "stat", "v", "--width", "3");
	REFUSED("--output cannot be 'xml'; see cellctl --help", "-o", "xml", "status");
	REFUSED("--color cannot be 'red'; see cellctl --help", "--color", "red", "mem", "map", "v");
	REFUSED("--timeout wants a number from 0 to 1000000, not '-1'", "-t", "-1", "status");
	REFUSED("--timeout wants a number from 0 to 1000000, not 'nan'", "-t", "nan", "status");
	REFUSED("--timeout wants a number from 0 to 1000000, not '1s'", "-t", "1s", "status");
	REFUSED("--width wants a number from 0 to 1000, not '1001'", "--width", "1001", "mem",
		"map", "v");
}

static char *help_of(const struct verb *v)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	cli_help(v, out);
	fclose(out);
	return text;
}

static void help_names_everything(void)
{
	char *all = help_of(NULL);

	for (unsigned i = 0; i < cli_verbs_count; i++) {
		char *one = help_of(&cli_verbs[i]);

		CU_ASSERT_PTR_NOT_NULL(strstr(all, cli_verbs[i].summary));
		CU_ASSERT_PTR_NOT_NULL(strstr(one, cli_verbs[i].summary));
		CU_ASSERT_PTR_NOT_NULL(strstr(one, "--timeout"));
		CU_ASSERT_EQUAL(!!strstr(one, "--follow"), !!(cli_verbs[i].options & CLI_FOLLOW));
		CU_ASSERT(cli_verbs[i].n_args <= CLI_ARGS_MAX);
		free(one);
	}
	for (const char *line = all; line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		CU_ASSERT(strcspn(line, "\n") <= 100);
	free(all);
	CU_ASSERT(PARSE("--help") == ERR_OK && cli.help && !verb);
	CU_ASSERT(PARSE("vm", "start", "--help") == ERR_OK && cli.help && verb);
	CU_ASSERT(PARSE("--version") == ERR_OK && cli.version);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(verbs_are_found),
		UNIT_CASE(environment_names_the_controller),
		UNIT_CASE(mistakes_are_told),
		UNIT_CASE(help_names_everything),
	};

	return unit_main("cli-line", cases, UNIT_COUNT(cases));
}
