/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "node/vm/boot.h"
#include "node/vm/vcpu.h"

#define TSS_ADDRESS                                                                                \
	0xfffbd000ull /* three pages VMX without unrestricted guests wants; below 4 GiB */
#define LARGE_PAGE (2ull << 20)

/* ---- talk between fragments ---- */

int vm_tell(struct vm *vm, struct member_id to, const struct vm_message *m)
{
	char buffer[POST_BYTES_MAX];

	if (!__atomic_load_n(&vm->connected, __ATOMIC_ACQUIRE))
		return ERR_STATE;
	return dsm_post(vm->dsm, to, buffer, vm_wire_encode(buffer, m));
}

static void tell_others(struct vm *vm, const struct vm_message *m)
{
	for (uint8_t i = 0; i < vm->config.members; i++)
		if (i != vm->config.self.v)
			vm_tell(vm, (struct member_id){i}, m);
}

static void heard_end(struct vm *vm, struct member_id from, const struct vm_message *m)
{
	struct vm_end end = {
		.cause = (Cellular__EndCause)m->a,
		.code = m->b,
		.member = {m->c < vm->config.members ? (uint8_t)m->c : from.v},
	};

	if (m->a <= CELLULAR__END_CAUSE__END_NONE || m->a > CELLULAR__END_CAUSE__END_MONITOR)
		end.cause = CELLULAR__END_CAUSE__END_MONITOR;
	snprintf(end.text, sizeof(end.text), "%.*s", (int)m->bytes, m->body);
	vm_end_for(vm, &end, false);
}

static void heard_done(struct vm *vm, struct member_id from)
{
	pthread_mutex_lock(&vm->lock);
	vm->done |= 1ull << from.v;
	pthread_mutex_unlock(&vm->lock);
	vm->config.poke(vm->config.context);
}

static int heard_console(struct vm *vm, struct member_id from, const struct vm_message *m,
			 struct err *e)
{
	int rc = console_put(&vm->console, from, m->body, m->bytes, e);

	if (!rc)
		vm->config.poke(vm->config.context);
	return rc;
}

static int hear(struct vm *vm, struct member_id from, const struct vm_message *m, struct err *e)
{
	switch (m->type) {
	case VM_WIRE_END:
		heard_end(vm, from, m);
		return ERR_OK;
	case VM_WIRE_DONE:
		heard_done(vm, from);
		return ERR_OK;
	case VM_WIRE_CONSOLE:
		return heard_console(vm, from, m, e);
	case VM_WIRE_CREDIT:
		if (from.v)
			return err_set(e, ERR_PROTOCOL,
				       "console credit from a member without a console");
		return console_credit(&vm->console, m->a, e);
	case VM_WIRE_WAKE:
		wait_wake(&vm->waiters, (struct gpa){m->a});
		return ERR_OK;
	}
	return err_set(e, ERR_PROTOCOL, "VM message of type %d", m->type);
}

static void post_received(void *context, struct member_id from, const void *bytes, uint32_t n)
{
	struct vm *vm = context;
	struct vm_message m;
	struct err e = {0};

	if (vm_wire_decode(bytes, n, &m, &e) || hear(vm, from, &m, &e))
		vm_end(vm, CELLULAR__END_CAUSE__END_MONITOR, 0,
		       "fragment %u broke the protocol: %s", from.v, e.text);
}

static void member_lost(void *context, struct member_id member, const struct err *why)
{
	struct vm_end end = {.cause = CELLULAR__END_CAUSE__END_MEMBER_LOST, .member = member};

	snprintf(end.text, sizeof(end.text), "%s", why->text);
	vm_end_for(context, &end, true);
}

/* ---- the end ---- */

bool vm_stopping(const struct vm *vm)
{
	return __atomic_load_n(&vm->stopping, __ATOMIC_ACQUIRE);
}

static void tell_end(struct vm *vm, const struct vm_end *end)
{
	struct vm_message m = {
		.type = VM_WIRE_END,
		.a = (uint64_t)end->cause,
		.b = end->code,
		.c = end->member.v,
		.body = end->text,
		.bytes = (uint32_t)strlen(end->text),
	};

	tell_others(vm, &m);
}

void vm_end_for(struct vm *vm, const struct vm_end *end, bool tell)
{
	bool first;

	pthread_mutex_lock(&vm->lock);
	first = !vm->end.cause;
	if (first) {
		vm->end = *end;
		__atomic_store_n(&vm->stopping, true, __ATOMIC_RELEASE);
		for (unsigned i = 0; i < vm->config.vcpus; i++)
			if (vm->vcpu[i])
				vcpu_kick(vm->vcpu[i]);
	}
	pthread_mutex_unlock(&vm->lock);
	if (!first)
		return;
	if (tell)
		tell_end(vm, end);
	wait_stop(&vm->waiters);
	console_stop(&vm->console);
	vm->config.poke(vm->config.context);
}

void vm_end(struct vm *vm, Cellular__EndCause cause, int32_t code, const char *fmt, ...)
{
	struct vm_end end = {.cause = cause, .code = code, .member = vm->config.self};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(end.text, sizeof(end.text), fmt, ap);
	va_end(ap);
	vm_end_for(vm, &end, true);
}

bool vm_ended(struct vm *vm, struct vm_end *out)
{
	pthread_mutex_lock(&vm->lock);
	*out = vm->end;
	pthread_mutex_unlock(&vm->lock);
	return out->cause != CELLULAR__END_CAUSE__END_NONE;
}

dsm_set vm_done(struct vm *vm)
{
	dsm_set done;

	pthread_mutex_lock(&vm->lock);
	done = vm->done;
	pthread_mutex_unlock(&vm->lock);
	return done;
}

bool vm_halted(struct vm *vm)
{
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		if (vm->vcpu[i] && !vcpu_halted(vm->vcpu[i]))
			return false;
	return true;
}

/* ---- the ladder ---- */

static int check_config(const struct vm_config *c, struct err *e)
{
	if (!c->members || c->members > DSM_MEMBERS_MAX || c->self.v >= c->members)
		return err_set(e, ERR_INVALID, "member %u of %u", c->self.v, c->members);
	if (!c->vcpus || c->vcpus > GUEST_VCPUS_MAX)
		return err_set(e, ERR_INVALID, "%u vCPUs: 1 to %d are possible", c->vcpus,
			       GUEST_VCPUS_MAX);
	for (unsigned i = 0; i < c->vcpus; i++)
		if (c->place[i] >= c->members)
			return err_set(e, ERR_INVALID, "vCPU %u is placed on member %u of %u", i,
				       c->place[i], c->members);
	if (c->memory < GUEST_IMAGE || c->memory % LARGE_PAGE ||
	    c->memory > BOOT_MEMORY_MAX - GUEST_LOCAL_BYTES)
		return err_set(e, ERR_INVALID,
			       "memory of %llu bytes: multiples of 2 MiB from %d MiB to %d GiB are "
			       "possible",
			       (unsigned long long)c->memory, (int)(GUEST_IMAGE >> 20),
			       BOOT_GIB_MAX);
	return ERR_OK;
}

static int open_space(struct vm *vm, struct err *e)
{
	const struct vm_config *c = &vm->config;
	struct dsm_config d = {
		.space = {c->id},
		.epoch = c->epoch,
		.self = c->self,
		.members = c->members,
		.pages = (GUEST_LOCAL_BYTES + c->memory) >> DSM_PAGE_SHIFT,
		.locals = 1,
		.local = {{0, GUEST_LOCAL_BYTES >> DSM_PAGE_SHIFT}},
		.listen = c->listen,
		.context = vm,
		.lost = member_lost,
		.post = post_received,
		.recorder = c->flight,
	};
	int rc;

	memcpy(d.key, c->key, sizeof(d.key));
	if ((rc = dsm_open(&d, &vm->dsm, e)))
		return rc;
	vm->memory = (struct guest_memory){dsm_base(vm->dsm), GUEST_LOCAL_BYTES + c->memory};
	boot_build(vm->memory.base, vm->memory.bytes);
	return ERR_OK;
}

static int open_kvm(struct vm *vm, struct err *e)
{
	struct kvm_userspace_memory_region slot = {
		.memory_size = vm->memory.bytes,
		.userspace_addr = (uint64_t)vm->memory.base,
	};
	int tsc_khz;

	vm->fd = ioctl(vm->config.kvm, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return err_sys(e, errno, "KVM_CREATE_VM");
	if (vm->memory.bytes <= TSS_ADDRESS && ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDRESS))
		return err_sys(e, errno, "KVM_SET_TSS_ADDR");
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot))
		return err_sys(e, errno, "KVM_SET_USER_MEMORY_REGION");
	tsc_khz = ioctl(vm->fd, KVM_GET_TSC_KHZ, 0);
	vm->tsc_khz = tsc_khz > 0 ? (uint64_t)tsc_khz : 0;
	return ERR_OK;
}

static int open_vcpus(struct vm *vm, struct err *e)
{
	int rc;

	for (unsigned i = 0; i < vm->config.vcpus; i++) {
		if (vm->config.place[i] != vm->config.self.v)
			continue;
		if ((rc = vcpu_open(vm, i, &vm->vcpu[i], e)))
			return err_wrap(e, rc, "vCPU %u", i);
	}
	return ERR_OK;
}

int vm_open(const struct vm_config *config, struct vm **out, struct err *e)
{
	struct vm *vm;
	int rc = check_config(config, e);

	if (rc)
		return rc;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return err_set(e, ERR_NOMEM, "no memory for a VM");
	vm->config = *config;
	vm->fd = -1;
	pthread_mutex_init(&vm->lock, NULL);
	wait_init(&vm->waiters);
	if ((rc = console_init(&vm->console, config->self.v ? 0 : config->members, e)) ||
	    (rc = open_space(vm, e)) || (rc = open_kvm(vm, e)) || (rc = open_vcpus(vm, e))) {
		vm_close(vm);
		return rc;
	}
	*out = vm;
	return ERR_OK;
}

int vm_connect(struct vm *vm, const char *const *peers, int timeout_ms, int stop_fd, struct err *e)
{
	int rc = dsm_connect(vm->dsm, peers, timeout_ms, stop_fd, e);

	if (!rc)
		__atomic_store_n(&vm->connected, true, __ATOMIC_RELEASE);
	return rc;
}

int vm_run(struct vm *vm, struct err *e)
{
	int rc = ERR_OK;

	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; i < vm->config.vcpus && !vm->stopping && !rc; i++)
		if (vm->vcpu[i])
			rc = vcpu_start(vm->vcpu[i], e);
	pthread_mutex_unlock(&vm->lock);
	return rc;
}

void vm_close(struct vm *vm)
{
	if (!vm)
		return;
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		vcpu_close(vm->vcpu[i]);
	if (vm->fd >= 0)
		close(vm->fd);
	dsm_close(vm->dsm);
	console_free(&vm->console);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
