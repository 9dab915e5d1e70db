/* SPDX-License-Identifier: Apache-2.0 */
/* celld's command line. Threads: start only. */
#ifndef CELLULAR_CELLD_OPTIONS_H
#define CELLULAR_CELLD_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "node/celld/account.h"
#include "node/celld/vm_uids.h"
#include "proto/base/err.h"

struct celld_options {
	const char *name;
	const char *controller;
	const char *key;
	const char *data;
	const char *run;
	const char *ready_file; /* NULL: none */
	const char *program;	/* cell-vm; NULL: beside celld */
	unsigned start_ms;
	struct vm_uids uids;
	bool no_sandbox;
	struct account account;
	bool help, version; /* one of them was asked for; the rest is not checked */
};

/* Strings point into argv. INVALID with a sentence. */
int options_parse(int argc, char **argv, struct celld_options *out, struct err *e);
void options_help(FILE *out);

#endif
