/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait for something to happen to a VM. A waiter is answered exactly once - by the
 * event it waits for, or by its deadline -, or forgotten with its client.
 */
#include "controller/policy/state.h"

#include <stdio.h>

void policy_answer(struct policy *p, uint64_t waiter, const struct policy_vm *vm,
		   const struct err *answer)
{
	policy_send(p, &(struct policy_order){.kind = POLICY_ANSWER,
					      .number = waiter,
					      .vm_id = {vm ? vm->id.v : 0},
					      .vm = vm ? policy_vm_slot(p, vm) : 0,
					      .answer = answer});
}

static struct policy_waiter *free_waiter(struct policy *p)
{
	for (unsigned i = 0; i < POLICY_WAITERS_MAX; i++)
		if (!p->waiters[i].id)
			return &p->waiters[i];
	return NULL;
}

void policy_wait_add(struct policy *p, const struct policy_event *event, enum policy_wait_kind kind,
		     const struct policy_vm *vm)
{
	struct policy_waiter *w = free_waiter(p);
	struct err *e;

	if (!w) {
		e = policy_text(p);
		err_set(e, ERR_BUSY, "%d requests wait already; try again", POLICY_WAITERS_MAX);
		policy_answer(p, event->waiter, vm, e);
		return;
	}
	*w = (struct policy_waiter){
		.id = event->waiter,
		.kind = kind,
		.vm = policy_vm_slot(p, vm),
		.deadline_ms = event->timeout_ms ? p->now_ms + event->timeout_ms : 0,
	};
}

bool policy_wait_room(const struct policy *p)
{
	for (unsigned i = 0; i < POLICY_WAITERS_MAX; i++)
		if (!p->waiters[i].id)
			return true;
	return false;
}

/* The code a client gets for a VM that ended before it ran. */
static enum err_code code_of(const struct policy_reason *reason)
{
	switch (reason->cause) {
	case END_START_FAILED:
		return reason->code > ERR_OK && reason->code <= ERR_INTERRUPTED ? reason->code
										: ERR_SYS;
	case END_GUEST_FAULT:
		return ERR_GUEST;
	case END_KILLED:
		return ERR_INTERRUPTED;
	case END_PROCESS_DIED:
	case END_CELL_LOST:
	case END_MEMBER_LOST:
		return ERR_LOST;
	default:
		return ERR_SYS;
	}
}

static const struct err *start_answer(struct policy *p, const struct policy_vm *vm)
{
	struct err *e = policy_text(p);

	if (vm->state == VM_RUNNING)
		return e;
	err_set(e, code_of(&vm->reason), "%s did not start: %s%s%s%s", vm->name, vm->reason.text,
		vm->reason.cell[0] ? " (on " : "", vm->reason.cell, vm->reason.cell[0] ? ")" : "");
	return e;
}

void policy_wait_done(struct policy *p, const struct policy_vm *vm, unsigned kinds)
{
	const unsigned slot = policy_vm_slot(p, vm);

	for (unsigned i = 0; i < POLICY_WAITERS_MAX; i++) {
		struct policy_waiter *w = &p->waiters[i];

		if (!w->id || w->vm != slot || !(w->kind & kinds))
			continue;
		policy_answer(p, w->id, vm,
			      w->kind == WAIT_START ? start_answer(p, vm) : policy_text(p));
		w->id = 0;
	}
}

void policy_wait_request(struct policy *p, const struct policy_event *event)
{
	const struct policy_vm *vm = policy_vm_named(p, event->name);
	struct err *e = policy_text(p);

	if (!vm) {
		err_set(e, ERR_NOTFOUND, "there is no VM named %s", event->name);
		policy_answer(p, event->waiter, NULL, e);
	} else if (vm->state == VM_EXITED || vm->state == VM_ENDED) {
		policy_answer(p, event->waiter, vm, e);
	} else {
		policy_wait_add(p, event, WAIT_EXIT, vm);
	}
}

void policy_wait_forget(struct policy *p, uint64_t waiter)
{
	for (unsigned i = 0; i < POLICY_WAITERS_MAX; i++)
		if (p->waiters[i].id == waiter)
			p->waiters[i].id = 0;
}

/* What it still waits for: "; its fragment on cell1 is not gone yet". */
static void name_laggard(const struct policy *p, const struct policy_vm *vm, char *out, size_t size)
{
	out[0] = '\0';
	for (unsigned m = 0; vm->quits && m < vm->members; m++)
		if (vm->fragments[m].state != FRAG_GONE) {
			snprintf(out, size, "; its fragment on %s is not gone yet",
				 p->cells[vm->fragments[m].cell].name);
			return;
		}
}

void policy_wait_timer(struct policy *p)
{
	for (unsigned i = 0; i < POLICY_WAITERS_MAX; i++) {
		struct policy_waiter *w = &p->waiters[i];
		const struct policy_vm *vm = &p->vms[w->vm];
		char more[128];
		struct err *e;

		if (!w->id || !w->deadline_ms || w->deadline_ms > p->now_ms)
			continue;
		e = policy_text(p);
		name_laggard(p, vm, more, sizeof(more));
		err_set(e, ERR_TIMEOUT, "%s %s still%s", vm->name, policy_vm_is(vm->state), more);
		policy_answer(p, w->id, vm, e);
		w->id = 0;
	}
}
