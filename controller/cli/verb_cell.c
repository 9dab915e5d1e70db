/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/json.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"
#include "controller/cli/words.h"
#include "proto/base/size.h"

int verb_ask(struct cli *cli, Cellular__CtlOp op, Cellular__CtlReply **reply, struct err *e)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	request.op = op;
	if (cli->n_args)
		request.name = (char *)cli->args[0];
	return client_ask(cli->client, &request, reply, e);
}

/* ---- cells ---- */

static int print_cells(const Cellular__CtlReply *reply, FILE *out, struct err *e)
{
	struct table *t =
		table_new("NAME,STATE,>CPUS,>VCPUS,>MEMORY,>PROMISED,>RESIDENT,ADDRESS,>VMS");
	char text[SIZE_TEXT_MAX];

	for (size_t i = 0; i < reply->n_cells; i++) {
		const Cellular__CellInfo *c = reply->cells[i];

		table_row(t);
		table_put(t, "%s", c->name);
		table_put(t, "%s", c->state);
		table_put(t, "%u", c->cpus);
		table_put(t, "%u", c->vcpus);
		table_put(t, "%s", size_format(c->memory, text));
		table_put(t, "%s", size_format(c->memory_used, text));
		table_put(t, "%s", size_format(c->memory_resident, text));
		table_put(t, "%s", c->data_address);
		table_put(t, "%zu", c->n_vms);
	}
	return table_print(t, out, e);
}

static int print_cells_json(const Cellular__CtlReply *reply, FILE *out, struct err *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < reply->n_cells; i++)
		json_array_append_new(list, json_cell(reply->cells[i]));
	return json_print(list, out, e);
}

int verb_cell_list(struct cli *cli, void *state, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = verb_ask(cli, CELLULAR__CTL_OP__OP_CELL_LIST, &reply, e);

	(void)state;
	if (rc)
		return rc;
	rc = cli->json ? print_cells_json(reply, cli->out, e) : print_cells(reply, cli->out, e);
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}

static int print_cell(const Cellular__CellInfo *c, FILE *out, struct err *e)
{
	struct table *t = table_new("CELL,VALUE");
	char text[SIZE_TEXT_MAX], time[WORDS_TIME_MAX];
	const struct {
		const char *name, *value;
	} words[] = {{"name", c->name},
		     {"state", c->state},
		     {"address", c->data_address},
		     {"software", c->software}};
	const struct {
		const char *name;
		uint64_t bytes;
	} sizes[] = {{"memory", c->memory},
		     {"promised", c->memory_used},
		     {"resident", c->memory_resident}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		table_row(t);
		table_put(t, "%s", words[i].name);
		table_put(t, "%s", words[i].value);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		table_row(t);
		table_put(t, "%s", sizes[i].name);
		table_put(t, "%s", size_format(sizes[i].bytes, text));
	}
	table_row(t);
	table_put(t, "cpus");
	table_put(t, "%u, promised %u", c->cpus, c->vcpus);
	table_row(t);
	table_put(t, "joined");
	table_put(t, "%s (id %u, celld pid %u)", words_time(c->joined_ms, time), c->id, c->pid);
	table_row(t);
	table_put(t, "rejected");
	table_put(t, "%" PRIu64 " links", c->rejected);
	for (size_t i = 0; i < c->n_vms; i++) {
		table_row(t);
		table_put(t, "vm");
		table_put(t, "%s", c->vms[i]);
	}
	return table_print(t, out, e);
}

int verb_cell_show(struct cli *cli, void *state, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = verb_ask(cli, CELLULAR__CTL_OP__OP_CELL_SHOW, &reply, e);

	(void)state;
	if (rc)
		return rc;
	if (reply->n_cells != 1)
		rc = err_set(e, ERR_PROTOCOL, "the controller's answer names %zu cells",
			     reply->n_cells);
	else
		rc = cli->json ? json_print(json_cell(reply->cells[0]), cli->out, e)
			       : print_cell(reply->cells[0], cli->out, e);
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}

/* ---- status ---- */

struct summary {
	const char *controller;
	char software[64];
	uint64_t uptime_ms;
	uint32_t epoch;
	size_t cells, cells_up, vms, vms_running;
	uint64_t memory, memory_used, rejected;
	uint32_t cpus, vcpus;
};

static int sum_up(struct cli *cli, struct summary *s, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = verb_ask(cli, CELLULAR__CTL_OP__OP_STATUS, &reply, e);

	if (rc)
		return rc;
	s->controller = cli->server.controller;
	snprintf(s->software, sizeof(s->software), "%s", reply->software);
	s->uptime_ms = reply->uptime_ms;
	s->epoch = reply->epoch;
	s->rejected = reply->rejected;
	cellular__ctl_reply__free_unpacked(reply, NULL);
	rc = verb_ask(cli, CELLULAR__CTL_OP__OP_CELL_LIST, &reply, e);
	if (rc)
		return rc;
	s->cells = reply->n_cells;
	for (size_t i = 0; i < reply->n_cells; i++) {
		if (strcmp(reply->cells[i]->state, "up") != 0)
			continue;
		s->cells_up++;
		s->memory += reply->cells[i]->memory;
		s->memory_used += reply->cells[i]->memory_used;
		s->cpus += reply->cells[i]->cpus;
		s->vcpus += reply->cells[i]->vcpus;
	}
	cellular__ctl_reply__free_unpacked(reply, NULL);
	rc = verb_ask(cli, CELLULAR__CTL_OP__OP_VM_LIST, &reply, e);
	if (rc)
		return rc;
	s->vms = reply->n_vms;
	for (size_t i = 0; i < reply->n_vms; i++)
		s->vms_running += reply->vms[i]->state == CELLULAR__VM_STATE__VM_RUNNING;
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return ERR_OK;
}

static int print_status(const struct summary *s, FILE *out, struct err *e)
{
	struct table *t = table_new("CLUSTER,VALUE");
	char time[WORDS_TIME_MAX], used[SIZE_TEXT_MAX], all[SIZE_TEXT_MAX];

	table_row(t);
	table_put(t, "controller");
	table_put(t, "%s, software %s, up for %s", s->controller, s->software,
		  words_duration(s->uptime_ms, time));
	table_row(t);
	table_put(t, "cells");
	table_put(t, "%zu, up: %zu", s->cells, s->cells_up);
	table_row(t);
	table_put(t, "vms");
	table_put(t, "%zu, running: %zu", s->vms, s->vms_running);
	table_row(t);
	table_put(t, "memory");
	table_put(t, "%s of %s promised", size_format(s->memory_used, used),
		  size_format(s->memory, all));
	table_row(t);
	table_put(t, "cpus");
	table_put(t, "%u of %u promised", s->vcpus, s->cpus);
	table_row(t);
	table_put(t, "rejected");
	table_put(t, "%" PRIu64 " links", s->rejected);
	return table_print(t, out, e);
}

int verb_status(struct cli *cli, void *state, struct err *e)
{
	struct summary s = {0};
	int rc = sum_up(cli, &s, e);

	(void)state;
	if (rc)
		return rc;
	if (!cli->json)
		return print_status(&s, cli->out, e);
	return json_print(
		json_pack("{s:o, s:o, s:i, s:I, s:i, s:i, s:i, s:i, s:I, s:I, s:i, s:i, s:I}",
			  "controller", json_text(s.controller), "software", json_text(s.software),
			  "epoch", (int)s.epoch, "uptime_ms", (json_int_t)s.uptime_ms, "cells",
			  (int)s.cells, "cells_up", (int)s.cells_up, "vms", (int)s.vms,
			  "vms_running", (int)s.vms_running, "memory", (json_int_t)s.memory,
			  "memory_used", (json_int_t)s.memory_used, "cpus", (int)s.cpus, "vcpus",
			  (int)s.vcpus, "rejected", (json_int_t)s.rejected),
		cli->out, e);
}
