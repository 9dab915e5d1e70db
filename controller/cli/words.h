/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of control.proto as words, times as people write them. Threads: pure functions. */
#ifndef CELLULAR_CLI_WORDS_H
#define CELLULAR_CLI_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/control.pb-c.h"

enum { WORDS_TIME_MAX = 40, WORDS_LIST_MAX = 256 };

const char *words_vm_state(Cellular__VmState state); /* "running"; "?" for an unknown number */
const char *words_frag_state(Cellular__FragState state);
const char *words_end_cause(
	Cellular__EndCause cause); /* "exit", "guest-fault", ...; stable, in JSON too */
const char *words_on_exit(Cellular__OnExit on_exit);

/* "2026-11-22 16:40:01" in local time; "-" for 0. Returns out. */
const char *words_time(uint64_t unix_ms, char out[WORDS_TIME_MAX]);

/* "850 ms", "12.3 s", "4 min 5 s", "3 h 2 min", "5 d 1 h". Returns out. */
const char *words_duration(uint64_t ms, char out[WORDS_TIME_MAX]);

/* "0-3,6" ("-" if there are none; cut with "..."). Returns out. */
const char *words_numbers(const uint32_t *numbers, size_t n, char out[WORDS_LIST_MAX]);

#endif
