/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a library guest and the monitor (cell-vm) agree on. A library guest is a static 64-bit ELF
 * that runs in ring 3 on the vCPUs, with guest-virtual = guest-physical addresses.
 *
 * Memory: [0, GUEST_LOCAL_BYTES) is a local range: page tables, GDT, IDT, TSS and the ring-0
 * exception stubs, built alike by every fragment before the first vCPU runs and never changed; ring
 * 3 cannot reach it, so a null pointer faults. At GUEST_BOOT lies struct guest_boot, at GUEST_IMAGE
 * the program, then files, heap and stacks, all coherent.
 *
 * Monitor call: OUT of EAX to MONITOR_PORT with EAX = address of a struct guest_request >> 6. The
 * block is 64 bytes, 64-byte aligned, in coherent memory. The monitor copies it, checks every
 * field, and writes back status and result. A block that cannot be read ends the VM.
 */
#ifndef CELLULAR_GUEST_ABI_H
#define CELLULAR_GUEST_ABI_H

#include <stdint.h>

#define GUEST_LOCAL_BYTES 0x200000ull
#define GUEST_BOOT	  0x200000ull
#define GUEST_IMAGE	  0x400000ull

enum {
	GUEST_ABI_VERSION = 1,
	GUEST_VCPUS_MAX = 64,
	GUEST_FILES_MAX = 32,
	GUEST_ARGS_MAX = 64,
	GUEST_FILE_NAME_MAX = 64,
	GUEST_WRITE_MAX = 4096, /* bytes of one MONITOR_WRITE */
	GUEST_STACK_BYTES = 256 << 10,

	MONITOR_PORT = 0x0ce0,	 /* call, 32 bit */
	EXCEPTION_PORT = 0x0ce4, /* from the ring-0 stub: vector, 32 bit */
};

enum guest_op {
	MONITOR_WRITE = 1, /* arg[0] address, arg[1] bytes: to the console. result: bytes taken */
	MONITOR_WAIT = 2,  /* arg[0] address of a uint32, arg[1] value: sleep while it holds value,
			      until woken; may wake early */
	MONITOR_WAKE = 3,  /* arg[0] address: wake all that wait on it, on all cells */
	MONITOR_EXIT = 4,  /* arg[0] exit code: the VM ends */
};

enum guest_status {
	GUEST_OK = 0,
	GUEST_EBADOP = 1,
	GUEST_EBADADDRESS = 2, /* not inside coherent memory, or misaligned */
	GUEST_ETOOBIG = 3,
};

struct guest_request {
	uint32_t op;
	uint32_t status;
	uint64_t arg[6];
	uint64_t result;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct guest_request) == 64, "one cache line");

struct guest_file {
	uint64_t address; /* page-aligned */
	uint64_t bytes;
	char name[GUEST_FILE_NAME_MAX];
};

struct guest_boot {
	uint32_t version;
	uint32_t vcpus;
	uint64_t memory_end;		     /* first address after coherent memory */
	uint64_t entry;			     /* of the program: where every vCPU starts */
	uint64_t heap_start, heap_end;	     /* free at the start: the program hands it out */
	uint64_t stack_top[GUEST_VCPUS_MAX]; /* multiples of GUEST_STACK_BYTES, the stacks lie side
						by side */
	uint64_t tsc_khz; /* of the cell of member 0, others may differ; 0: unknown */
	uint32_t argc;
	uint32_t files;
	uint64_t argv[GUEST_ARGS_MAX + 1]; /* addresses of strings, NULL at the end */
	struct guest_file file[GUEST_FILES_MAX];
};

_Static_assert(sizeof(struct guest_boot) <= 4096, "one page");

/* Entry of a vCPU: RIP = ELF entry, RSP = stack_top[vcpu] - 8, RDI = vcpu number, RSI = GUEST_BOOT,
 * IOPL 3. Only MONITOR_PORT is served: OUT to another port ends the VM. */

#endif
