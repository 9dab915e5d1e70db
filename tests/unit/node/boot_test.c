/* SPDX-License-Identifier: Apache-2.0 */
/* The local range, looked at by a walker that knows the manuals and not boot.c. */
#include "node/vm/boot.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80 };

static uint8_t *local;

static uint64_t get(uint64_t at)
{
	uint64_t v;

	memcpy(&v, local + at, sizeof(v));
	return v;
}

static void build(uint64_t memory)
{
	free(local);
	local = calloc(1, GUEST_LOCAL_BYTES);
	boot_build(local, memory);
}

/* Four-level walk from CR3 (SDM vol. 3, 4.5.4). false: not mapped. rights: those all levels grant;
 * aged: A everywhere, D on the page. */
static bool walk(uint64_t cr3, uint64_t va, uint64_t *pa, unsigned *rights, bool *aged)
{
	uint64_t table = cr3;

	*rights = W | U;
	*aged = true;
	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t e = get(table + 8 * (va >> shift & 511));

		if (!(e & P))
			return false;
		*rights &= (unsigned)e;
		*aged &= !!(e & A);
		if (shift == 12 || (shift < 39 && (e & PS))) {
			uint64_t mask = (1ull << shift) - 1;

			*aged &= !!(e & D);
			*pa = (e & 0x000ffffffffff000ull & ~mask) | (va & mask);
			return true;
		}
		table = e & 0x000ffffffffff000ull;
		CU_ASSERT_TRUE_FATAL(table < GUEST_LOCAL_BYTES);
	}
	return false;
}

static void maps_exactly_the_memory(void)
{
	static const uint64_t sizes[] = {
		GUEST_LOCAL_BYTES + (2 << 20), 64ull << 20, 1ull << 30,
		(1ull << 30) + (2 << 20),      5ull << 30,  BOOT_MEMORY_MAX};
	struct kvm_sregs s = {0};
	uint64_t pa = 0;
	unsigned rights = 0;
	bool aged = false;

	boot_sregs(&s, 0);
	for (unsigned i = 0; i < UNIT_COUNT(sizes); i++) {
		build(sizes[i]);
		for (uint64_t va = 0; va < sizes[i]; va += 2 << 20) {
			CU_ASSERT_TRUE_FATAL(walk(s.cr3, va + 0x1234, &pa, &rights, &aged));
			CU_ASSERT_TRUE(pa == va + 0x1234 && aged);
			CU_ASSERT_EQUAL(rights, va ? W | U : W);
		}
		CU_ASSERT_FALSE(walk(s.cr3, sizes[i], &pa, &rights, &aged));
		CU_ASSERT_FALSE(walk(s.cr3, 1ull << 40, &pa, &rights, &aged));
		CU_ASSERT_FALSE(walk(s.cr3, 0xffff800000000000ull, &pa, &rights, &aged));
	}
}

struct descriptor {
	uint64_t base;
	uint32_t limit;
	unsigned type, s, dpl, present, l;
};

static struct descriptor descriptor_at(uint64_t at)
{
	uint64_t d = get(at);
	uint32_t limit = (uint32_t)(d & 0xffff) | (uint32_t)(d >> 32 & 0xf0000);

	return (struct descriptor){
		.base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000),
		.limit = d >> 55 & 1 ? limit << 12 | 0xfff : limit,
		.type = d >> 40 & 15,
		.s = d >> 44 & 1,
		.dpl = d >> 45 & 3,
		.present = d >> 47 & 1,
		.l = d >> 53 & 1,
	};
}

/* What KVM is told about a segment is what the GDT says, so that a reload changes nothing. */
static void check_segment(const struct kvm_sregs *s, const struct kvm_segment *g)
{
	struct descriptor d;

	CU_ASSERT_TRUE_FATAL((g->selector & ~7u) + 7u <= s->gdt.limit);
	d = descriptor_at(s->gdt.base + (g->selector & ~7u));
	CU_ASSERT_TRUE(d.base == g->base && d.limit == g->limit && d.type == g->type &&
		       d.s == g->s);
	CU_ASSERT_TRUE(d.dpl == g->dpl && d.present == g->present && d.l == g->l);
}

static void segments_agree_with_the_gdt(void)
{
	build(64 << 20);
	for (unsigned i = 0; i < GUEST_VCPUS_MAX; i++) {
		struct kvm_sregs s = {0};

		boot_sregs(&s, i);
		check_segment(&s, &s.cs);
		check_segment(&s, &s.ss);
		check_segment(&s, &s.ds);
		check_segment(&s, &s.tr);
		CU_ASSERT_TRUE(s.cs.dpl == 3 && (s.cs.selector & 3) == 3 && s.ss.dpl == 3);
		CU_ASSERT_EQUAL(get(s.gdt.base + s.tr.selector + 8), 0);
	}
}

/* Ports from the I/O map of a vCPU's TSS as the CPU reads it: two bytes from the bit on (SDM vol.
 * 1, 19.5.2). */
static bool port_open(const struct kvm_sregs *s, unsigned port, unsigned bytes)
{
	uint64_t map = s->tr.base + (get(s->tr.base + 100) >> 16 & 0xffff), at = map + port / 8;

	if (at + 1 > s->tr.base + s->tr.limit)
		return false;
	return !(((local[at] | local[at + 1] << 8) >> port % 8) & ((1 << bytes) - 1));
}

static void only_the_monitor_port_is_open(void)
{
	struct kvm_regs r;

	build(64 << 20);
	for (unsigned i = 0; i < GUEST_VCPUS_MAX; i += 21) {
		struct kvm_sregs s = {0};

		boot_sregs(&s, i);
		for (unsigned port = 0; port < 0x10000; port++)
			CU_ASSERT_EQUAL(port_open(&s, port, 4), port == MONITOR_PORT);
	}
	boot_regs(&r, 0, (struct gpa){0}, (struct gpa){64});
	CU_ASSERT_EQUAL(r.rflags >> 12 & 3, 3);
}

/* Stacks for ring 0 are apart from each other and from all else. */
static void each_vcpu_has_an_exception_stack(void)
{
	uint64_t before = 0;

	build(64 << 20);
	for (unsigned i = 0; i < GUEST_VCPUS_MAX; i++) {
		struct kvm_sregs s = {0};
		uint64_t top;

		boot_sregs(&s, i);
		top = get(s.tr.base + 4);
		CU_ASSERT_TRUE(top % 16 == 0 && top >= before + 4096 && top <= BOOT_DIRECTORIES);
		CU_ASSERT_TRUE(i || top - 4096 >= s.tr.base + GUEST_VCPUS_MAX * BOOT_TSS_BYTES);
		before = top;
	}
}

/* Each gate leads to a stub that loads its own number. */
static void gates_lead_to_their_stubs(void)
{
	struct kvm_sregs s = {0};

	build(64 << 20);
	boot_sregs(&s, 0);
	CU_ASSERT_EQUAL(s.idt.limit, 32 * 16 - 1);
	for (unsigned v = 0; v < 32; v++) {
		uint64_t gate = get(s.idt.base + 16 * v),
			 at = (gate & 0xffff) | (gate >> 32 & 0xffff0000);
		bool error =
			v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30;
		const uint8_t *stub = local + at;

		CU_ASSERT_EQUAL(gate >> 16 & 0xffff, BOOT_CS0);
		CU_ASSERT_EQUAL(gate >> 40 & 0xff, 0x8e);
		CU_ASSERT_EQUAL(gate >> 32 & 7, 0);
		if (!error) {
			CU_ASSERT_TRUE(stub[0] == 0x6a && stub[1] == 0);
			stub += 2;
		}
		CU_ASSERT_TRUE(stub[0] == 0xb8 && stub[1] == v && !stub[2] && !stub[3] && !stub[4]);
		CU_ASSERT_TRUE(stub[5] == 0xba && (stub[6] | stub[7] << 8) == EXCEPTION_PORT);
		CU_ASSERT_TRUE(stub[10] == 0xef && stub[11] == 0xf4);
	}
}

static void frames_come_from_the_own_stack_only(void)
{
	struct boot_exception x = {.error = 2, .rip = 0x401000}, out;
	uint64_t bottom = BOOT_STACKS + 3 * BOOT_STACK_BYTES, top = bottom + BOOT_STACK_BYTES;

	build(64 << 20);
	memcpy(local + top - sizeof(x), &x, sizeof(x));
	CU_ASSERT_TRUE_FATAL(boot_exception(local, 3, top - sizeof(x), &out));
	CU_ASSERT_EQUAL(memcmp(&x, &out, sizeof(x)), 0);
	CU_ASSERT_TRUE(boot_exception(local, 3, bottom, &out));
	CU_ASSERT_FALSE(boot_exception(local, 3, bottom - 8, &out));
	CU_ASSERT_FALSE(boot_exception(local, 3, top - sizeof(x) + 8, &out));
	CU_ASSERT_FALSE(boot_exception(local, 3, bottom + 1, &out));
	CU_ASSERT_FALSE(boot_exception(local, 4, bottom, &out));
	CU_ASSERT_FALSE(boot_exception(local, 3, UINT64_MAX - 7, &out));
	CU_ASSERT_FALSE(boot_exception(local, 3, 0, &out));
}

static void a_fault_is_one_sentence(void)
{
	struct boot_exception x = {.error = 4, .rip = 0x4010f3};
	char text[128];

	boot_describe(&x, 2, 14, 0x10, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "vCPU 2: page fault reading 0x10 at rip 0x4010f3");
	x.error = 6;
	boot_describe(&x, 0, 14, 0x10, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "vCPU 0: page fault writing 0x10 at rip 0x4010f3");
	x.error = 0x14;
	boot_describe(&x, 0, 14, 0x10, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "vCPU 0: page fault executing 0x10 at rip 0x4010f3");
	boot_describe(&x, 0, UINT32_MAX, 0, text, sizeof(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "vector 4294967295"));
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(maps_exactly_the_memory),
		UNIT_CASE(segments_agree_with_the_gdt),
		UNIT_CASE(only_the_monitor_port_is_open),
		UNIT_CASE(each_vcpu_has_an_exception_stack),
		UNIT_CASE(gates_lead_to_their_stubs),
		UNIT_CASE(frames_come_from_the_own_stack_only),
		UNIT_CASE(a_fault_is_one_sentence),
	};
	int rc = unit_main("boot", cases, UNIT_COUNT(cases));

	free(local);
	return rc;
}
