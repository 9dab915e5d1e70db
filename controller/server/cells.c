/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/server/state.h"
#include "proto/base/log.h"
#include "proto/base/text.h"

/* The policy's numbers are those of the messages. */
_Static_assert((int)VM_STARTING == CELLULAR__VM_STATE__VM_STARTING &&
		       (int)VM_RUNNING == CELLULAR__VM_STATE__VM_RUNNING &&
		       (int)VM_EXITED == CELLULAR__VM_STATE__VM_EXITED &&
		       (int)VM_ENDING == CELLULAR__VM_STATE__VM_ENDING &&
		       (int)VM_ENDED == CELLULAR__VM_STATE__VM_ENDED,
	       "VmState");
_Static_assert((int)FRAG_STARTING == CELLULAR__FRAG_STATE__FRAG_STARTING &&
		       (int)FRAG_LISTENING == CELLULAR__FRAG_STATE__FRAG_LISTENING &&
		       (int)FRAG_READY == CELLULAR__FRAG_STATE__FRAG_READY &&
		       (int)FRAG_RUNNING == CELLULAR__FRAG_STATE__FRAG_RUNNING &&
		       (int)FRAG_STOPPED == CELLULAR__FRAG_STATE__FRAG_STOPPED &&
		       (int)FRAG_GONE == CELLULAR__FRAG_STATE__FRAG_GONE,
	       "FragState");
_Static_assert((int)END_EXIT == CELLULAR__END_CAUSE__END_EXIT &&
		       (int)END_GUEST_FAULT == CELLULAR__END_CAUSE__END_GUEST_FAULT &&
		       (int)END_KILLED == CELLULAR__END_CAUSE__END_KILLED &&
		       (int)END_START_FAILED == CELLULAR__END_CAUSE__END_START_FAILED &&
		       (int)END_PROCESS_DIED == CELLULAR__END_CAUSE__END_PROCESS_DIED &&
		       (int)END_CELL_LOST == CELLULAR__END_CAUSE__END_CELL_LOST &&
		       (int)END_MEMBER_LOST == CELLULAR__END_CAUSE__END_MEMBER_LOST &&
		       (int)END_MONITOR == CELLULAR__END_CAUSE__END_MONITOR,
	       "EndCause");

/* ---- what it says ---- */

static void read_report(struct policy_report *out, const Cellular__FragReport *in)
{
	*out = (struct policy_report){
		.vm = {in->vm_id},
		.epoch = {in->epoch},
		.member = in->member,
		.state = (uint32_t)in->state,
		.pid = in->pid,
	};
	text_escape(in->address, out->address, sizeof(out->address));
	if (!in->reason)
		return;
	out->reason.cause = (int)in->reason->cause > END_NONE && (int)in->reason->cause < END_CAUSES
				    ? (enum end_cause)in->reason->cause
				    : END_NONE;
	out->reason.code = in->reason->code;
	out->reason.member = in->reason->member;
	text_escape(in->reason->text, out->reason.text, sizeof(out->reason.text));
}

/* Figures of a fragment that is where the report comes from; before the step, so that it saves
 * them. */
static void keep_stat(struct peer *peer, const Cellular__FragReport *report)
{
	struct server *s = peer->server;
	const struct policy_cell *cell = policy_cell_linked(s->policy, peer->number);

	if (!report->stat || !cell)
		return;
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++) {
		const struct policy_vm *vm = policy_vm_at(s->policy, i);

		if (!vm || vm->id.v != report->vm_id)
			continue;
		if (vm->epoch.v == report->epoch && report->member < vm->members &&
		    policy_cell_at(s->policy, vm->fragments[report->member].cell) == cell &&
		    s->bodies[i].id.v == vm->id.v)
			body_set_stat(&s->bodies[i], report->member, report->stat);
		return;
	}
}

/* Runs an event with the reports of a message. */
static void step_reports(struct peer *peer, struct policy_event *event,
			 Cellular__FragReport *const *reports, size_t n)
{
	struct policy_report *list = NULL;

	n = n < POLICY_REPORTS_MAX ? n : POLICY_REPORTS_MAX;
	if (n)
		list = calloc(n, sizeof(*list));
	if (n && !list)
		return;
	for (size_t i = 0; i < n; i++) {
		read_report(&list[i], reports[i]);
		keep_stat(peer, reports[i]);
	}
	event->link = peer->number;
	event->reports = list;
	event->n_reports = n;
	server_step(peer->server, event);
	free(list);
}

static void hear_join(struct peer *peer, const Cellular__CelldJoin *join)
{
	struct policy_event event = {
		.kind = POLICY_EV_JOIN,
		.join = {.name = join->name,
			 .data_address = join->data_address,
			 .software = join->software,
			 .memory = join->memory,
			 .cpus = join->cpus,
			 .pid = join->pid},
	};

	step_reports(peer, &event, join->fragments, join->n_fragments);
}

static void hear_load(struct peer *peer, const Cellular__CellLoad *load)
{
	struct policy_event event = {.kind = POLICY_EV_LOAD,
				     .resident = load->memory_resident,
				     .rejected = load->rejected};

	step_reports(peer, &event, load->fragments, load->n_fragments);
}

void server_cell_message(struct peer *peer, uint16_t type, const ProtobufCMessage *message)
{
	Cellular__FragReport *report;

	switch (type) {
	case CTL_TYPE_CELLD_JOIN:
		hear_join(peer, (const Cellular__CelldJoin *)message);
		break;
	case CTL_TYPE_CELL_LOAD:
		hear_load(peer, (const Cellular__CellLoad *)message);
		break;
	case CTL_TYPE_FRAG_REPORT:
		report = (Cellular__FragReport *)message;
		step_reports(peer, &(struct policy_event){.kind = POLICY_EV_REPORT}, &report, 1);
		break;
	case CTL_TYPE_FRAG_ANSWER:
		server_query_answer(peer, (const Cellular__FragAnswer *)message);
		break;
	default:
		server_offence(peer, type);
	}
}

/* ---- what it is told ---- */

static void welcome(struct server *s, struct peer *peer, const struct policy_cell *cell)
{
	Cellular__CelldWelcome message = CELLULAR__CELLD_WELCOME__INIT;

	message.cell_id = cell->id.v;
	message.epoch = store_epoch(s->store);
	message.load_ms = SERVER_LOAD_MS;
	log_info("%s joined from %s as cell %u", cell->name, cell->data_address, cell->id.v);
	server_send(peer, CTL_TYPE_CELLD_WELCOME, &message.base);
}

static void frag_start(struct server *s, struct peer *peer, const struct policy_vm *vm,
		       unsigned member)
{
	struct body *body = &s->bodies[policy_vm_slot(s->policy, vm)];
	Cellular__FragStart message = CELLULAR__FRAG_START__INIT;
	Cellular__VcpuPlace places[POLICY_VCPUS_MAX];
	Cellular__VcpuPlace *list[POLICY_VCPUS_MAX];

	for (uint32_t v = 0; v < vm->vcpus; v++) {
		cellular__vcpu_place__init(&places[v]);
		places[v].vcpu = v;
		for (unsigned m = 0; m < vm->members; m++)
			if (vm->fragments[m].vcpus & 1ull << v)
				places[v].member = m;
		list[v] = &places[v];
	}
	message.vm_id = vm->id.v;
	message.epoch = vm->epoch.v;
	message.member = member;
	message.members = vm->members;
	message.spec = body->message;
	message.n_vcpus = vm->vcpus;
	message.vcpus = list;
	message.key = (ProtobufCBinaryData){sizeof(body->key), body->key};
	server_send(peer, CTL_TYPE_FRAG_START, &message.base);
}

static void frag_peers(struct peer *peer, const struct policy_vm *vm)
{
	Cellular__FragPeers message = CELLULAR__FRAG_PEERS__INIT;
	char *addresses[POLICY_MEMBERS_MAX];

	for (unsigned m = 0; m < vm->members; m++)
		addresses[m] = (char *)vm->fragments[m].address;
	message.vm_id = vm->id.v;
	message.epoch = vm->epoch.v;
	message.n_address = vm->members;
	message.address = addresses;
	server_send(peer, CTL_TYPE_FRAG_PEERS, &message.base);
}

static void frag_run(struct peer *peer, const struct policy_vm *vm)
{
	Cellular__FragRun message = CELLULAR__FRAG_RUN__INIT;

	message.vm_id = vm->id.v;
	message.epoch = vm->epoch.v;
	server_send(peer, CTL_TYPE_FRAG_RUN, &message.base);
}

static void frag_quit(struct peer *peer, const struct policy_order *order)
{
	Cellular__FragQuit message = CELLULAR__FRAG_QUIT__INIT;
	Cellular__EndReason reason = CELLULAR__END_REASON__INIT;

	message.vm_id = order->vm_id.v;
	message.epoch = order->epoch.v;
	message.forget = order->forget;
	if (order->reason) {
		server_fill_reason(&reason, order->reason);
		message.reason = &reason;
	}
	server_send(peer, CTL_TYPE_FRAG_QUIT, &message.base);
}

void server_tell_cell(struct server *s, const struct policy_order *order)
{
	const struct policy_cell *cell = policy_cell_at(s->policy, order->cell);
	const struct policy_vm *vm = policy_vm_at(s->policy, order->vm);
	struct peer *peer = cell ? server_peer(s, cell->link) : NULL;

	if (!peer)
		return;
	if (order->kind == POLICY_WELCOME) {
		welcome(s, peer, cell);
		return;
	}
	if (order->kind == POLICY_FRAG_QUIT) {
		frag_quit(peer, order);
		return;
	}
	if (!vm || vm->id.v != order->vm_id.v)
		return;
	if (order->kind == POLICY_FRAG_START)
		frag_start(s, peer, vm, order->member);
	else if (order->kind == POLICY_FRAG_PEERS)
		frag_peers(peer, vm);
	else if (order->kind == POLICY_FRAG_RUN)
		frag_run(peer, vm);
}
