/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library on bare vCPUs. Every vCPU enters at g_start; vCPU 0 goes on to g_main, the others
 * wait for jobs of g_parallel. There is no start-up that all must have passed: what a vCPU needs of
 * its surroundings stands in the boot page, which nobody writes, and which vCPU it is follows from
 * the stack it runs on.
 *
 * Request blocks of monitor calls lie on the stack: a page no other vCPU wants.
 */
#include "node/guest/abi.h"
#include "node/guest/lib/internal.h"

void g_start(unsigned vcpu, const struct guest_boot *boot); /* from crt.S */

static const struct guest_boot *const boot_page = (const struct guest_boot *)GUEST_BOOT;
static struct g_file files[GUEST_FILES_MAX] G_PAGE_ALIGNED;

/* Result of the call, or 0 if it was refused. */
static uint64_t monitor(enum guest_op op, uint64_t a, uint64_t b)
{
	struct guest_request r = {.op = op, .arg = {a, b}};

	__asm__ volatile("outl %0, %w1"
			 :
			 : "a"((uint32_t)((uint64_t)&r >> 6)), "d"(MONITOR_PORT)
			 : "memory");
	return r.status == GUEST_OK ? r.result : 0;
}

unsigned g_vcpus(void)
{
	return boot_page->vcpus;
}

unsigned g_self(void)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	uint64_t lowest = boot_page->stack_top[0] - GUEST_STACK_BYTES;

	return (unsigned)((here - lowest) / GUEST_STACK_BYTES);
}

uint64_t g_ns(void)
{
	uint64_t khz = boot_page->tsc_khz ? boot_page->tsc_khz : 1000000,
		 ticks = __builtin_ia32_rdtsc();

	return ticks / khz * 1000000 + ticks % khz * 1000000 / khz;
}

void g_exit(int code)
{
	for (;;)
		monitor(MONITOR_EXIT, (uint64_t)(int64_t)code, 0);
}

void g_wait(const uint32_t *word, uint32_t value)
{
	monitor(MONITOR_WAIT, (uint64_t)word, value);
}

void g_wake(const uint32_t *word)
{
	monitor(MONITOR_WAKE, (uint64_t)word, 0);
}

void g_console(const char *text, size_t n)
{
	while (n) {
		uint64_t taken = monitor(MONITOR_WRITE, (uint64_t)text,
					 n < GUEST_WRITE_MAX ? n : GUEST_WRITE_MAX);

		if (!taken || taken > n)
			return;
		text += taken;
		n -= taken;
	}
}

void g_heap(uint64_t *start, uint64_t *end)
{
	*start = boot_page->heap_start;
	*end = boot_page->heap_end;
}

const struct g_file *g_file(const char *name)
{
	for (unsigned i = 0; i < boot_page->files && i < GUEST_FILES_MAX; i++) {
		const struct guest_file *f = &boot_page->file[i];

		if (strcmp(f->name, name))
			continue;
		files[i] = (struct g_file){(const void *)f->address, f->bytes};
		return &files[i];
	}
	return NULL;
}

void g_start(unsigned vcpu, const struct guest_boot *boot)
{
	if (boot->version != GUEST_ABI_VERSION)
		g_panic("made for version %d of the monitor, this is %u", GUEST_ABI_VERSION,
			boot->version);
	if (vcpu)
		g_work(vcpu);
	g_exit(g_main((int)boot->argc, (char **)boot->argv));
}
