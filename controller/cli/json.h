/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cellctl says with -o json. Keys are stable: cellctl(1) lists them; new ones may come, none
 * goes or changes its meaning.
 *
 * Without memory a value becomes NULL; json_print says so.
 *
 * Threads: pure functions.
 */
#ifndef CELLULAR_CLI_JSON_H
#define CELLULAR_CLI_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "proto/base/err.h"
#include "proto/control.pb-c.h"

json_t *json_text(const char *text); /* text that is not UTF-8 is escaped as for a terminal */
json_t *json_cell(const Cellular__CellInfo *cell);
json_t *json_space(const Cellular__SpaceInfo *space);
json_t *json_vm(const Cellular__VmInfo *vm);
json_t *json_stat(const Cellular__DsmStat *stat); /* null for NULL */
json_t *json_u32s(const uint32_t *numbers, size_t n);

/* Prints (ASCII only, indented) and frees the value. NOMEM. */
int json_print(json_t *value, FILE *out, struct err *e);

#endif
