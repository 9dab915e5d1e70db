/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the controller as a process begin with. */
#ifndef CELLULAR_TESTS_SERVER_RIG_H
#define CELLULAR_TESTS_SERVER_RIG_H

#include "tests/unit/controller/rig.h"

/* A new rig with a controller and three cells of 2 CPUs and 128 MiB. */
void server_three_cells(struct rig *r);
/* The same with a VM "demo" on all three that runs. */
void server_running_vm(struct rig *r);
/* Fragment of the n-th VM started, on a cell; the test ends if there is none. */
struct rig_fragment *server_fragment(struct rig *r, unsigned cell, uint64_t vm);
/* No cell has a fragment; context: the rig. */
bool server_nothing_left(void *context);
/* vm wait; its error. */
int server_wait(struct rig *r, const char *name);

/* main of such a test. usage: PROGRAM CELL-CONTROLLER */
int server_main(int argc, char **argv, const char *suite, const struct unit_case *cases,
		unsigned n);

#endif
