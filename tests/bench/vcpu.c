/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "node/vm/boot.h"
#include "tests/bench/floor.h"

enum { CPUID_ENTRIES_MAX = 256 };

#define WINDOW_FIRST (1ull << 30)
#define WINDOW_EACH  (64ull << 30)

/* In the guest's memory, at GUEST_LOCAL_BYTES. */
struct area {
	uint8_t code[FLOOR_PAGE];
	uint8_t stack[FLOOR_PAGE];
	struct list {
		uint64_t n;
		uint64_t address[VCPU_TOUCHES_MAX];
		struct touched {
			uint64_t ticks, seen;
		} touched[VCPU_TOUCHES_MAX];
	} list;
};

enum { LOW_BYTES = 2 * GUEST_LOCAL_BYTES };

_Static_assert(sizeof(struct area) <= GUEST_LOCAL_BYTES, "it fits below the windows");
_Static_assert(offsetof(struct list, address) == 8, "the code below says so");
_Static_assert(offsetof(struct list, touched) == 8 + 8 * VCPU_TOUCHES_MAX, "and so");

struct vcpu_toucher {
	int kvm, vm, cpu;
	struct kvm_run *run;
	size_t run_bytes;
	uint8_t *low; /* LOW_BYTES */
	struct area *area;
};

const char *vcpu_why;

/*
 * RDI: struct list. After the list it tells by OUT, and begins anew when it is run again. Each
 * reading of the clock waits for what was before it, and what comes after waits for it.
 */
__asm__(".pushsection .rodata\n"
	"bench_guest:\n"
	"	mov	(%rdi), %rcx\n"
	"	lea	8(%rdi), %rsi\n"
	"	lea	8 + 8 * 4096(%rdi), %rbx\n"
	"1:	mov	(%rsi), %r8\n"
	"	lfence\n"
	"	rdtsc\n"
	"	lfence\n"
	"	shl	$32, %rdx\n"
	"	lea	(%rdx, %rax), %r9\n"
	"	mov	(%r8), %r10\n"
	"	lfence\n"
	"	rdtsc\n"
	"	shl	$32, %rdx\n"
	"	add	%rdx, %rax\n"
	"	sub	%r9, %rax\n"
	"	mov	%rax, (%rbx)\n"
	"	mov	%r10, 8(%rbx)\n"
	"	add	$8, %rsi\n"
	"	add	$16, %rbx\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	xor	%eax, %eax\n"
	"	mov	$0x0ce0, %edx\n"
	"	out	%eax, (%dx)\n"
	"	jmp	bench_guest\n"
	"bench_guest_end:\n"
	".popsection\n");

_Static_assert(MONITOR_PORT == 0x0ce0 && VCPU_TOUCHES_MAX == 4096, "the code above says so");

extern const uint8_t bench_guest[], bench_guest_end[];

static int failed(const char *what)
{
	vcpu_why = what;
	return -1;
}

static int set_slot(struct vcpu_toucher *t, uint32_t slot, uint64_t gpa, void *host, size_t bytes)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)host,
	};

	return ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &region)
		       ? failed("KVM_SET_USER_MEMORY_REGION")
		       : 0;
}

static int open_memory(struct vcpu_toucher *t)
{
	t->low = mmap(NULL, LOW_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (t->low == MAP_FAILED) {
		t->low = NULL;
		return failed("memory of the guest");
	}
	t->area = (struct area *)(t->low + GUEST_LOCAL_BYTES);
	boot_build(t->low, WINDOW_FIRST + VCPU_WINDOWS * WINDOW_EACH);
	memcpy(t->area->code, bench_guest, (size_t)(bench_guest_end - bench_guest));
	return set_slot(t, 0, 0, t->low, LOW_BYTES);
}

static int set_cpuid(struct vcpu_toucher *t)
{
	struct kvm_cpuid2 *c =
		calloc(1, sizeof(*c) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));
	int rc;

	if (!c)
		return failed("memory for CPUID");
	c->nent = CPUID_ENTRIES_MAX;
	rc = ioctl(t->kvm, KVM_GET_SUPPORTED_CPUID, c) || ioctl(t->cpu, KVM_SET_CPUID2, c);
	free(c);
	return rc ? failed("CPUID") : 0;
}

static int set_state(struct vcpu_toucher *t)
{
	const uint64_t area = GUEST_LOCAL_BYTES;
	struct kvm_sregs s;
	struct kvm_regs r;

	if (ioctl(t->cpu, KVM_GET_SREGS, &s))
		return failed("KVM_GET_SREGS");
	boot_sregs(&s, 0);
	if (ioctl(t->cpu, KVM_SET_SREGS, &s))
		return failed("KVM_SET_SREGS");
	boot_regs(&r, 0, (struct gpa){area + offsetof(struct area, code)},
		  (struct gpa){area + offsetof(struct area, stack) + FLOOR_PAGE});
	r.rdi = area + offsetof(struct area, list);
	return ioctl(t->cpu, KVM_SET_REGS, &r) ? failed("KVM_SET_REGS") : 0;
}

static int open_cpu(struct vcpu_toucher *t)
{
	int bytes = ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	t->cpu = ioctl(t->vm, KVM_CREATE_VCPU, 0);
	if (t->cpu < 0 || bytes < (int)sizeof(*t->run))
		return failed("KVM_CREATE_VCPU");
	t->run_bytes = (size_t)bytes;
	t->run = mmap(NULL, t->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->cpu, 0);
	if (t->run == MAP_FAILED) {
		t->run = NULL;
		return failed("cannot map a vCPU");
	}
	return set_cpuid(t) || set_state(t) ? -1 : 0;
}

/* The guest's own lists are mapped by KVM when they are first used: not in a measured run. */
static int warm(struct vcpu_toucher *t)
{
	struct list *list = &t->area->list;

	list->n = VCPU_TOUCHES_MAX;
	for (unsigned i = 0; i < VCPU_TOUCHES_MAX; i++)
		list->address[i] = GUEST_LOCAL_BYTES;
	return vcpu_toucher_run(t, NULL, NULL);
}

int vcpu_toucher_open(struct vcpu_toucher **out)
{
	struct vcpu_toucher *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return failed("no memory");
	t->cpu = t->vm = -1;
	t->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (t->kvm < 0)
		rc = failed("/dev/kvm");
	else if ((t->vm = ioctl(t->kvm, KVM_CREATE_VM, 0)) < 0)
		rc = failed("KVM_CREATE_VM");
	else if (!(rc = open_memory(t)) && !(rc = open_cpu(t)))
		rc = warm(t);
	if (rc) {
		vcpu_toucher_close(t);
		return -1;
	}
	*out = t;
	return 0;
}

int vcpu_toucher_window(struct vcpu_toucher *t, unsigned window, void *host, size_t bytes)
{
	if (window >= VCPU_WINDOWS || bytes > WINDOW_EACH) {
		errno = EINVAL;
		return failed("window");
	}
	return set_slot(t, 1 + window, WINDOW_FIRST + window * WINDOW_EACH, host, bytes);
}

void vcpu_toucher_add(struct vcpu_toucher *t, unsigned window, uint64_t at)
{
	struct list *list = &t->area->list;

	if (list->n < VCPU_TOUCHES_MAX)
		list->address[list->n++] = WINDOW_FIRST + window * WINDOW_EACH + at;
}

static int run_list(struct vcpu_toucher *t)
{
	while (ioctl(t->cpu, KVM_RUN, 0))
		if (errno != EINTR && errno != EAGAIN)
			return failed("KVM_RUN");
	if (t->run->exit_reason == KVM_EXIT_IO && t->run->io.port == MONITOR_PORT)
		return 0;
	errno = EPROTO;
	return failed("the guest ended in another way than by its OUT");
}

/* Ticks of the guest are the host's: nothing scales them. A guest whose touches take longer by them
 * than the whole run took would prove that wrong. */
int vcpu_toucher_run(struct vcpu_toucher *t, uint64_t *ns, uint64_t *seen)
{
	struct list *list = &t->area->list;
	uint64_t began = floor_now(), tick = __rdtsc(), sum = 0;
	double ns_a_tick;

	if (list->n && run_list(t))
		return -1;
	tick = __rdtsc() - tick;
	ns_a_tick = (double)(floor_now() - began) / (double)(tick ? tick : 1);
	for (uint64_t i = 0; i < list->n; i++) {
		sum += list->touched[i].ticks;
		if (ns)
			ns[i] = (uint64_t)((double)list->touched[i].ticks * ns_a_tick);
		if (seen)
			seen[i] = list->touched[i].seen;
	}
	list->n = 0;
	errno = ERANGE;
	return sum > tick ? failed("the guest's clock is not the host's") : 0;
}

void vcpu_toucher_close(struct vcpu_toucher *t)
{
	if (!t)
		return;
	if (t->run)
		munmap(t->run, t->run_bytes);
	if (t->cpu >= 0)
		close(t->cpu);
	if (t->vm >= 0)
		close(t->vm);
	if (t->kvm >= 0)
		close(t->kvm);
	if (t->low)
		munmap(t->low, LOW_BYTES);
	free(t);
}
