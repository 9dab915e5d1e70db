/* SPDX-License-Identifier: Apache-2.0 */
/*
 * celld as a process, between a controller and a cell-vm that are both made up here: what it
 * reports and leaves behind when a fragment lives, fails, dies, lies or does not answer, when the
 * controller goes away, and when celld itself is ended or killed.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/celld/console.h"
#include "node/celld/preflight.h"
#include "proto/base/clock.h"
#include "tests/rack/celld_rig.h"

/* ---- cases ---- */

static void tells_who_it_is(void)
{
	CU_ASSERT_STRING_EQUAL(rig.join->name, "cell7");
	CU_ASSERT_STRING_EQUAL(rig.join->data_address, "127.0.0.1");
	CU_ASSERT_EQUAL(rig.join->memory, (uint64_t)MEMORY_MIB << 20);
	CU_ASSERT_EQUAL(rig.join->cpus, CPUS);
	CU_ASSERT_EQUAL(rig.join->pid, (uint32_t)rig.celld);
	CU_ASSERT_EQUAL(rig.join->n_fragments, 0);
}

static bool load_has_figures(const void *what)
{
	(void)what;
	return rig.load && rig.load->n_fragments == 1 && rig.load->fragments[0]->stat &&
	       rig.load->memory_resident == 5 * DSM_PAGE_SIZE;
}

static void fragment_lives_and_is_forgotten(void)
{
	struct order o = plain;
	uint64_t vm;
	const Cellular__FragAnswer *a;
	pid_t pid;

	o.memory_mib = 6;
	o.members = 2; /* its share: 3 chunks / 2, rounded up: 4 MiB */
	o.member = 1;
	vm = start_running(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(vm)->pid;
	CU_ASSERT_EQUAL(last_seen(vm)->member, 1);
	CU_ASSERT(until(load_has_figures, NULL));
	CU_ASSERT_EQUAL(rig.load->memory_used, 4 << 20);
	CU_ASSERT_EQUAL(rig.load->vcpus, 1);
	CU_ASSERT_EQUAL(celld_descriptors("anon_inode:[userfaultfd]"), 1);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_STAT, 0);
	CU_ASSERT(a->error == 0 && a->vm_id == vm && a->member == 1 && a->stat &&
		  a->stat->resident == 5);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_MAP, 0);
	CU_ASSERT(a->error == 0 && a->map && a->map->pages == 512);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0);
	CU_ASSERT(a->error == 0 && a->console && !a->console->complete);
	CU_ASSERT(a->console && a->console->data.len == 20 &&
		  memcmp(a->console->data.data, "hello from member 1\n", 20) == 0);
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_KILLED);
	CU_ASSERT_STRING_EQUAL(last_seen(vm)->text, "the test is over");
	CU_ASSERT(is_gone(&pid));
	CU_ASSERT(until(celld_lets_go, NULL));
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0);
	CU_ASSERT_EQUAL(a->error, ERR_NOTFOUND);
	CU_ASSERT(until(only_the_lock_is_left, NULL));
}

static void guest_exit_is_kept(void)
{
	struct order o = plain;
	uint64_t vm;
	const Cellular__FragAnswer *a;

	o.mode = "stop";
	o.argument = "42";
	vm = start_running(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_STOPPED));
	CU_ASSERT(last_seen(vm)->cause == CELLULAR__END_CAUSE__END_EXIT &&
		  last_seen(vm)->code == 42);
	CU_ASSERT_STRING_EQUAL(last_seen(vm)->cell, "cell7");
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 6);
	CU_ASSERT(a->console && a->console->complete && a->console->offset == 6 &&
		  a->console->data.len == 14);
	send_quit(vm, false);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT(last_seen(vm)->cause == CELLULAR__END_CAUSE__END_EXIT &&
		  last_seen(vm)->code == 42);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0);
	CU_ASSERT(a->error == 0 && a->console && a->console->data.len == 20);
	send_quit(vm, true);
	CU_ASSERT_EQUAL(ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0)->error, ERR_NOTFOUND);
}

static void killed_fragment_is_reported_at_once(void)
{
	uint64_t vm = start_running(&plain), began;
	pid_t pid;

	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(vm)->pid;
	began = clock_ns();
	kill(pid, SIGKILL);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	printf("(told %.1f ms after kill -9) ", (double)(clock_ns() - began) / 1e6);
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_PROCESS_DIED);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_seen(vm)->text, "signal 9"));
	CU_ASSERT_PTR_NOT_NULL(strstr(last_seen(vm)->text, "cell7"));
	CU_ASSERT_STRING_EQUAL(last_seen(vm)->cell, "cell7");
	CU_ASSERT(until(celld_lets_go, NULL));
	send_quit(vm, true);
}

/* Others saw the member go before its own celld did: the order to quit is only the echo. */
static void a_death_is_not_hidden_by_its_echo(void)
{
	struct order o = plain;
	uint64_t vm;
	pid_t pid;

	o.mode = "stubborn";
	vm = start_running(&o);
	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(vm)->pid;
	send_quit_for(vm, CELLULAR__END_CAUSE__END_MEMBER_LOST, "member 0 was lost", false);
	ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0); /* answered after the order was taken */
	kill(pid, SIGKILL);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_PROCESS_DIED);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_seen(vm)->text, "signal 9"));
	send_quit(vm, true);
}

/* Starts a fragment that ends badly; it is gone with this cause and these words. */
static void ends_badly(const char *mode, const char *argument, Cellular__EndCause cause,
		       const char *words)
{
	struct order o = plain;
	uint64_t vm;

	o.mode = mode;
	o.argument = argument;
	vm = send_start(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, cause);
	if (!strstr(last_seen(vm)->text, words))
		fprintf(stderr, "\n  want: %s\n  got:  %s\n", words, last_seen(vm)->text);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_seen(vm)->text, words));
	CU_ASSERT_STRING_EQUAL(last_seen(vm)->cell, "cell7");
	send_quit(vm, true);
}

static bool celld_rejected(const void *what)
{
	const uint64_t *links = what;

	return rig.load && rig.load->rejected == *links;
}

static void bad_fragments_end_with_a_reason(void)
{
	ends_badly("abort", "", CELLULAR__END_CAUSE__END_PROCESS_DIED,
		   "signal 6 (Aborted); its last words: fake-vm: it is over");
	ends_badly("exit", "3", CELLULAR__END_CAUSE__END_PROCESS_DIED,
		   "ended by itself with status 3");
	ends_badly("garbage", "", CELLULAR__END_CAUSE__END_MONITOR, "broke the control protocol");
	ends_badly("backward", "", CELLULAR__END_CAUSE__END_MONITOR, "a state that cannot follow");
	ends_badly("foreign", "", CELLULAR__END_CAUSE__END_MONITOR,
		   "a message that is not its to send");
	CU_ASSERT(until(celld_rejected, &(uint64_t){3}));
	ends_badly("drop", "", CELLULAR__END_CAUSE__END_PROCESS_DIED, "signal 9");
}

static void silent_start_is_ended(void)
{
	restart_celld(brisk);
	ends_badly("mute", "", CELLULAR__END_CAUSE__END_START_FAILED, "did not listen within 1 s");
	restart_celld(patient);
}

static void failed_start_is_told(void)
{
	struct order o = plain;
	uint64_t vm;

	o.mode = "fail";
	vm = send_start(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_STOPPED));
	CU_ASSERT(last_seen(vm)->cause == CELLULAR__END_CAUSE__END_START_FAILED &&
		  last_seen(vm)->code == ERR_NOTFOUND);
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_START_FAILED);
}

static void deaf_fragment_is_killed(void)
{
	struct order o = plain;
	uint64_t vm, began;

	o.mode = "stubborn";
	vm = start_running(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	began = clock_ms();
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	printf("(gone %u ms after FragQuit) ", (unsigned)(clock_ms() - began));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_KILLED);
}

static void is_refused(const struct order *o, int code)
{
	uint64_t vm = send_start(o);

	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_START_FAILED);
	CU_ASSERT_EQUAL(last_seen(vm)->code, code);
}

static void bad_orders_are_refused(void)
{
	struct order o = plain;

	o.memory_mib = MEMORY_MIB + 2;
	is_refused(&o, ERR_NOSPACE);
	o = plain;
	o.vcpus = CPUS + 1;
	is_refused(&o, ERR_NOSPACE);
	o = plain;
	o.key_bytes = 5;
	is_refused(&o, ERR_INVALID);
	o = plain;
	o.member = o.members;
	is_refused(&o, ERR_INVALID);
	o = plain;
	o.members = 65;
	is_refused(&o, ERR_INVALID);
	o = plain;
	o.memory_mib = 0;
	is_refused(&o, ERR_INVALID);
	o = plain;
	o.vcpus = 0;
	is_refused(&o, ERR_INVALID);
}

static void room_is_given_back(void)
{
	struct order o = plain;
	uint64_t vm;

	o.memory_mib = MEMORY_MIB;
	vm = send_start(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_LISTENING));
	is_refused(&plain, ERR_NOSPACE);
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	vm = send_start(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_LISTENING));
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
}

static void console_keeps_the_end(void)
{
	struct order o = plain;
	const Cellular__FragAnswer *a;
	uint64_t vm;

	o.mode = "chatty";
	o.argument = "1000000";
	vm = start_running(&o);
	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	do
		a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 1000000);
	while (a->console->offset + a->console->data.len < 1000020);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0);
	CU_ASSERT_EQUAL(a->console->offset, 1000020 - CONSOLE_BYTES);
	CU_ASSERT_EQUAL_FATAL(a->console->data.len, CONSOLE_BYTES);
	for (size_t i = 0; i < CONSOLE_BYTES; i++)
		if (a->console->data.data[i] != 'a' + (a->console->offset + i - 20) / 4096 % 26)
			CU_FAIL_FATAL("the ring holds another byte");
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
}

static void lost_controller_is_dialled_again(void)
{
	uint64_t lives = start_running(&plain), dies_alone = start_running(&plain);
	unsigned joins = rig.joins + 1, found = 0;
	pid_t pid;

	CU_ASSERT_FATAL(reaches(lives, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	CU_ASSERT_FATAL(reaches(dies_alone, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(dies_alone)->pid;
	link_close(rig.celld_link);
	rig.celld_link = NULL;
	kill(pid, SIGKILL);
	CU_ASSERT(dies(pid));
	CU_ASSERT_FATAL(until(has_joined, &joins));
	for (size_t i = 0; i < rig.join->n_fragments; i++) {
		const Cellular__FragReport *r = rig.join->fragments[i];

		if (r->vm_id == lives && r->state == CELLULAR__FRAG_STATE__FRAG_RUNNING)
			found++;
		if (r->vm_id == dies_alone && r->state == CELLULAR__FRAG_STATE__FRAG_GONE &&
		    r->reason && r->reason->cause == CELLULAR__END_CAUSE__END_PROCESS_DIED)
			found++;
	}
	CU_ASSERT_EQUAL(found, 2);
	send_quit(dies_alone, true);
	send_quit(lives, true);
	CU_ASSERT(reaches(lives, CELLULAR__FRAG_STATE__FRAG_GONE));
}

static void repeated_order_starts_nothing(void)
{
	struct order o = plain;
	pid_t pid;

	o.vm_id = start_running(&plain);
	CU_ASSERT_FATAL(reaches(o.vm_id, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(o.vm_id)->pid;
	rig.n_seen = 0;
	send_start(&o);
	CU_ASSERT(reaches(o.vm_id, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	CU_ASSERT_EQUAL(last_seen(o.vm_id)->pid, (uint32_t)pid);
	send_quit(o.vm_id, true);
	CU_ASSERT(reaches(o.vm_id, CELLULAR__FRAG_STATE__FRAG_GONE));
}

static unsigned long resident_kib(void)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", rig.celld);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmRSS: %lu", &kib);
	if (f)
		fclose(f);
	return kib;
}

static void one_short_life(void)
{
	uint64_t vm = start_running(&plain);

	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	send_quit(vm, true);
	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	rig.n_seen = 0;
}

static void hundred_lives_leave_nothing(void)
{
	unsigned descriptors;
	unsigned long before, after;

	for (int i = 0; i < 20; i++)
		one_short_life();
	CU_ASSERT(until(celld_lets_go, NULL));
	descriptors = celld_descriptors("");
	before = resident_kib();
	for (int i = 0; i < 100; i++)
		one_short_life();
	CU_ASSERT(until(celld_lets_go, NULL));
	after = resident_kib();
	printf("(%lu KiB, then %lu KiB) ", before, after);
	CU_ASSERT_EQUAL(celld_descriptors(""), descriptors);
	if (!CELLD_SANITIZED)
		CU_ASSERT(after < before + 1024); /* a console ring alone would be 25 MiB */
	CU_ASSERT(until(only_the_lock_is_left, NULL));
}

static void records_are_bounded(void)
{
	uint64_t first = 0, vm = 0;

	for (int i = 0; i < 66; i++) {
		vm = start_running(&plain);
		first = first ? first : vm;
		CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
		send_quit(vm, false);
		CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	}
	CU_ASSERT_EQUAL(ask(first, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0)->error, ERR_NOTFOUND);
	CU_ASSERT_EQUAL(ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0)->error, ERR_OK);
	for (; first <= vm; first++)
		send_quit(first, true);
	CU_ASSERT_EQUAL(ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0)->error, ERR_NOTFOUND);
}

static void second_celld_is_refused(void)
{
	int status;
	pid_t first = rig.celld;

	start_celld(patient);
	CU_ASSERT_EQUAL(waitpid(rig.celld, &status, 0), rig.celld);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	rig.celld = first;
}

static void killed_celld_takes_its_fragments_along(void)
{
	uint64_t vm = start_running(&plain);
	pid_t pid;

	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(vm)->pid;
	restart_celld(patient);
	CU_ASSERT(dies(pid));
}

static bool celld_has_exited(const void *what)
{
	return waitpid(rig.celld, (int *)what, WNOHANG) == rig.celld;
}

static void asked_to_end_it_ends_all(void)
{
	struct order stubborn = plain;
	uint64_t good = start_running(&plain), deaf;
	pid_t pids[2];
	int status = -1;

	stubborn.mode = "stubborn";
	deaf = start_running(&stubborn);
	CU_ASSERT_FATAL(reaches(good, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	CU_ASSERT_FATAL(reaches(deaf, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pids[0] = (pid_t)last_seen(good)->pid;
	pids[1] = (pid_t)last_seen(deaf)->pid;
	kill(rig.celld, SIGTERM);
	CU_ASSERT(reaches(deaf, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT(reaches(good, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_STRING_EQUAL(last_seen(good)->text, "celld was asked to end");
	for (uint64_t end = clock_ms() + WAIT_MS; !celld_has_exited(&status) && clock_ms() < end;)
		until_ms(never, NULL, 10);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CU_ASSERT(is_gone(&pids[0]) && is_gone(&pids[1]));
	CU_ASSERT_EQUAL(files_in_run(), 1);
	rig.celld = 0;
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(set_up),
		UNIT_CASE(tells_who_it_is),
		UNIT_CASE(fragment_lives_and_is_forgotten),
		UNIT_CASE(guest_exit_is_kept),
		UNIT_CASE(killed_fragment_is_reported_at_once),
		UNIT_CASE(a_death_is_not_hidden_by_its_echo),
		UNIT_CASE(bad_fragments_end_with_a_reason),
		UNIT_CASE(silent_start_is_ended),
		UNIT_CASE(failed_start_is_told),
		UNIT_CASE(deaf_fragment_is_killed),
		UNIT_CASE(bad_orders_are_refused),
		UNIT_CASE(room_is_given_back),
		UNIT_CASE(console_keeps_the_end),
		UNIT_CASE(lost_controller_is_dialled_again),
		UNIT_CASE(repeated_order_starts_nothing),
		UNIT_CASE(hundred_lives_leave_nothing),
		UNIT_CASE(records_are_bounded),
		UNIT_CASE(second_celld_is_refused),
		UNIT_CASE(killed_celld_takes_its_fragments_along),
		UNIT_CASE(asked_to_end_it_ends_all),
		UNIT_CASE(tear_down),
	};
	struct err e;

	if (preflight_kvm(&e) || preflight_userfaultfd(&e)) {
		printf("SKIP: %s\n", e.text);
		return 77;
	}
	signal(SIGPIPE, SIG_IGN);
	return unit_main("celld", cases, UNIT_COUNT(cases));
}
