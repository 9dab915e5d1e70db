/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy with a hand on its clock and its cells, for tests: each function makes one event, checks
 * the invariants after it, and leaves the orders in `o`. Cell k (from 1) is named "cell<k>" and
 * speaks on link k unless said otherwise.
 */
#ifndef CELLULAR_TESTS_POLICY_WORLD_H
#define CELLULAR_TESTS_POLICY_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/policy/policy.h"
#include "tests/unit/unit.h"

#define MIB (1ull << 20)

struct world {
	struct policy *p;
	uint64_t now;
	struct policy_orders o;
	uint64_t waiter; /* drawn last */
};

static inline void world_new(struct world *w)
{
	struct policy_config config = {.times = policy_times_default, .next_vm = 1};

	*w = (struct world){.now = 1000};
	w->p = policy_init(calloc(1, policy_bytes()), &config);
}

static inline void world_free(struct world *w)
{
	free(w->p);
}

static inline void world_step(struct world *w, struct policy_event *event)
{
	struct err e;

	event->now_ms = w->now;
	event->unix_ms = 1700000000000 + w->now;
	w->o = policy_step(w->p, event);
	if (policy_check(w->p, &e)) {
		fprintf(stderr, "invariant: %s\n", e.text);
		CU_FAIL("invariant");
	}
}

static inline void world_join(struct world *w, uint64_t link, const char *name, uint32_t cpus,
			      uint64_t memory, const struct policy_report *reports, size_t n)
{
	struct policy_event event = {
		.kind = POLICY_EV_JOIN,
		.link = link,
		.join = {.name = name,
			 .data_address = name,
			 .software = "t",
			 .memory = memory,
			 .cpus = cpus,
			 .pid = 7},
		.reports = reports,
		.n_reports = n,
	};

	world_step(w, &event);
}

/* Cells 1..n, alike. */
static inline void world_cells(struct world *w, unsigned n, uint32_t cpus, uint64_t memory)
{
	char name[16];

	for (unsigned k = 1; k <= n; k++) {
		snprintf(name, sizeof(name), "cell%u", k);
		world_join(w, k, name, cpus, memory, NULL, 0);
	}
}

static inline void world_start_at(struct world *w, const char *name, uint32_t vcpus,
				  uint64_t memory, bool preserve, const struct policy_place *places,
				  size_t n)
{
	struct policy_event event = {
		.kind = POLICY_EV_START,
		.waiter = ++w->waiter,
		.spec = {.name = name,
			 .memory = memory,
			 .vcpus = vcpus,
			 .preserve = preserve,
			 .places = places,
			 .n_places = n},
	};

	world_step(w, &event);
}

static inline void world_start(struct world *w, const char *name, uint32_t vcpus, uint64_t memory)
{
	world_start_at(w, name, vcpus, memory, false, NULL, 0);
}

static inline void world_end(struct world *w, const char *name)
{
	struct policy_event event = {.kind = POLICY_EV_END,
				     .waiter = ++w->waiter,
				     .name = name,
				     .text = "killed",
				     .timeout_ms = 30000};

	world_step(w, &event);
}

static inline void world_wait(struct world *w, const char *name, uint64_t timeout_ms)
{
	struct policy_event event = {.kind = POLICY_EV_WAIT,
				     .waiter = ++w->waiter,
				     .name = name,
				     .timeout_ms = timeout_ms};

	world_step(w, &event);
}

static inline void world_link_lost(struct world *w, uint64_t link)
{
	world_step(w, &(struct policy_event){.kind = POLICY_EV_LINK_LOST, .link = link});
}

static inline void world_load(struct world *w, uint64_t link, const struct policy_report *reports,
			      size_t n)
{
	world_step(w, &(struct policy_event){.kind = POLICY_EV_LOAD,
					     .link = link,
					     .resident = 4096,
					     .reports = reports,
					     .n_reports = n});
}

static inline void world_timer(struct world *w, uint64_t now)
{
	w->now = now;
	world_step(w, &(struct policy_event){.kind = POLICY_EV_TIMER});
}

static inline struct policy_report world_report_of(uint64_t vm, unsigned member,
						   enum frag_state state, enum end_cause cause)
{
	struct policy_report r = {
		.vm = {vm}, .epoch = {1}, .member = member, .state = state, .pid = 100 + member};

	snprintf(r.address, sizeof(r.address), "10.0.0.%u:99", member);
	r.reason.cause = cause;
	r.reason.member = member;
	if (cause)
		snprintf(r.reason.text, sizeof(r.reason.text), "cause %d of member %u", cause,
			 member);
	return r;
}

static inline void world_report_is(struct world *w, uint64_t link, const struct policy_report *r)
{
	world_step(w,
		   &(struct policy_event){
			   .kind = POLICY_EV_REPORT, .link = link, .reports = r, .n_reports = 1});
}

static inline void world_report(struct world *w, uint64_t link, uint64_t vm, unsigned member,
				enum frag_state state, enum end_cause cause)
{
	struct policy_report r = world_report_of(vm, member, state, cause);

	world_report_is(w, link, &r);
}

/* Fragment m on link m+1: from the order to start to RUNNING. */
static inline void world_run(struct world *w, uint64_t vm, unsigned members)
{
	for (int state = FRAG_STARTING; state <= FRAG_RUNNING; state++)
		for (unsigned m = 0; m < members; m++)
			world_report(w, m + 1, vm, m, state, END_NONE);
}

/* ---- what was ordered ---- */

static inline unsigned world_sends(const struct world *w, enum policy_order_kind kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < w->o.n_sends; i++)
		n += w->o.sends[i].kind == kind;
	return n;
}

static inline unsigned world_saves(const struct world *w, enum policy_order_kind kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < w->o.n_saves; i++)
		n += w->o.saves[i].kind == kind;
	return n;
}

/* The answer to a waiter in this step, or NULL. */
static inline const struct err *world_answer(const struct world *w, uint64_t waiter)
{
	for (size_t i = 0; i < w->o.n_sends; i++)
		if (w->o.sends[i].kind == POLICY_ANSWER && w->o.sends[i].number == waiter)
			return w->o.sends[i].answer;
	return NULL;
}

/* Code of the answer to the waiter drawn last; -1: none. */
static inline int world_code(const struct world *w)
{
	const struct err *e = world_answer(w, w->waiter);

	return e ? (int)e->code : -1;
}

static inline enum vm_state world_state(const struct world *w, const char *name)
{
	const struct policy_vm *vm = policy_vm_named(w->p, name);

	return vm ? vm->state : VM_UNKNOWN;
}

#endif
