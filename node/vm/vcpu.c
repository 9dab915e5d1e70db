/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/vcpu.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "node/vm/boot.h"
#include "node/vm/load.h"
#include "node/vm/vm.h"

enum { CPUID_ENTRIES_MAX = 256 };

static int set_cpuid(struct vcpu *v, struct err *e)
{
	struct kvm_cpuid2 *c =
		calloc(1, sizeof(*c) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));
	int rc = ERR_OK;

	if (!c)
		return err_set(e, ERR_NOMEM, "no memory for CPUID");
	c->nent = CPUID_ENTRIES_MAX;
	if (ioctl(v->vm->config.kvm, KVM_GET_SUPPORTED_CPUID, c))
		rc = err_sys(e, errno, "KVM_GET_SUPPORTED_CPUID");
	else if (ioctl(v->fd, KVM_SET_CPUID2, c))
		rc = err_sys(e, errno, "KVM_SET_CPUID2");
	free(c);
	return rc;
}

static int set_sregs(struct vcpu *v, struct err *e)
{
	struct kvm_sregs s;

	if (ioctl(v->fd, KVM_GET_SREGS, &s))
		return err_sys(e, errno, "KVM_GET_SREGS");
	boot_sregs(&s, v->number);
	if (ioctl(v->fd, KVM_SET_SREGS, &s))
		return err_sys(e, errno, "KVM_SET_SREGS");
	return ERR_OK;
}

static int map_run(struct vcpu *v, struct err *e)
{
	int bytes = ioctl(v->vm->config.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	if (bytes < (int)sizeof(*v->run))
		return err_sys(e, errno, "KVM_GET_VCPU_MMAP_SIZE");
	run = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (run == MAP_FAILED)
		return err_sys(e, errno, "cannot map a vCPU");
	v->run = run;
	v->run_bytes = (size_t)bytes;
	return ERR_OK;
}

int vcpu_open(struct vm *vm, unsigned number, struct vcpu **out, struct err *e)
{
	struct vcpu *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return err_set(e, ERR_NOMEM, "no memory for a vCPU");
	v->vm = vm;
	v->number = number;
	v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, number);
	if (v->fd < 0)
		rc = err_sys(e, errno, "KVM_CREATE_VCPU");
	else if (!(rc = map_run(v, e)) && !(rc = set_cpuid(v, e)))
		rc = set_sregs(v, e);
	if (rc) {
		vcpu_close(v);
		return rc;
	}
	*out = v;
	return ERR_OK;
}

/*
 * The entry stands in the boot page, which only member 0 could write: the thread fetches it as the
 * guest would. The page is the guest's, too: a wrong entry hurts nobody but itself.
 */
static bool set_regs(struct vcpu *v)
{
	struct vm *vm = v->vm;
	const struct guest_boot *boot =
		guest_range(&vm->memory, (struct gpa){GUEST_BOOT}, sizeof(*boot), 4096);
	struct kvm_regs r;

	boot_regs(&r, v->number, (struct gpa){boot->entry},
		  load_stack_top(vm->memory.bytes, vm->config.vcpus, v->number));
	if (!ioctl(v->fd, KVM_SET_REGS, &r))
		return true;
	vm_end(vm, CELLULAR__END_CAUSE__END_MONITOR, 0, "vCPU %u: KVM_SET_REGS: %s", v->number,
	       strerror(errno));
	return false;
}

static bool run_once(struct vcpu *v)
{
	if (!ioctl(v->fd, KVM_RUN, 0))
		return vcpu_exit(v) == VCPU_GO;
	if (errno == EINTR || errno == EAGAIN)
		return true;
	vm_end(v->vm, CELLULAR__END_CAUSE__END_MONITOR, 0, "vCPU %u: KVM_RUN: %s", v->number,
	       strerror(errno));
	return false;
}

static void *vcpu_thread(void *context)
{
	struct vcpu *v = context;
	struct vm *vm = v->vm;
	bool go = set_regs(v);

	while (go && !vm_stopping(vm))
		go = run_once(v);
	__atomic_store_n(&v->halted, true, __ATOMIC_RELEASE);
	vm->config.poke(vm->config.context);
	return NULL;
}

static void kicked(int signal)
{
	(void)signal;
}

/* The thread takes no signal but the kick. */
static int start_thread(struct vcpu *v)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	sigdelset(&all, VCPU_KICK_SIGNAL);
	sigdelset(&all, SIGSYS); /* what the sandbox forbids is named by its handler */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&v->thread, NULL, vcpu_thread, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int vcpu_start(struct vcpu *v, struct err *e)
{
	struct sigaction action = {.sa_handler = kicked};
	int rc;

	if (sigaction(VCPU_KICK_SIGNAL, &action, NULL))
		return err_sys(e, errno, "cannot handle the signal that stops a vCPU");
	rc = start_thread(v);
	if (rc)
		return err_sys(e, rc, "cannot start a thread for vCPU %u", v->number);
	v->started = true;
	return ERR_OK;
}

void vcpu_kick(struct vcpu *v)
{
	if (!v->started)
		return;
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(v->thread, VCPU_KICK_SIGNAL);
}

bool vcpu_halted(const struct vcpu *v)
{
	return !v->started || __atomic_load_n(&v->halted, __ATOMIC_ACQUIRE);
}

void vcpu_close(struct vcpu *v)
{
	if (!v)
		return;
	assert(vcpu_halted(v));
	if (v->started)
		pthread_join(v->thread, NULL);
	if (v->run)
		munmap(v->run, v->run_bytes);
	if (v->fd >= 0)
		close(v->fd);
	free(v);
}
