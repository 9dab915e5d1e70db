/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: test-torture-vm [SEED]. VMs over three cell-vm processes that evict at random, under
 * torture, while something happens to them: links late and slow, a process stopped for less and for
 * more than the lease, a connection broken. Whatever it is, no vCPU ever reads a wrong value.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/guests/rack.h"
#include "tests/torture/proxy.h"
#include "tests/unit/unit.h"

enum {
	MEMBERS = 3,
	LINKS = MEMBERS * (MEMBERS - 1) / 2,
	PATIENCE_MS = 60000,
	SHORT_STOP_MS = 600, /* of a lease of 3 s */
	VICTIM = 1,
	BUG_TRIES = 20,
	BUG_MS = 20000,
};

struct vm {
	struct rack rack;
	struct rack_config config;
	struct proxy *proxy; /* NULL: the members talk without */
	char seed[24], seconds[24];
	char *args[3];
};

static const char *const evicting = "tests/torture-cell-vm";
static uint64_t seed;

/* ---- a VM ---- */

static unsigned link_of(unsigned high, unsigned low)
{
	return high * (high - 1) / 2 + low;
}

/* A member dials those below it, through the proxy. */
static const char *route(const struct rack *r, unsigned from, unsigned to)
{
	struct proxy *proxy = ((const struct vm *)r)->proxy;

	if (!proxy || to >= from)
		return r->fragment[to].address;
	proxy_target(proxy, link_of(from, to), r->fragment[to].address);
	return proxy_address(proxy, link_of(from, to));
}

static void vm_start(struct vm *vm, const char *program, unsigned seconds,
		     const struct proxy_shape *shape)
{
	memset(vm, 0, sizeof(*vm));
	if (shape)
		CU_ASSERT_EQUAL_FATAL(proxy_start(LINKS, seed, &vm->proxy, NULL), ERR_OK);
	for (unsigned i = 0; i < LINKS && shape; i++)
		proxy_shape(vm->proxy, i, shape);
	snprintf(vm->seed, sizeof(vm->seed), "%llu", (unsigned long long)seed);
	snprintf(vm->seconds, sizeof(vm->seconds), "%u", seconds);
	vm->args[0] = vm->seed;
	vm->args[1] = (char *)"600";
	vm->args[2] = vm->seconds;
	vm->config = (struct rack_config){
		.cell_vm = program,
		.members = MEMBERS,
		.vcpus = 4,
		.place = {0, 0, 1, 2},
		.memory = 10 << 20,
		.guest = "guests/torture.elf",
		.args = 3,
		.arg = vm->args,
		.route = route,
	};
	rack_open(&vm->rack, &vm->config);
	CU_ASSERT_TRUE(rack_until(&vm->rack, rack_running, PATIENCE_MS));
}

static const Cellular__EndReason *reason(const struct vm *vm, unsigned member)
{
	static const Cellular__EndReason none = CELLULAR__END_REASON__INIT;
	const Cellular__FragReport *r = vm->rack.fragment[member].report;

	return r && r->reason ? r->reason : &none;
}

static void expect(const struct vm *vm, unsigned member, Cellular__EndCause cause, const char *says)
{
	const Cellular__EndReason *r = reason(vm, member);

	if (r->cause == cause && strstr(r->text, says))
		return;
	CU_FAIL("wrong end");
	fprintf(stderr, "member %u: state %d, cause %d \"%s\", wanted %d \"%s\"\n", member,
		vm->rack.fragment[member].state, r->cause, r->text, cause, says);
}

/* Nothing wrong was read so far. */
static void expect_nothing_wrong(const struct vm *vm)
{
	CU_ASSERT_PTR_NOT_NULL(strstr(vm->rack.console, "torture seed"));
	if (!strstr(vm->rack.console, "WRONG"))
		return;
	CU_FAIL("a wrong value");
	fprintf(stderr, "%s\n", vm->rack.console);
}

static void vm_end(struct vm *vm)
{
	rack_close(&vm->rack);
	proxy_stop(vm->proxy);
}

/* It comes to its end by itself, with all right. */
static void expect_success(struct vm *vm)
{
	CU_ASSERT_TRUE(rack_until(&vm->rack, rack_stopped, PATIENCE_MS));
	for (unsigned i = 0; i < MEMBERS; i++)
		expect(vm, i, CELLULAR__END_CAUSE__END_EXIT, "exited with code 0");
	CU_ASSERT_PTR_NOT_NULL(strstr(vm->rack.console, "wrong=0"));
	expect_nothing_wrong(vm);
	fprintf(stderr, "%s", vm->rack.console);
	vm_end(vm);
}

static bool survivors_stopped(const struct rack *r)
{
	for (unsigned i = 0; i < MEMBERS; i++)
		if (i != VICTIM && r->fragment[i].state < CELLULAR__FRAG_STATE__FRAG_STOPPED)
			return false;
	return true;
}

/* ---- what happens to it ---- */

static void links_are_late_and_slow(void)
{
	const struct proxy_shape shape = {.wild_us = 4000, .bytes_per_s = {4 << 20, 16 << 20}};
	struct proxy_stats stats;
	static struct vm vm;

	vm_start(&vm, evicting, 4, &shape);
	CU_ASSERT_TRUE(rack_until(&vm.rack, rack_stopped, PATIENCE_MS));
	for (unsigned i = 0; i < LINKS; i++) {
		proxy_stats(vm.proxy, i, &stats);
		CU_ASSERT_TRUE(stats.connections == 1 && stats.bytes > 1 << 20);
	}
	expect_success(&vm);
}

/* Turns the loop for so long. */
static void let_run(struct vm *vm, int ms)
{
	rack_until(&vm->rack, rack_over, ms);
}

static void a_member_stops_for_less_than_the_lease(void)
{
	static struct vm vm;

	vm_start(&vm, evicting, 5, NULL);
	for (unsigned i = 0; i < MEMBERS; i++) {
		let_run(&vm, 300);
		kill(vm.rack.fragment[i].pid, SIGSTOP);
		let_run(&vm, SHORT_STOP_MS);
		kill(vm.rack.fragment[i].pid, SIGCONT);
	}
	expect_success(&vm);
}

/* One VM's member stops for longer than the lease and goes on later; another VM on the same cells
 * is not disturbed. */
static void a_member_stops_for_more_than_the_lease(void)
{
	static struct vm vm, other;
	uint64_t start;

	vm_start(&vm, evicting, 1000, NULL);
	vm_start(&other, evicting, 6, NULL);
	let_run(&vm, 500);
	start = clock_ms();
	kill(vm.rack.fragment[VICTIM].pid, SIGSTOP);
	CU_ASSERT_TRUE(rack_until(&vm.rack, survivors_stopped, PATIENCE_MS));
	fprintf(stderr, "stopped: the others ended after %llu ms\n",
		(unsigned long long)(clock_ms() - start));
	for (unsigned i = 0; i < MEMBERS; i++)
		if (i != VICTIM)
			expect(&vm, i, CELLULAR__END_CAUSE__END_MEMBER_LOST, "member 1 was lost");
	kill(vm.rack.fragment[VICTIM].pid, SIGCONT);
	CU_ASSERT_TRUE(rack_until(&vm.rack, rack_stopped, PATIENCE_MS));
	expect(&vm, VICTIM, CELLULAR__END_CAUSE__END_MEMBER_LOST, "was lost");
	let_run(&vm, 300);
	expect_nothing_wrong(&vm);
	expect_success(&other);
	vm_end(&vm);
}

/* There are no reconnects in a space: a channel that breaks is a member lost, and the VM's end. */
static void a_broken_connection_ends_it(void)
{
	static const struct proxy_shape plain;
	static struct vm vm;

	for (unsigned link = 0; link < LINKS; link++) {
		uint64_t start;

		vm_start(&vm, evicting, 1000, &plain);
		let_run(&vm, 300 + (int)link * 200);
		CU_ASSERT_FALSE(rack_stopped(&vm.rack));
		start = clock_ms();
		proxy_cut(vm.proxy, link);
		CU_ASSERT_TRUE(rack_until(&vm.rack, rack_stopped, PATIENCE_MS));
		fprintf(stderr, "link %u cut: all stopped after %llu ms: %s\n", link,
			(unsigned long long)(clock_ms() - start), reason(&vm, 0)->text);
		for (unsigned i = 0; i < MEMBERS; i++)
			expect(&vm, i, CELLULAR__END_CAUSE__END_MEMBER_LOST, "was lost");
		expect_nothing_wrong(&vm);
		vm_end(&vm);
	}
}

static bool wrong_or_stopped(const struct rack *r)
{
	return strstr(r->console, "WRONG") || rack_stopped(r);
}

/* On a core that reads a page out before it protects it, the same guest says so: else nothing of
 * this would prove anything. (The bug may hit the guest's own stack and end it earlier.) */
static void a_planted_bug_shows(void)
{
	static struct vm vm;
	bool found = false;

	setenv("CELLULAR_BUG", "read_before_protect", 1);
	for (int i = 0; i < BUG_TRIES && !found; i++) {
		vm_start(&vm, "tests/torture-cell-vm-bugs", 1000, NULL);
		rack_until(&vm.rack, wrong_or_stopped, BUG_MS);
		found = strstr(vm.rack.console, "WRONG") != NULL;
		fprintf(stderr, "%s%s\n", vm.rack.console, reason(&vm, 0)->text);
		vm_end(&vm);
	}
	unsetenv("CELLULAR_BUG");
	CU_ASSERT_TRUE(found);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(links_are_late_and_slow),
		UNIT_CASE(a_member_stops_for_less_than_the_lease),
		UNIT_CASE(a_member_stops_for_more_than_the_lease),
		UNIT_CASE(a_broken_connection_ends_it),
		UNIT_CASE(a_planted_bug_shows),
	};
	const char *why = rack_impossible();

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)getpid();
	if (why)
		unit_skip("%s", why);
	return unit_main("torture of VMs", cases, why ? 0 : UNIT_COUNT(cases));
}
