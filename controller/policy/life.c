/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a VM.
 *
 *            start()                all READY: run()             guest's end: advance_running()
 *    (none) ---------> STARTING -----------------> RUNNING ------------------------------------.
 *                         |                           |                                        v
 *                         | failure, kill:            | loss, kill: quit_all()    all STOPPED,
 * preserve | quit_all()                |                        ENDING --------> EXITED
 *                         '-------------> ENDING <----'  ^ |                      ^ | | | all GONE:
 * over()     '----------------' | v                     stop, loss: quit_all() ENDED
 *
 * ENDING has two halves. After an orderly end (the guest exited or faulted, quits == 0) the
 * fragments stop by themselves and report final figures; when all are STOPPED they are preserved or
 * made to quit together, so that none sees another one leave. After anything else (quits > 0)
 * FRAG_QUIT goes out at once, and again every times.quit_again until all are gone.
 *
 * What each state guarantees is checked by policy_check (show.c).
 */
#include "controller/policy/state.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* moves[from] has bit `to` set where an arrow is drawn above. */
static const uint8_t moves[VM_STATES] = {
	[VM_STARTING] = 1 << VM_RUNNING | 1 << VM_ENDING,
	[VM_RUNNING] = 1 << VM_ENDING,
	[VM_EXITED] = 1 << VM_ENDING,
	[VM_ENDING] = 1 << VM_EXITED | 1 << VM_ENDED,
};

static void move(struct policy *p, struct policy_vm *vm, enum vm_state to)
{
	assert(moves[vm->state] & 1 << to);
	if (to == VM_ENDING && !vm->ended_ms)
		vm->ended_ms = p->unix_ms;
	vm->state = to;
	vm->deadline_ms = 0;
	policy_save_vm(p, vm);
}

/* The lowest cause wins; among equals the first. */
static void blame(struct policy_vm *vm, const struct policy_reason *reason)
{
	if (reason->cause <= END_NONE || reason->cause >= END_CAUSES)
		return;
	if (vm->reason.cause == END_NONE || reason->cause < vm->reason.cause)
		vm->reason = *reason;
}

/* ---- charges ---- */

void policy_vm_charge(struct policy *p, struct policy_vm *vm, unsigned member)
{
	struct policy_cell *cell = &p->cells[vm->fragments[member].cell];

	cell->memory_used += vm->share;
	cell->vcpus_used += (uint32_t)__builtin_popcountll(vm->fragments[member].vcpus);
}

static void discharge(struct policy *p, const struct policy_vm *vm, unsigned member)
{
	struct policy_cell *cell = &p->cells[vm->fragments[member].cell];

	cell->memory_used -= vm->share;
	cell->vcpus_used -= (uint32_t)__builtin_popcountll(vm->fragments[member].vcpus);
}

/* ---- orders to fragments ---- */

static void order(struct policy *p, struct policy_vm *vm, unsigned member,
		  enum policy_order_kind kind)
{
	struct policy_fragment *f = &vm->fragments[member];

	if (p->cells[f->cell].state != POLICY_CELL_UP)
		return;
	if (kind == POLICY_FRAG_QUIT)
		f->quit = true;
	policy_send(p, &(struct policy_order){.kind = kind,
					      .cell = f->cell,
					      .vm = policy_vm_slot(p, vm),
					      .vm_id = vm->id,
					      .epoch = vm->epoch,
					      .member = (uint8_t)member,
					      .reason = &vm->reason});
}

static void order_all(struct policy *p, struct policy_vm *vm, enum policy_order_kind kind)
{
	for (unsigned m = 0; m < vm->members; m++)
		if (vm->fragments[m].state != FRAG_GONE)
			order(p, vm, m, kind);
}

static bool all_between(const struct policy_vm *vm, enum frag_state low, enum frag_state high)
{
	for (unsigned m = 0; m < vm->members; m++)
		if (vm->fragments[m].state < low || vm->fragments[m].state > high)
			return false;
	return true;
}

static bool any_from(const struct policy_vm *vm, enum frag_state low)
{
	for (unsigned m = 0; m < vm->members; m++)
		if (vm->fragments[m].state >= low)
			return true;
	return false;
}

/* ---- the end ---- */

static void over(struct policy *p, struct policy_vm *vm)
{
	move(p, vm, VM_ENDED);
	policy_wait_done(p, vm, WAIT_START | WAIT_END | WAIT_EXIT);
}

static void quit_all(struct policy *p, struct policy_vm *vm)
{
	if (vm->state != VM_ENDING)
		move(p, vm, VM_ENDING);
	if (!vm->quits) {
		vm->quits = 1;
		vm->deadline_ms = p->now_ms + p->times.quit_again;
		policy_save_vm(p, vm);
		order_all(p, vm, POLICY_FRAG_QUIT);
	}
	if (all_between(vm, FRAG_GONE, FRAG_GONE))
		over(p, vm);
}

static void __attribute__((format(printf, 5, 6)))
fail_start(struct policy *p, struct policy_vm *vm, unsigned member, enum err_code code,
	   const char *fmt, ...)
{
	struct policy_reason reason = {.cause = END_START_FAILED, .code = code, .member = member};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason.text, sizeof(reason.text), fmt, ap);
	va_end(ap);
	policy_copy(reason.cell, sizeof(reason.cell), p->cells[vm->fragments[member].cell].name);
	blame(vm, &reason);
	quit_all(p, vm);
}

/* ---- forward ---- */

static void advance_starting(struct policy *p, struct policy_vm *vm)
{
	if (any_from(vm, FRAG_STOPPED)) {
		quit_all(p, vm);
		return;
	}
	if (!vm->peers && all_between(vm, FRAG_LISTENING, FRAG_RUNNING)) {
		vm->peers = true;
		order_all(p, vm, POLICY_FRAG_PEERS);
	}
	if (all_between(vm, FRAG_READY, FRAG_RUNNING)) {
		move(p, vm, VM_RUNNING);
		order_all(p, vm, POLICY_FRAG_RUN);
		policy_wait_done(p, vm, WAIT_START);
	}
}

static bool orderly(const struct policy_vm *vm)
{
	return (vm->reason.cause == END_EXIT || vm->reason.cause == END_GUEST_FAULT) &&
	       !any_from(vm, FRAG_GONE);
}

static void advance_running(struct policy *p, struct policy_vm *vm)
{
	if (!any_from(vm, FRAG_STOPPED))
		return;
	if (!orderly(vm)) {
		quit_all(p, vm);
		return;
	}
	move(p, vm, VM_ENDING);
	vm->deadline_ms = p->now_ms + p->times.stop;
}

static void advance_ending(struct policy *p, struct policy_vm *vm)
{
	if (vm->quits || !orderly(vm)) {
		quit_all(p, vm);
		return;
	}
	if (!all_between(vm, FRAG_STOPPED, FRAG_STOPPED))
		return;
	if (!vm->preserve || vm->reason.cause != END_EXIT) {
		quit_all(p, vm);
		return;
	}
	move(p, vm, VM_EXITED);
	policy_wait_done(p, vm, WAIT_EXIT);
}

/* Looks where the VM stands after a fragment's state changed. */
static void advance(struct policy *p, struct policy_vm *vm)
{
	if (vm->state == VM_STARTING)
		advance_starting(p, vm);
	if (vm->state == VM_RUNNING)
		advance_running(p, vm);
	if (vm->state == VM_EXITED && any_from(vm, FRAG_GONE))
		quit_all(p, vm);
	if (vm->state == VM_ENDING)
		advance_ending(p, vm);
}

/* ---- what fragments say ---- */

static void set_state(struct policy *p, struct policy_vm *vm, unsigned member,
		      enum frag_state state)
{
	if (state == FRAG_GONE)
		discharge(p, vm, member);
	vm->fragments[member].state = (uint8_t)state;
	policy_save_vm(p, vm);
}

/* Why a fragment ended, when it does not say so itself. */
static void unexplained(struct policy_reason *reason, enum frag_state state)
{
	reason->cause = state == FRAG_GONE ? END_PROCESS_DIED : END_MONITOR;
	snprintf(reason->text, sizeof(reason->text), "the fragment %s without a reason",
		 state == FRAG_GONE ? "is gone" : "stopped");
}

static bool happened_inside(enum end_cause cause)
{
	return cause != END_PROCESS_DIED && cause != END_CELL_LOST && cause != END_MEMBER_LOST;
}

/*
 * What ends a VM from inside is relayed among its fragments, and the first to report need not be
 * the one where it happened: reason.member says that. The end of a process or a cell is told by its
 * own celld. Of END_MEMBER_LOST reason.member is who was lost, as the reporter saw it.
 */
static void blame_report(struct policy *p, struct policy_vm *vm, unsigned member,
			 const struct policy_report *report)
{
	struct policy_reason reason = report->reason;
	unsigned where = member;

	policy_copy(reason.text, sizeof(reason.text), report->reason.text);
	if (reason.cause <= END_NONE || reason.cause >= END_CAUSES) {
		if (vm->reason.cause != END_NONE)
			return;
		unexplained(&reason, report->state);
		reason.member = member;
	}
	if (happened_inside(reason.cause) && reason.member < vm->members)
		where = reason.member;
	if (reason.cause != END_MEMBER_LOST)
		reason.member = where;
	policy_copy(reason.cell, sizeof(reason.cell), p->cells[vm->fragments[where].cell].name);
	if (!reason.text[0])
		policy_copy(reason.text, sizeof(reason.text), "no reason was given");
	blame(vm, &reason);
}

void policy_fragment_report(struct policy *p, struct policy_vm *vm, unsigned member,
			    const struct policy_report *report)
{
	struct policy_fragment *f = &vm->fragments[member];

	if (report->state <= f->state || report->state >= FRAG_STATES)
		return;
	if (report->pid)
		f->pid = report->pid;
	if (!vm->peers && report->address[0])
		policy_copy(f->address, sizeof(f->address), report->address);
	set_state(p, vm, member, report->state);
	if (report->state >= FRAG_STOPPED) {
		blame_report(p, vm, member, report);
	} else if (report->state >= FRAG_LISTENING && !f->address[0] && vm->state == VM_STARTING) {
		fail_start(p, vm, member, ERR_PROTOCOL,
			   "the fragment did not say where it listens");
		return;
	}
	advance(p, vm);
}

void policy_fragment_gone(struct policy *p, struct policy_vm *vm, unsigned member,
			  enum end_cause cause, const char *fmt, ...)
{
	struct policy_reason reason = {.cause = cause, .member = member};
	va_list ap;

	if (vm->fragments[member].state == FRAG_GONE)
		return;
	va_start(ap, fmt);
	vsnprintf(reason.text, sizeof(reason.text), fmt, ap);
	va_end(ap);
	policy_copy(reason.cell, sizeof(reason.cell), p->cells[vm->fragments[member].cell].name);
	set_state(p, vm, member, FRAG_GONE);
	blame(vm, &reason);
	advance(p, vm);
}

void policy_fragment_away(struct policy *p, struct policy_vm *vm, unsigned member)
{
	vm->fragments[member].quit = false;
	if (vm->state == VM_STARTING)
		fail_start(p, vm, member, ERR_LOST, "the link to %s was lost while %s was starting",
			   p->cells[vm->fragments[member].cell].name, vm->name);
}

void policy_fragment_again(struct policy *p, struct policy_vm *vm, unsigned member)
{
	if (vm->state == VM_ENDING && vm->quits && !vm->fragments[member].quit)
		order(p, vm, member, POLICY_FRAG_QUIT);
	else if (vm->state == VM_RUNNING && vm->fragments[member].state == FRAG_READY)
		order(p, vm, member, POLICY_FRAG_RUN);
}

/* ---- what the clock says ---- */

static unsigned laggard(const struct policy_vm *vm)
{
	unsigned worst = 0;

	for (unsigned m = 1; m < vm->members; m++)
		if (vm->fragments[m].state < vm->fragments[worst].state)
			worst = m;
	return worst;
}

void policy_vm_timer(struct policy *p, struct policy_vm *vm)
{
	vm->deadline_ms = 0;
	if (vm->state == VM_STARTING) {
		fail_start(p, vm, laggard(vm), ERR_TIMEOUT, "a fragment was not ready within %u s",
			   p->times.start / 1000);
	} else if (vm->state == VM_ENDING && !vm->quits) {
		quit_all(p, vm);
	} else if (vm->state == VM_ENDING) {
		vm->quits++;
		vm->deadline_ms = p->now_ms + p->times.quit_again;
		order_all(p, vm, POLICY_FRAG_QUIT);
		/* The start has failed, that much is sure; who asked need not wait for the rest. */
		policy_wait_done(p, vm, WAIT_START);
	}
}

/* The starts that were under way when the controller died have lost those who know their keys. */
void policy_vm_loaded(struct policy *p, struct policy_vm *vm)
{
	if (vm->state == VM_STARTING)
		fail_start(p, vm, 0, ERR_LOST, "the controller was restarted while %s was starting",
			   vm->name);
	else if (vm->state == VM_ENDING && vm->quits)
		vm->deadline_ms = p->now_ms + p->times.quit_again;
	else if (vm->state == VM_ENDING)
		vm->deadline_ms = p->now_ms + p->times.stop;
	advance(p, vm);
}

/* ---- what people want ---- */

void policy_vm_launch(struct policy *p, struct policy_vm *vm)
{
	policy_save_vm(p, vm);
	order_all(p, vm, POLICY_FRAG_START);
}

void policy_vm_quit(struct policy *p, struct policy_vm *vm, const struct policy_reason *why)
{
	blame(vm, why);
	quit_all(p, vm);
}
