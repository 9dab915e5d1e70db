/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fragment of a VM: its memory (a member of the VM's space), its vCPUs, and the end, which
 * comes exactly once and has a reason.
 *
 *	vm_open  -> vm_connect (blocks) -> vm_run -> ... vm_end ... -> vm_halted -> vm_close
 *
 * The end: whoever notices it calls vm_end, with the first reason winning; that tells the other
 * fragments, wakes who sleeps and kicks the vCPUs. vm_halted tells when they have all left; a vCPU
 * that waits for a page of a dead space may never leave, so a process must be ready to end without
 * vm_close.
 *
 * Threads: vm_open, vm_run, vm_close from one; vm_end, vm_tell and what is below from any.
 * config.poke is called from any thread when vm_ended, vm_halted, vm_done or the console may have
 * something new.
 */
#ifndef CELLULAR_NODE_VM_H
#define CELLULAR_NODE_VM_H

#include <stdbool.h>

#include "dsm/dsm.h"
#include "node/vm/console.h"
#include "node/vm/memory.h"
#include "node/vm/wait.h"
#include "node/vm/wire.h"
#include "proto/control.pb-c.h"

struct vcpu;

struct vm_config {
	uint64_t id;
	struct epoch epoch;
	struct member_id self;
	uint8_t members;
	unsigned vcpus;			/* of the VM, 1 .. GUEST_VCPUS_MAX */
	uint8_t place[GUEST_VCPUS_MAX]; /* member that runs it */
	uint64_t memory;		/* bytes of coherent memory, a multiple of 2 MiB */
	uint8_t key[CELL_KEY_BYTES];
	const char *listen; /* "ip:port" */
	int kvm;	    /* /dev/kvm; stays the caller's */
	int flight;	    /* flight recorder (dsm_config); stays the caller's */
	void *context;
	void (*poke)(void *context);
};

struct vm_end {
	Cellular__EndCause cause; /* END_NONE: not yet */
	int32_t code;
	struct member_id
		member; /* MEMBER_LOST: who was lost, else the fragment where it happened */
	char text[ERR_TEXT_MAX];
};

struct vm {
	struct vm_config config;
	int fd;		  /* KVM VM */
	uint64_t tsc_khz; /* of its vCPUs; 0: unknown */
	struct dsm *dsm;
	bool connected; /* posts reach the others; atomic */
	struct guest_memory memory;
	struct waiters waiters;
	struct console console;

	pthread_mutex_t lock;		    /* what follows */
	struct vcpu *vcpu[GUEST_VCPUS_MAX]; /* NULL: runs elsewhere */
	struct vm_end end;
	bool stopping; /* atomic for readers without the lock */
	dsm_set done;  /* fragments that said DONE */
};

/* Opens space and VM, builds the local range, makes the vCPUs. INVALID: config; all errors of
 * dsm_open; SYS, DENIED: KVM. */
int vm_open(const struct vm_config *config, struct vm **out, struct err *e);

/* peers: addresses by member. Errors of dsm_connect. */
int vm_connect(struct vm *vm, const char *const *peers, int timeout_ms, int stop_fd, struct err *e);

/* Starts the vCPUs; each waits for the boot page to come. After vm_end it starts none. */
int vm_run(struct vm *vm, struct err *e);

/* No vCPU runs and none was left in the middle of something. */
bool vm_halted(struct vm *vm);

/* Ends it for this reason unless it has ended. */
void vm_end(struct vm *vm, Cellular__EndCause cause, int32_t code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void vm_end_for(struct vm *vm, const struct vm_end *end, bool tell);
bool vm_stopping(const struct vm *vm);
/* false: not ended. */
bool vm_ended(struct vm *vm, struct vm_end *out);

/* Members that said DONE. */
dsm_set vm_done(struct vm *vm);

/* Posts to one member. STATE: before vm_connect; else as dsm_post: NOSPACE and LOST.
 */
int vm_tell(struct vm *vm, struct member_id to, const struct vm_message *m);

/* Frees all. Only when vm_halted, or before vm_run. NULL is allowed. */
void vm_close(struct vm *vm);

#endif
