/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cellctl: whatever it is, it names a verb with its arguments, or asks for
 * help, or is refused in a sentence. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "controller/cli/cli.h"
#include "tests/fuzz/args.h"

static void check_verb(const struct cli *cli, const struct verb *verb)
{
	assert(verb >= cli_verbs && verb < cli_verbs + cli_verbs_count);
	assert(cli->n_args == verb->n_args && cli->n_args <= CLI_ARGS_MAX);
	for (unsigned i = 0; i < cli->n_args; i++)
		assert(cli->args[i]);
	assert(!(cli->given & ~verb->options));
	assert(cli->width <= 1000 && cli->rows <= 1000 && cli->colour <= CLI_COLOUR_NEVER);
	assert(cli->timeout_given || cli->server.timeout_ms == verb->timeout_ms);
}

static void show_help(const struct verb *verb)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert(f);
	cli_help(verb, f);
	assert(fclose(f) == 0 && n > 0);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char program[] = "cellctl";
	const struct verb *verb;
	struct err e = {0};
	struct args args;
	struct cli cli;

	args_of(&args, program, data, size);
	if (cli_parse(args.argc, args.argv, &cli, &verb, &e)) {
		assert(e.code == ERR_INVALID && e.text[0]);
		return 0;
	}
	assert(cli.server.controller && cli.server.key);
	if (cli.help)
		show_help(verb);
	else if (!cli.version)
		check_verb(&cli, verb);
	return 0;
}

void fuzz_seeds(fuzz_put put)
{
	static const char *const lines[] = {
		"cell list",
		"cell show cell0",
		"vm start demo.yaml",
		"-c unix:/run/ctl.sock -k /etc/key -o json vm list",
		"--controller=tcp:10.0.0.1:4711 --key /k --output table vm show demo",
		"vm console -f demo",
		"vm console --follow --timeout 2.5 demo",
		"-t 0 vm wait demo",
		"mem map --width 80 --rows 4 --color never demo",
		"mem map --color always --width=1000 demo",
		"mem stat demo",
		"status",
		"--help",
		"mem map --help",
		"status -h",
		"-V",
		"--version vm",
		"",
		"vm",
		"vm fly",
		"fly",
		"_ _ _",
		"vm show",
		"vm show a b",
		"status --follow",
		"vm list --width 3",
		"mem map --width -1 x",
		"mem map --rows 1001 x",
		"-t 1e99 vm list",
		"-t nan vm list",
		"-t .5x vm list",
		"-o xml vm list",
		"--color blue mem map x",
		"-c",
		"--key",
		"--no-such-option",
		"-x",
		"--col never mem map x",
		"-ojson -t1 vm list -- ",
		"vm show -- -name",
	};

	args_put(put, lines, sizeof(lines) / sizeof(lines[0]));
}
