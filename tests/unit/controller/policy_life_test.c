/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a VM under the policy: in order, out of order, and cut short. */
#include "tests/unit/controller/policy_world.h"

static struct world w;

/* A VM of 4 vCPUs that needs three cells: 2/1/1. */
static void running_vm(bool preserve)
{
	world_new(&w);
	world_cells(&w, 3, 2, 128 * MIB);
	world_start_at(&w, "demo", 4, 300 * MIB, preserve, NULL, 0);
	world_run(&w, 1, 3);
	CU_ASSERT_EQUAL_FATAL(world_state(&w, "demo"), VM_RUNNING);
}

static const struct policy_vm *demo(void)
{
	return policy_vm_named(w.p, "demo");
}

static void all_gone(enum end_cause cause)
{
	for (unsigned m = 0; m < 3; m++)
		world_report(&w, m + 1, 1, m, FRAG_GONE, cause);
}

static void starts_step_by_step(void)
{
	world_new(&w);
	world_cells(&w, 3, 2, 128 * MIB);
	world_start(&w, "demo", 4, 300 * MIB);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_START), 3);
	CU_ASSERT_EQUAL(world_saves(&w, POLICY_SAVE_VM), 1);
	CU_ASSERT_EQUAL(world_code(&w), -1);
	world_report(&w, 1, 1, 0, FRAG_LISTENING, END_NONE);
	world_report(&w, 2, 1, 1, FRAG_LISTENING, END_NONE);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_PEERS), 0);
	world_report(&w, 3, 1, 2, FRAG_LISTENING, END_NONE);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_PEERS), 3);
	CU_ASSERT_EQUAL(world_saves(&w, POLICY_SAVE_VM), 1);
	world_report(&w, 2, 1, 1, FRAG_READY, END_NONE);
	world_report(&w, 1, 1, 0, FRAG_READY, END_NONE);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_RUN), 0);
	world_report(&w, 3, 1, 2, FRAG_READY, END_NONE);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_RUN), 3);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	CU_ASSERT_STRING_EQUAL(demo()->fragments[2].address, "10.0.0.2:99");
	world_free(&w);
}

static void exits_and_quits_together(void)
{
	running_vm(false);
	world_wait(&w, "demo", 0);
	struct policy_report relayed = world_report_of(1, 1, FRAG_STOPPED, END_EXIT);

	relayed.reason.member = 2; /* it happened there, on cell3 */
	world_report_is(&w, 2, &relayed);
	CU_ASSERT_EQUAL(demo()->state, VM_ENDING);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 0);
	world_report(&w, 1, 1, 0, FRAG_STOPPED, END_EXIT);
	world_report(&w, 3, 1, 2, FRAG_STOPPED, END_EXIT);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 3);
	world_report(&w, 1, 1, 0, FRAG_GONE, END_EXIT);
	world_report(&w, 2, 1, 1, FRAG_GONE, END_EXIT);
	CU_ASSERT_EQUAL(world_code(&w), -1);
	world_report(&w, 3, 1, 2, FRAG_GONE, END_EXIT);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	CU_ASSERT_EQUAL(demo()->state, VM_ENDED);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_EXIT);
	CU_ASSERT_STRING_EQUAL(demo()->reason.cell, "cell3");
	CU_ASSERT_EQUAL(demo()->reason.member, 2);
	CU_ASSERT(demo()->ended_ms != 0);
	world_free(&w);
}

static void exit_with_a_fragment_that_does_not_stop(void)
{
	running_vm(false);
	world_report(&w, 1, 1, 0, FRAG_STOPPED, END_EXIT);
	world_timer(&w, w.now + policy_times_default.stop - 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 0);
	world_timer(&w, w.now + 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 3);
	world_free(&w);
}

static void preserved_until_stop(void)
{
	running_vm(true);
	world_wait(&w, "demo", 0);
	for (unsigned m = 0; m < 3; m++)
		world_report(&w, m + 1, 1, m, FRAG_STOPPED, END_EXIT);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	CU_ASSERT_EQUAL(demo()->state, VM_EXITED);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 0);
	world_start(&w, "demo", 1, 2 * MIB);
	CU_ASSERT_EQUAL(world_code(&w), ERR_EXISTS);
	world_end(&w, "demo");
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 3);
	all_gone(END_NONE);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_EXIT);
	world_free(&w);
}

static void a_fault_is_not_preserved(void)
{
	running_vm(true);
	for (unsigned m = 0; m < 3; m++)
		world_report(&w, m + 1, 1, m, FRAG_STOPPED, END_GUEST_FAULT);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 3);
	world_free(&w);
}

static void a_killed_process_ends_the_vm_at_once(void)
{
	running_vm(false);
	world_wait(&w, "demo", 0);
	/* The consequence is heard before the cause. */
	world_report(&w, 1, 1, 0, FRAG_STOPPED, END_MEMBER_LOST);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 3);
	CU_ASSERT_EQUAL(world_code(&w), -1);
	world_report(&w, 2, 1, 1, FRAG_GONE, END_PROCESS_DIED);
	world_report(&w, 1, 1, 0, FRAG_GONE, END_MEMBER_LOST);
	world_report(&w, 3, 1, 2, FRAG_GONE, END_NONE);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_PROCESS_DIED);
	CU_ASSERT_STRING_EQUAL(demo()->reason.cell, "cell2");
	CU_ASSERT_EQUAL(demo()->reason.member, 1);
	world_free(&w);
}

static void killed_by_request(void)
{
	uint64_t waiting;

	running_vm(false);
	world_wait(&w, "demo", 0);
	waiting = w.waiter;
	world_end(&w, "demo");
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 3);
	world_report(&w, 2, 1, 1, FRAG_GONE, END_KILLED);
	world_report(&w, 1, 1, 0, FRAG_GONE, END_MEMBER_LOST);
	world_report(&w, 3, 1, 2, FRAG_GONE, END_KILLED);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	CU_ASSERT_PTR_NOT_NULL(world_answer(&w, waiting));
	CU_ASSERT_EQUAL(demo()->reason.cause, END_KILLED);
	world_end(&w, "demo");
	CU_ASSERT_EQUAL(world_code(&w), ERR_STATE);
	world_end(&w, "other");
	CU_ASSERT_EQUAL(world_code(&w), ERR_NOTFOUND);
	world_free(&w);
}

static void a_kill_does_not_hide_an_earlier_death(void)
{
	running_vm(false);
	world_report(&w, 2, 1, 1, FRAG_GONE, END_PROCESS_DIED);
	world_end(&w, "demo");
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 0);
	world_report(&w, 1, 1, 0, FRAG_GONE, END_PROCESS_DIED);
	world_report(&w, 3, 1, 2, FRAG_GONE, END_PROCESS_DIED);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_PROCESS_DIED);
	CU_ASSERT_STRING_EQUAL(demo()->reason.cell, "cell2");
	world_free(&w);
}

static void start_fails_and_leaves_nothing(void)
{
	struct policy_report bad = world_report_of(1, 0, FRAG_GONE, END_START_FAILED);

	world_new(&w);
	world_cells(&w, 3, 2, 128 * MIB);
	world_start(&w, "demo", 4, 300 * MIB);
	world_report(&w, 2, 1, 1, FRAG_LISTENING, END_NONE);
	bad.reason.code = ERR_NOTFOUND;
	snprintf(bad.reason.text, sizeof(bad.reason.text), "no such file: /x");
	world_step(&w,
		   &(struct policy_event){
			   .kind = POLICY_EV_REPORT, .link = 1, .reports = &bad, .n_reports = 1});
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 2);
	CU_ASSERT_EQUAL(world_code(&w), -1);
	world_report(&w, 2, 1, 1, FRAG_GONE, END_NONE);
	world_report(&w, 3, 1, 2, FRAG_GONE, END_NONE);
	CU_ASSERT_EQUAL(world_code(&w), ERR_NOTFOUND);
	CU_ASSERT_STRING_EQUAL(world_answer(&w, w.waiter)->text,
			       "demo did not start: no such file: /x (on cell1)");
	CU_ASSERT_EQUAL(policy_cell_named(w.p, "cell1")->memory_used, 0);
	world_free(&w);
}

static void start_times_out(void)
{
	world_new(&w);
	world_cells(&w, 3, 2, 128 * MIB);
	world_start(&w, "demo", 4, 300 * MIB);
	world_report(&w, 1, 1, 0, FRAG_LISTENING, END_NONE);
	world_report(&w, 3, 1, 2, FRAG_LISTENING, END_NONE);
	for (uint64_t t = 0; t < 60; t += 10) {
		CU_ASSERT_EQUAL(demo()->state, VM_STARTING);
		w.now += 10000;
		for (uint64_t link = 1; link <= 3; link++)
			world_load(&w, link, NULL, 0);
	}
	CU_ASSERT_EQUAL(demo()->state, VM_ENDING);
	CU_ASSERT_EQUAL(demo()->reason.code, ERR_TIMEOUT);
	CU_ASSERT_STRING_EQUAL(demo()->reason.cell, "cell2");
	world_free(&w);
}

static void quit_is_said_again(void)
{
	uint64_t start;

	world_new(&w);
	world_cells(&w, 3, 2, 128 * MIB);
	world_start(&w, "demo", 4, 300 * MIB);
	start = w.waiter;
	world_report(&w, 1, 1, 0, FRAG_GONE, END_START_FAILED);
	world_report(&w, 2, 1, 1, FRAG_GONE, END_NONE);
	world_timer(&w, w.now + policy_times_default.quit_again);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(world_answer(&w, start));
	CU_ASSERT_EQUAL(demo()->state, VM_ENDING);
	/* Its cell lists it no more: it is gone. */
	world_load(&w, 3, NULL, 0);
	CU_ASSERT_EQUAL(demo()->state, VM_ENDED);
	world_free(&w);
}

static void a_name_is_used_again_after_the_end(void)
{
	running_vm(false);
	world_end(&w, "demo");
	all_gone(END_NONE);
	world_start(&w, "demo", 4, 300 * MIB);
	CU_ASSERT_EQUAL(world_saves(&w, POLICY_FORGET_VM), 1);
	CU_ASSERT_EQUAL(world_saves(&w, POLICY_SAVE_VM), 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 3); /* forget the console */
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_START), 3);
	CU_ASSERT_EQUAL(demo()->id.v, 2);
	/* Late news of the old one concern nobody. */
	world_report(&w, 1, 1, 0, FRAG_GONE, END_PROCESS_DIED);
	CU_ASSERT_EQUAL(demo()->state, VM_STARTING);
	world_free(&w);
}

static void waits_time_out(void)
{
	running_vm(false);
	world_wait(&w, "demo", 500);
	world_timer(&w, w.now + 499);
	CU_ASSERT_EQUAL(world_code(&w), -1);
	world_timer(&w, w.now + 1);
	CU_ASSERT_EQUAL(world_code(&w), ERR_TIMEOUT);
	world_wait(&w, "demo", 500);
	world_step(&w, &(struct policy_event){.kind = POLICY_EV_CLIENT_GONE, .waiter = w.waiter});
	world_timer(&w, w.now + 600);
	CU_ASSERT_EQUAL(world_code(&w), -1);
	world_wait(&w, "nobody", 0);
	CU_ASSERT_EQUAL(world_code(&w), ERR_NOTFOUND);
	world_end(&w, "demo");
	world_timer(&w, w.now + 10000);
	world_timer(&w, w.now + 20000);
	CU_ASSERT_EQUAL(world_code(&w), ERR_TIMEOUT);
	world_free(&w);
}

/* Reports that make no sense change nothing, or end the VM; policy_check runs after each. */
static void odd_orders_of_events(void)
{
	running_vm(false);
	world_report(&w, 1, 1, 0, FRAG_LISTENING, END_NONE); /* backwards */
	world_report(&w, 1, 1, 0, FRAG_STATES, END_EXIT);    /* no such state */
	world_report(&w, 1, 1, 1, FRAG_GONE, END_EXIT);	     /* another one's fragment */
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 0);
	world_report(&w, 1, 1, 63, FRAG_RUNNING, END_NONE); /* no such member */
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 1);
	world_report(&w, 99, 1, 0, FRAG_GONE, END_EXIT); /* no such link */
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	world_report(&w, 1, 1, 0, FRAG_STOPPED, END_NONE);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_MONITOR);
	world_free(&w);

	world_new(&w);
	world_cells(&w, 1, 2, 128 * MIB);
	world_start(&w, "demo", 1, 2 * MIB);
	world_report(&w, 1, 1, 0, FRAG_RUNNING, END_NONE); /* before it was told to */
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_PEERS), 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_RUN), 1);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	world_free(&w);
}

static void a_fragment_without_an_address(void)
{
	struct policy_report r = world_report_of(1, 0, FRAG_LISTENING, END_NONE);

	world_new(&w);
	world_cells(&w, 1, 2, 128 * MIB);
	world_start(&w, "demo", 1, 2 * MIB);
	r.address[0] = '\0';
	world_step(&w, &(struct policy_event){
			       .kind = POLICY_EV_REPORT, .link = 1, .reports = &r, .n_reports = 1});
	CU_ASSERT_EQUAL(demo()->reason.cause, END_START_FAILED);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 1);
	world_free(&w);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(starts_step_by_step),
		UNIT_CASE(exits_and_quits_together),
		UNIT_CASE(exit_with_a_fragment_that_does_not_stop),
		UNIT_CASE(preserved_until_stop),
		UNIT_CASE(a_fault_is_not_preserved),
		UNIT_CASE(a_killed_process_ends_the_vm_at_once),
		UNIT_CASE(killed_by_request),
		UNIT_CASE(a_kill_does_not_hide_an_earlier_death),
		UNIT_CASE(start_fails_and_leaves_nothing),
		UNIT_CASE(start_times_out),
		UNIT_CASE(quit_is_said_again),
		UNIT_CASE(a_name_is_used_again_after_the_end),
		UNIT_CASE(waits_time_out),
		UNIT_CASE(odd_orders_of_events),
		UNIT_CASE(a_fragment_without_an_address),
	};

	return unit_main("policy-life", cases, UNIT_COUNT(cases));
}
