/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controller/server_rig.h"

#include <signal.h>
#include <stdio.h>

void server_three_cells(struct rig *r)
{
	rig_new(r);
	rig_start_controller(r, NULL);
	for (unsigned i = 0; i < 3; i++)
		rig_join(r, i, 2, 128 * RIG_MIB);
}

void server_running_vm(struct rig *r)
{
	server_three_cells(r);
	CU_ASSERT_EQUAL_FATAL(rig_start(r, "demo", 4, 300 * RIG_MIB)->error, ERR_OK);
}

struct rig_fragment *server_fragment(struct rig *r, unsigned cell, uint64_t vm)
{
	return rig_need(rig_fragment(&r->cells[cell], vm));
}

bool server_nothing_left(void *context)
{
	return rig_fragments(context) == 0;
}

int server_wait(struct rig *r, const char *name)
{
	return (int)rig_op(r, CELLULAR__CTL_OP__OP_VM_WAIT, name)->error;
}

int server_main(int argc, char **argv, const char *suite, const struct unit_case *cases, unsigned n)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s CELL-CONTROLLER\n", argv[0]);
		return 2;
	}
	rig_program = argv[1];
	signal(SIGPIPE, SIG_IGN);
	return unit_main(suite, cases, n);
}
