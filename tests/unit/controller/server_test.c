/* SPDX-License-Identifier: Apache-2.0 */
/* cell-controller as a process: its life, its questions and answers, what it loses. usage: PROGRAM
 * CELL-CONTROLLER */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/controller/server_rig.h"

static struct rig r;

/* ---- in order ---- */

static void starts_shows_and_ends(void)
{
	const Cellular__CtlReply *reply;
	const Cellular__VmInfo *vm;
	const Cellular__DsmStat *stat;

	server_three_cells(&r);
	reply = rig_start(&r, "demo", 4, 300 * RIG_MIB);
	CU_ASSERT_EQUAL_FATAL(reply->error, ERR_OK);
	CU_ASSERT_EQUAL(reply->vms[0]->state, CELLULAR__VM_STATE__VM_RUNNING);
	vm = rig_show(&r, "demo");
	CU_ASSERT_EQUAL(vm->n_fragments, 3);
	CU_ASSERT_STRING_EQUAL(vm->fragments[0]->cell, "cell0");
	CU_ASSERT_EQUAL(vm->fragments[0]->n_vcpus, 2);
	CU_ASSERT_STRING_EQUAL(vm->fragments[2]->address, "127.0.0.1:4002");
	CU_ASSERT_STRING_EQUAL(vm->exposure[0]->why,
			       "runs vCPU 0 and 1, home of 1/3 of the memory, console and files");
	CU_ASSERT_STRING_EQUAL(vm->spec->guest, "/guest");
	for (unsigned i = 0; i < 3; i++)
		rig_report(&r.cells[i], server_fragment(&r, i, 1),
			   CELLULAR__FRAG_STATE__FRAG_STOPPED, CELLULAR__END_CAUSE__END_EXIT,
			   "exited");
	CU_ASSERT_EQUAL(server_wait(&r, "demo"), ERR_OK);
	CU_ASSERT_EQUAL(r.reply->vms[0]->state, CELLULAR__VM_STATE__VM_ENDED);
	CU_ASSERT_EQUAL(r.reply->vms[0]->reason->cause, CELLULAR__END_CAUSE__END_EXIT);
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	reply = rig_op(&r, CELLULAR__CTL_OP__OP_MEM_STAT, "demo");
	CU_ASSERT_EQUAL_FATAL(reply->n_stats, 3);
	stat = rig_need(reply->stats[2]->stat);
	CU_ASSERT_EQUAL(stat->resident, 102);
	reply = rig_op(&r, CELLULAR__CTL_OP__OP_MEM_MAP, "demo");
	CU_ASSERT_EQUAL(reply->error, ERR_STATE);
	CU_ASSERT_STRING_EQUAL(reply->text, "demo has ended: it has no memory to show");
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_CONSOLE, "demo")->error, ERR_OK);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_KILL, "demo")->error, ERR_STATE);
	CU_ASSERT_EQUAL(rig_start(&r, "demo", 1, 2 * RIG_MIB)->error, ERR_OK);
	CU_ASSERT_EQUAL(r.cells[1].forgets, 1);
	rig_free(&r);
}

static void lists_and_status(void)
{
	const Cellular__CtlReply *reply;

	server_running_vm(&r);
	CU_ASSERT_EQUAL(rig_start(&r, "other", 1, 2 * RIG_MIB)->error, ERR_OK);
	reply = rig_op(&r, CELLULAR__CTL_OP__OP_STATUS, "");
	CU_ASSERT_EQUAL(reply->epoch, 1);
	CU_ASSERT_EQUAL(reply->n_cells, 3);
	CU_ASSERT_EQUAL(reply->n_vms, 2);
	reply = rig_op(&r, CELLULAR__CTL_OP__OP_CELL_LIST, "");
	CU_ASSERT_EQUAL_FATAL(reply->n_cells, 3);
	CU_ASSERT_STRING_EQUAL(reply->cells[0]->name, "cell0");
	CU_ASSERT_STRING_EQUAL(reply->cells[0]->state, "up");
	CU_ASSERT_EQUAL(reply->cells[0]->memory_used, 100 * RIG_MIB);
	CU_ASSERT_EQUAL(reply->cells[0]->vcpus, 2);
	reply = rig_op(&r, CELLULAR__CTL_OP__OP_CELL_SHOW, "cell1");
	CU_ASSERT_EQUAL_FATAL(reply->n_cells, 1);
	CU_ASSERT_EQUAL(reply->cells[0]->n_vms, 2);
	reply = rig_op(&r, CELLULAR__CTL_OP__OP_VM_LIST, "");
	CU_ASSERT_EQUAL_FATAL(reply->n_vms, 2);
	CU_ASSERT_STRING_EQUAL(reply->vms[1]->name, "other");
	rig_free(&r);
}

static void questions_reach_the_cells(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	const Cellular__CtlReply *reply;
	const Cellular__Console *console;

	server_running_vm(&r);
	reply = rig_op(&r, CELLULAR__CTL_OP__OP_MEM_STAT, "demo");
	CU_ASSERT_EQUAL_FATAL(reply->n_stats, 3);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(reply->stats[i]->stat->resident, 10 + i);
	request.op = CELLULAR__CTL_OP__OP_MEM_MAP;
	request.name = (char *)"demo";
	request.buckets = 1u << 31;
	reply = rig_ask(&r, &request);
	CU_ASSERT_EQUAL_FATAL(reply->n_maps, 3);
	CU_ASSERT_EQUAL(reply->maps[1]->map->pages,
			2048); /* not what was asked: that would not fit */
	CU_ASSERT_EQUAL(reply->maps[1]->map->n_owned, 3);
	CU_ASSERT_STRING_EQUAL(reply->maps[1]->cell, "cell1");
	request.op = CELLULAR__CTL_OP__OP_VM_CONSOLE;
	request.console_offset = 77;
	reply = rig_ask(&r, &request);
	console = rig_need(reply->console);
	CU_ASSERT_EQUAL(console->offset, 77);
	CU_ASSERT_EQUAL(console->data.len, 5);
	rig_free(&r);
}

static void preserved_until_stop(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;

	server_three_cells(&r);
	spec.name = (char *)"demo";
	spec.guest = (char *)"/guest";
	spec.vcpus = 1;
	spec.memory = 2 * RIG_MIB;
	spec.on_exit = CELLULAR__ON_EXIT__ON_EXIT_PRESERVE;
	request.op = CELLULAR__CTL_OP__OP_VM_START;
	request.spec = &spec;
	CU_ASSERT_EQUAL_FATAL(rig_ask(&r, &request)->error, ERR_OK);
	rig_report(&r.cells[0], server_fragment(&r, 0, 1), CELLULAR__FRAG_STATE__FRAG_STOPPED,
		   CELLULAR__END_CAUSE__END_EXIT, "exited");
	CU_ASSERT_EQUAL(server_wait(&r, "demo"), ERR_OK);
	CU_ASSERT_EQUAL(r.reply->vms[0]->state, CELLULAR__VM_STATE__VM_EXITED);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_MEM_MAP, "demo")->error, ERR_OK);
	CU_ASSERT_EQUAL(rig_fragments(&r), 1);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_STOP, "demo")->error, ERR_OK);
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	CU_ASSERT_EQUAL(r.reply->vms[0]->reason->cause, CELLULAR__END_CAUSE__END_EXIT);
	rig_free(&r);
}

/* ---- refused ---- */

static void refusals(void)
{
	static const struct {
		Cellular__CtlOp op;
		int code;
	} unknown[] = {
		{CELLULAR__CTL_OP__OP_VM_SHOW, ERR_NOTFOUND},
		{CELLULAR__CTL_OP__OP_VM_STOP, ERR_NOTFOUND},
		{CELLULAR__CTL_OP__OP_VM_KILL, ERR_NOTFOUND},
		{CELLULAR__CTL_OP__OP_VM_WAIT, ERR_NOTFOUND},
		{CELLULAR__CTL_OP__OP_MEM_MAP, ERR_NOTFOUND},
		{CELLULAR__CTL_OP__OP_MEM_STAT, ERR_NOTFOUND},
		{CELLULAR__CTL_OP__OP_VM_CONSOLE, ERR_NOTFOUND},
		{CELLULAR__CTL_OP__OP_CELL_SHOW, ERR_NOTFOUND},
		{CELLULAR__CTL_OP__OP_VM_START, ERR_INVALID}, /* without a specification */
		{(Cellular__CtlOp)99, ERR_UNSUPPORTED},
	};

	server_running_vm(&r);
	for (unsigned i = 0; i < UNIT_COUNT(unknown); i++) {
		CU_ASSERT_EQUAL(rig_op(&r, unknown[i].op, "nobody")->error, unknown[i].code);
		CU_ASSERT(r.reply->text[0] != '\0');
	}
	CU_ASSERT_EQUAL(rig_start(&r, "demo", 1, 2 * RIG_MIB)->error, ERR_EXISTS);
	CU_ASSERT_EQUAL(rig_start(&r, "big", 64, 2 * RIG_MIB)->error, ERR_NOSPACE);
	CU_ASSERT_EQUAL(rig_start(&r, "a/b", 1, 2 * RIG_MIB)->error, ERR_INVALID);
	rig_free(&r);
}

static void a_description_that_is_too_long(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;
	char *args[1] = {calloc(1, 100001)};

	server_three_cells(&r);
	memset(args[0], 'x', 100000);
	spec.name = (char *)"demo";
	spec.guest = (char *)"/guest";
	spec.vcpus = 1;
	spec.memory = 2 * RIG_MIB;
	spec.args = args;
	spec.n_args = 1;
	request.op = CELLULAR__CTL_OP__OP_VM_START;
	request.spec = &spec;
	CU_ASSERT_EQUAL(rig_ask(&r, &request)->error, ERR_TOOBIG);
	args[0][40000] = '\0';
	CU_ASSERT_EQUAL(rig_ask(&r, &request)->error, ERR_OK);
	free(args[0]);
	rig_free(&r);
}

static void a_guest_that_is_not_there(void)
{
	const Cellular__CtlReply *reply;

	server_three_cells(&r);
	r.cells[0].faults = RIG_BAD_GUEST;
	reply = rig_start(&r, "demo", 4, 300 * RIG_MIB);
	CU_ASSERT_EQUAL(reply->error, ERR_SYS);
	CU_ASSERT_STRING_EQUAL(reply->text, "demo did not start: no such file: /guest (on cell0)");
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	rig_free(&r);
}

static void a_start_that_takes_too_long(void)
{
	static const char *const quick[] = {"--start-timeout", "1", NULL};
	const Cellular__CtlReply *reply;

	rig_new(&r);
	rig_start_controller(&r, quick);
	for (unsigned i = 0; i < 3; i++)
		rig_join(&r, i, 2, 128 * RIG_MIB);
	r.cells[1].faults = RIG_NO_LISTEN;
	reply = rig_start(&r, "demo", 4, 300 * RIG_MIB);
	CU_ASSERT_EQUAL(reply->error, ERR_TIMEOUT);
	CU_ASSERT_STRING_EQUAL(
		reply->text, "demo did not start: a fragment was not ready within 1 s (on cell1)");
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	rig_free(&r);
}

/* ---- losses ---- */

static void a_process_dies(void)
{
	server_running_vm(&r);
	rig_report(&r.cells[1], server_fragment(&r, 1, 1), CELLULAR__FRAG_STATE__FRAG_GONE,
		   CELLULAR__END_CAUSE__END_PROCESS_DIED, "killed by signal 9");
	CU_ASSERT_EQUAL(server_wait(&r, "demo"), ERR_OK);
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	CU_ASSERT_EQUAL(r.reply->vms[0]->reason->cause, CELLULAR__END_CAUSE__END_PROCESS_DIED);
	CU_ASSERT_STRING_EQUAL(r.reply->vms[0]->reason->cell, "cell1");
	CU_ASSERT_STRING_EQUAL(r.reply->vms[0]->reason->text, "killed by signal 9");
	rig_free(&r);
}

static void a_cell_is_lost(void)
{
	const Cellular__CtlReply *reply;

	server_running_vm(&r);
	CU_ASSERT_EQUAL(rig_start(&r, "other", 1, 2 * RIG_MIB)->error, ERR_OK); /* on cell1 */
	r.cells[2].faults = RIG_NO_REDIAL;
	link_close(r.cells[2].link);
	CU_ASSERT_EQUAL(server_wait(&r, "demo"), ERR_OK);
	CU_ASSERT_EQUAL(r.reply->vms[0]->reason->cause, CELLULAR__END_CAUSE__END_CELL_LOST);
	CU_ASSERT_STRING_EQUAL(r.reply->vms[0]->reason->cell, "cell2");
	reply = rig_op(&r, CELLULAR__CTL_OP__OP_CELL_SHOW, "cell2");
	CU_ASSERT_STRING_EQUAL(reply->cells[0]->state, "lost");
	CU_ASSERT_EQUAL(rig_show(&r, "other")->state, CELLULAR__VM_STATE__VM_RUNNING);
	/* It comes back, and with it a fragment that counts no more. */
	CU_ASSERT_EQUAL(rig_fragments(&r), 2);
	r.cells[2].faults = 0;
	rig_join(&r, 2, 2, 128 * RIG_MIB);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_KILL, "other")->error, ERR_OK);
	rig_until(&r, server_nothing_left, &r);
	rig_free(&r);
}

static void a_cell_that_does_not_answer(void)
{
	const Cellular__CtlReply *reply;
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	server_running_vm(&r);
	r.cells[1].faults = RIG_NO_ANSWER;
	reply = rig_op(&r, CELLULAR__CTL_OP__OP_MEM_STAT, "demo");
	CU_ASSERT_EQUAL(reply->error, ERR_TIMEOUT);
	CU_ASSERT_STRING_EQUAL(reply->text, "cell1 did not answer within 2 s");
	request.op = CELLULAR__CTL_OP__OP_MEM_MAP;
	request.name = (char *)"demo";
	r.cells[1].faults |= RIG_NO_REDIAL;
	rig_send(&r, &request);
	rig_spin(&r, 50);
	link_close(r.cells[1].link);
	CU_ASSERT_EQUAL(rig_reply(&r)->error, ERR_UNREACHABLE);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_MEM_MAP, "demo")->error, ERR_UNREACHABLE);
	rig_free(&r);
}

static void a_fragment_that_does_not_go(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	server_running_vm(&r);
	r.cells[2].faults = RIG_NO_QUIT;
	request.op = CELLULAR__CTL_OP__OP_VM_KILL;
	request.name = (char *)"demo";
	request.timeout_ms = 300;
	CU_ASSERT_EQUAL(rig_ask(&r, &request)->error, ERR_TIMEOUT);
	CU_ASSERT_STRING_EQUAL(r.reply->text,
			       "demo is ending still; its fragment on cell2 is not gone yet");
	r.cells[2].faults = 0;
	CU_ASSERT_EQUAL(server_wait(&r, "demo"), ERR_OK); /* told again */
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	rig_free(&r);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(starts_shows_and_ends),
		UNIT_CASE(lists_and_status),
		UNIT_CASE(questions_reach_the_cells),
		UNIT_CASE(preserved_until_stop),
		UNIT_CASE(refusals),
		UNIT_CASE(a_description_that_is_too_long),
		UNIT_CASE(a_guest_that_is_not_there),
		UNIT_CASE(a_start_that_takes_too_long),
		UNIT_CASE(a_process_dies),
		UNIT_CASE(a_cell_is_lost),
		UNIT_CASE(a_cell_that_does_not_answer),
		UNIT_CASE(a_fragment_that_does_not_go),
	};

	return server_main(argc, argv, "controller", cases, UNIT_COUNT(cases));
}
