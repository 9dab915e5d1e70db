/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller as a server: control links on a libuv loop around the policy and its store. What
 * comes in becomes an event; the orders' saves go to the store in one transaction; only then their
 * sends go out.
 *
 * Threads: one. A commit blocks it for the time of an fsync.
 */
#ifndef CELLULAR_CONTROLLER_SERVER_H
#define CELLULAR_CONTROLLER_SERVER_H

#include "controller/policy/policy.h"

enum { SERVER_LISTEN_MAX = 8 };

struct server_config {
	const char *state_dir;
	const char *key_file;
	const char *ready_file; /* NULL: none */
	const char *listen[SERVER_LISTEN_MAX];
	size_t n_listen;
	struct policy_times times;
};

/*
 * Serves until SIGTERM or SIGINT. Always listens on unix:<state_dir>/ctl.sock too. When it serves,
 * the ready file appears whole, with one address a line; an old one is removed first.
 *
 * Errors: those of store_open, key_file_make and link_listen while starting; later only those of
 * the store: a controller that cannot write down what it decided stops, and its VMs run on.
 */
int server_run(const struct server_config *config, struct err *e);

#endif
