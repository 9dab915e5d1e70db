/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/node/run_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/base/clock.h"

enum { GIVE_UP_MS = 50000, HALT_MS = 5000 };

static void poke(void *context)
{
	uint64_t one = 1;

	(void)!write(*(int *)context, &one, sizeof(one));
}

static void drain(struct vm *vm, struct run_vm *r)
{
	char bytes[CONSOLE_WINDOW];
	uint32_t from[DSM_MEMBERS_MAX];
	size_t n, room;

	while ((n = console_take(&vm->console, bytes, from))) {
		room = sizeof(r->console) - 1 - strlen(r->console);
		r->console_bytes += n;
		strncat(r->console, bytes, n < room ? n : room);
		console_credit(&vm->console, from[0], NULL);
	}
}

static void wait_poke(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	if (poll(&p, 1, ms) > 0)
		(void)!read(fd, &count, sizeof(count));
}

static void follow(struct vm *vm, struct run_vm *r, int event)
{
	uint64_t start = clock_ms(),
		 limit = r->stop_after_ms ? (uint64_t)r->stop_after_ms : GIVE_UP_MS;

	while (!vm_ended(vm, &r->end)) {
		wait_poke(event, 20);
		drain(vm, r);
		if (clock_ms() - start > limit)
			vm_end(vm, CELLULAR__END_CAUSE__END_KILLED, 0, "time is over");
	}
	start = clock_ms();
	while (!vm_halted(vm) && clock_ms() - start < HALT_MS)
		wait_poke(event, 1);
	r->halt_ms = (int)(clock_ms() - start);
	drain(vm, r);
}

static int load(struct vm *vm, struct run_vm *r, struct err *e)
{
	struct load *l;
	int rc;

	r->load.vcpus = r->vcpus;
	r->load.memory = vm->memory.bytes;
	if ((rc = load_open(&r->load, &l, e)))
		return rc;
	if (!(rc = load_read(l, e)))
		rc = load_copy(l, &vm->memory, vm->tsc_khz, e);
	load_close(l);
	return rc;
}

int run_vm(struct run_vm *r, struct err *e)
{
	struct vm_config c = {
		.id = 1,
		.members = 1,
		.vcpus = r->vcpus,
		.memory = r->memory ? r->memory : 64 << 20,
		.poke = poke,
	};
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), rc;
	struct vm *vm = NULL;

	c.context = &event;
	c.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (c.kvm < 0)
		rc = err_sys(e, errno, "/dev/kvm");
	else if (!(rc = vm_open(&c, &vm, e)) && !(rc = vm_connect(vm, NULL, 0, -1, e)))
		rc = load(vm, r, e);
	if (!rc && r->tamper)
		r->tamper(&vm->memory);
	if (!rc && r->prepare)
		r->prepare(vm);
	if (!rc && (rc = vm_run(vm, e))) /* some vCPUs may run */
		vm_end(vm, CELLULAR__END_CAUSE__END_START_FAILED, rc, "%s", e->text);
	if (vm && (!rc || vm_stopping(vm)))
		follow(vm, r, event);
	if (vm && vm_halted(vm))
		vm_close(vm);
	if (c.kvm >= 0)
		close(c.kvm);
	close(event);
	return rc;
}
