/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells come, speak, fall silent and are lost.
 *
 *              join()            away(): link lost, silent        deadline: lost()
 *    (none) ----------> UP ----------------------------> AWAY ----------------------> LOST
 *                        ^                                 |                            |
 *                        '------------- join() ------------+----------------------------'
 *
 * A cell is known by its name. A daemon of the same name and data address is the same cell started
 * again: its link replaces the old one. A daemon of the same name elsewhere is refused while the
 * first one is UP: two cells of one name must not take turns. What joins says what runs there.
 * Fragments we count on and that are not there are gone; fragments that are there and that we do
 * not count on - unknown, of an older epoch, written off - are made to quit.
 */
#include "controller/policy/state.h"
#include "proto/base/text.h"

#include <string.h>

static struct policy_vm *vm_of(struct policy *p, struct space_id id)
{
	for (unsigned i = 0; i < p->vms_high; i++)
		if (p->vms[i].used && p->vms[i].id.v == id.v)
			return &p->vms[i];
	return NULL;
}

static void quit_stranger(struct policy *p, const struct policy_cell *cell,
			  const struct policy_report *report, bool forget)
{
	static const struct policy_reason unknown = {
		.cause = END_KILLED,
		.text = "the controller does not count on this fragment",
	};

	policy_send(p, &(struct policy_order){.kind = POLICY_FRAG_QUIT,
					      .cell = policy_cell_slot(p, cell),
					      .vm_id = report->vm,
					      .epoch = report->epoch,
					      .member = (uint8_t)report->member,
					      .reason = &unknown,
					      .forget = forget});
}

static void hear_report(struct policy *p, const struct policy_cell *cell,
			const struct policy_report *report)
{
	struct policy_vm *vm = vm_of(p, report->vm);
	struct policy_fragment *f = NULL;

	if (vm && vm->epoch.v == report->epoch.v && report->member < vm->members)
		f = &vm->fragments[report->member];
	if (!f || &p->cells[f->cell] != cell) {
		if (report->state != FRAG_GONE)
			quit_stranger(p, cell, report, true);
		return;
	}
	f->seen = p->step;
	if (f->state != FRAG_GONE)
		policy_fragment_report(p, vm, report->member, report);
	else if (report->state != FRAG_GONE)
		quit_stranger(p, cell, report, false);
}

static void hear_reports(struct policy *p, const struct policy_event *event)
{
	const struct policy_cell *cell = policy_cell_linked(p, event->link);

	for (size_t i = 0; i < event->n_reports && i < POLICY_REPORTS_MAX; i++)
		hear_report(p, cell, &event->reports[i]);
}

/* Calls visit for each fragment that should be on the cell. */
static void each_fragment(struct policy *p, const struct policy_cell *cell,
			  void (*visit)(struct policy *p, struct policy_vm *vm, unsigned member))
{
	const unsigned slot = policy_cell_slot(p, cell);

	for (unsigned i = 0; i < p->vms_high; i++)
		for (unsigned m = 0; p->vms[i].used && m < p->vms[i].members; m++)
			if (p->vms[i].fragments[m].cell == slot &&
			    p->vms[i].fragments[m].state != FRAG_GONE)
				visit(p, &p->vms[i], m);
}

static bool seen_now(const struct policy *p, const struct policy_vm *vm, unsigned member)
{
	return vm->fragments[member].seen == p->step;
}

static void joined(struct policy *p, struct policy_vm *vm, unsigned member)
{
	const char *name = p->cells[vm->fragments[member].cell].name;

	if (seen_now(p, vm, member))
		policy_fragment_again(p, vm, member);
	else
		policy_fragment_gone(p, vm, member, END_PROCESS_DIED,
				     "%s joined again without the fragment", name);
}

/* A fragment that was told to quit more than once and is in no list of its cell never was there, or
 * is gone unsaid. */
static void listed(struct policy *p, struct policy_vm *vm, unsigned member)
{
	if (vm->quits > 1 && !seen_now(p, vm, member))
		policy_fragment_gone(p, vm, member, END_PROCESS_DIED,
				     "its cell does not know the fragment");
}

static void lost(struct policy *p, struct policy_vm *vm, unsigned member)
{
	const char *name = p->cells[vm->fragments[member].cell].name;

	policy_fragment_gone(p, vm, member, END_CELL_LOST, "%s was lost", name);
}

/* ---- join ---- */

static void refuse(struct policy *p, uint64_t link, const struct err *why)
{
	policy_send(p, &(struct policy_order){.kind = POLICY_CLOSE, .number = link, .answer = why});
}

static bool has_records(const struct policy *p, unsigned slot)
{
	for (unsigned i = 0; i < p->vms_high; i++)
		for (unsigned m = 0; p->vms[i].used && m < p->vms[i].members; m++)
			if (p->vms[i].fragments[m].cell == slot)
				return true;
	return false;
}

/* A free record, or that of a lost cell no VM speaks of. */
static struct policy_cell *take_record(struct policy *p)
{
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (!p->cells[i].used)
			return &p->cells[i];
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (p->cells[i].state == POLICY_CELL_LOST && !has_records(p, i)) {
			policy_save(p, &(struct policy_order){.kind = POLICY_FORGET_CELL,
							      .cell_id = p->cells[i].id});
			return &p->cells[i];
		}
	return NULL;
}

static struct policy_cell *find_or_make(struct policy *p, const struct policy_join *join,
					struct err *e)
{
	const struct policy_cell *known = policy_cell_named(p, join->name);
	struct policy_cell *cell;

	if (!name_valid(join->name)) {
		err_set(e, ERR_INVALID,
			"a cell's name is 1 to %d characters of A-Z a-z 0-9 . _ -, not . or - "
			"first",
			CELL_NAME_MAX - 1);
		return NULL;
	}
	if (known && known->state == POLICY_CELL_UP &&
	    strncmp(known->data_address, join->data_address, POLICY_TEXT_MAX - 1) != 0) {
		err_set(e, ERR_EXISTS, "a cell named %s is up already, at %s", known->name,
			known->data_address);
		return NULL;
	}
	if (known)
		return &p->cells[policy_cell_slot(p, known)];
	cell = take_record(p);
	if (!cell) {
		err_set(e, ERR_NOSPACE, "%d cells are known already", POLICY_CELLS_MAX);
		return NULL;
	}
	*cell = (struct policy_cell){.used = true, .id = {p->next_cell++}};
	cell->state = POLICY_CELL_LOST;
	return cell;
}

static void come_up(struct policy *p, struct policy_cell *cell, const struct policy_event *event)
{
	const struct policy_join *join = &event->join;

	policy_copy(cell->name, sizeof(cell->name), join->name);
	policy_copy(cell->data_address, sizeof(cell->data_address), join->data_address);
	policy_copy(cell->software, sizeof(cell->software), join->software);
	cell->memory = join->memory;
	cell->cpus = join->cpus;
	cell->pid = join->pid;
	cell->joined_ms = p->unix_ms;
	cell->state = POLICY_CELL_UP;
	cell->link = event->link;
	cell->deadline_ms = p->now_ms + p->times.silent;
	policy_save_cell(p, cell);
	policy_send(p, &(struct policy_order){.kind = POLICY_WELCOME,
					      .cell = policy_cell_slot(p, cell),
					      .number = event->link});
}

void policy_cell_join(struct policy *p, const struct policy_event *event)
{
	struct err *e = policy_text(p);
	struct policy_cell *cell;

	if (!event->link || policy_cell_linked(p, event->link))
		return; /* joins once a link */
	cell = find_or_make(p, &event->join, e);
	if (!cell) {
		refuse(p, event->link, e);
		return;
	}
	if (cell->state == POLICY_CELL_UP) {
		err_set(e, ERR_LOST, "%s joined again on another link", cell->name);
		refuse(p, cell->link, e);
		policy_cell_away(p, cell, p->times.grace);
	}
	come_up(p, cell, event);
	hear_reports(p, event);
	each_fragment(p, cell, joined);
}

/* ---- the rest of its life ---- */

static void go_away(struct policy *p, struct policy_cell *cell, uint32_t grace_ms)
{
	cell->state = POLICY_CELL_AWAY;
	cell->link = 0;
	cell->deadline_ms = p->now_ms + grace_ms;
}

void policy_cell_away(struct policy *p, struct policy_cell *cell, uint32_t grace_ms)
{
	go_away(p, cell, grace_ms);
	each_fragment(p, cell, policy_fragment_away);
}

void policy_cell_heard(struct policy *p, const struct policy_event *event)
{
	const struct policy_cell *cell = policy_cell_linked(p, event->link);

	if (!cell)
		return;
	hear_reports(p, event);
	if (event->kind != POLICY_EV_LOAD)
		return;
	p->cells[policy_cell_slot(p, cell)].memory_resident = event->resident;
	p->cells[policy_cell_slot(p, cell)].rejected = event->rejected;
	each_fragment(p, cell, listed);
}

static bool due(const struct policy *p, const struct policy_cell *cell,
		enum policy_cell_state state)
{
	return cell->used && cell->state == state && cell->deadline_ms &&
	       cell->deadline_ms <= p->now_ms;
}

static void lose(struct policy *p, struct policy_cell *cell)
{
	cell->state = POLICY_CELL_LOST;
	cell->deadline_ms = 0;
	cell->memory_resident = 0;
	policy_save_cell(p, cell);
}

static void fall_silent(struct policy *p, struct policy_cell *cell)
{
	struct err *e = policy_text(p);

	err_set(e, ERR_TIMEOUT, "%s was silent for %u s", cell->name, p->times.silent / 1000);
	refuse(p, cell->link, e);
	go_away(p, cell, p->times.grace);
}

/* First what became of the cells, then what this means for VMs: so none of them is told anything
 * through a link that is down. */
void policy_cells_timer(struct policy *p)
{
	bool now_lost[POLICY_CELLS_MAX] = {false}, now_away[POLICY_CELLS_MAX] = {false};

	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++) {
		if (due(p, &p->cells[i], POLICY_CELL_AWAY)) {
			now_lost[i] = true;
			lose(p, &p->cells[i]);
		} else if (due(p, &p->cells[i], POLICY_CELL_UP)) {
			now_away[i] = true;
			fall_silent(p, &p->cells[i]);
		}
	}
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++) {
		if (now_away[i])
			each_fragment(p, &p->cells[i], policy_fragment_away);
		if (now_lost[i])
			each_fragment(p, &p->cells[i], lost);
	}
}
