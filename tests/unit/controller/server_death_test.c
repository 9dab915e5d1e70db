/* SPDX-License-Identifier: Apache-2.0 */
/* cell-controller dies, is started again, or has no disk left. usage: PROGRAM CELL-CONTROLLER */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/unit/controller/server_rig.h"

static struct rig r;

/* ---- the controller dies ---- */

/* What vm show says, without counters. */
static size_t portrait(uint8_t *out, size_t size)
{
	Cellular__VmInfo *vm = (Cellular__VmInfo *)rig_show(&r, "demo");
	size_t n;

	for (size_t i = 0; i < vm->n_fragments; i++) {
		if (vm->fragments[i]->stat)
			cellular__dsm_stat__free_unpacked(vm->fragments[i]->stat, NULL);
		vm->fragments[i]->stat = NULL;
	}
	n = cellular__vm_info__get_packed_size(vm);
	CU_ASSERT_FATAL(n <= size);
	return cellular__vm_info__pack(vm, out);
}

static void killed_and_started_again(void)
{
	static uint8_t before[65536], after[65536];
	size_t n, m;

	server_running_vm(&r);
	CU_ASSERT_EQUAL(rig_start(&r, "gone", 1, 2 * RIG_MIB)->error, ERR_OK);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_KILL, "gone")->error, ERR_OK);
	n = portrait(before, sizeof(before));
	rig_kill_controller(&r);
	rig_spin(&r, 100);
	rig_start_controller(&r, NULL);
	m = portrait(after, sizeof(after)); /* before any cell is back */
	CU_ASSERT(n == m && memcmp(before, after, n) == 0);
	rig_await_cells(&r, 3);
	m = portrait(after, sizeof(after));
	CU_ASSERT(n == m && memcmp(before, after, n) == 0);
	CU_ASSERT_EQUAL(r.reply->epoch, 2);
	CU_ASSERT_EQUAL(r.cells[0].controller_epoch, 2);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_MEM_STAT, "demo")->error, ERR_OK);
	CU_ASSERT_EQUAL(rig_show(&r, "gone")->state, CELLULAR__VM_STATE__VM_ENDED);
	CU_ASSERT_EQUAL(rig_fragments(&r), 3);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_KILL, "demo")->error, ERR_OK);
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	CU_ASSERT_EQUAL(rig_start(&r, "demo", 1, 2 * RIG_MIB)->error, ERR_OK);
	CU_ASSERT_EQUAL(r.reply->vms[0]->id, 3);
	rig_free(&r);
}

static bool all_started(void *context)
{
	return rig_fragments(context) == 3;
}

static bool cell_is_away(void *context)
{
	const Cellular__CtlReply *reply = rig_op(context, CELLULAR__CTL_OP__OP_CELL_LIST, NULL);

	for (size_t i = 0; i < reply->n_cells; i++)
		if (strcmp(reply->cells[i]->state, "up") != 0)
			return true;
	return false;
}

/* A cell's link breaks, and the controller is stopped until long after it would have given the cell
 * up: but it was the one that could not hear. */
static void who_stood_still_judges_nobody(void)
{
	server_running_vm(&r);
	r.cells[1].faults = RIG_NO_REDIAL;
	link_close(r.cells[1].link);
	r.cells[1].link = NULL;
	r.cells[1].welcome = false;
	for (int tries = 0; !cell_is_away(&r) && tries < 500; tries++)
		rig_spin(&r, 10);
	CU_ASSERT(cell_is_away(&r));
	kill(r.controller, SIGSTOP);
	r.cells[1].faults = 0;
	rig_spin(&r, 6000);
	kill(r.controller, SIGCONT);
	rig_join(&r, 1, r.cells[1].cpus, r.cells[1].memory);
	rig_spin(&r, 1000);
	CU_ASSERT(!cell_is_away(&r));
	CU_ASSERT_EQUAL(rig_show(&r, "demo")->state, CELLULAR__VM_STATE__VM_RUNNING);
	CU_ASSERT_EQUAL(rig_fragments(&r), 3);
	rig_free(&r);
}

static void killed_while_a_vm_starts(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;

	server_three_cells(&r);
	r.cells[1].faults = RIG_NO_LISTEN;
	spec.name = (char *)"demo";
	spec.guest = (char *)"/guest";
	spec.vcpus = 4;
	spec.memory = 300 * RIG_MIB;
	request.op = CELLULAR__CTL_OP__OP_VM_START;
	request.spec = &spec;
	rig_send(&r, &request);
	rig_until(&r, all_started, &r);
	rig_kill_controller(&r);
	rig_start_controller(&r, NULL);
	CU_ASSERT_EQUAL(server_wait(&r, "demo"), ERR_OK);
	CU_ASSERT_EQUAL(r.reply->vms[0]->reason->cause, CELLULAR__END_CAUSE__END_START_FAILED);
	CU_ASSERT_STRING_EQUAL(r.reply->vms[0]->reason->text,
			       "the controller was restarted while demo was starting");
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	rig_free(&r);
}

static void ended_by_signal_vms_run_on(void)
{
	char path[128];

	server_running_vm(&r);
	CU_ASSERT_EQUAL(rig_term_controller(&r), 0);
	rig_client_goes(&r);
	CU_ASSERT_EQUAL(rig_fragments(&r), 3);
	snprintf(path, sizeof(path), "%s/ctl.sock", r.state);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	rig_start_controller(&r, NULL);
	CU_ASSERT_EQUAL(rig_show(&r, "demo")->state, CELLULAR__VM_STATE__VM_RUNNING);
	rig_free(&r);
}

static void fragments_nobody_knows(void)
{
	rig_new(&r);
	rig_start_controller(&r, NULL);
	r.cells[0].fragments[0] = (struct rig_fragment){
		.vm = 4711, .epoch = 3, .members = 1, .state = CELLULAR__FRAG_STATE__FRAG_RUNNING};
	rig_join(&r, 0, 2, 128 * RIG_MIB);
	rig_until(&r, server_nothing_left, &r);
	CU_ASSERT_EQUAL(r.cells[0].forgets, 1);
	rig_free(&r);
}

/* What cannot be written down is not ordered. */
static void the_disk_is_full(void)
{
	const struct rlimit none = {4096, 4096};
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;

	signal(SIGXFSZ, SIG_IGN); /* inherited: a write then fails instead */
	server_three_cells(&r);
	signal(SIGXFSZ, SIG_DFL);
	CU_ASSERT_EQUAL_FATAL(prlimit(r.controller, RLIMIT_FSIZE, &none, NULL), 0);
	spec.name = (char *)"demo";
	spec.guest = (char *)"/guest";
	spec.vcpus = 1;
	spec.memory = 2 * RIG_MIB;
	request.op = CELLULAR__CTL_OP__OP_VM_START;
	request.spec = &spec;
	rig_send(&r, &request);
	CU_ASSERT_EQUAL(rig_await_end(&r), 1);
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	rig_start_controller(&r, NULL);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_SHOW, "demo")->error, ERR_NOTFOUND);
	rig_free(&r);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(killed_and_started_again),	  UNIT_CASE(killed_while_a_vm_starts),
		UNIT_CASE(who_stood_still_judges_nobody), UNIT_CASE(ended_by_signal_vms_run_on),
		UNIT_CASE(fragments_nobody_knows),	  UNIT_CASE(the_disk_is_full),
	};

	return server_main(argc, argv, "controller-death", cases, UNIT_COUNT(cases));
}
