/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that misbehave on real vCPUs: each ends with its reason, and only its VM does. */
#include <stdio.h>
#include <string.h>

#include "node/vm/boot.h"
#include "tests/unit/node/run_vm.h"
#include "tests/unit/unit.h"

#define FAULT  CELLULAR__END_CAUSE__END_GUEST_FAULT
#define EXIT   CELLULAR__END_CAUSE__END_EXIT
#define KILLED CELLULAR__END_CAUSE__END_KILLED

enum { STOP_MS = 200 };

static struct run_vm vm;

static const struct act {
	const char *name, *where;
	Cellular__EndCause cause;
	const char *says;
} acts[] = {
	{"read-null", NULL, FAULT, "vCPU 0: page fault reading 0x10 at rip 0x4"},
	{"read-null", "2", FAULT, "vCPU 2: page fault reading 0x10 at rip 0x4"},
	{"write-tables", NULL, FAULT, "vCPU 0: page fault writing 0x1000 at rip 0x4"},
	{"read-beyond", NULL, FAULT, "vCPU 0: page fault reading 0x4200000 at rip 0x4"},
	{"jump-nowhere", NULL, FAULT,
	 "vCPU 0: page fault executing 0x7777777000 at rip 0x7777777000"},
	{"undefined", NULL, FAULT, "vCPU 0: illegal instruction"},
	{"divide", "1", FAULT, "vCPU 1: division by zero"},
	{"halt", NULL, FAULT, "vCPU 0: protection fault"},
	{"stray-port", NULL, FAULT, "vCPU 0: protection fault"},
	{"fake-exception", NULL, FAULT, "vCPU 0: protection fault"},
	{"monitor-port-read", NULL, FAULT, "vCPU 0: read from port 0xce0"},
	{"monitor-port-byte", NULL, FAULT, "vCPU 0: write to port 0xce0"},
	{"block-local", NULL, FAULT, "request block at 0x1000, outside memory"},
	{"block-beyond", NULL, FAULT, "request block at 0x4200000, outside memory"},
	{"block-wild", "3", FAULT, "vCPU 3: monitor call with a request block at 0x3fffffffc0"},
	{"bad-stack", NULL, FAULT, "vCPU 0: page fault writing 0x8 "},
	{"bad-requests", NULL, EXIT, "exited with code 0"},
	{"random-requests", NULL, EXIT, "exited with code 0"},
	{"loop", "all", KILLED, "time is over"},
	{"sleep", "all", KILLED, "time is over"},
	{"wake-flood", "all", KILLED, "time is over"},
	{"console-flood", "all", KILLED, "time is over"},
};

static bool run(const struct act *a, void (*tamper)(struct guest_memory *m))
{
	char *args[] = {(char *)a->name, (char *)a->where};
	struct err e = {0};
	int rc;

	memset(&vm, 0, sizeof(vm));
	vm.vcpus = 4;
	vm.stop_after_ms = a->cause == KILLED ? STOP_MS : 0;
	vm.tamper = tamper;
	vm.load = (struct load_config){
		.guest = "guests/hostile.elf", .args = a->where ? 2 : 1, .arg = args};
	rc = run_vm(&vm, &e);
	if (rc == ERR_NOTFOUND || rc == ERR_DENIED) {
		unit_skip("%s", e.text);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(rc, ERR_OK);
	return true;
}

static void check(const struct act *a)
{
	if (vm.end.cause != a->cause || !strstr(vm.end.text, a->says)) {
		CU_FAIL("wrong end");
		fprintf(stderr, "%s: cause %d \"%s\", console \"%.80s\"\n", a->name, vm.end.cause,
			vm.end.text, vm.console);
	}
	CU_ASSERT_TRUE(vm.halt_ms < 5000); /* the limit of run_vm: all vCPUs left the guest */
}

static void each_ends_with_its_reason(void)
{
	for (unsigned i = 0; i < UNIT_COUNT(acts); i++) {
		if (!run(&acts[i], NULL))
			return;
		check(&acts[i]);
	}
}

/* Ring 3 cannot break what ring 0 stands on, so the test does. */
static void break_idt(struct guest_memory *m)
{
	memset(m->base + BOOT_IDT, 0, 16 * BOOT_EXCEPTIONS);
}

static void a_triple_fault_is_an_end(void)
{
	static const struct act a = {"undefined", NULL, FAULT, "vCPU 0: triple fault"};

	if (run(&a, break_idt))
		check(&a);
}

/* A page of the tables that leads beyond memory: what a device region would look like. */
static void map_beyond(struct guest_memory *m)
{
	uint64_t entry = m->bytes | 0xe7;

	memcpy(m->base + BOOT_DIRECTORIES + 8 * (m->bytes >> 21), &entry, sizeof(entry));
}

static void an_access_beside_memory_is_an_end(void)
{
	static const struct act a = {"read-beyond", NULL, FAULT,
				     "vCPU 0: read from 0x4200000, which is not memory"};

	if (run(&a, map_beyond))
		check(&a);
}

static void wild_entry(struct guest_memory *m)
{
	((struct guest_boot *)(m->base + GUEST_BOOT))->entry = 0x123456789000;
}

static void a_wild_entry_is_an_end(void)
{
	static const struct act a = {"undefined", NULL, FAULT,
				     "page fault executing 0x123456789000"};

	if (run(&a, wild_entry))
		check(&a);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(each_ends_with_its_reason),
		UNIT_CASE(a_triple_fault_is_an_end),
		UNIT_CASE(an_access_beside_memory_is_an_end),
		UNIT_CASE(a_wild_entry_is_an_end),
	};
	return unit_main("hostile", cases, UNIT_COUNT(cases));
}
