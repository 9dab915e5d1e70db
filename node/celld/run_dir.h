/* SPDX-License-Identifier: Apache-2.0 */
/* The directory a celld keeps its logs in, locked against a second one. Threads: start only. */
#ifndef CELLULAR_CELLD_RUN_DIR_H
#define CELLULAR_CELLD_RUN_DIR_H

#include "proto/base/err.h"

/*
 * Makes the directory (not its parents) if it is missing and locks it until *lock is closed. Logs
 * of fragments of an earlier celld are removed: those died with it. EXISTS: another celld has it;
 * DENIED, NOTFOUND, SYS.
 */
int run_dir_open(const char *path, int *lock, struct err *e);

/* Writes one line to a file that appears whole or not at all. */
int ready_file_write(const char *path, const char *line, struct err *e);

#endif
