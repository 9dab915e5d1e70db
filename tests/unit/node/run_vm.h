/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a guest to its end in this process, as a VM with one fragment on plain memory. */
#ifndef CELLULAR_TESTS_RUN_VM_H
#define CELLULAR_TESTS_RUN_VM_H

#include "node/vm/load.h"
#include "node/vm/vm.h"

struct run_vm {
	struct load_config load; /* memory and vcpus are filled in */
	unsigned vcpus;
	uint64_t memory;			/* bytes; 0: 64 MiB */
	void (*tamper)(struct guest_memory *m); /* after loading, before the first vCPU runs */
	void (*prepare)(struct vm *vm);		/* the same; for the vCPUs */
	int stop_after_ms;			/* then it is killed */

	struct vm_end end;
	char console[1 << 16]; /* NUL-terminated, the start of it */
	size_t console_bytes;  /* all */
	int halt_ms;	       /* from the end to the last vCPU's halt */
};

/* 0, or the error of opening or loading. NOTFOUND: no /dev/kvm (the test should be skipped). */
int run_vm(struct run_vm *r, struct err *e);

#endif
