/* SPDX-License-Identifier: Apache-2.0 */
/* A command line out of an input: one word a line. The program's name is put before them. */
#ifndef CELLULAR_FUZZ_ARGS_H
#define CELLULAR_FUZZ_ARGS_H

#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/fuzz.h"

enum { ARGS_MAX = 40, ARGS_BYTES_MAX = 4096 };

struct args {
	int argc;
	char *argv[ARGS_MAX + 1];
	char text[ARGS_BYTES_MAX + 1];
};

/* What does not fit is left out. A NUL ends a word. */
void args_of(struct args *args, char *program, const uint8_t *data, size_t size);

/* Puts each of n lines, words with a blank between them, as one input. A word "_" is an empty one.
 */
void args_put(fuzz_put put, const char *const *lines, size_t n);

#endif
