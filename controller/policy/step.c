/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step: the event goes to the file that knows it; then the time of the next TIMER is worked out
 * again. A step first looks at what is overdue, whatever the event is: a decision never rests on a
 * cell or a VM whose time is over.
 */
#include "controller/policy/state.h"
#include "proto/base/text.h"

#include <assert.h>
#include <string.h>

const struct policy_times policy_times_default = {
	.start = 60000,
	.stop = 5000,
	.quit_again = 5000,
	.grace = 3000,
	.grace_restart = 15000,
	.silent = 15000,
};

size_t policy_bytes(void)
{
	return sizeof(struct policy);
}

struct policy *policy_init(void *memory, const struct policy_config *config)
{
	struct policy *p = memory;

	p->times = config->times;
	p->next_vm = config->next_vm ? config->next_vm : 1;
	p->next_cell = 1;
	return p;
}

void policy_save(struct policy *p, const struct policy_order *order)
{
	assert(p->n_saves < POLICY_SAVES_MAX);
	p->saves[p->n_saves++] = *order;
}

void policy_send(struct policy *p, const struct policy_order *order)
{
	assert(p->n_sends < POLICY_SENDS_MAX);
	p->sends[p->n_sends++] = *order;
}

void policy_save_vm(struct policy *p, struct policy_vm *vm)
{
	if (vm->saved == p->step)
		return;
	vm->saved = p->step;
	policy_save(p, &(struct policy_order){.kind = POLICY_SAVE_VM,
					      .vm = policy_vm_slot(p, vm),
					      .vm_id = vm->id});
}

void policy_save_cell(struct policy *p, const struct policy_cell *cell)
{
	policy_save(p, &(struct policy_order){.kind = POLICY_SAVE_CELL,
					      .cell = policy_cell_slot(p, cell),
					      .cell_id = cell->id});
}

struct err *policy_text(struct policy *p)
{
	assert(p->n_texts < sizeof(p->texts) / sizeof(p->texts[0]));
	p->texts[p->n_texts].code = ERR_OK;
	p->texts[p->n_texts].text[0] = '\0';
	return &p->texts[p->n_texts++];
}

void policy_copy(char *out, size_t size, const char *text)
{
	text_escape(text ? text : "", out, size);
}

static void overdue(struct policy *p)
{
	policy_cells_timer(p);
	for (unsigned i = 0; i < p->vms_high; i++)
		if (p->vms[i].used && p->vms[i].deadline_ms && p->vms[i].deadline_ms <= p->now_ms)
			policy_vm_timer(p, &p->vms[i]);
	policy_wait_timer(p);
}

static void earlier(uint64_t *next, uint64_t deadline)
{
	if (deadline && (!*next || deadline < *next))
		*next = deadline;
}

static void arm(struct policy *p)
{
	uint64_t next = 0;

	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (p->cells[i].used)
			earlier(&next, p->cells[i].deadline_ms);
	for (unsigned i = 0; i < p->vms_high; i++)
		if (p->vms[i].used)
			earlier(&next, p->vms[i].deadline_ms);
	for (unsigned i = 0; i < POLICY_WAITERS_MAX; i++)
		if (p->waiters[i].id)
			earlier(&next, p->waiters[i].deadline_ms);
	if (next == p->timer_ms)
		return;
	p->timer_ms = next;
	policy_send(p, &(struct policy_order){.kind = POLICY_TIMER, .number = next});
}

/* VMs first: that the controller was away says more about one that was starting than that its cells
 * now are. */
static void loaded(struct policy *p)
{
	for (unsigned i = 0; i < p->vms_high; i++)
		if (p->vms[i].used)
			policy_vm_loaded(p, &p->vms[i]);
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (p->cells[i].used && p->cells[i].state != POLICY_CELL_LOST)
			policy_cell_away(p, &p->cells[i], p->times.grace_restart);
}

static void link_lost(struct policy *p, uint64_t link)
{
	const struct policy_cell *cell = policy_cell_linked(p, link);

	if (cell)
		policy_cell_away(p, &p->cells[policy_cell_slot(p, cell)], p->times.grace);
}

static void dispatch(struct policy *p, const struct policy_event *event)
{
	switch (event->kind) {
	case POLICY_EV_LOADED:
		loaded(p);
		break;
	case POLICY_EV_JOIN:
		policy_cell_join(p, event);
		break;
	case POLICY_EV_LINK_LOST:
		link_lost(p, event->link);
		break;
	case POLICY_EV_LOAD:
	case POLICY_EV_REPORT:
		policy_cell_heard(p, event);
		break;
	case POLICY_EV_START:
		policy_vm_start(p, event);
		break;
	case POLICY_EV_END:
		policy_vm_end(p, event);
		break;
	case POLICY_EV_WAIT:
		policy_wait_request(p, event);
		break;
	case POLICY_EV_CLIENT_GONE:
		policy_wait_forget(p, event->waiter);
		break;
	case POLICY_EV_TIMER:
		p->timer_ms = 0; /* it has fired: what is still due must be armed again */
		break;
	}
}

/* An alarm that has fired must not make its own cell silent: what a cell says now is heard before
 * its time is judged. */
static void heard_first(struct policy *p, const struct policy_event *event)
{
	const struct policy_cell *cell = policy_cell_linked(p, event->link);

	if (cell && (event->kind == POLICY_EV_LOAD || event->kind == POLICY_EV_REPORT))
		p->cells[policy_cell_slot(p, cell)].deadline_ms = p->now_ms + p->times.silent;
}

struct policy_orders policy_step(struct policy *p, const struct policy_event *event)
{
	p->step++;
	p->n_saves = p->n_sends = p->n_texts = 0;
	if (event->now_ms > p->now_ms)
		p->now_ms = event->now_ms;
	p->unix_ms = event->unix_ms;
	heard_first(p, event);
	overdue(p);
	dispatch(p, event);
	arm(p);
	return (struct policy_orders){p->saves, p->n_saves, p->sends, p->n_sends};
}
