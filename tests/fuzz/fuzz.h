/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target is a file with these two functions. It is built twice:
 *
 *   replay-NAME  by any compiler: runs the seeds, their mutations and the files it is given; a test
 * of every build fuzz-NAME    with CELLULAR_FUZZ (clang): libFuzzer with ASan and UBSan, for as
 * long as one likes
 *
 * A target decodes hostile bytes and asserts what the decoder promises about whatever it lets
 * through.
 */
#ifndef CELLULAR_FUZZ_H
#define CELLULAR_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input. Returns 0. Must not remember anything from one call to the next. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hands good inputs, from which the others are made, to put. Optional; files in corpus/NAME serve
 * the same end. */
typedef void (*fuzz_put)(const void *data, size_t size);
void fuzz_seeds(fuzz_put put);

#endif
