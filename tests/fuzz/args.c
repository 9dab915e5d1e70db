/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/args.h"

#include <string.h>

void args_of(struct args *args, char *program, const uint8_t *data, size_t size)
{
	char *word = args->text, *end;

	size = size < ARGS_BYTES_MAX ? size : ARGS_BYTES_MAX;
	memcpy(args->text, data, size);
	args->text[size] = '\0';
	args->argv[0] = program;
	args->argc = 1;
	while (word < args->text + size && args->argc < ARGS_MAX) {
		args->argv[args->argc++] = word;
		end = strchr(word, '\n');
		if (!end)
			break;
		*end = '\0';
		word = end + 1;
	}
	args->argv[args->argc] = NULL;
}

void args_put(fuzz_put put, const char *const *lines, size_t n)
{
	char input[ARGS_BYTES_MAX];

	for (size_t i = 0; i < n; i++) {
		size_t used = 0;

		for (const char *p = lines[i]; *p && used < sizeof(input); p++)
			if (*p != '_')
				input[used++] = (char)(*p == ' ' ? '\n' : *p);
		put(input, used);
	}
}
