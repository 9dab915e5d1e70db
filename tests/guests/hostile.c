/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that misbehaves: argv[0] says how. Each way ends the VM with a reason, or is refused and
 * the guest exits with 0, or it runs for ever and is ended from outside; never does it hurt anybody
 * else.
 */
#include "node/guest/abi.h"
#include "node/guest/g.h"

enum { RANDOM_REQUESTS = 20000 };

#define LATER_NS 3000000000ull

static const struct guest_boot *const boot = (const struct guest_boot *)GUEST_BOOT;

static void call(uint32_t eax)
{
	__asm__ volatile("outl %0, %w1" : : "a"(eax), "d"(MONITOR_PORT) : "memory");
}

static struct guest_request request(uint32_t op, uint64_t a, uint64_t b)
{
	struct guest_request r = {.op = op, .status = 99, .arg = {a, b}};

	call((uint32_t)((uint64_t)&r >> 6));
	return r;
}

/* An address the compiler knows nothing of. */
static volatile uint64_t *at(uint64_t address)
{
	__asm__("" : "+r"(address));
	return (volatile uint64_t *)address;
}

/* ---- what ends the VM ---- */

static void read_null(void)
{
	*at(0x10);
}

static void write_tables(void)
{
	*at(0x1000) = 0;
}

static void read_beyond(void)
{
	*at(boot->memory_end);
}

static void jump_nowhere(void)
{
	((void (*)(void))0x7777777000)();
}

static void undefined(void)
{
	__asm__ volatile("ud2");
}

static void divide(void)
{
	__asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0));
}

static void halt(void)
{
	__asm__ volatile("hlt");
}

static void stray_port(void)
{
	__asm__ volatile("outb %b0, %w1" : : "a"(0), "d"(0x60));
}

static void fake_exception(void)
{
	__asm__ volatile("outl %0, %w1" : : "a"(14), "d"(EXCEPTION_PORT));
}

static void monitor_port_read(void)
{
	__asm__ volatile("inl %w0, %%eax" : : "d"(MONITOR_PORT) : "eax");
}

static void monitor_port_byte(void)
{
	__asm__ volatile("outb %b0, %w1" : : "a"(0), "d"(MONITOR_PORT));
}

static void block_local(void)
{
	call(0x1000 >> 6);
}

static void block_beyond(void)
{
	call((uint32_t)(boot->memory_end >> 6));
}

static void block_wild(void)
{
	call(0xffffffff);
}

static void bad_stack(void)
{
	__asm__ volatile("movq $0x10, %rsp; pushq $1");
}

/* ---- what is refused ---- */

static void expect(uint32_t op, uint64_t a, uint64_t b, uint32_t status)
{
	struct guest_request r = request(op, a, b);

	if (r.status != status)
		g_panic("op %u, %zx, %zx: status %u instead of %u", op, (size_t)a, (size_t)b,
			r.status, status);
}

static void bad_requests(void)
{
	static uint32_t word[2];
	uint64_t end = boot->memory_end;

	expect(0, 0, 0, GUEST_EBADOP);
	expect(99, 0, 0, GUEST_EBADOP);
	expect(UINT32_MAX, UINT64_MAX, UINT64_MAX, GUEST_EBADOP);
	expect(MONITOR_WRITE, (uint64_t)word, GUEST_WRITE_MAX + 1, GUEST_ETOOBIG);
	expect(MONITOR_WRITE, (uint64_t)word, UINT64_MAX, GUEST_ETOOBIG);
	expect(MONITOR_WRITE, 0, 8, GUEST_EBADADDRESS);
	expect(MONITOR_WRITE, GUEST_LOCAL_BYTES - 1, 8, GUEST_EBADADDRESS);
	expect(MONITOR_WRITE, end - 7, 8, GUEST_EBADADDRESS);
	expect(MONITOR_WRITE, UINT64_MAX - 3, 8, GUEST_EBADADDRESS);
	expect(MONITOR_WRITE, end - 8, 0, GUEST_OK);
	expect(MONITOR_WAIT, (uint64_t)word + 2, 0, GUEST_EBADADDRESS);
	expect(MONITOR_WAIT, end - 2, 0, GUEST_EBADADDRESS);
	expect(MONITOR_WAIT, end, 0, GUEST_EBADADDRESS);
	expect(MONITOR_WAIT, (uint64_t)word, 1, GUEST_OK);
	expect(MONITOR_WAKE, 4, 0, GUEST_EBADADDRESS);
	expect(MONITOR_WAKE, UINT64_MAX, 0, GUEST_EBADADDRESS);
	expect(MONITOR_WAKE, (uint64_t)word, 0, GUEST_OK);
}

/* Blocks of chance: any op but exit, arguments anywhere and at the edges. */
static void random_requests(void)
{
	uint64_t end = boot->memory_end, x = 88172645463325252ull;
	const uint64_t edges[] = {0, GUEST_LOCAL_BYTES, GUEST_IMAGE, end - 8, end, UINT64_MAX};
	const unsigned n = sizeof(edges) / sizeof(edges[0]);

	for (unsigned i = 0; i < RANDOM_REQUESTS; i++) {
		uint32_t op;
		uint64_t a, b;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17; /* xorshift64 */
		op = x & 0x10 ? (uint32_t)(x >> 32) : (uint32_t)(x % MONITOR_EXIT);
		a = x & 0x20 ? edges[(x >> 8) % n] : x >> (x >> 40 & 63);
		b = x & 0x40 ? edges[(x >> 16) % n] : x;
		if (op == MONITOR_EXIT)
			continue;
		if (op == MONITOR_WAIT)
			b |= 1u << 31; /* no word holds that: it does not sleep */
		request(op, a, b);
	}
	g_printf("\n%u requests of chance\n", RANDOM_REQUESTS);
}

/* The test takes the exception tables away meanwhile. */
static void undefined_later(void)
{
	uint64_t until = g_ns() + LATER_NS;

	g_printf("soon\n");
	while (g_ns() < until)
		g_pause();
	undefined();
}

/* ---- what never ends by itself ---- */

static void loop(void)
{
	for (;;)
		g_pause();
}

static void sleep_for_ever(void)
{
	static uint32_t word;

	for (;;)
		g_wait(&word, 0);
}

static void wake_flood(void)
{
	static uint32_t word;

	for (;;)
		g_wake(&word);
}

static void console_flood(void)
{
	static char line[GUEST_WRITE_MAX];

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\n';
	for (;;)
		request(MONITOR_WRITE, (uint64_t)line, sizeof(line));
}

static const struct act {
	const char *name;
	void (*run)(void);
} acts[] = {
	{"read-null", read_null},
	{"write-tables", write_tables},
	{"read-beyond", read_beyond},
	{"jump-nowhere", jump_nowhere},
	{"undefined", undefined},
	{"divide", divide},
	{"halt", halt},
	{"stray-port", stray_port},
	{"fake-exception", fake_exception},
	{"monitor-port-read", monitor_port_read},
	{"monitor-port-byte", monitor_port_byte},
	{"block-local", block_local},
	{"block-beyond", block_beyond},
	{"block-wild", block_wild},
	{"bad-stack", bad_stack},
	{"bad-requests", bad_requests},
	{"random-requests", random_requests},
	{"undefined-later", undefined_later},
	{"loop", loop},
	{"sleep", sleep_for_ever},
	{"wake-flood", wake_flood},
	{"console-flood", console_flood},
};

static void run(unsigned vcpu, void *arg)
{
	(void)vcpu;
	((const struct act *)arg)->run();
}

/* ACT [all | VCPU]: on vCPU 0, on all, or on one. */
static struct {
	const struct act *act;
	uint64_t vcpu;
} chosen;

static void run_one(unsigned vcpu, void *arg)
{
	(void)arg;
	if (vcpu == chosen.vcpu)
		chosen.act->run();
}

int g_main(int argc, char **argv)
{
	for (unsigned i = 0; argc && i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (strcmp(argv[0], acts[i].name))
			continue;
		chosen.act = &acts[i];
		if (argc > 1 && !strcmp(argv[1], "all"))
			g_parallel(run, (void *)&acts[i]);
		else if (argc > 1 && g_number(argv[1], &chosen.vcpu))
			g_parallel(run_one, NULL);
		else
			acts[i].run();
		return 0;
	}
	g_printf("unknown act\n");
	return 2;
}
