/* SPDX-License-Identifier: Apache-2.0 */
/* What cellctl and native members ask. Questions about what the policy knows are answered at once;
 * wishes become events and wait for their answer. */
#include <stdarg.h>
#include <stdio.h>

#include "controller/server/state.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/text.h"

/* ---- replies ---- */

static char *text_escape_into(struct arena *arena, const char *text)
{
	char escaped[2 * ERR_TEXT_MAX];

	return arena_text(arena, text_escape(text, escaped, sizeof(escaped)));
}

void server_reply(struct peer *peer, uint64_t request, Cellular__CtlReply *reply)
{
	struct server *s = peer->server;
	struct err e;

	/* A sentence may name what the client or a cell called something. */
	reply->text = text_escape_into(&s->arena, reply->text);
	reply->request = request;
	reply->epoch = store_epoch(s->store);
	reply->uptime_ms = clock_ms() - s->started_ms;
	reply->software = (char *)CELLULAR_VERSION;
	reply->rejected = server_rejected(s);
	if (link_send(peer->link, CTL_TYPE_CTL_REPLY, &reply->base, &e) == ERR_TOOBIG)
		server_reply_error(peer, request, &e);
	arena_reset(&s->arena);
}

void server_reply_error(struct peer *peer, uint64_t request, const struct err *e)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;

	reply.error = e->code;
	reply.text = (char *)e->text;
	server_reply(peer, request, &reply);
}

static void __attribute__((format(printf, 4, 5)))
refuse(struct peer *peer, uint64_t request, enum err_code code, const char *fmt, ...)
{
	struct err e = {.code = code};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	server_reply_error(peer, request, &e);
}

/* ---- wishes ---- */

static struct request *find_request(struct server *s, uint64_t waiter, struct peer **peer)
{
	for (*peer = s->peers; *peer; *peer = (*peer)->next)
		for (unsigned i = 0; i < SERVER_REQUESTS_MAX; i++)
			if ((*peer)->requests[i].waiter == waiter)
				return &(*peer)->requests[i];
	return NULL;
}

void server_answer(struct server *s, const struct policy_order *order)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	const struct policy_vm *vm = policy_vm_at(s->policy, order->vm);
	struct peer *peer;
	struct request *request = find_request(s, order->number, &peer);
	Cellular__VmInfo *info;
	uint64_t number;

	if (!request)
		return;
	number = request->number;
	request->waiter = 0;
	reply.error = order->answer->code;
	reply.text = (char *)order->answer->text;
	if (vm && order->vm_id.v && vm->id.v == order->vm_id.v) {
		info = server_vm_info(s, vm, INFO_WHOLE);
		reply.vms = &info;
		reply.n_vms = 1;
	}
	server_reply(peer, number, &reply);
}

/* Runs an event for a request that will be answered by an order. */
static void wish(struct peer *peer, const Cellular__CtlRequest *message, struct policy_event *event)
{
	struct server *s = peer->server;

	for (unsigned i = 0; i < SERVER_REQUESTS_MAX; i++) {
		struct request *r = &peer->requests[i];

		if (r->waiter)
			continue;
		*r = (struct request){s->next_number++, message->request, message->op};
		event->waiter = r->waiter;
		event->timeout_ms = event->timeout_ms ? event->timeout_ms : message->timeout_ms;
		server_step(s, event);
		return;
	}
	refuse(peer, message->request, ERR_BUSY, "%d requests of this client wait already",
	       SERVER_REQUESTS_MAX);
}

void server_client_closed(struct peer *peer)
{
	for (unsigned i = 0; i < SERVER_REQUESTS_MAX; i++)
		if (peer->requests[i].waiter)
			server_step(peer->server,
				    &(struct policy_event){.kind = POLICY_EV_CLIENT_GONE,
							   .waiter = peer->requests[i].waiter});
}

static int check_spec(const Cellular__VmSpec *spec, struct err *e)
{
	if (!spec)
		return err_set(e, ERR_INVALID, "the request describes no VM");
	if (spec->guest[0] != '/')
		return err_set(e, ERR_INVALID, "the guest's path is not absolute: %.200s",
			       spec->guest);
	for (size_t i = 0; i < spec->n_files; i++)
		if (!spec->files[i]->name[0] || spec->files[i]->path[0] != '/')
			return err_set(e, ERR_INVALID,
				       "file %zu has no name, or its path is not absolute", i);
	if (spec->on_exit != CELLULAR__ON_EXIT__ON_EXIT_DESTROY &&
	    spec->on_exit != CELLULAR__ON_EXIT__ON_EXIT_PRESERVE)
		return err_set(e, ERR_INVALID, "on-exit is neither destroy nor preserve");
	return ERR_OK;
}

static void vm_start(struct peer *peer, const Cellular__CtlRequest *message)
{
	struct server *s = peer->server;
	const Cellular__VmSpec *spec = message->spec;
	struct policy_place places[POLICY_MEMBERS_MAX + 1] = {0};
	struct policy_event event = {.kind = POLICY_EV_START};
	struct err e;

	if (check_spec(spec, &e) || body_take_spec(&s->coming, spec, &e)) {
		server_reply_error(peer, message->request, &e);
		return;
	}
	event.spec = (struct policy_spec){
		.name = spec->name,
		.memory = spec->memory,
		.vcpus = spec->vcpus,
		.preserve = spec->on_exit == CELLULAR__ON_EXIT__ON_EXIT_PRESERVE,
		.places = places,
		.n_places = spec->n_placement,
	};
	/* One more than possible is enough for the policy to refuse it. */
	for (size_t i = 0; i < spec->n_placement && i <= POLICY_MEMBERS_MAX; i++)
		places[i] =
			(struct policy_place){spec->placement[i]->cell, spec->placement[i]->vcpus,
					      spec->placement[i]->n_vcpus};
	wish(peer, message, &event);
	body_free(&s->coming);
}

static void vm_end(struct peer *peer, const Cellular__CtlRequest *message)
{
	bool stop = message->op == CELLULAR__CTL_OP__OP_VM_STOP;

	wish(peer, message,
	     &(struct policy_event){
		     .kind = POLICY_EV_END,
		     .name = message->name,
		     .text = stop ? "ended by vm stop" : "ended by vm kill",
		     .timeout_ms = message->timeout_ms ? message->timeout_ms : SERVER_END_MS,
	     });
}

/* ---- questions ---- */

static void status(struct peer *peer, const Cellular__CtlRequest *message)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;

	server_all_cells(peer->server, &reply);
	server_all_vms(peer->server, &reply, INFO_STATE);
	server_reply(peer, message->request, &reply);
}

static void cell_list(struct peer *peer, const Cellular__CtlRequest *message)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;

	server_all_cells(peer->server, &reply);
	server_reply(peer, message->request, &reply);
}

static void cell_show(struct peer *peer, const Cellular__CtlRequest *message)
{
	const struct policy_cell *cell = policy_cell_named(peer->server->policy, message->name);
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	Cellular__CellInfo *info;

	if (!cell) {
		refuse(peer, message->request, ERR_NOTFOUND, "there is no cell named %.*s",
		       CELL_NAME_MAX, message->name);
		return;
	}
	info = server_cell_info(peer->server, cell);
	reply.cells = &info;
	reply.n_cells = 1;
	server_reply(peer, message->request, &reply);
}

static void vm_list(struct peer *peer, const Cellular__CtlRequest *message)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;

	server_all_vms(peer->server, &reply, INFO_LIST);
	server_reply(peer, message->request, &reply);
}

static void vm_show(struct peer *peer, const Cellular__CtlRequest *message,
		    const struct policy_vm *vm)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	Cellular__VmInfo *info = server_vm_info(peer->server, vm, INFO_WHOLE);

	reply.vms = &info;
	reply.n_vms = 1;
	server_reply(peer, message->request, &reply);
}

/* Those about one VM. */
static void about_vm(struct peer *peer, const Cellular__CtlRequest *message)
{
	const struct policy_vm *vm = policy_vm_named(peer->server->policy, message->name);

	if (!vm)
		refuse(peer, message->request, ERR_NOTFOUND, "there is no VM named %.*s",
		       CELL_NAME_MAX, message->name);
	else if (message->op == CELLULAR__CTL_OP__OP_VM_SHOW)
		vm_show(peer, message, vm);
	else
		server_query(peer, message, vm);
}

static void ask(struct peer *peer, const Cellular__CtlRequest *message)
{
	switch (message->op) {
	case CELLULAR__CTL_OP__OP_STATUS:
		status(peer, message);
		break;
	case CELLULAR__CTL_OP__OP_CELL_LIST:
		cell_list(peer, message);
		break;
	case CELLULAR__CTL_OP__OP_CELL_SHOW:
		cell_show(peer, message);
		break;
	case CELLULAR__CTL_OP__OP_VM_LIST:
		vm_list(peer, message);
		break;
	case CELLULAR__CTL_OP__OP_VM_START:
		vm_start(peer, message);
		break;
	case CELLULAR__CTL_OP__OP_VM_STOP:
	case CELLULAR__CTL_OP__OP_VM_KILL:
		vm_end(peer, message);
		break;
	case CELLULAR__CTL_OP__OP_VM_WAIT:
		wish(peer, message,
		     &(struct policy_event){.kind = POLICY_EV_WAIT, .name = message->name});
		break;
	case CELLULAR__CTL_OP__OP_VM_SHOW:
	case CELLULAR__CTL_OP__OP_VM_CONSOLE:
	case CELLULAR__CTL_OP__OP_MEM_MAP:
	case CELLULAR__CTL_OP__OP_MEM_STAT:
		about_vm(peer, message);
		break;
	case CELLULAR__CTL_OP__OP_SPACE_LIST:
	case CELLULAR__CTL_OP__OP_SPACE_SHOW:
	case CELLULAR__CTL_OP__OP_SPACE_CREATE:
	case CELLULAR__CTL_OP__OP_SPACE_FIND:
	case CELLULAR__CTL_OP__OP_SPACE_HOLD:
	case CELLULAR__CTL_OP__OP_SPACE_DROP:
		server_space_request(peer, message);
		break;
	default:
		refuse(peer, message->request, ERR_UNSUPPORTED,
		       "this controller does not know request %d", (int)message->op);
	}
}

void server_client_message(struct peer *peer, uint16_t type, const ProtobufCMessage *message)
{
	if (type == CTL_TYPE_CTL_REQUEST) {
		ask(peer, (const Cellular__CtlRequest *)message);
		return;
	}
	server_offence(peer, type);
}
