/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual CPU: a KVM vCPU and the thread that runs it. (Linux Documentation/virt/kvm/api.rst,
 * KVM_RUN.)
 *
 * A kick brings the thread out of the guest: immediate_exit is set first, then the signal is sent,
 * so it does not matter whether the thread is just before, in, or after KVM_RUN. A thread that
 * waits for a page of another cell may not notice before the page is there; one that waits for a
 * page of a dead space never does.
 */
#ifndef CELLULAR_NODE_VCPU_H
#define CELLULAR_NODE_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "proto/base/err.h"

enum { VCPU_KICK_SIGNAL = SIGUSR1 };

struct vm;

struct vcpu {
	struct vm *vm;
	unsigned number; /* in the VM */
	int fd;
	struct kvm_run *run; /* shared with KVM */
	size_t run_bytes;
	pthread_t thread;
	bool started;
	bool halted; /* atomic: the thread has left its loop */
};

/* What the loop does after an exit was dealt with. */
enum vcpu_next { VCPU_GO, VCPU_STOP };

/* Makes it and sets its state (boot.h). Errors: SYS, NOMEM. */
int vcpu_open(struct vm *vm, unsigned number, struct vcpu **out, struct err *e);

/* Starts the thread. */
int vcpu_start(struct vcpu *v, struct err *e);

/* Any thread; before vcpu_start it does nothing. The caller holds vm->lock. */
void vcpu_kick(struct vcpu *v);

/* It was never started, or its thread has left the guest for good. */
bool vcpu_halted(const struct vcpu *v);

/* Joins and frees; it must be halted. NULL is allowed. */
void vcpu_close(struct vcpu *v);

/* Deals with the exit in v->run (exit.c). */
enum vcpu_next vcpu_exit(struct vcpu *v);

#endif
