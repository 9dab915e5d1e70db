/* SPDX-License-Identifier: Apache-2.0 */
/* cell-controller as a process: its life, its questions and answers, its deaths. usage:
 * test-controller PROGRAM */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/address.h"
#include "tests/unit/controller/rig.h"

static struct rig r;

static void three_cells(void)
{
	rig_new(&r);
	rig_start_controller(&r, NULL);
	for (unsigned i = 0; i < 3; i++)
		rig_join(&r, i, 2, 128 * RIG_MIB);
}

static void running_vm(void)
{
	three_cells();
	CU_ASSERT_EQUAL_FATAL(rig_start(&r, "demo", 4, 300 * RIG_MIB)->error, ERR_OK);
}

/* Fragment of the n-th VM started, on a cell. */
static struct rig_fragment *fragment(unsigned cell, uint64_t vm)
{
	return rig_need(rig_fragment(&r.cells[cell], vm));
}

static bool nothing_left(void *context)
{
	return rig_fragments(context) == 0;
}

static int wait_for(const char *name)
{
	return (int)rig_op(&r, CELLULAR__CTL_OP__OP_VM_WAIT, name)->error;
}

/* ---- in order ---- */

static void starts_shows_and_ends(void)
{
	const Cellular__CtlReply *reply;
	const Cellular__VmInfo *vm;
	const Cellular__DsmStat *stat;

	three_cells();
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
		rig_report(&r.cells[i], fragment(i, 1), CELLULAR__FRAG_STATE__FRAG_STOPPED,
			   CELLULAR__END_CAUSE__END_EXIT, "exited");
	CU_ASSERT_EQUAL(wait_for("demo"), ERR_OK);
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

	running_vm();
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

	running_vm();
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

	three_cells();
	spec.name = (char *)"demo";
	spec.guest = (char *)"/guest";
	spec.vcpus = 1;
	spec.memory = 2 * RIG_MIB;
	spec.on_exit = CELLULAR__ON_EXIT__ON_EXIT_PRESERVE;
	request.op = CELLULAR__CTL_OP__OP_VM_START;
	request.spec = &spec;
	CU_ASSERT_EQUAL_FATAL(rig_ask(&r, &request)->error, ERR_OK);
	rig_report(&r.cells[0], fragment(0, 1), CELLULAR__FRAG_STATE__FRAG_STOPPED,
		   CELLULAR__END_CAUSE__END_EXIT, "exited");
	CU_ASSERT_EQUAL(wait_for("demo"), ERR_OK);
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

	running_vm();
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

	three_cells();
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

	three_cells();
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
	running_vm();
	rig_report(&r.cells[1], fragment(1, 1), CELLULAR__FRAG_STATE__FRAG_GONE,
		   CELLULAR__END_CAUSE__END_PROCESS_DIED, "killed by signal 9");
	CU_ASSERT_EQUAL(wait_for("demo"), ERR_OK);
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	CU_ASSERT_EQUAL(r.reply->vms[0]->reason->cause, CELLULAR__END_CAUSE__END_PROCESS_DIED);
	CU_ASSERT_STRING_EQUAL(r.reply->vms[0]->reason->cell, "cell1");
	CU_ASSERT_STRING_EQUAL(r.reply->vms[0]->reason->text, "killed by signal 9");
	rig_free(&r);
}

static void a_cell_is_lost(void)
{
	const Cellular__CtlReply *reply;

	running_vm();
	CU_ASSERT_EQUAL(rig_start(&r, "other", 1, 2 * RIG_MIB)->error, ERR_OK); /* on cell1 */
	r.cells[2].faults = RIG_NO_REDIAL;
	link_close(r.cells[2].link);
	CU_ASSERT_EQUAL(wait_for("demo"), ERR_OK);
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
	rig_until(&r, nothing_left, &r);
	rig_free(&r);
}

static void a_cell_that_does_not_answer(void)
{
	const Cellular__CtlReply *reply;
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	running_vm();
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

	running_vm();
	r.cells[2].faults = RIG_NO_QUIT;
	request.op = CELLULAR__CTL_OP__OP_VM_KILL;
	request.name = (char *)"demo";
	request.timeout_ms = 300;
	CU_ASSERT_EQUAL(rig_ask(&r, &request)->error, ERR_TIMEOUT);
	CU_ASSERT_STRING_EQUAL(r.reply->text,
			       "demo is ending still; its fragment on cell2 is not gone yet");
	r.cells[2].faults = 0;
	CU_ASSERT_EQUAL(wait_for("demo"), ERR_OK); /* told again */
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	rig_free(&r);
}

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

	running_vm();
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

static void killed_while_a_vm_starts(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;

	three_cells();
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
	CU_ASSERT_EQUAL(wait_for("demo"), ERR_OK);
	CU_ASSERT_EQUAL(r.reply->vms[0]->reason->cause, CELLULAR__END_CAUSE__END_START_FAILED);
	CU_ASSERT_STRING_EQUAL(r.reply->vms[0]->reason->text,
			       "the controller was restarted while demo was starting");
	CU_ASSERT_EQUAL(rig_fragments(&r), 0);
	rig_free(&r);
}

static void ended_by_signal_vms_run_on(void)
{
	char path[128];

	running_vm();
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
	rig_until(&r, nothing_left, &r);
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
	three_cells();
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

/* ---- clients ---- */

static void clients_that_go(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	running_vm();
	request.op = CELLULAR__CTL_OP__OP_VM_WAIT;
	request.name = (char *)"demo";
	/* More than the controller can keep: those that went must be forgotten. */
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned n = 0; n < 50; n++)
			rig_send(&r, &request);
		if (i % 2) {
			rig_op(&r, CELLULAR__CTL_OP__OP_VM_LIST, "");
			CU_ASSERT_EQUAL(r.reply->error, ERR_OK);
		}
		rig_client_goes(&r);
	}
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_STATUS, "")->error, ERR_OK);
	request.timeout_ms = 200;
	CU_ASSERT_EQUAL(rig_ask(&r, &request)->error, ERR_TIMEOUT);
	CU_ASSERT_STRING_EQUAL(r.reply->text, "demo is running still");
	rig_free(&r);
}

static void a_client_that_asks_too_much(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	running_vm();
	request.op = CELLULAR__CTL_OP__OP_VM_WAIT;
	request.name = (char *)"demo";
	for (unsigned i = 0; i < 64; i++)
		rig_send(&r, &request);
	CU_ASSERT_EQUAL(rig_ask(&r, &request)->error, ERR_BUSY);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_KILL, "demo")->error, ERR_BUSY);
	rig_client_goes(&r);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_KILL, "demo")->error, ERR_OK);
	rig_free(&r);
}

/* ---- strangers ---- */

static void send_garbage(unsigned seed)
{
	struct address a;
	uint8_t bytes[256];
	int fd;

	srandom(seed);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)random();
	if (seed % 2) /* a hello that begins well */
		memcpy(bytes,
		       (uint8_t[]){0x43, 0x4c, 0x43, 0x48, seed % 8, 1, 1, 255, 255, 0, 0, 0}, 12);
	CU_ASSERT_EQUAL_FATAL(address_parse(r.address + 4, &a, NULL), ERR_OK);
	fd = socket(a.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&a.storage, a.length) == 0)
		(void)!send(fd, bytes, seed % sizeof(bytes), MSG_NOSIGNAL);
	close(fd);
}

static bool client_is_closed(void *context)
{
	return ((struct rig *)context)->client_closed;
}

static void garbage_on_the_port(void)
{
	uint8_t wrong[CELL_KEY_BYTES] = {1};

	running_vm();
	for (unsigned seed = 0; seed < 200; seed++)
		send_garbage(seed);
	r.client_closed = false;
	r.client = rig_dial(&r, HELLO_CTL, wrong);
	rig_until(&r, client_is_closed, &r);
	CU_ASSERT_EQUAL(r.client_why.code, ERR_AUTH);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_STATUS, "")->error, ERR_OK);
	rig_free(&r);
}

static void messages_of_others(void)
{
	static const enum hello_kind kinds[] = {HELLO_CTL, HELLO_CELLD};
	static const uint16_t types[] = {CTL_TYPE_FRAG_REPORT, CTL_TYPE_CTL_REPLY};
	Cellular__FragReport report = CELLULAR__FRAG_REPORT__INIT;
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;

	running_vm();
	for (unsigned i = 0; i < 2; i++) {
		r.client_closed = false;
		r.client = rig_dial(&r, kinds[i], r.key);
		link_send(r.client, types[i], i ? &reply.base : &report.base, NULL);
		rig_until(&r, client_is_closed, &r);
	}
	CU_ASSERT_EQUAL(rig_show(&r, "demo")->state, CELLULAR__VM_STATE__VM_RUNNING);
	rig_free(&r);
}

/* ---- the command line ---- */

static void bad_command_lines(void)
{
	char taken[LINK_ADDRESS_MAX], key[80], state[80], said[1024];
	const struct {
		int status;
		const char *args[8];
	} lines[] = {
		{2, {rig_program}},
		{2, {rig_program, "--bogus"}},
		{2, {rig_program, "--state"}},
		{2, {rig_program, "--state", state}},
		{2, {rig_program, "--state", state, "--key", key, "more"}},
		{2, {rig_program, "--state", state, "--key", key, "--listen", "nonsense"}},
		{2, {rig_program, "--state", state, "--key", key, "--start-timeout", "0"}},
		{2, {rig_program, "--state", state, "--key", state}},
		{3, {rig_program, "--state", "/nonexistent/x", "--key", key}},
		{3, {rig_program, "--state", state, "--key", "/nonexistent/key"}},
		{7, {rig_program, "--state", r.state, "--key", key}},
		{7, {rig_program, "--state", state, "--key", key, "--listen", taken}},
		{0, {rig_program, "--help"}},
		{0, {rig_program, "--version"}},
	};

	running_vm();
	memcpy(taken, r.address, sizeof(taken));
	snprintf(key, sizeof(key), "%s/key", r.dir);
	snprintf(state, sizeof(state), "%s/other", r.dir);
	for (unsigned i = 0; i < UNIT_COUNT(lines); i++) {
		int status = rig_run(lines[i].args, said, sizeof(said));
		const char *last = strstr(said, "cell-controller: ");

		if (status != lines[i].status)
			fprintf(stderr, "line %u: status %d: %s\n", i, status, said);
		CU_ASSERT_EQUAL(status, lines[i].status);
		CU_ASSERT(status == 0 || (last && strchr(last, '\n')));
	}
	CU_ASSERT_EQUAL(rig_show(&r, "demo")->state, CELLULAR__VM_STATE__VM_RUNNING);
	for (unsigned i = 0; i < 4; i++) {
		static const char *const left[] = {"controller.db", "controller.db-wal", "lock",
						   ""};

		snprintf(said, sizeof(said), "%s/%s", state, left[i]);
		if (unlink(said) != 0)
			rmdir(said);
	}
	rig_free(&r);
}

/* The tree may lie where nobody else may look, so that nobody gets a program of its own. */
static bool copy_program(const char *to)
{
	int in = open(rig_program, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	ssize_t n = 1;

	while (in >= 0 && out >= 0 && n > 0)
		n = sendfile(out, in, NULL, 1 << 20);
	if (in >= 0)
		close(in);
	if (out >= 0 && (fchmod(out, 0755) != 0 || close(out) != 0))
		return false;
	return in >= 0 && out >= 0 && n == 0;
}

static void no_right_to_the_state(void)
{
	char dir[] = "/tmp/cellular-denied.XXXXXX", state[64], key[64], program[64], said[1024];
	const char *args[] = {program, "--state", state, "--key", key, NULL};
	pid_t pid;
	int status;

	if (geteuid() != 0) {
		unit_skip("needs root, to become nobody");
		return;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(key, sizeof(key), "%s/key", dir);
	snprintf(program, sizeof(program), "%s/cell-controller", dir);
	CU_ASSERT_EQUAL_FATAL(chmod(dir, 0755), 0);
	CU_ASSERT_FATAL(copy_program(program));
	pid = fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(99);
		_exit(rig_run(args, said, sizeof(said)));
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 6);
	unlink(program);
	rmdir(dir);
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
		UNIT_CASE(killed_and_started_again),
		UNIT_CASE(killed_while_a_vm_starts),
		UNIT_CASE(ended_by_signal_vms_run_on),
		UNIT_CASE(fragments_nobody_knows),
		UNIT_CASE(the_disk_is_full),
		UNIT_CASE(clients_that_go),
		UNIT_CASE(a_client_that_asks_too_much),
		UNIT_CASE(garbage_on_the_port),
		UNIT_CASE(messages_of_others),
		UNIT_CASE(bad_command_lines),
		UNIT_CASE(no_right_to_the_state),
	};

	if (argc < 2) {
		fprintf(stderr, "usage: %s CELL-CONTROLLER\n", argv[0]);
		return 2;
	}
	rig_program = argv[1];
	signal(SIGPIPE, SIG_IGN);
	return unit_main("controller", cases, UNIT_COUNT(cases));
}
