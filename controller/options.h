/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of cell-controller. */
#ifndef CELLULAR_CONTROLLER_OPTIONS_H
#define CELLULAR_CONTROLLER_OPTIONS_H

#include "controller/server/server.h"

enum options_verdict { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_BAD };

/* RUN: config is filled, its strings are argv's. DONE: help or version was printed. BAD: *e says
 * what is wrong. */
enum options_verdict options_parse(int argc, char **argv, struct server_config *config,
				   struct err *e);

#endif
