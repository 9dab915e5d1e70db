/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the store come back. They are checked as if a stranger had written them: a database
 * can be damaged, or edited.
 */
#include "controller/policy/state.h"
#include "proto/base/text.h"

#include <string.h>

static bool terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static const struct policy_cell *cell_of(const struct policy *p, struct cell_id id)
{
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (p->cells[i].used && p->cells[i].id.v == id.v)
			return &p->cells[i];
	return NULL;
}

int policy_load_cell(struct policy *p, const struct policy_cell *record, struct err *e)
{
	struct policy_cell *cell = NULL;

	if (!terminated(record->name, sizeof(record->name)) || !name_valid(record->name) ||
	    !terminated(record->data_address, sizeof(record->data_address)) ||
	    !terminated(record->software, sizeof(record->software)) || !record->id.v ||
	    record->id.v == UINT32_MAX)
		return err_set(e, ERR_INVALID, "the record of cell %u is damaged", record->id.v);
	if (cell_of(p, record->id) || policy_cell_named(p, record->name))
		return err_set(e, ERR_INVALID, "there are two records of cell %s", record->name);
	for (unsigned i = 0; !cell && i < POLICY_CELLS_MAX; i++)
		if (!p->cells[i].used)
			cell = &p->cells[i];
	if (!cell)
		return err_set(e, ERR_INVALID, "there are records of more than %d cells",
			       POLICY_CELLS_MAX);
	*cell = *record;
	cell->used = true;
	if (cell->state != POLICY_CELL_LOST)
		cell->state = POLICY_CELL_AWAY;
	cell->link = cell->deadline_ms = cell->memory_used = cell->memory_resident =
		cell->rejected = 0;
	cell->vcpus_used = 0;
	if (record->id.v >= p->next_cell)
		p->next_cell = record->id.v + 1;
	return ERR_OK;
}

static int check_vm(const struct policy *p, const struct policy_vm *vm, struct err *e)
{
	const unsigned long long id = vm->id.v;

	if (!terminated(vm->name, sizeof(vm->name)) || !name_valid(vm->name) || !id ||
	    vm->state < VM_STARTING || vm->state >= VM_STATES || vm->vcpus < 1 ||
	    vm->vcpus > POLICY_VCPUS_MAX || vm->members < 1 || vm->members > POLICY_MEMBERS_MAX ||
	    !vm->memory || vm->memory > POLICY_MEMORY_MAX || vm->memory % POLICY_MEMORY_UNIT ||
	    vm->reason.cause < END_NONE || vm->reason.cause >= END_CAUSES ||
	    !terminated(vm->reason.cell, sizeof(vm->reason.cell)) ||
	    !terminated(vm->reason.text, sizeof(vm->reason.text)))
		return err_set(e, ERR_INVALID, "the record of VM %llu is damaged", id);
	for (unsigned i = 0; i < p->vms_high; i++)
		if (p->vms[i].id.v == id || strcmp(p->vms[i].name, vm->name) == 0)
			return err_set(e, ERR_INVALID, "there are two records of VM %s", vm->name);
	if (p->vms_high == POLICY_VMS_MAX)
		return err_set(e, ERR_INVALID, "there are records of more than %d VMs",
			       POLICY_VMS_MAX);
	return ERR_OK;
}

static int check_fragments(const struct policy *p, const struct policy_vm *vm,
			   const struct cell_id *cells, struct err *e)
{
	const uint64_t all = vm->vcpus == 64 ? ~0ull : (1ull << vm->vcpus) - 1;
	uint64_t taken = 0;

	for (unsigned m = 0; m < vm->members; m++) {
		const struct policy_fragment *f = &vm->fragments[m];

		if (!cell_of(p, cells[m]) || f->state >= FRAG_STATES || f->vcpus & taken ||
		    !terminated(f->address, sizeof(f->address)) ||
		    (vm->state == VM_ENDED && f->state != FRAG_GONE))
			return err_set(e, ERR_INVALID,
				       "the record of fragment %u of VM %s is damaged", m,
				       vm->name);
		for (unsigned other = 0; other < m; other++)
			if (cells[other].v == cells[m].v)
				return err_set(e, ERR_INVALID,
					       "the record of VM %s names a cell twice", vm->name);
		taken |= f->vcpus;
	}
	if (taken != all)
		return err_set(e, ERR_INVALID, "the record of VM %s does not place its vCPUs",
			       vm->name);
	return ERR_OK;
}

int policy_load_vm(struct policy *p, const struct policy_vm *record,
		   const struct cell_id cells[POLICY_MEMBERS_MAX], struct err *e)
{
	struct policy_vm *vm;
	int ret = check_vm(p, record, e);

	if (!ret)
		ret = check_fragments(p, record, cells, e);
	if (ret)
		return ret;
	vm = &p->vms[p->vms_high++];
	*vm = *record;
	vm->used = true;
	vm->saved = vm->deadline_ms = 0;
	vm->share = policy_share(vm->memory, vm->members);
	for (unsigned m = 0; m < vm->members; m++) {
		vm->fragments[m].cell = (uint8_t)policy_cell_slot(p, cell_of(p, cells[m]));
		vm->fragments[m].quit = false;
		vm->fragments[m].seen = 0;
		if (vm->fragments[m].state != FRAG_GONE)
			policy_vm_charge(p, vm, m);
	}
	if (vm->id.v >= p->next_vm)
		p->next_vm = vm->id.v + 1;
	return policy_vm_check(p, vm, e) ? ERR_INVALID : ERR_OK;
}
