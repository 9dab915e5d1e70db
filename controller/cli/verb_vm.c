/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/json.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"
#include "controller/cli/vm_file.h"
#include "controller/cli/words.h"
#include "proto/base/clock.h"
#include "proto/base/size.h"
#include "proto/base/text.h"
#include "proto/ids.h"

enum { CONSOLE_POLL_US = 100000 };

static bool has_ended(const Cellular__EndReason *r)
{
	return r && r->cause != CELLULAR__END_CAUSE__END_NONE;
}

/* ---- list, show ---- */

static void put_cells(struct table *t, const Cellular__VmInfo *vm)
{
	char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < vm->n_fragments && used < sizeof(text) - 1; i++) {
		int n = snprintf(text + used, sizeof(text) - used, "%s%s", i ? "," : "",
				 vm->fragments[i]->cell);

		used += n > 0 ? (size_t)n : 0;
	}
	table_put(t, "%s", text);
}

/* "running", "exited 3", "ended: process-died" */
static void put_state(struct table *t, const Cellular__VmInfo *vm)
{
	const char *state = words_vm_state(vm->state);

	if (!has_ended(vm->reason))
		table_put(t, "%s", state);
	else if (vm->reason->cause == CELLULAR__END_CAUSE__END_EXIT)
		table_put(t, "%s, exit code %d", state, vm->reason->code);
	else
		table_put(t, "%s, %s", state, words_end_cause(vm->reason->cause));
}

static int print_vms(const Cellular__CtlReply *reply, FILE *out, struct err *e)
{
	struct table *t = table_new(">ID,NAME,STATE,>VCPUS,>MEMORY,CELLS,STARTED");
	char text[SIZE_TEXT_MAX], time[WORDS_TIME_MAX];

	for (size_t i = 0; i < reply->n_vms; i++) {
		const Cellular__VmInfo *vm = reply->vms[i];

		table_row(t);
		table_put(t, "%" PRIu64, vm->id);
		table_put(t, "%s", vm->name);
		put_state(t, vm);
		table_put(t, "%u", vm->spec ? vm->spec->vcpus : 0);
		table_put(t, "%s", size_format(vm->spec ? vm->spec->memory : 0, text));
		put_cells(t, vm);
		table_put(t, "%s", words_time(vm->started_ms, time));
	}
	return table_print(t, out, e);
}

int verb_vm_list(struct cli *cli, void *state, struct err *e)
{
	Cellular__CtlReply *reply;
	json_t *list;
	int rc = verb_ask(cli, CELLULAR__CTL_OP__OP_VM_LIST, &reply, e);

	(void)state;
	if (rc)
		return rc;
	if (cli->json) {
		list = json_array();
		for (size_t i = 0; i < reply->n_vms; i++)
			json_array_append_new(list, json_vm(reply->vms[i]));
		rc = json_print(list, cli->out, e);
	} else {
		rc = print_vms(reply, cli->out, e);
	}
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}

static void put_pair(struct table *t, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void put_pair(struct table *t, const char *name, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	table_row(t);
	table_put(t, "%s", name);
	table_put(t, "%s", text);
}

static void put_times(struct table *t, const Cellular__VmInfo *vm)
{
	char time[WORDS_TIME_MAX], span[WORDS_TIME_MAX];
	uint64_t now = clock_unix_ms(), until = vm->ended_ms ? vm->ended_ms : now;

	if (vm->started_ms)
		put_pair(t, "started", "%s (%s%s)", words_time(vm->started_ms, time),
			 vm->ended_ms ? "ran for " : "",
			 words_duration(until > vm->started_ms ? until - vm->started_ms : 0, span));
	if (vm->ended_ms)
		put_pair(t, "ended", "%s", words_time(vm->ended_ms, time));
}

static void put_spec(struct table *t, const Cellular__VmSpec *spec)
{
	char text[SIZE_TEXT_MAX];

	put_pair(t, "guest", "%s", spec->guest);
	for (size_t i = 0; i < spec->n_args; i++)
		put_pair(t, "argument", "%s", spec->args[i]);
	for (size_t i = 0; i < spec->n_files; i++)
		put_pair(t, "file", "%s: %s", spec->files[i]->name, spec->files[i]->path);
	put_pair(t, "memory", "%s", size_format(spec->memory, text));
	put_pair(t, "vcpus", "%u", spec->vcpus);
	put_pair(t, "on exit", "%s", words_on_exit(spec->on_exit));
}

static int print_head(const Cellular__VmInfo *vm, FILE *out, struct err *e)
{
	struct table *t = table_new("VM,VALUE");
	const Cellular__EndReason *r = vm->reason;

	put_pair(t, "name", "%s (id %" PRIu64 ")", vm->name, vm->id);
	put_pair(t, "state", "%s", words_vm_state(vm->state));
	put_times(t, vm);
	if (has_ended(r)) {
		put_pair(t, "reason", "%s: %s", words_end_cause(r->cause), r->text);
		if (r->cause == CELLULAR__END_CAUSE__END_EXIT)
			put_pair(t, "exit code", "%d", r->code);
		if (r->cell[0])
			put_pair(t, "on cell", "%s", r->cell);
	}
	if (vm->spec)
		put_spec(t, vm->spec);
	return table_print(t, out, e);
}

static int print_fragments(const Cellular__VmInfo *vm, FILE *out, struct err *e)
{
	struct table *t = table_new("CELL,>MEMBER,STATE,VCPUS,>PID,ADDRESS");
	char text[WORDS_LIST_MAX];

	for (size_t i = 0; i < vm->n_fragments; i++) {
		const Cellular__FragInfo *f = vm->fragments[i];

		table_row(t);
		table_put(t, "%s", f->cell);
		table_put(t, "%u", f->member);
		table_put(t, "%s", words_frag_state(f->state));
		table_put(t, "%s", words_numbers(f->vcpus, f->n_vcpus, text));
		table_put(t, "%u", f->pid);
		table_put(t, "%s", f->address);
	}
	return table_print(t, out, e);
}

static int print_exposure(const Cellular__VmInfo *vm, FILE *out, struct err *e)
{
	struct table *t = table_new("EXPOSED TO,BECAUSE IT");

	for (size_t i = 0; i < vm->n_exposure; i++) {
		table_row(t);
		table_put(t, "%s", vm->exposure[i]->cell);
		table_put(t, "%s", vm->exposure[i]->why);
	}
	return table_print(t, out, e);
}

static int print_vm(const Cellular__VmInfo *vm, FILE *out, struct err *e)
{
	int rc = print_head(vm, out, e);

	if (!rc && vm->n_fragments) {
		fputc('\n', out);
		rc = print_fragments(vm, out, e);
	}
	if (!rc && vm->n_exposure) {
		fputc('\n', out);
		rc = print_exposure(vm, out, e);
	}
	return rc;
}

int verb_vm_show(struct cli *cli, void *state, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = verb_ask(cli, CELLULAR__CTL_OP__OP_VM_SHOW, &reply, e);

	(void)state;
	if (rc)
		return rc;
	if (reply->n_vms != 1)
		rc = err_set(e, ERR_PROTOCOL, "the controller's answer names %zu VMs",
			     reply->n_vms);
	else
		rc = cli->json ? json_print(json_vm(reply->vms[0]), cli->out, e)
			       : print_vm(reply->vms[0], cli->out, e);
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}

/* ---- start, stop, kill ---- */

/* What an order says when it was carried out: the VM in JSON, else a word. */
static int print_done(struct cli *cli, const Cellular__CtlReply *reply, const char *name,
		      const char *done, struct err *e)
{
	char safe[4 * CELL_NAME_MAX];

	if (cli->json)
		return json_print(reply->n_vms ? json_vm(reply->vms[0])
					       : json_pack("{s:o}", "name", json_text(name)),
				  cli->out, e);
	fprintf(cli->out, "%s %s\n", text_escape(name, safe, sizeof(safe)), done);
	return ERR_OK;
}

int verb_vm_start_prepare(struct cli *cli, void **state, struct err *e)
{
	Cellular__VmSpec *spec = NULL;
	int rc = vm_file_load(cli->args[0], &spec, e);

	*state = spec;
	return rc;
}

int verb_vm_start(struct cli *cli, void *state, struct err *e)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__VmSpec *spec = state;
	Cellular__CtlReply *reply;
	int rc;

	request.op = CELLULAR__CTL_OP__OP_VM_START;
	request.name = spec->name;
	request.spec = spec;
	rc = client_ask(cli->client, &request, &reply, e);
	if (rc)
		return rc;
	rc = print_done(cli, reply, spec->name, "started", e);
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}

void verb_vm_start_finish(void *state)
{
	cellular__vm_spec__free_unpacked(state, NULL);
}

static int end_vm(struct cli *cli, Cellular__CtlOp op, const char *done, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = verb_ask(cli, op, &reply, e);

	if (rc)
		return rc;
	rc = print_done(cli, reply, cli->args[0], done, e);
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}

int verb_vm_stop(struct cli *cli, void *state, struct err *e)
{
	(void)state;
	return end_vm(cli, CELLULAR__CTL_OP__OP_VM_STOP, "stopped", e);
}

int verb_vm_kill(struct cli *cli, void *state, struct err *e)
{
	(void)state;
	return end_vm(cli, CELLULAR__CTL_OP__OP_VM_KILL, "killed", e);
}

/* ---- wait ---- */

static int judge_end(const Cellular__VmInfo *vm, struct err *e)
{
	const Cellular__EndReason *r = vm->reason;

	if (!has_ended(r))
		return err_set(e, ERR_STATE, "VM %s is %s", vm->name, words_vm_state(vm->state));
	if (r->cause != CELLULAR__END_CAUSE__END_EXIT)
		return err_set(e, ERR_GUEST, "VM %s ended (%s): %s", vm->name,
			       words_end_cause(r->cause), r->text);
	if (r->code != 0)
		return err_set(e, ERR_GUEST, "VM %s: the guest exited with code %d", vm->name,
			       r->code);
	return ERR_OK;
}

int verb_vm_wait(struct cli *cli, void *state, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = verb_ask(cli, CELLULAR__CTL_OP__OP_VM_WAIT, &reply, e);

	(void)state;
	if (rc)
		return rc;
	if (reply->n_vms != 1) {
		rc = err_set(e, ERR_PROTOCOL, "the controller's answer names %zu VMs",
			     reply->n_vms);
	} else {
		rc = judge_end(reply->vms[0], e);
		if (cli->json)
			json_print(json_vm(reply->vms[0]), cli->out, NULL);
		else if (!rc)
			fprintf(cli->out, "%s exited with code 0\n", reply->vms[0]->name);
	}
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}

/* ---- console ---- */

static int ask_console(struct cli *cli, uint64_t offset, Cellular__CtlReply **reply, struct err *e)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	int rc;

	request.op = CELLULAR__CTL_OP__OP_VM_CONSOLE;
	request.name = (char *)cli->args[0];
	request.console_offset = offset;
	rc = client_ask(cli->client, &request, reply, e);
	if (rc || (*reply)->console)
		return rc;
	cellular__ctl_reply__free_unpacked(*reply, NULL);
	return err_set(e, ERR_PROTOCOL, "the controller's answer holds no console");
}

static int print_console(struct cli *cli, const Cellular__Console *c, uint64_t *offset,
			 struct err *e)
{
	if (c->offset > *offset)
		fprintf(stderr, "cellctl: %" PRIu64 " bytes before this are gone\n",
			c->offset - *offset);
	*offset = c->offset + c->data.len;
	if (c->data.len && fwrite(c->data.data, c->data.len, 1, cli->out) != 1)
		return err_set(e, ERR_SYS, "cannot write to standard output");
	fflush(cli->out);
	return ERR_OK;
}

int verb_vm_console(struct cli *cli, void *state, struct err *e)
{
	bool follow = cli->given & CLI_FOLLOW, over = false;
	Cellular__CtlReply *reply;
	uint64_t offset = 0;

	(void)state;
	while (!over) {
		size_t n;
		int rc = ask_console(cli, offset, &reply, e);

		if (rc)
			return rc;
		n = reply->console->data.len;
		over = n == 0 && (reply->console->complete || !follow);
		rc = print_console(cli, reply->console, &offset, e);
		cellular__ctl_reply__free_unpacked(reply, NULL);
		if (rc)
			return rc;
		if (n == 0 && !over)
			usleep(CONSOLE_POLL_US);
	}
	return ERR_OK;
}
