/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local range of a library guest: page tables, GDT, IDT, TSS, and the ring-0 stubs that report
 * an exception (Intel SDM vol. 3, ch. 3 - 7; AMD APM vol. 2, ch. 4, 5, 8). Every fragment builds
 * the same, before its first vCPU runs; nothing changes it afterwards but vCPUs that push an
 * exception frame.
 *
 * Layout of [0, 2 MiB), supervisor only, mapped by one 2 MiB page:
 *
 *	0x001000  PML4        0x002000  PDPT
 *	0x003000  GDT         0x004000  IDT          0x005000  stubs, 16 bytes a vector
 *	0x008000  TSS with its I/O map, one a vCPU, 1 KiB apart
 *	0x020000  exception stacks, a page a vCPU
 *	0x100000  page directories, 2 MiB pages, one a GiB: 256 GiB at most
 *
 * All descriptors and entries have their accessed, dirty and busy bits set, so that no walker has a
 * reason to write them.
 */
#ifndef CELLULAR_NODE_BOOT_H
#define CELLULAR_NODE_BOOT_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/guest/abi.h"
#include "proto/ids.h"

enum {
	BOOT_PML4 = 0x1000,
	BOOT_PDPT = 0x2000,
	BOOT_GDT = 0x3000,
	BOOT_IDT = 0x4000,
	BOOT_STUBS = 0x5000,
	BOOT_TSS = 0x8000,
	BOOT_STACKS = 0x20000,
	BOOT_DIRECTORIES = 0x100000,

	BOOT_STUB_BYTES = 16,
	BOOT_TSS_BYTES = 1024,
	BOOT_STACK_BYTES = 4096,
	BOOT_EXCEPTIONS = 32,
	BOOT_GIB_MAX = 256,

	BOOT_CS0 = 0x10, /* selectors */
	BOOT_DS3 = 0x2b,
	BOOT_CS3 = 0x33,
	BOOT_TR0 = 0x40, /* of vCPU 0; 16 bytes a vCPU */
};

#define BOOT_MEMORY_MAX ((uint64_t)BOOT_GIB_MAX << 30)

/* Fills local[0, GUEST_LOCAL_BYTES), which is zero. memory: end of coherent memory, a multiple of 2
 * MiB, at most BOOT_MEMORY_MAX. */
void boot_build(uint8_t *local, uint64_t memory);

/* State of a vCPU that is about to run ring-3 code at `entry`. sregs and regs come from the vCPU.
 */
void boot_sregs(struct kvm_sregs *s, unsigned vcpu);
void boot_regs(struct kvm_regs *r, unsigned vcpu, struct gpa entry, struct gpa stack_top);

/* What an exception stub left on a vCPU's exception stack. */
struct boot_exception {
	uint64_t error, rip, cs, rflags, rsp, ss;
};

/* rsp: the vCPU's, at the stub's OUT. false: it does not point into that vCPU's exception stack. */
bool boot_exception(const uint8_t *local, unsigned vcpu, uint64_t rsp, struct boot_exception *out);

/* "vCPU 2: page fault reading 0x10 at rip 0x4010f3" */
void boot_describe(const struct boot_exception *x, unsigned vcpu, unsigned vector, uint64_t cr2,
		   char *out, size_t room);

#endif
