/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/server/state.h"

static const char *cell_state(const struct policy_cell *cell)
{
	switch (cell->state) {
	case POLICY_CELL_UP:
		return "up";
	case POLICY_CELL_AWAY:
		return "away";
	default:
		return "lost";
	}
}

static bool lives_on(const struct server *s, const struct policy_vm *vm,
		     const struct policy_cell *cell)
{
	for (unsigned m = 0; m < vm->members; m++)
		if (policy_cell_at(s->policy, vm->fragments[m].cell) == cell &&
		    vm->fragments[m].state != FRAG_GONE)
			return true;
	return false;
}

Cellular__CellInfo *server_cell_info(struct server *s, const struct policy_cell *cell)
{
	Cellular__CellInfo *info = ARENA_NEW(&s->arena, Cellular__CellInfo);

	cellular__cell_info__init(info);
	info->id = cell->id.v;
	info->name = (char *)cell->name;
	info->state = (char *)cell_state(cell);
	info->memory = cell->memory;
	info->memory_used = cell->memory_used;
	info->memory_resident = cell->memory_resident;
	info->rejected = cell->rejected;
	info->cpus = cell->cpus;
	info->vcpus = cell->vcpus_used;
	info->data_address = (char *)cell->data_address;
	info->joined_ms = cell->joined_ms;
	info->pid = cell->pid;
	info->software = (char *)cell->software;
	info->vms = ARENA_ARRAY(&s->arena, char *, POLICY_VMS_MAX);
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++) {
		const struct policy_vm *vm = policy_vm_at(s->policy, i);

		if (vm && lives_on(s, vm, cell))
			info->vms[info->n_vms++] = (char *)vm->name;
	}
	return info;
}

/* ---- VMs ---- */

void server_fill_reason(Cellular__EndReason *out, const struct policy_reason *reason)
{
	out->cause = (Cellular__EndCause)reason->cause;
	out->text = (char *)reason->text;
	out->code = reason->code;
	out->cell = (char *)reason->cell;
	out->member = reason->member;
}

Cellular__DsmStat *server_stat(struct server *s, const struct policy_vm *vm, unsigned member)
{
	const struct body *body = &s->bodies[policy_vm_slot(s->policy, vm)];
	const struct blob *stat = &body->stats[member];

	if (body->id.v != vm->id.v || !stat->n)
		return NULL;
	return cellular__dsm_stat__unpack(&s->arena.allocator, stat->n, stat->bytes);
}

static Cellular__FragInfo *frag_info(struct server *s, const struct policy_vm *vm, unsigned member,
				     enum info_detail detail)
{
	const struct policy_fragment *f = &vm->fragments[member];
	Cellular__FragInfo *info = ARENA_NEW(&s->arena, Cellular__FragInfo);

	cellular__frag_info__init(info);
	info->member = member;
	info->cell = (char *)policy_cell_at(s->policy, f->cell)->name;
	info->state = (Cellular__FragState)f->state;
	info->address = (char *)f->address;
	info->pid = f->pid;
	info->vcpus = ARENA_ARRAY(&s->arena, uint32_t, POLICY_VCPUS_MAX);
	for (uint32_t v = 0; v < vm->vcpus; v++)
		if (f->vcpus & 1ull << v)
			info->vcpus[info->n_vcpus++] = v;
	if (detail == INFO_WHOLE)
		info->stat = server_stat(s, vm, member);
	return info;
}

static Cellular__Exposure *exposure(struct server *s, const struct policy_vm *vm, unsigned member)
{
	Cellular__Exposure *e = ARENA_NEW(&s->arena, Cellular__Exposure);
	char why[512];

	cellular__exposure__init(e);
	e->cell = (char *)policy_cell_at(s->policy, vm->fragments[member].cell)->name;
	policy_exposure(vm, member, why, sizeof(why));
	e->why = arena_text(&s->arena, why);
	return e;
}

static Cellular__VmSpec *spec_of(struct server *s, const struct policy_vm *vm,
				 enum info_detail detail)
{
	const struct body *body = &s->bodies[policy_vm_slot(s->policy, vm)];
	Cellular__VmSpec *copy = ARENA_NEW(&s->arena, Cellular__VmSpec);

	if (body->id.v != vm->id.v)
		return NULL;
	*copy = *body->message;
	if (detail != INFO_WHOLE)
		copy->n_args = copy->n_files = copy->n_placement = 0;
	return copy;
}

Cellular__VmInfo *server_vm_info(struct server *s, const struct policy_vm *vm,
				 enum info_detail detail)
{
	Cellular__VmInfo *info = ARENA_NEW(&s->arena, Cellular__VmInfo);

	cellular__vm_info__init(info);
	info->id = vm->id.v;
	info->name = (char *)vm->name;
	info->state = (Cellular__VmState)vm->state;
	if (detail == INFO_STATE)
		return info;
	info->spec = spec_of(s, vm, detail);
	info->started_ms = vm->started_ms;
	info->ended_ms = vm->ended_ms;
	info->epoch = vm->epoch.v;
	info->fragments = ARENA_ARRAY(&s->arena, Cellular__FragInfo *, vm->members);
	info->exposure = ARENA_ARRAY(&s->arena, Cellular__Exposure *, vm->members);
	for (unsigned m = 0; m < vm->members; m++) {
		info->fragments[info->n_fragments++] = frag_info(s, vm, m, detail);
		info->exposure[info->n_exposure++] = exposure(s, vm, m);
	}
	if (vm->reason.cause != END_NONE) {
		info->reason = ARENA_NEW(&s->arena, Cellular__EndReason);
		cellular__end_reason__init(info->reason);
		server_fill_reason(info->reason, &vm->reason);
	}
	return info;
}

/* ---- lists, by id ---- */

static int cell_order(const void *a, const void *b)
{
	const Cellular__CellInfo *const *x = a, *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

void server_all_cells(struct server *s, Cellular__CtlReply *reply)
{
	reply->cells = ARENA_ARRAY(&s->arena, Cellular__CellInfo *, POLICY_CELLS_MAX);
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (policy_cell_at(s->policy, i))
			reply->cells[reply->n_cells++] =
				server_cell_info(s, policy_cell_at(s->policy, i));
	qsort(reply->cells, reply->n_cells, sizeof(*reply->cells), cell_order);
}

static int vm_order(const void *a, const void *b)
{
	const Cellular__VmInfo *const *x = a, *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

void server_all_vms(struct server *s, Cellular__CtlReply *reply, enum info_detail detail)
{
	reply->vms = ARENA_ARRAY(&s->arena, Cellular__VmInfo *, POLICY_VMS_MAX);
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++)
		if (policy_vm_at(s->policy, i))
			reply->vms[reply->n_vms++] =
				server_vm_info(s, policy_vm_at(s->policy, i), detail);
	qsort(reply->vms, reply->n_vms, sizeof(*reply->vms), vm_order);
}
