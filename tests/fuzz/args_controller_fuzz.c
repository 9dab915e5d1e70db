/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cell-controller. */
#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "controller/options.h"
#include "tests/fuzz/args.h"

enum { START_MS_MAX = 3600 * 1000 };

/* It writes help and version to standard output itself: they go nowhere meanwhile. */
static enum options_verdict parse(struct args *args, struct server_config *config, struct err *e)
{
	static FILE *nowhere;
	enum options_verdict verdict;
	FILE *out = stdout;

	if (!nowhere)
		nowhere = fopen("/dev/null", "we");
	assert(nowhere);
	optind = 0; /* it is called once in a process, here again and again */
	stdout = nowhere;
	verdict = options_parse(args->argc, args->argv, config, e);
	stdout = out;
	return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char program[] = "cell-controller";
	struct server_config config;
	struct err e = {0};
	struct args args;

	args_of(&args, program, data, size);
	switch (parse(&args, &config, &e)) {
	case OPTIONS_BAD:
		assert(e.code == ERR_INVALID && e.text[0]);
		break;
	case OPTIONS_RUN:
		assert(config.state_dir && config.key_file);
		assert(config.n_listen <= SERVER_LISTEN_MAX);
		assert(config.times.start >= 1000 && config.times.start <= START_MS_MAX);
		break;
	case OPTIONS_DONE:
		break;
	}
	return 0;
}

void fuzz_seeds(fuzz_put put)
{
#define L "--listen tcp:127.0.0.1:0 "
	static const char *const lines[] = {
		"--state /s --key /k",
		"--state /s --key /k " L L "--ready-file /r --start-timeout 9",
		"--state /s --key /k " L L L L L L L L L,
		"--state /s",
		"--key /k",
		"--state",
		"--start-timeout 0",
		"--start-timeout 3601",
		"--start-timeout 9s",
		"--start-timeout 99999999999999999999",
		"--start-timeout _",
		"--state /s --key /k stray",
		"--unknown",
		"-x",
		"--s /x",
		"--help",
		"--version",
		"",
	};
#undef L

	args_put(put, lines, sizeof(lines) / sizeof(lines[0]));
}
