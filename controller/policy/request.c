/* SPDX-License-Identifier: Apache-2.0 */
/* What people want: start a VM, end one. A wish is refused in one sentence, or its waiter is kept
 * until it came true. */
#include "controller/policy/state.h"

/* The cells may forget the console of a VM whose record goes. */
static void forget(struct policy *p, struct policy_vm *vm)
{
	for (unsigned m = 0; m < vm->members; m++)
		if (p->cells[vm->fragments[m].cell].state == POLICY_CELL_UP)
			policy_send(p, &(struct policy_order){.kind = POLICY_FRAG_QUIT,
							      .cell = vm->fragments[m].cell,
							      .vm_id = vm->id,
							      .epoch = vm->epoch,
							      .member = (uint8_t)m,
							      .forget = true});
	policy_save(p, &(struct policy_order){.kind = POLICY_FORGET_VM,
					      .vm = policy_vm_slot(p, vm),
					      .vm_id = vm->id});
	vm->used = false;
}

/* A free record, or the one of the VM that ended first. */
static struct policy_vm *take_record(struct policy *p)
{
	struct policy_vm *oldest = NULL;

	for (unsigned i = 0; i < POLICY_VMS_MAX; i++) {
		struct policy_vm *vm = &p->vms[i];

		if (!vm->used)
			return vm;
		if (vm->state == VM_ENDED &&
		    (!oldest || vm->ended_ms < oldest->ended_ms ||
		     (vm->ended_ms == oldest->ended_ms && vm->id.v < oldest->id.v)))
			oldest = vm;
	}
	if (oldest)
		forget(p, oldest);
	return oldest;
}

static int check_start(struct policy *p, const struct policy_spec *spec, struct policy_plan *plan,
		       struct err *e)
{
	int ret = policy_place(p, spec, plan, e);
	const struct policy_vm *vm;

	if (ret == ERR_INVALID)
		return ret;
	/* That the name is taken is the better thing to say about a VM that does not fit because it
	 * runs already. */
	vm = policy_vm_named(p, spec->name);
	if (vm && vm->state != VM_ENDED)
		return err_set(e, ERR_EXISTS, "there is a VM named %s, and it %s", vm->name,
			       policy_vm_is(vm->state));
	if (!ret && !policy_wait_room(p))
		return err_set(e, ERR_BUSY, "%d requests wait already; try again",
			       POLICY_WAITERS_MAX);
	return ret;
}

static void fill_record(struct policy *p, struct policy_vm *vm, const struct policy_spec *spec,
			const struct policy_plan *plan)
{
	*vm = (struct policy_vm){
		.used = true,
		.state = VM_STARTING,
		.id = {p->next_vm++},
		.epoch = {1},
		.memory = spec->memory,
		.share = plan->share,
		.vcpus = spec->vcpus,
		.members = plan->n,
		.preserve = spec->preserve,
		.started_ms = p->unix_ms,
		.deadline_ms = p->now_ms + p->times.start,
	};
	policy_copy(vm->name, sizeof(vm->name), spec->name);
	for (unsigned m = 0; m < plan->n; m++) {
		vm->fragments[m].cell = plan->cell[m];
		vm->fragments[m].vcpus = plan->vcpus[m];
		policy_vm_charge(p, vm, m);
	}
}

void policy_vm_start(struct policy *p, const struct policy_event *event)
{
	const struct policy_spec *spec = &event->spec;
	struct policy_plan plan;
	struct policy_vm *vm;
	struct err *e = policy_text(p);

	if (check_start(p, spec, &plan, e)) {
		policy_answer(p, event->waiter, NULL, e);
		return;
	}
	vm = policy_vm_find(p, spec->name);
	if (vm)
		forget(p, vm);
	else
		vm = take_record(p);
	if (!vm) {
		err_set(e, ERR_NOSPACE, "%d VMs are there already", POLICY_VMS_MAX);
		policy_answer(p, event->waiter, NULL, e);
		return;
	}
	fill_record(p, vm, spec, &plan);
	if (policy_vm_slot(p, vm) >= p->vms_high)
		p->vms_high = policy_vm_slot(p, vm) + 1;
	policy_wait_add(p, event, WAIT_START, vm);
	policy_vm_launch(p, vm);
}

static int check_end(const struct policy *p, const char *name, const struct policy_vm *vm,
		     struct err *e)
{
	if (!vm)
		return err_set(e, ERR_NOTFOUND, "there is no VM named %s", name);
	if (vm->state == VM_ENDED)
		return err_set(e, ERR_STATE, "%s has ended already", vm->name);
	if (!policy_wait_room(p))
		return err_set(e, ERR_BUSY, "%d requests wait already; try again",
			       POLICY_WAITERS_MAX);
	return ERR_OK;
}

void policy_vm_end(struct policy *p, const struct policy_event *event)
{
	struct policy_vm *vm = policy_vm_find(p, event->name);
	struct policy_reason reason = {.cause = END_KILLED};
	struct err *e = policy_text(p);

	if (check_end(p, event->name, vm, e) || !vm) {
		policy_answer(p, event->waiter, vm, e);
		return;
	}
	policy_wait_add(p, event, WAIT_END, vm);
	if (!vm->quits) {
		policy_copy(reason.text, sizeof(reason.text), event->text);
		policy_vm_quit(p, vm, &reason);
	}
}
