/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/boot.h"

#include <stdio.h>
#include <string.h>

enum {
	PTE_PRESENT = 1 << 0,
	PTE_WRITE = 1 << 1,
	PTE_USER = 1 << 2,
	PTE_ACCESSED = 1 << 5,
	PTE_DIRTY = 1 << 6,
	PTE_LARGE = 1 << 7,

	PTE_TABLE = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED,
	PTE_PAGE = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_LARGE,
};

/* Descriptors, accessed or busy already (SDM 3.4.5, 7.2.3). */
#define GDT_CODE0 0x00af9b000000ffffull
#define GDT_DATA0 0x00cf93000000ffffull
#define GDT_DATA3 0x00cff3000000ffffull
#define GDT_CODE3 0x00affb000000ffffull
#define GDT_TSS	  0x00008b0000000000ull

static void put64(uint8_t *local, uint64_t at, uint64_t v)
{
	memcpy(local + at, &v, sizeof(v));
}

static void build_tables(uint8_t *local, uint64_t memory)
{
	uint64_t large = memory >> 21;

	put64(local, BOOT_PML4, BOOT_PDPT | PTE_TABLE);
	for (uint64_t gib = 0; gib << 30 < memory; gib++)
		put64(local, BOOT_PDPT + 8 * gib, (BOOT_DIRECTORIES + (gib << 12)) | PTE_TABLE);
	put64(local, BOOT_DIRECTORIES, PTE_PAGE);
	for (uint64_t i = 1; i < large; i++)
		put64(local, BOOT_DIRECTORIES + 8 * i, i << 21 | PTE_PAGE | PTE_USER);
}

/*
 * A 64-bit TSS (SDM 8.7): the stack for ring 0, and an I/O map that opens the monitor's ports to
 * ring 3. A software-assisted KVM asks nothing but the map; real processors ask IOPL first (SDM
 * 19.5), which is 3: under an emulated SVM the map alone was not enough. So OUT to another port is
 * a protection fault here and an exit to an unknown port there; the guest ends either way.
 */
enum {
	TSS_RSP0 = 4,
	TSS_MAP_BASE = 102,
	TSS_MAP = 104,
	PORTS_FIRST = MONITOR_PORT,
	PORTS_END = EXCEPTION_PORT,		 /* ring 0 needs no map */
	TSS_MAP_BYTES = (PORTS_END + 7) / 8 + 1, /* one byte of ones at the end (SDM 19.5.2) */
	TSS_LIMIT = TSS_MAP + TSS_MAP_BYTES - 1,
};

_Static_assert((int)TSS_LIMIT < (int)BOOT_TSS_BYTES, "a TSS fits its place");

static void build_tss(uint8_t *local, unsigned vcpu)
{
	uint64_t tss = BOOT_TSS + vcpu * BOOT_TSS_BYTES, at = BOOT_GDT + BOOT_TR0 + 16 * vcpu;
	uint16_t map = TSS_MAP;

	put64(local, tss + TSS_RSP0, BOOT_STACKS + (vcpu + 1) * BOOT_STACK_BYTES);
	memcpy(local + tss + TSS_MAP_BASE, &map, sizeof(map));
	memset(local + tss + TSS_MAP, 0xff, TSS_MAP_BYTES);
	for (unsigned port = PORTS_FIRST; port < PORTS_END; port++)
		local[tss + TSS_MAP + port / 8] &= (uint8_t) ~(1 << port % 8);
	put64(local, at, GDT_TSS | TSS_LIMIT | tss << 16);
	put64(local, at + 8, 0);
}

static void build_gdt(uint8_t *local)
{
	put64(local, BOOT_GDT + 0x10, GDT_CODE0);
	put64(local, BOOT_GDT + 0x18, GDT_DATA0);
	put64(local, BOOT_GDT + 0x28, GDT_DATA3);
	put64(local, BOOT_GDT + 0x30, GDT_CODE3);
	for (unsigned i = 0; i < GUEST_VCPUS_MAX; i++)
		build_tss(local, i);
}

/* Vectors for which the CPU pushes an error code (SDM table 6-1, APM 8.2). */
static bool pushes_error(unsigned vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 ||
	       vector == 29 || vector == 30;
}

/*
 *	push $0			if the CPU pushes no error code
 *	mov $vector, %eax
 *	mov $EXCEPTION_PORT, %edx
 *	out %eax, (%dx)
 *	hlt
 */
static void build_stub(uint8_t *local, unsigned vector)
{
	uint8_t stub[BOOT_STUB_BYTES] = {0x6a,
					 0x00,
					 0xb8,
					 (uint8_t)vector,
					 0,
					 0,
					 0,
					 0xba,
					 EXCEPTION_PORT & 0xff,
					 EXCEPTION_PORT >> 8,
					 0,
					 0,
					 0xef,
					 0xf4};
	uint64_t at = BOOT_STUBS + vector * BOOT_STUB_BYTES;
	unsigned skip = pushes_error(vector) ? 2 : 0;

	memcpy(local + at, stub + skip, sizeof(stub) - skip);
	put64(local, BOOT_IDT + 16 * vector, at | (uint64_t)BOOT_CS0 << 16 | 0x8eull << 40);
	put64(local, BOOT_IDT + 16 * vector + 8, 0);
}

void boot_build(uint8_t *local, uint64_t memory)
{
	build_tables(local, memory);
	build_gdt(local);
	for (unsigned i = 0; i < BOOT_EXCEPTIONS; i++)
		build_stub(local, i);
}

/*
 * What makes ring-3 code run natively from its first instruction on hardware and under a
 * software-assisted KVM alike: long mode, SSE, no more; segments as after a return to ring 3; a
 * TSS; no LDT.
 */
void boot_sregs(struct kvm_sregs *s, unsigned vcpu)
{
	struct kvm_segment data = {.limit = 0xffffffff,
				   .selector = BOOT_DS3,
				   .type = 3,
				   .present = 1,
				   .dpl = 3,
				   .db = 1,
				   .s = 1,
				   .g = 1};
	struct kvm_segment code = data;

	code.selector = BOOT_CS3;
	code.type = 11;
	code.db = 0;
	code.l = 1;
	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = (struct kvm_segment){.base = BOOT_TSS + vcpu * BOOT_TSS_BYTES,
				     .limit = TSS_LIMIT,
				     .selector = (uint16_t)(BOOT_TR0 + 16 * vcpu),
				     .type = 11,
				     .present = 1};
	memset(&s->ldt, 0, sizeof(s->ldt));
	s->ldt.unusable = 1;
	s->gdt.base = BOOT_GDT;
	s->gdt.limit = BOOT_TR0 + 16 * GUEST_VCPUS_MAX - 1;
	s->idt.base = BOOT_IDT;
	s->idt.limit = 16 * BOOT_EXCEPTIONS - 1;
	s->cr0 = 0x80050033; /* PG AM WP NE ET MP PE */
	s->cr3 = BOOT_PML4;
	s->cr4 = 0x620;	 /* OSXMMEXCPT OSFXSR PAE */
	s->efer = 0xd01; /* NXE LMA LME SCE */
}

void boot_regs(struct kvm_regs *r, unsigned vcpu, struct gpa entry, struct gpa stack_top)
{
	memset(r, 0, sizeof(*r));
	r->rip = entry.v;
	r->rsp = stack_top.v - 8;
	r->rdi = vcpu;
	r->rsi = GUEST_BOOT;
	r->rflags = 0x3202; /* IF; IOPL 3: OUT from ring 3, where the map does not decide */
}

bool boot_exception(const uint8_t *local, unsigned vcpu, uint64_t rsp, struct boot_exception *out)
{
	uint64_t bottom = BOOT_STACKS + vcpu * BOOT_STACK_BYTES;

	if (rsp < bottom || rsp > bottom + BOOT_STACK_BYTES - sizeof(*out) || rsp % 8)
		return false;
	memcpy(out, local + rsp, sizeof(*out));
	return true;
}

static const char *const vectors[BOOT_EXCEPTIONS] = {
	[0] = "division by zero",
	[1] = "debug trap",
	[2] = "NMI",
	[3] = "breakpoint",
	[4] = "overflow",
	[5] = "bound exceeded",
	[6] = "illegal instruction",
	[7] = "FPU not available",
	[8] = "double fault",
	[10] = "invalid TSS",
	[11] = "segment not present",
	[12] = "stack fault",
	[13] = "protection fault",
	[14] = "page fault",
	[16] = "x87 error",
	[17] = "alignment fault",
	[18] = "machine check",
	[19] = "SSE error",
};

enum { VECTOR_PAGE_FAULT = 14, FAULT_WRITE = 1 << 1, FAULT_FETCH = 1 << 4 };

void boot_describe(const struct boot_exception *x, unsigned vcpu, unsigned vector, uint64_t cr2,
		   char *out, size_t room)
{
	const char *name =
		vector < BOOT_EXCEPTIONS && vectors[vector] ? vectors[vector] : "exception";
	unsigned long long rip = x->rip;

	if (vector == VECTOR_PAGE_FAULT)
		snprintf(out, room, "vCPU %u: page fault %s 0x%llx at rip 0x%llx", vcpu,
			 x->error & FAULT_FETCH	  ? "executing"
			 : x->error & FAULT_WRITE ? "writing"
						  : "reading",
			 (unsigned long long)cr2, rip);
	else
		snprintf(out, room, "vCPU %u: %s (vector %u, error 0x%llx) at rip 0x%llx", vcpu,
			 name, vector, (unsigned long long)x->error, rip);
}
