/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block is copied, checked, carried out, answered. Every access to guest memory may wait for
 * another cell, so none is made under a lock.
 */
#include "node/vm/monitor.h"

#include <string.h>
#include <unistd.h>

#include "node/vm/request.h"
#include "node/vm/vm.h"

enum { POST_RETRY_US = 500 };

/* A device's read: the pages are brought here and stay for the copy. 0 if the space is over. */
static bool read_guest(struct vm *vm, const struct request *r, char *out)
{
	uint64_t first = r->address.v >> DSM_PAGE_SHIFT;
	uint64_t last = (r->address.v + r->bytes - 1) >> DSM_PAGE_SHIFT;
	uint32_t token;

	if (dsm_acquire(vm->dsm, (struct gpage){first}, (uint32_t)(last - first + 1), false, &token,
			NULL))
		return false;
	memcpy(out, r->host, r->bytes);
	dsm_release(vm->dsm, token);
	return true;
}

/* A vCPU that talks faster than the network takes waits here: a wake-up that is lost would never
 * come again. */
static void tell(struct vm *vm, struct member_id to, const struct vm_message *m)
{
	while (vm_tell(vm, to, m) == ERR_NOSPACE && !vm_stopping(vm))
		usleep(POST_RETRY_US);
}

/* Takes at most what one message carries; the guest comes again with the rest. */
static uint64_t console_out(struct vm *vm, struct request *r)
{
	struct member_id self = vm->config.self;
	char bytes[VM_WIRE_BODY_MAX];
	struct vm_message m = {.type = VM_WIRE_CONSOLE, .body = bytes};

	if (r->bytes > sizeof(bytes))
		r->bytes = sizeof(bytes);
	if (!r->bytes || !read_guest(vm, r, bytes) || !console_reserve(&vm->console, r->bytes))
		return 0;
	m.bytes = r->bytes;
	if (self.v) {
		tell(vm, (struct member_id){0}, &m);
	} else {
		console_put(&vm->console, self, bytes, r->bytes, NULL);
		vm->config.poke(vm->config.context);
	}
	return r->bytes;
}

static void wait_on(struct vm *vm, const struct request *r)
{
	struct waiter me;

	wait_enter(&vm->waiters, &me, r->address);
	if (__atomic_load_n((const uint32_t *)r->host, __ATOMIC_SEQ_CST) == r->value)
		wait_sleep(&vm->waiters, &me);
	wait_leave(&vm->waiters, &me);
}

static void wake_on(struct vm *vm, const struct request *r)
{
	struct vm_message m = {.type = VM_WIRE_WAKE, .a = r->address.v};

	wait_wake(&vm->waiters, r->address);
	for (uint8_t i = 0; i < vm->config.members; i++)
		if (i != vm->config.self.v)
			tell(vm, (struct member_id){i}, &m);
}

static uint64_t carry_out(struct vm *vm, struct request *r)
{
	switch (r->op) {
	case MONITOR_WRITE:
		return console_out(vm, r);
	case MONITOR_WAIT:
		wait_on(vm, r);
		return 0;
	case MONITOR_WAKE:
		wake_on(vm, r);
		return 0;
	case MONITOR_EXIT:
		vm_end(vm, CELLULAR__END_CAUSE__END_EXIT, r->code, "the guest exited with code %d",
		       r->code);
		return 0;
	}
	return 0;
}

enum vcpu_next monitor_call(struct vcpu *v, uint32_t eax)
{
	struct vm *vm = v->vm;
	struct guest_request *block = request_block(&vm->memory, eax), copy;
	struct request r;
	enum guest_status status;
	uint64_t result = 0;

	if (!block) {
		vm_end(vm, CELLULAR__END_CAUSE__END_GUEST_FAULT, 0,
		       "vCPU %u: monitor call with a request block at 0x%llx, outside memory",
		       v->number, (unsigned long long)eax << 6);
		return VCPU_STOP;
	}
	memcpy(&copy, block, sizeof(copy));
	status = request_check(&vm->memory, &copy, &r);
	if (status == GUEST_OK)
		result = carry_out(vm, &r);
	if (vm_stopping(vm))
		return VCPU_STOP;
	block->result = result;
	__atomic_store_n(&block->status, status, __ATOMIC_RELEASE);
	return VCPU_GO;
}
