/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cellctl's command table: it drives dispatch, arguments and help. A verb gets its arguments, says
 * what it has to say on `out`, and returns an error or ERR_OK; main turns the error into a sentence
 * and an exit status.
 *
 * Threads: one.
 */
#ifndef CELLULAR_CLI_CLI_H
#define CELLULAR_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "controller/cli/client.h"
#include "proto/base/err.h"

#define CLI_DEFAULT_CONTROLLER "unix:/var/lib/cellular/ctl.sock"
#define CLI_DEFAULT_KEY	       "/etc/cellular/cluster.key"

enum { CLI_ARGS_MAX = 2 };

/* Options that only some verbs take. */
enum cli_option { CLI_FOLLOW = 1, CLI_WIDTH = 2, CLI_ROWS = 4, CLI_COLOUR = 8, CLI_HOT = 16 };

enum cli_colour { CLI_COLOUR_AUTO, CLI_COLOUR_ALWAYS, CLI_COLOUR_NEVER };

struct cli {
	struct client_config server;
	bool json;
	bool help, version;
	bool timeout_given;
	unsigned given; /* enum cli_option */
	unsigned width; /* 0: that of the terminal */
	unsigned rows;	/* 0: 32 */
	enum cli_colour colour;
	const char *args[CLI_ARGS_MAX]; /* of the verb */
	unsigned n_args;
	FILE *out;
	struct client *client; /* open when the verb runs, if it talks to the controller */
};

struct verb {
	const char *group, *name; /* "vm", "start"; name is NULL for a verb of one word */
	const char *args;	  /* for help: "FILE.yaml"; NULL: none */
	const char *summary;
	const char *help; /* more, for --help of the verb; may be NULL */
	unsigned n_args;
	unsigned options;    /* enum cli_option it takes */
	uint32_t timeout_ms; /* if none is given; 0: for ever */
	/* Before the controller is dialled; may be NULL. Fills in the question. */
	int (*prepare)(struct cli *cli, void **state, struct err *e);
	int (*run)(struct cli *cli, void *state, struct err *e);
	void (*finish)(void *state); /* may be NULL */
};

extern const struct verb cli_verbs[];
extern const unsigned cli_verbs_count;

/* Reads the command line. INVALID. *verb is NULL if none was named (help, version). */
int cli_parse(int argc, char **argv, struct cli *cli, const struct verb **verb, struct err *e);

/* Help of one verb, or of all (NULL). */
void cli_help(const struct verb *verb, FILE *out);

#endif
