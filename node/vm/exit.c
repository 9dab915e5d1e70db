/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a vCPU left the guest, and what is done about it: a table by exit reason, and below it tables
 * of port and memory ranges for devices.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "node/vm/boot.h"
#include "node/vm/monitor.h"
#include "node/vm/vcpu.h"
#include "node/vm/vm.h"

#define GUEST_FAULT CELLULAR__END_CAUSE__END_GUEST_FAULT
#define MONITOR	    CELLULAR__END_CAUSE__END_MONITOR

/* An access to a device: `bytes` at `at`; a read fills data, a write finds it there. */
struct access {
	uint64_t at;
	bool write;
	uint32_t bytes;
	uint32_t count; /* string instructions: how many, one after the other in data */
	uint8_t *data;
};

struct range {
	uint64_t first, last;
	enum vcpu_next (*access)(struct vcpu *v, const struct access *a);
};

static uint64_t rip(const struct vcpu *v)
{
	struct kvm_regs r = {0};

	ioctl(v->fd, KVM_GET_REGS, &r);
	return r.rip;
}

static enum vcpu_next stray_port(struct vcpu *v, const struct access *a)
{
	vm_end(v->vm, GUEST_FAULT, 0, "vCPU %u: %s port 0x%llx at rip 0x%llx", v->number,
	       a->write ? "write to" : "read from", (unsigned long long)a->at,
	       (unsigned long long)rip(v));
	return VCPU_STOP;
}

static enum vcpu_next monitor_port(struct vcpu *v, const struct access *a)
{
	uint32_t eax;

	if (!a->write || a->bytes != sizeof(eax) || a->count != 1 || a->at != MONITOR_PORT)
		return stray_port(v, a);
	memcpy(&eax, a->data, sizeof(eax));
	return monitor_call(v, eax);
}

/* From a ring-0 stub only: ring 3 could write to the port, too. */
static enum vcpu_next exception_port(struct vcpu *v, const struct access *a)
{
	struct boot_exception x;
	struct kvm_sregs s;
	struct kvm_regs r;
	char text[160];
	uint32_t vector;

	if (!a->write || a->bytes != sizeof(vector) || a->count != 1 ||
	    ioctl(v->fd, KVM_GET_REGS, &r) || ioctl(v->fd, KVM_GET_SREGS, &s) ||
	    (s.cs.selector & 3) || !boot_exception(v->vm->memory.base, v->number, r.rsp, &x))
		return stray_port(v, a);
	memcpy(&vector, a->data, sizeof(vector));
	boot_describe(&x, v->number, vector, s.cr2, text, sizeof(text));
	vm_end(v->vm, GUEST_FAULT, 0, "%s", text);
	return VCPU_STOP;
}

static const struct range ports[] = {
	{MONITOR_PORT, MONITOR_PORT + 3, monitor_port},
	{EXCEPTION_PORT, EXCEPTION_PORT + 3, exception_port},
};

static enum vcpu_next exit_io(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	struct access a = {
		.at = run->io.port,
		.write = run->io.direction == KVM_EXIT_IO_OUT,
		.bytes = run->io.size,
		.count = run->io.count,
		.data = (uint8_t *)run + run->io.data_offset,
	};

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (a.at >= ports[i].first && a.at <= ports[i].last)
			return ports[i].access(v, &a);
	return stray_port(v, &a);
}

/* No device lives in memory yet; when one does, a table as for ports. */
static enum vcpu_next exit_mmio(struct vcpu *v)
{
	vm_end(v->vm, GUEST_FAULT, 0, "vCPU %u: %s 0x%llx, which is not memory, at rip 0x%llx",
	       v->number, v->run->mmio.is_write ? "write to" : "read from",
	       (unsigned long long)v->run->mmio.phys_addr, (unsigned long long)rip(v));
	return VCPU_STOP;
}

static enum vcpu_next exit_hlt(struct vcpu *v)
{
	vm_end(v->vm, GUEST_FAULT, 0, "vCPU %u: halted for ever at rip 0x%llx", v->number,
	       (unsigned long long)rip(v));
	return VCPU_STOP;
}

static enum vcpu_next exit_shutdown(struct vcpu *v)
{
	vm_end(v->vm, GUEST_FAULT, 0, "vCPU %u: triple fault", v->number);
	return VCPU_STOP;
}

static enum vcpu_next exit_internal_error(struct vcpu *v)
{
	unsigned suberror = v->run->internal.suberror;

	vm_end(v->vm, suberror == KVM_INTERNAL_ERROR_EMULATION ? GUEST_FAULT : MONITOR, 0,
	       "vCPU %u: KVM could not go on (internal error %u) at rip 0x%llx", v->number,
	       suberror, (unsigned long long)rip(v));
	return VCPU_STOP;
}

static enum vcpu_next exit_fail_entry(struct vcpu *v)
{
	vm_end(v->vm, MONITOR, 0, "vCPU %u: the processor refused its state (reason 0x%llx)",
	       v->number, (unsigned long long)v->run->fail_entry.hardware_entry_failure_reason);
	return VCPU_STOP;
}

static enum vcpu_next exit_nothing(struct vcpu *v)
{
	(void)v;
	return VCPU_GO;
}

static enum vcpu_next (*const exits[])(struct vcpu *v) = {
	[KVM_EXIT_IO] = exit_io,
	[KVM_EXIT_HLT] = exit_hlt,
	[KVM_EXIT_MMIO] = exit_mmio,
	[KVM_EXIT_IRQ_WINDOW_OPEN] = exit_nothing,
	[KVM_EXIT_SHUTDOWN] = exit_shutdown,
	[KVM_EXIT_FAIL_ENTRY] = exit_fail_entry,
	[KVM_EXIT_INTR] = exit_nothing,
	[KVM_EXIT_INTERNAL_ERROR] = exit_internal_error,
};

enum vcpu_next vcpu_exit(struct vcpu *v)
{
	uint32_t reason = v->run->exit_reason;

	if (reason < sizeof(exits) / sizeof(exits[0]) && exits[reason])
		return exits[reason](v);
	vm_end(v->vm, MONITOR, 0,
	       "vCPU %u: left the guest for a reason unknown to the monitor (%u)", v->number,
	       reason);
	return VCPU_STOP;
}
