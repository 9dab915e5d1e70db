/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the policy share. Nobody else includes this.
 *
 *   step.c   events come in; tables, time, the two lists of orders
 *   place.c  where a VM goes
 *   life.c   what becomes of it
 *   request.c what people want of it
 *   cells.c  cells come, speak, fall silent and are lost
 *   wait.c   requests that wait
 *   load.c   records of the store
 *   show.c   what others may read; the invariants
 */
#ifndef CELLULAR_CONTROLLER_POLICY_STATE_H
#define CELLULAR_CONTROLLER_POLICY_STATE_H

#include "controller/policy/policy.h"

enum policy_wait_kind {
	WAIT_START = 1 << 0, /* until it runs, or is over */
	WAIT_END = 1 << 1,   /* until it is over */
	WAIT_EXIT = 1 << 2,  /* until its guest has exited, or it is over */
};

struct policy_waiter {
	uint64_t id; /* 0: free */
	enum policy_wait_kind kind;
	uint16_t vm;
	uint64_t deadline_ms; /* 0: none */
};

enum {
	/* Every VM may be forgotten and saved once in a step, every cell too. */
	POLICY_SAVES_MAX = 2 * (POLICY_VMS_MAX + POLICY_CELLS_MAX),
	/* Every fragment may get two orders (PEERS and RUN, or QUIT of the old and START of the new
	   VM), every stranger one. */
	POLICY_SENDS_MAX = 2 * POLICY_VMS_MAX * POLICY_MEMBERS_MAX + POLICY_REPORTS_MAX +
			   POLICY_WAITERS_MAX + 64,
};

struct policy {
	struct policy_times times;
	uint64_t now_ms, unix_ms;
	uint64_t step;
	uint64_t next_vm;
	uint32_t next_cell;
	uint64_t timer_ms; /* as ordered last */
	unsigned vms_high; /* slots from here on were never used */

	struct policy_cell cells[POLICY_CELLS_MAX];
	struct policy_waiter waiters[POLICY_WAITERS_MAX];
	struct policy_vm vms[POLICY_VMS_MAX];

	size_t n_saves, n_sends, n_texts;
	struct err texts[POLICY_WAITERS_MAX + 2 * POLICY_CELLS_MAX];
	struct policy_order saves[POLICY_SAVES_MAX];
	struct policy_order sends[POLICY_SENDS_MAX];
};

struct policy_plan {
	unsigned n;
	uint64_t share;
	uint8_t cell[POLICY_MEMBERS_MAX];
	uint64_t vcpus[POLICY_MEMBERS_MAX];
};

/* step.c */
void policy_save_vm(struct policy *p, struct policy_vm *vm);
void policy_save_cell(struct policy *p, const struct policy_cell *cell);
void policy_save(struct policy *p, const struct policy_order *order);
void policy_send(struct policy *p, const struct policy_order *order);
/* A place for a sentence that lives until the next step. */
struct err *policy_text(struct policy *p);
unsigned policy_cell_slot(const struct policy *p, const struct policy_cell *cell);
struct policy_vm *policy_vm_find(struct policy *p, const char *name);
void policy_copy(char *out, size_t size, const char *text); /* text_escape; NULL is empty */

/* place.c. INVALID, NOTFOUND, UNREACHABLE, NOSPACE. */
int policy_place(const struct policy *p, const struct policy_spec *spec, struct policy_plan *plan,
		 struct err *e);

/* request.c */
void policy_vm_start(struct policy *p, const struct policy_event *event);
void policy_vm_end(struct policy *p, const struct policy_event *event);

/* life.c */
void policy_vm_launch(struct policy *p,
		      struct policy_vm *vm); /* a new record: saves it, orders the starts */
void policy_vm_quit(struct policy *p, struct policy_vm *vm, const struct policy_reason *why);
void policy_vm_timer(struct policy *p, struct policy_vm *vm);
/* A fragment that is where it belongs reports; it is of an epoch and member that exist. */
void policy_fragment_report(struct policy *p, struct policy_vm *vm, unsigned member,
			    const struct policy_report *report);
void policy_fragment_gone(struct policy *p, struct policy_vm *vm, unsigned member,
			  enum end_cause cause, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Its cell can be reached again on a new link: say once more what may have been lost with the old
 * one. */
void policy_fragment_again(struct policy *p, struct policy_vm *vm, unsigned member);
void policy_fragment_away(struct policy *p, struct policy_vm *vm, unsigned member);
/* A VM found in the store. */
void policy_vm_loaded(struct policy *p, struct policy_vm *vm);
void policy_vm_charge(struct policy *p, struct policy_vm *vm, unsigned member);
uint64_t policy_share(uint64_t memory, unsigned members);

/* show.c: what a VM's state guarantees. */
int policy_vm_check(const struct policy *p, const struct policy_vm *vm, struct err *e);

/* cells.c */
void policy_cell_join(struct policy *p, const struct policy_event *event);
void policy_cell_away(struct policy *p, struct policy_cell *cell, uint32_t grace_ms);
void policy_cell_heard(struct policy *p, const struct policy_event *event);
void policy_cells_timer(struct policy *p);

/* wait.c */
bool policy_wait_room(const struct policy *p);
void policy_wait_add(struct policy *p, const struct policy_event *event, enum policy_wait_kind kind,
		     const struct policy_vm *vm);
void policy_wait_done(struct policy *p, const struct policy_vm *vm, unsigned kinds);
void policy_wait_request(struct policy *p, const struct policy_event *event); /* POLICY_EV_WAIT */
void policy_wait_forget(struct policy *p, uint64_t waiter);
void policy_wait_timer(struct policy *p);
void policy_answer(struct policy *p, uint64_t waiter, const struct policy_vm *vm,
		   const struct err *answer);

#endif
