/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of dsm/mem.h under running vCPUs (M3, M4, M6, M8, M11, M12): a storm takes the pages of
 * a VM away and gives them back, and the guest's counters must be exact; with the wrong order they
 * are not.
 */
#include <linux/kvm.h>
#include <asm/kvm_para.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "node/vm/vcpu.h"
#include "tests/unit/node/run_vm.h"
#include "tests/unit/node/storm_dsm.h"
#include "tests/unit/unit.h"

enum { VCPUS = 3, AREA_PAGES = 9, TRIES = 20, TAKEN_LEAST = 20, SPLIT_MS = 300000 };

static struct run_vm vm;

/* Runs the guest under the storm; false: it cannot be done here. */
static bool run(const char *ms, const char *splits)
{
	char *args[] = {(char *)ms, (char *)splits};
	struct err e = {0};
	int rc;

	vm.vcpus = VCPUS;
	vm.load = (struct load_config){.guest = "guests/pages.elf", .args = 2, .arg = args};
	rc = run_vm(&vm, &e);
	if (rc == ERR_NOTFOUND || rc == ERR_DENIED || rc == ERR_UNSUPPORTED) {
		unit_skip("%s", e.text);
		return false;
	}
	if (rc)
		fprintf(stderr, "%s\n", e.text);
	CU_ASSERT_EQUAL_FATAL(rc, ERR_OK);
	printf("%staken %llu, written %llu, unstable %llu, given %llu + %llu, upgraded %llu\n",
	       vm.console, (unsigned long long)storm_figures.taken,
	       (unsigned long long)storm_figures.written,
	       (unsigned long long)storm_figures.unstable,
	       (unsigned long long)storm_figures.given_ro,
	       (unsigned long long)storm_figures.given_rw,
	       (unsigned long long)storm_figures.upgraded);
	return true;
}

/* The area is the first thing on the heap (tests/guests/pages.c). */
static void storm_the_area(struct guest_memory *m)
{
	const struct guest_boot *boot =
		guest_range(m, (struct gpa){GUEST_BOOT}, sizeof(*boot), 4096);

	storm_options.first = (boot->heap_start + 4095) / 4096;
	storm_options.end = storm_options.first + AREA_PAGES;
}

static void storm_the_area_wrongly(struct guest_memory *m)
{
	storm_the_area(m);
	storm_options.read_first = true;
}

static void expect_nothing_lost(void)
{
	CU_ASSERT_EQUAL(vm.end.cause, CELLULAR__END_CAUSE__END_EXIT);
	CU_ASSERT_EQUAL(vm.end.code, 0);
	if (vm.end.cause != CELLULAR__END_CAUSE__END_EXIT || vm.end.code)
		fprintf(stderr, "%s\n", vm.end.text);
	CU_ASSERT_EQUAL(storm_figures.unstable, 0);
	CU_ASSERT_EQUAL(storm_figures.own_faults, 0);
	CU_ASSERT_EQUAL(storm_figures.failed, 0);
	CU_ASSERT_TRUE(storm_figures.taken >= TAKEN_LEAST);
	CU_ASSERT_TRUE(storm_figures.written > 0);
	CU_ASSERT_TRUE(storm_figures.given_ro > 0 && storm_figures.upgraded > 0);
}

static void start(void)
{
	memset(&vm, 0, sizeof(vm));
	memset(&storm_options, 0, sizeof(storm_options));
}

static void m3_vcpus_lose_nothing(void)
{
	start();
	vm.tamper = storm_the_area;
	if (run("1000", "0"))
		expect_nothing_lost();
}

/* Code, stacks, the boot page and request blocks, too. */
static void m3_nor_does_a_guest_all_of_whose_pages_go(void)
{
	start();
	if (run("1000", "0"))
		expect_nothing_lost();
}

/* Processors that watch for locked accesses over two lines make them last seconds: --long only. */
static void m12_locked_instructions_over_two_pages_are_atomic(void)
{
	start();
	vm.tamper = storm_the_area;
	vm.stop_after_ms = SPLIT_MS;
	if (!run("100", "1"))
		return;
	expect_nothing_lost();
	CU_ASSERT_PTR_NOT_NULL(strstr(vm.console, "kind=split made=3 "));
}

/* ---- pages the kernel writes ---- */

/* In the area's first page, where the guest writes nothing. (Linux
 * Documentation/virt/kvm/x86/msr.rst) */
enum { STEAL_AT = 3072, CLOCK_AT = 3328, CLOCK_BYTES = 32 };

static uint64_t kernel_page;
static struct {
	uint32_t steal_version[VCPUS], clock_version[VCPUS];
	uint64_t steal_writes, back;
} kernel;

static void newer(uint32_t *last, uint32_t now, uint64_t *writes)
{
	if (now < *last)
		kernel.back++;
	else if (now > *last && writes)
		++*writes;
	*last = now;
}

/* Versions never go back: no write of the kernel's gets lost either. */
static void look_at_kernel_page(uint64_t page, const uint8_t *bytes)
{
	struct kvm_steal_time steal;
	uint32_t clock; /* the first word of it is its version */

	for (unsigned v = 0; v < VCPUS && page == kernel_page; v++) {
		memcpy(&steal, bytes + STEAL_AT + v * sizeof(steal), sizeof(steal));
		memcpy(&clock, bytes + CLOCK_AT + v * CLOCK_BYTES, sizeof(clock));
		newer(&kernel.steal_version[v], steal.version, &kernel.steal_writes);
		newer(&kernel.clock_version[v], clock, NULL);
	}
}

static bool set_msr(const struct vcpu *v, uint32_t index, uint64_t value)
{
	struct kvm_msrs *m = calloc(1, sizeof(*m) + sizeof(m->entries[0]));
	bool done;

	m->nmsrs = 1;
	m->entries[0].index = index;
	m->entries[0].data = value;
	done = ioctl(v->fd, KVM_SET_MSRS, m) == 1;
	free(m);
	return done;
}

static bool kernel_writes;

static void let_the_kernel_write(struct vm *m)
{
	kernel_page = storm_options.first;
	kernel_writes = true;
	for (unsigned v = 0; v < VCPUS; v++) {
		uint64_t at = kernel_page * DSM_PAGE_SIZE;

		kernel_writes &= set_msr(m->vcpu[v], MSR_KVM_STEAL_TIME,
					 (at + STEAL_AT + v * sizeof(struct kvm_steal_time)) |
						 KVM_MSR_ENABLED);
		kernel_writes &= set_msr(m->vcpu[v], MSR_KVM_SYSTEM_TIME_NEW,
					 (at + CLOCK_AT + v * CLOCK_BYTES) | KVM_MSR_ENABLED);
	}
	storm_options.taken = look_at_kernel_page;
}

/* KVM's clock and steal time, written on entry to the guest and when a vCPU was off its CPU. */
static void m11_pages_the_kernel_writes_are_like_any_other(void)
{
	start();
	memset(&kernel, 0, sizeof(kernel));
	vm.tamper = storm_the_area;
	vm.prepare = let_the_kernel_write;
	if (!run("1000", "0"))
		return;
	if (!kernel_writes) {
		unit_skip("this KVM has no steal time or no clock");
		return;
	}
	expect_nothing_lost();
	printf("kernel: %llu steal time writes seen, clock versions %u %u %u\n",
	       (unsigned long long)kernel.steal_writes, kernel.clock_version[0],
	       kernel.clock_version[1], kernel.clock_version[2]);
	CU_ASSERT_EQUAL(kernel.back, 0);
	CU_ASSERT_TRUE(kernel.steal_writes > 0);
	for (unsigned v = 0; v < VCPUS; v++)
		CU_ASSERT_TRUE(kernel.clock_version[v] > 0);
}

static void m3_the_wrong_order_loses_writes(void)
{
	bool lost = false;

	for (int i = 0; i < TRIES && !lost; i++) {
		start();
		vm.tamper = storm_the_area_wrongly;
		vm.stop_after_ms = 20000;
		if (!run("300", "0"))
			return;
		lost = vm.end.cause == CELLULAR__END_CAUSE__END_EXIT && vm.end.code == 1;
	}
	CU_ASSERT_TRUE(lost);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(m3_vcpus_lose_nothing),
		UNIT_CASE(m3_nor_does_a_guest_all_of_whose_pages_go),
		UNIT_CASE(m11_pages_the_kernel_writes_are_like_any_other),
		UNIT_CASE(m3_the_wrong_order_loses_writes),
		UNIT_CASE(m12_locked_instructions_over_two_pages_are_atomic),
	};
	unsigned n = UNIT_COUNT(cases) - (LONG ? 0 : 1);

	return unit_main("vm storm", cases, n);
}
