/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/policy/state.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct policy_cell *policy_cell_at(const struct policy *p, unsigned slot)
{
	return slot < POLICY_CELLS_MAX && p->cells[slot].used ? &p->cells[slot] : NULL;
}

const struct policy_vm *policy_vm_at(const struct policy *p, unsigned slot)
{
	return slot < p->vms_high && p->vms[slot].used ? &p->vms[slot] : NULL;
}

const struct policy_cell *policy_cell_named(const struct policy *p, const char *name)
{
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (p->cells[i].used && strcmp(p->cells[i].name, name) == 0)
			return &p->cells[i];
	return NULL;
}

struct policy_vm *policy_vm_find(struct policy *p, const char *name)
{
	for (unsigned i = 0; i < p->vms_high; i++)
		if (p->vms[i].used && strcmp(p->vms[i].name, name) == 0)
			return &p->vms[i];
	return NULL;
}

const struct policy_vm *policy_vm_named(const struct policy *p, const char *name)
{
	return policy_vm_find((struct policy *)p, name);
}

const struct policy_cell *policy_cell_linked(const struct policy *p, uint64_t link)
{
	for (unsigned i = 0; link && i < POLICY_CELLS_MAX; i++)
		if (p->cells[i].used && p->cells[i].link == link)
			return &p->cells[i];
	return NULL;
}

unsigned policy_cell_slot(const struct policy *p, const struct policy_cell *cell)
{
	return (unsigned)(cell - p->cells);
}

unsigned policy_vm_slot(const struct policy *p, const struct policy_vm *vm)
{
	return (unsigned)(vm - p->vms);
}

bool policy_fragment_reachable(const struct policy *p, const struct policy_vm *vm, unsigned member)
{
	return p->cells[vm->fragments[member].cell].state == POLICY_CELL_UP;
}

const char *policy_vm_is(enum vm_state state)
{
	static const char *const phrases[VM_STATES] = {
		[VM_UNKNOWN] = "is unknown", [VM_STARTING] = "is starting",
		[VM_RUNNING] = "is running", [VM_EXITED] = "has exited",
		[VM_ENDING] = "is ending",   [VM_ENDED] = "has ended",
	};

	return state >= 0 && state < VM_STATES ? phrases[state] : phrases[VM_UNKNOWN];
}

/* ---- exposure ---- */

struct writer {
	char *out;
	size_t size, used;
};

static void __attribute__((format(printf, 2, 3))) put(struct writer *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->out + w->used, w->size - w->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		w->used += (size_t)n < w->size - w->used ? (size_t)n : w->size - w->used - 1;
}

static void put_vcpus(struct writer *w, uint64_t vcpus)
{
	bool first = true;

	put(w, "runs vCPU ");
	while (vcpus) {
		int v = __builtin_ctzll(vcpus);

		vcpus &= vcpus - 1;
		put(w, "%s%d", first ? "" : vcpus ? ", " : " and ", v);
		first = false;
	}
	put(w, ", ");
}

void policy_exposure(const struct policy_vm *vm, unsigned member, char *out, size_t size)
{
	struct writer w = {.out = out, .size = size};

	assert(size);
	out[0] = '\0';
	if (vm->fragments[member].vcpus)
		put_vcpus(&w, vm->fragments[member].vcpus);
	if (vm->members == 1)
		put(&w, "home of all the memory");
	else
		put(&w, "home of 1/%u of the memory", vm->members);
	if (member == 0)
		put(&w, ", console and files");
}

/* ---- invariants ---- */

int policy_vm_check(const struct policy *p, const struct policy_vm *vm, struct err *e)
{
	unsigned gone = 0, stopped = 0;

	for (unsigned m = 0; m < vm->members; m++) {
		gone += vm->fragments[m].state == FRAG_GONE;
		stopped += vm->fragments[m].state == FRAG_STOPPED;
		if (vm->fragments[m].state != FRAG_GONE && vm->state == VM_ENDING && vm->quits &&
		    policy_fragment_reachable(p, vm, m) && !vm->fragments[m].quit)
			return err_set(e, ERR_STATE, "%s: fragment %u was not told to quit",
				       vm->name, m);
		if (vm->fragments[m].state != FRAG_GONE &&
		    p->cells[vm->fragments[m].cell].state == POLICY_CELL_LOST)
			return err_set(e, ERR_STATE, "%s: fragment %u is on a lost cell", vm->name,
				       m);
	}
	if ((vm->state == VM_STARTING || vm->state == VM_RUNNING) && gone + stopped)
		return err_set(e, ERR_STATE, "%s goes on without all fragments", vm->name);
	if (vm->state == VM_EXITED && stopped != vm->members)
		return err_set(e, ERR_STATE, "%s is preserved, and not stopped", vm->name);
	if ((vm->state == VM_ENDED) != (gone == vm->members))
		return err_set(e, ERR_STATE, "%s: %u of %u fragments are gone", vm->name, gone,
			       vm->members);
	if ((vm->state > VM_RUNNING) != (vm->reason.cause != END_NONE))
		return err_set(e, ERR_STATE, "%s: state %d, cause %d", vm->name, vm->state,
			       vm->reason.cause);
	return ERR_OK;
}

static int check_cell(const struct policy *p, unsigned slot, struct err *e)
{
	const struct policy_cell *cell = &p->cells[slot];
	uint64_t memory = 0;
	uint32_t vcpus = 0;

	for (unsigned i = 0; i < p->vms_high; i++)
		for (unsigned m = 0; p->vms[i].used && m < p->vms[i].members; m++)
			if (p->vms[i].fragments[m].cell == slot &&
			    p->vms[i].fragments[m].state != FRAG_GONE) {
				memory += p->vms[i].share;
				vcpus += (uint32_t)__builtin_popcountll(
					p->vms[i].fragments[m].vcpus);
			}
	if (memory != cell->memory_used || vcpus != cell->vcpus_used)
		return err_set(e, ERR_STATE, "%s: wrong charges", cell->name);
	if ((cell->state == POLICY_CELL_UP) != (cell->link != 0))
		return err_set(e, ERR_STATE, "%s: state and link differ", cell->name);
	return ERR_OK;
}

int policy_check(const struct policy *p, struct err *e)
{
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (p->cells[i].used && check_cell(p, i, e))
			return ERR_STATE;
	for (unsigned i = 0; i < p->vms_high; i++)
		if (p->vms[i].used && policy_vm_check(p, &p->vms[i], e))
			return ERR_STATE;
	for (unsigned i = 0; i < POLICY_WAITERS_MAX; i++)
		if (p->waiters[i].id &&
		    (!p->vms[p->waiters[i].vm].used || p->vms[p->waiters[i].vm].state == VM_ENDED))
			return err_set(e, ERR_STATE, "a request waits for nothing");
	return ERR_OK;
}
