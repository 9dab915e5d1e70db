/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cli/json.h"

#include <stdlib.h>

#include "controller/cli/words.h"
#include "proto/base/text.h"

json_t *json_text(const char *text)
{
	json_t *value = json_string(text);
	char *safe;

	if (value)
		return value;
	safe = text_escape_dup(text);
	value = safe ? json_string(safe) : NULL;
	free(safe);
	return value;
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)(n > INT64_MAX ? INT64_MAX : n));
}

json_t *json_u32s(const uint32_t *numbers, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, number(numbers[i]));
	return list;
}

static json_t *texts(char *const *list, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, json_text(list[i]));
	return out;
}

json_t *json_cell(const Cellular__CellInfo *c)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:i, s:o, s:o}",
			 "id", (int)c->id, "name", json_text(c->name), "state", json_text(c->state),
			 "memory", number(c->memory), "memory_used", number(c->memory_used),
			 "memory_resident", number(c->memory_resident), "cpus", (int)c->cpus,
			 "vcpus", (int)c->vcpus, "data_address", json_text(c->data_address), "vms",
			 texts(c->vms, c->n_vms), "joined_ms", number(c->joined_ms), "pid",
			 (int)c->pid, "software", json_text(c->software), "rejected",
			 number(c->rejected));
}

static json_t *space_members(const Cellular__SpaceInfo *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_present; i++)
		json_array_append_new(list, json_pack("{s:i, s:o, s:i}", "member",
						      (int)s->present[i]->member, "address",
						      json_text(s->present[i]->address), "pid",
						      (int)s->present[i]->pid));
	return list;
}

json_t *json_space(const Cellular__SpaceInfo *s)
{
	return json_pack("{s:o, s:o, s:o, s:i, s:b, s:o, s:o}", "name", json_text(s->name), "space",
			 number(s->space), "bytes", number(s->bytes), "members_max",
			 (int)s->members, "key_drawn", (int)s->drawn, "created_ms",
			 number(s->created_ms), "members", space_members(s));
}

static json_t *hot_pages(const Cellular__DsmStat *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_hot; i++)
		json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "page",
						      number(s->hot[i]->page), "faults",
						      number(s->hot[i]->faults), "writes",
						      number(s->hot[i]->writes), "over",
						      number(s->hot[i]->over)));
	return list;
}

json_t *json_stat(const Cellular__DsmStat *s)
{
	json_t *counters;

	if (!s)
		return json_null();
	counters = json_object();
	for (size_t i = 0; i < s->n_counters; i++) {
		json_t *name = json_text(s->counters[i]->name);

		json_object_set_new(counters, name ? json_string_value(name) : "?",
				    number(s->counters[i]->value));
		json_decref(name);
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "counters", counters,
			 "resident_pages", number(s->resident), "owned_pages", number(s->owned),
			 "fault_us_mean", number(s->fault_us_mean), "fault_us_max",
			 number(s->fault_us_max), "bytes_in", number(s->bytes_in), "bytes_out",
			 number(s->bytes_out), "hot", hot_pages(s));
}

static json_t *spec(const Cellular__VmSpec *s)
{
	json_t *files = json_array(), *placement = json_array();

	for (size_t i = 0; i < s->n_files; i++)
		json_array_append_new(files,
				      json_pack("{s:o, s:o}", "name", json_text(s->files[i]->name),
						"path", json_text(s->files[i]->path)));
	for (size_t i = 0; i < s->n_placement; i++)
		json_array_append_new(
			placement,
			json_pack("{s:o, s:o}", "cell", json_text(s->placement[i]->cell), "vcpus",
				  json_u32s(s->placement[i]->vcpus, s->placement[i]->n_vcpus)));
	return json_pack("{s:o, s:o, s:o, s:o, s:i, s:o, s:s}", "guest", json_text(s->guest),
			 "args", texts(s->args, s->n_args), "files", files, "memory",
			 number(s->memory), "vcpus", (int)s->vcpus, "placement", placement,
			 "on_exit", words_on_exit(s->on_exit));
}

static json_t *fragments(const Cellular__VmInfo *vm)
{
	json_t *list = json_array();

	for (size_t i = 0; i < vm->n_fragments; i++) {
		const Cellular__FragInfo *f = vm->fragments[i];

		json_array_append_new(
			list,
			json_pack("{s:i, s:o, s:s, s:o, s:i, s:o, s:o}", "member", (int)f->member,
				  "cell", json_text(f->cell), "state", words_frag_state(f->state),
				  "vcpus", json_u32s(f->vcpus, f->n_vcpus), "pid", (int)f->pid,
				  "address", json_text(f->address), "stat", json_stat(f->stat)));
	}
	return list;
}

static json_t *exposure(const Cellular__VmInfo *vm)
{
	json_t *list = json_array();

	for (size_t i = 0; i < vm->n_exposure; i++)
		json_array_append_new(list, json_pack("{s:o, s:o}", "cell",
						      json_text(vm->exposure[i]->cell), "why",
						      json_text(vm->exposure[i]->why)));
	return list;
}

static json_t *reason(const Cellular__EndReason *r)
{
	if (!r || r->cause == CELLULAR__END_CAUSE__END_NONE)
		return json_null();
	return json_pack("{s:s, s:o, s:i, s:o, s:i}", "cause", words_end_cause(r->cause), "text",
			 json_text(r->text), "code", (int)r->code, "cell", json_text(r->cell),
			 "member", (int)r->member);
}

json_t *json_vm(const Cellular__VmInfo *vm)
{
	return json_pack("{s:o, s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "id", number(vm->id),
			 "name", json_text(vm->name), "state", words_vm_state(vm->state), "epoch",
			 (int)vm->epoch, "started_ms", number(vm->started_ms), "ended_ms",
			 number(vm->ended_ms), "spec", vm->spec ? spec(vm->spec) : json_null(),
			 "fragments", fragments(vm), "exposure", exposure(vm), "reason",
			 reason(vm->reason));
}

int json_print(json_t *value, FILE *out, struct err *e)
{
	int rc = value ? json_dumpf(value, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) : -1;

	json_decref(value);
	if (rc)
		return err_set(e, ERR_NOMEM, "no memory for the answer");
	fputc('\n', out);
	return ERR_OK;
}
