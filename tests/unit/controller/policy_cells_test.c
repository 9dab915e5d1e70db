/* SPDX-License-Identifier: Apache-2.0 */
/* Cells that come, vanish, come back; controllers that start again. */
#include "tests/unit/controller/policy_world.h"

static struct world w;

static const struct policy_vm *demo(void)
{
	return policy_vm_named(w.p, "demo");
}

static const struct policy_cell *cell(const char *name)
{
	return policy_cell_named(w.p, name);
}

static void running_vm(void)
{
	world_new(&w);
	world_cells(&w, 3, 2, 128 * MIB);
	world_start(&w, "demo", 4, 300 * MIB);
	world_run(&w, 1, 3);
	CU_ASSERT_EQUAL_FATAL(demo()->state, VM_RUNNING);
}

static void loads_on(uint64_t link, unsigned member)
{
	struct policy_report r = world_report_of(1, member, FRAG_RUNNING, END_NONE);

	world_load(&w, link, &r, 1);
}

static void loads(uint64_t first, uint64_t last)
{
	for (uint64_t link = first; link <= last; link++)
		loads_on(link, (unsigned)link - 1);
}

static void a_link_comes_back_in_time(void)
{
	struct policy_report r = world_report_of(1, 1, FRAG_RUNNING, END_NONE);

	running_vm();
	world_link_lost(&w, 2);
	CU_ASSERT_EQUAL(cell("cell2")->state, POLICY_CELL_AWAY);
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	w.now += policy_times_default.grace - 1;
	world_join(&w, 12, "cell2", 2, 128 * MIB, &r, 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_WELCOME), 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 0);
	CU_ASSERT_EQUAL(cell("cell2")->state, POLICY_CELL_UP);
	CU_ASSERT_EQUAL(cell("cell2")->id.v, 2);
	world_timer(&w, w.now + policy_times_default.grace);
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	world_free(&w);
}

static void a_cell_is_lost(void)
{
	running_vm();
	world_wait(&w, "demo", 0);
	world_link_lost(&w, 2);
	world_timer(&w, w.now + policy_times_default.grace);
	CU_ASSERT_EQUAL(cell("cell2")->state, POLICY_CELL_LOST);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 2);
	CU_ASSERT_EQUAL(demo()->state, VM_ENDING);
	world_report(&w, 1, 1, 0, FRAG_GONE, END_MEMBER_LOST);
	world_report(&w, 3, 1, 2, FRAG_GONE, END_MEMBER_LOST);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_CELL_LOST);
	CU_ASSERT_STRING_EQUAL(demo()->reason.cell, "cell2");
	CU_ASSERT_EQUAL(cell("cell2")->memory_used, 0);
	world_free(&w);
}

static void other_vms_are_not_touched(void)
{
	running_vm();
	loads(1, 3);
	world_start(&w, "other", 1, 2 * MIB);
	for (int state = FRAG_STARTING; state <= FRAG_RUNNING; state++)
		world_report(&w, policy_vm_named(w.p, "other")->fragments[0].cell + 1u, 2, 0, state,
			     END_NONE);
	CU_ASSERT_EQUAL(world_state(&w, "other"), VM_RUNNING);
	world_link_lost(&w, 1);
	world_timer(&w, w.now + policy_times_default.grace);
	CU_ASSERT_EQUAL(demo()->state, VM_ENDING);
	CU_ASSERT_EQUAL(world_state(&w, "other"), VM_RUNNING);
	for (size_t i = 0; i < w.o.n_sends; i++)
		CU_ASSERT(w.o.sends[i].kind != POLICY_FRAG_QUIT || w.o.sends[i].vm_id.v == 1);
	world_free(&w);
}

static void silence_is_loss(void)
{
	running_vm();
	for (unsigned i = 0; i < 3; i++) {
		w.now += 6000;
		loads(1, 1);
		loads(3, 3);
	}
	CU_ASSERT_EQUAL(cell("cell2")->state, POLICY_CELL_AWAY);
	CU_ASSERT_EQUAL(cell("cell1")->state, POLICY_CELL_UP);
	world_timer(&w, w.now + policy_times_default.grace);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_CELL_LOST);
	world_free(&w);
}

static void a_lost_cell_comes_back_with_its_fragment(void)
{
	struct policy_report r = world_report_of(1, 1, FRAG_RUNNING, END_NONE);

	running_vm();
	world_link_lost(&w, 2);
	world_timer(&w, w.now + policy_times_default.grace);
	world_join(&w, 12, "cell2", 2, 128 * MIB, &r, 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 1);
	CU_ASSERT_EQUAL(cell("cell2")->memory_used, 0);
	world_free(&w);
}

static void a_daemon_is_started_again_without_its_fragment(void)
{
	running_vm();
	/* Its old link is not even known to be lost. */
	world_join(&w, 12, "cell2", 2, 128 * MIB, NULL, 0);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_CLOSE), 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 2);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_PROCESS_DIED);
	CU_ASSERT_STRING_EQUAL(demo()->reason.cell, "cell2");
	/* The old link's end comes late and means nothing. */
	world_link_lost(&w, 2);
	CU_ASSERT_EQUAL(cell("cell2")->state, POLICY_CELL_UP);
	world_free(&w);
}

static void a_second_cell_of_one_name_is_refused(void)
{
	world_new(&w);
	world_cells(&w, 1, 2, 128 * MIB);
	world_step(&w, &(struct policy_event){.kind = POLICY_EV_JOIN,
					      .link = 9,
					      .join = {.name = "cell1",
						       .data_address = "elsewhere",
						       .cpus = 1,
						       .memory = MIB}});
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_CLOSE), 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_WELCOME), 0);
	CU_ASSERT_EQUAL(cell("cell1")->link, 1);
	world_join(&w, 10, "bad name", 2, MIB, NULL, 0);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_CLOSE), 1);
	world_join(&w, 1, "cell7", 2, MIB, NULL, 0); /* one link, one cell */
	CU_ASSERT_PTR_NULL(cell("cell7"));
	world_free(&w);
}

static void strangers_quit(void)
{
	struct policy_report r[] = {
		world_report_of(77, 0, FRAG_RUNNING, END_NONE),
		world_report_of(78, 0, FRAG_GONE, END_EXIT),
	};

	world_new(&w);
	world_join(&w, 1, "cell1", 2, 128 * MIB, r, 2);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 1);
	for (size_t i = 0; i < w.o.n_sends; i++)
		if (w.o.sends[i].kind == POLICY_FRAG_QUIT) {
			CU_ASSERT_EQUAL(w.o.sends[i].vm_id.v, 77);
			CU_ASSERT_EQUAL(w.o.sends[i].epoch.v, 1);
			CU_ASSERT(w.o.sends[i].forget);
		}
	world_free(&w);
}

static void an_older_epoch_is_a_stranger(void)
{
	struct policy_report r = world_report_of(1, 0, FRAG_GONE, END_PROCESS_DIED);

	running_vm();
	r.epoch.v = 0;
	world_step(&w, &(struct policy_event){
			       .kind = POLICY_EV_REPORT, .link = 1, .reports = &r, .n_reports = 1});
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	r.state = FRAG_RUNNING;
	world_step(&w, &(struct policy_event){
			       .kind = POLICY_EV_REPORT, .link = 1, .reports = &r, .n_reports = 1});
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 1);
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	world_free(&w);
}

static void a_link_lost_while_starting(void)
{
	world_new(&w);
	world_cells(&w, 3, 2, 128 * MIB);
	world_start(&w, "demo", 4, 300 * MIB);
	world_link_lost(&w, 2);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 2);
	world_report(&w, 1, 1, 0, FRAG_GONE, END_NONE);
	world_report(&w, 3, 1, 2, FRAG_GONE, END_NONE);
	CU_ASSERT_EQUAL(world_code(&w), -1);
	world_timer(&w, w.now + policy_times_default.grace);
	CU_ASSERT_EQUAL(world_code(&w), ERR_LOST);
	CU_ASSERT_EQUAL(demo()->state, VM_ENDED);
	world_free(&w);
}

static void quit_is_said_as_soon_as_the_cell_is_back(void)
{
	struct policy_report r = world_report_of(1, 1, FRAG_RUNNING, END_NONE);

	running_vm();
	world_end(&w, "demo");
	world_link_lost(&w, 2);
	world_join(&w, 12, "cell2", 2, 128 * MIB, &r, 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 1);
	world_free(&w);
}

static void run_is_said_again(void)
{
	struct policy_report r = world_report_of(1, 1, FRAG_READY, END_NONE);

	world_new(&w);
	world_cells(&w, 3, 2, 128 * MIB);
	world_start(&w, "demo", 4, 300 * MIB);
	for (int state = FRAG_STARTING; state <= FRAG_READY; state++)
		for (unsigned m = 0; m < 3; m++)
			world_report(&w, m + 1, 1, m, state, END_NONE);
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	world_link_lost(&w, 2);
	world_join(&w, 12, "cell2", 2, 128 * MIB, &r, 1);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_RUN), 1);
	world_free(&w);
}

static void lost_cells_make_room(void)
{
	char name[16];

	world_new(&w);
	for (unsigned i = 1; i <= POLICY_CELLS_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		world_join(&w, i, name, 2, 128 * MIB, NULL, 0);
	}
	world_join(&w, 1000, "one-more", 2, 128 * MIB, NULL, 0);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_CLOSE), 1);
	world_start(&w, "demo", 2, 2 * MIB); /* on c1 */
	world_link_lost(&w, 1);
	world_link_lost(&w, 5);
	world_timer(&w, w.now + policy_times_default.grace);
	world_join(&w, 1000, "one-more", 2, 128 * MIB, NULL, 0);
	CU_ASSERT_EQUAL(world_saves(&w, POLICY_FORGET_CELL), 1);
	CU_ASSERT_PTR_NULL(cell("c5")); /* not c1: a VM's record names it */
	CU_ASSERT_PTR_NOT_NULL(cell("one-more"));
	world_free(&w);
}

/* ---- a controller starts again ---- */

/* A new policy that knows what the old one knew. */
static void restart(void)
{
	struct policy *old = w.p;
	struct policy_config config = {.times = policy_times_default, .next_vm = 1};
	struct cell_id ids[POLICY_MEMBERS_MAX];
	struct err e;

	w.p = policy_init(calloc(1, policy_bytes()), &config);
	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++)
		if (policy_cell_at(old, i))
			CU_ASSERT_EQUAL(policy_load_cell(w.p, policy_cell_at(old, i), &e), ERR_OK);
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++) {
		const struct policy_vm *vm = policy_vm_at(old, i);

		for (unsigned m = 0; vm && m < vm->members; m++)
			ids[m] = policy_cell_at(old, vm->fragments[m].cell)->id;
		if (vm)
			CU_ASSERT_EQUAL(policy_load_vm(w.p, vm, ids, &e), ERR_OK);
	}
	free(old);
	world_step(&w, &(struct policy_event){.kind = POLICY_EV_LOADED});
}

static void rejoin(unsigned member, enum frag_state state)
{
	struct policy_report r = world_report_of(1, member, state, END_NONE);
	char name[16];

	snprintf(name, sizeof(name), "cell%u", member + 1);
	world_join(&w, 101 + member, name, 2, 128 * MIB, &r, 1);
}

static void a_running_vm_is_found_again(void)
{
	struct policy_vm before;

	running_vm();
	before = *demo();
	restart();
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	for (unsigned m = 0; m < 3; m++) {
		rejoin(m, FRAG_RUNNING);
		CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 0);
	}
	w.now += policy_times_default.grace_restart - 1000;
	for (unsigned m = 0; m < 3; m++)
		loads_on(101 + m, m);
	world_timer(&w, w.now + 1000);
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	CU_ASSERT_EQUAL(demo()->started_ms, before.started_ms);
	for (unsigned m = 0; m < 3; m++) {
		CU_ASSERT_STRING_EQUAL(demo()->fragments[m].address, before.fragments[m].address);
		CU_ASSERT_EQUAL(demo()->fragments[m].pid, before.fragments[m].pid);
	}
	CU_ASSERT_EQUAL(cell("cell1")->vcpus_used, 2);
	world_end(&w, "demo");
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 3);
	for (unsigned m = 0; m < 3; m++)
		world_report(&w, 101 + m, 1, m, FRAG_GONE, END_KILLED);
	CU_ASSERT_EQUAL(world_code(&w), ERR_OK);
	world_start(&w, "next", 1, 2 * MIB);
	CU_ASSERT_EQUAL(policy_vm_named(w.p, "next")->id.v, 2);
	world_free(&w);
}

static void a_starting_vm_is_ended(void)
{
	world_new(&w);
	world_cells(&w, 3, 2, 128 * MIB);
	world_start(&w, "demo", 4, 300 * MIB);
	world_report(&w, 1, 1, 0, FRAG_LISTENING, END_NONE);
	restart();
	CU_ASSERT_EQUAL(demo()->state, VM_ENDING);
	CU_ASSERT_EQUAL(world_saves(&w, POLICY_SAVE_VM), 1);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_START_FAILED);
	CU_ASSERT_STRING_EQUAL(demo()->reason.text,
			       "the controller was restarted while demo was starting");
	rejoin(0, FRAG_LISTENING);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 1);
	world_report(&w, 101, 1, 0, FRAG_GONE, END_NONE);
	rejoin(1, FRAG_STARTING);
	world_report(&w, 102, 1, 1, FRAG_GONE, END_NONE);
	world_join(&w, 103, "cell3", 2, 128 * MIB, NULL, 0); /* it never heard of it */
	CU_ASSERT_EQUAL(demo()->state, VM_ENDED);
	world_free(&w);
}

static void a_cell_that_does_not_find_the_new_controller(void)
{
	running_vm();
	restart();
	rejoin(0, FRAG_RUNNING);
	rejoin(2, FRAG_RUNNING);
	world_timer(&w, w.now + policy_times_default.grace_restart - 1);
	CU_ASSERT_EQUAL(demo()->state, VM_RUNNING);
	world_timer(&w, w.now + 1);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_CELL_LOST);
	world_free(&w);
}

static void an_end_is_carried_on(void)
{
	running_vm();
	world_report(&w, 1, 1, 0, FRAG_GONE, END_PROCESS_DIED);
	restart();
	CU_ASSERT_EQUAL(demo()->state, VM_ENDING);
	rejoin(1, FRAG_STOPPED);
	CU_ASSERT_EQUAL(world_sends(&w, POLICY_FRAG_QUIT), 1);
	world_report(&w, 102, 1, 1, FRAG_GONE, END_NONE);
	rejoin(2, FRAG_GONE);
	CU_ASSERT_EQUAL(demo()->state, VM_ENDED);
	CU_ASSERT_EQUAL(demo()->reason.cause, END_PROCESS_DIED);
	world_free(&w);
}

static void records_that_make_no_sense(void)
{
	struct policy_config config = {.times = policy_times_default};
	struct cell_id ids[POLICY_MEMBERS_MAX] = {{1}, {2}, {3}};
	struct policy_cell saved[3];
	struct policy_vm good, bad;
	struct err e;

	running_vm();
	good = *demo();
	for (unsigned i = 0; i < 3; i++)
		saved[i] = *policy_cell_at(w.p, i);
	world_free(&w);
	w.p = policy_init(calloc(1, policy_bytes()), &config);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(policy_load_cell(w.p, &saved[i], &e), ERR_OK);
	CU_ASSERT_EQUAL(policy_load_cell(w.p, &saved[0], &e), ERR_INVALID);
#define DAMAGED(change)                                                                            \
	bad = good;                                                                                \
	change;                                                                                    \
	CU_ASSERT_EQUAL(policy_load_vm(w.p, &bad, ids, &e), ERR_INVALID)
	DAMAGED(bad.id.v = 0);
	DAMAGED(bad.name[0] = '/');
	DAMAGED(memset(bad.name, 'a', sizeof(bad.name)));
	DAMAGED(bad.state = VM_UNKNOWN);
	DAMAGED(bad.state = VM_STATES);
	DAMAGED(bad.vcpus = 5);
	DAMAGED(bad.vcpus = 65);
	DAMAGED(bad.members = 0);
	DAMAGED(bad.members = 65);
	DAMAGED(bad.memory = 3);
	DAMAGED(bad.reason.cause = END_CAUSES);
	DAMAGED(bad.fragments[0].state = FRAG_STATES);
	DAMAGED(bad.fragments[0].vcpus = 1);
	DAMAGED(bad.fragments[1].vcpus = 3);
	DAMAGED(bad.state = VM_ENDED);
	ids[1].v = 1;
	DAMAGED((void)0);
	ids[1].v = 9;
	DAMAGED((void)0);
	ids[1].v = 2;
	CU_ASSERT_EQUAL(policy_load_vm(w.p, &good, ids, &e), ERR_OK);
	CU_ASSERT_EQUAL(policy_load_vm(w.p, &good, ids, &e), ERR_INVALID);
	world_free(&w);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_link_comes_back_in_time),
		UNIT_CASE(a_cell_is_lost),
		UNIT_CASE(other_vms_are_not_touched),
		UNIT_CASE(silence_is_loss),
		UNIT_CASE(a_lost_cell_comes_back_with_its_fragment),
		UNIT_CASE(a_daemon_is_started_again_without_its_fragment),
		UNIT_CASE(a_second_cell_of_one_name_is_refused),
		UNIT_CASE(strangers_quit),
		UNIT_CASE(an_older_epoch_is_a_stranger),
		UNIT_CASE(a_link_lost_while_starting),
		UNIT_CASE(quit_is_said_as_soon_as_the_cell_is_back),
		UNIT_CASE(run_is_said_again),
		UNIT_CASE(lost_cells_make_room),
		UNIT_CASE(a_running_vm_is_found_again),
		UNIT_CASE(a_starting_vm_is_ended),
		UNIT_CASE(a_cell_that_does_not_find_the_new_controller),
		UNIT_CASE(an_end_is_carried_on),
		UNIT_CASE(records_that_make_no_sense),
	};

	return unit_main("policy-cells", cases, UNIT_COUNT(cases));
}
