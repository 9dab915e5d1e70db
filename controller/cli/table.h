/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table for people, by libsmartcols(3): columns with aligned headings, no frames. All cells are
 * made safe for a terminal; what the locale (LC_CTYPE) cannot show becomes \xNN.
 *
 * Without memory a table stays incomplete and table_print says so; nothing else has to be checked.
 *
 * Threads: one.
 */
#ifndef CELLULAR_CLI_TABLE_H
#define CELLULAR_CLI_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "proto/base/err.h"

struct table;

/* headings: e.g. "NAME,STATE,>CPUS": separated by commas; '>' aligns to the right. */
struct table *table_new(const char *headings);

/* A new row; then one table_put a cell, from left to right. */
void table_row(struct table *t);
void table_put(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints and frees it. NOMEM, SYS. */
int table_print(struct table *t, FILE *out, struct err *e);

#endif
