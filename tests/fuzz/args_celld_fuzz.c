/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of celld. */
#include <assert.h>

#include "node/celld/options.h"
#include "proto/base/text.h"
#include "tests/fuzz/args.h"

enum { CPUS_MAX = 4096, START_MS_MAX = 3600 * 1000 };

static void show_help(void)
{
	static char text[8192];
	FILE *f = fmemopen(text, sizeof(text), "w");

	assert(f);
	options_help(f);
	assert(fclose(f) == 0 && text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char program[] = "celld";
	struct celld_options o;
	struct err e = {0};
	struct args args;

	args_of(&args, program, data, size);
	if (options_parse(args.argc, args.argv, &o, &e)) {
		assert(e.code == ERR_INVALID && e.text[0]);
		return 0;
	}
	if (o.help)
		show_help();
	if (o.help || o.version)
		return 0;
	assert(name_valid(o.name) && o.controller && o.key && o.data && o.run);
	assert(o.account.memory > 0 && o.account.cpus >= 1 && o.account.cpus <= CPUS_MAX);
	assert(o.uids.first > 0 && o.uids.n >= 1);
	assert(o.start_ms >= 1000 && o.start_ms <= START_MS_MAX);
	return 0;
}

void fuzz_seeds(fuzz_put put)
{
#define WHOLE "--name cell0 --controller unix:/c --key /k --data 127.0.0.1 --run /r"
	static const char *const lines[] = {
		WHOLE,
		WHOLE " --memory 8GiB --cpus 4 --ready-file /f --cell-vm /v --start-timeout 30",
		WHOLE " --memory 0",
		WHOLE " --memory 3potatoes",
		WHOLE " --memory 99999999999999999999",
		WHOLE " --cpus 0",
		WHOLE " --cpus 4097",
		WHOLE " --cpus -1",
		WHOLE " --start-timeout 3601",
		WHOLE " --start-timeout 99999999999999999999",
		WHOLE " --vm-uids 70000-70009",
		WHOLE " --vm-uids 0-9",
		WHOLE " --vm-uids 9-",
		WHOLE " stray",
		"--name -x",
		"--name _",
		"--name a/b",
		"--name",
		"--name x",
		"--name x --controller y --key z --data d",
		"--unknown",
		"--c x",
		"-h",
		"--help",
		"--version",
		"",
	};
#undef WHOLE

	args_put(put, lines, sizeof(lines) / sizeof(lines[0]));
}
