/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tests. Loads and stores are single instructions in this order, with nothing between them that
 * would order them: the compiler may not, and the processor may, rearrange.
 */
#include "node/guest/g.h"
#include "node/guest/programs/litmus.h"

enum { X, Y };

static inline void store(volatile uint32_t *p, uint32_t v)
{
	__asm__ volatile("movl %1, %0" : "=m"(*p) : "r"(v) : "memory");
}

static inline uint32_t load(const volatile uint32_t *p)
{
	uint32_t v;

	__asm__ volatile("movl %1, %0" : "=r"(v) : "m"(*p) : "memory");
	return v;
}

static void store_load(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn, uint32_t r[2])
{
	store(a, turn);
	r[0] = load(b);
}

static void store_mfence_load(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn,
			      uint32_t r[2])
{
	store(a, turn);
	__asm__ volatile("mfence" ::: "memory");
	r[0] = load(b);
}

static void xchg_load(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn, uint32_t r[2])
{
	__asm__ volatile("xchgl %1, %0" : "+m"(*a), "+r"(turn) : : "memory");
	r[0] = load(b);
}

/* The location holds turn - 1. */
static void lock_load(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn, uint32_t r[2])
{
	(void)turn;
	__asm__ volatile("lock incl %0" : "+m"(*a) : : "memory", "cc");
	r[0] = load(b);
}

static void store_store(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn, uint32_t r[2])
{
	(void)r;
	store(a, turn);
	store(b, turn);
}

static void xchg_xchg(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn, uint32_t r[2])
{
	uint32_t again = turn;

	(void)r;
	__asm__ volatile("xchgl %1, %0" : "+m"(*a), "+r"(turn) : : "memory");
	__asm__ volatile("xchgl %1, %0" : "+m"(*b), "+r"(again) : : "memory");
}

static void load_load(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn, uint32_t r[2])
{
	(void)turn;
	r[0] = load(a);
	r[1] = load(b);
}

static void load_store(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn, uint32_t r[2])
{
	r[0] = load(a);
	store(b, turn);
}

static void only_store(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn, uint32_t r[2])
{
	(void)b, (void)r;
	store(a, turn);
}

/* SB and its fenced variants differ in the store alone. */
#define STORE_BUFFERING(title, how, fn, may)                                                       \
	{                                                                                          \
		.name = (title), .text = (how), .threads = 2, .registers = 2,                      \
		.thread = {{fn, X, Y}, {fn, Y, X}}, .reg = {{0, 0, 1}, {1, 0, 0}}, .first = 0,     \
		.path = {{LITMUS_FOLLOW, 0}}, .target = 0x0, .allowed = (may)                      \
	}

#define MESSAGE_PASSING(title, how, fn)                                                            \
	{                                                                                          \
		.name = (title), .text = (how), .threads = 2, .registers = 2,                      \
		.thread = {{fn, X, Y}, {load_load, Y, X}}, .reg = {{1, 0, 0}, {1, 1, 0}},          \
		.first = 1, .path = {{LITMUS_FOLLOW, 0}}, .target = 0x1                            \
	}

const struct litmus_test litmus_tests[] = {
	STORE_BUFFERING("SB", "x=1; a=y || y=1; b=x", store_load, true),
	STORE_BUFFERING("SB+mfence", "x=1; mfence; a=y || y=1; mfence; b=x", store_mfence_load,
			false),
	STORE_BUFFERING("SB+xchg", "xchg x,1; a=y || xchg y,1; b=x", xchg_load, false),
	STORE_BUFFERING("SB+lock", "lock inc x; a=y || lock inc y; b=x", lock_load, false),
	MESSAGE_PASSING("MP", "x=1; y=1 || a=y; b=x", store_store),
	MESSAGE_PASSING("MP+xchg", "xchg x,1; xchg y,1 || a=y; b=x", xchg_xchg),
	{
		.name = "LB",
		.text = "a=x; y=1 || b=y; x=1",
		.threads = 2,
		.registers = 2,
		.thread = {{load_store, X, Y}, {load_store, Y, X}},
		.reg = {{0, 0, 1}, {1, 0, 0}},
		.first = 0,
		.path = {{LITMUS_FOLLOW, 0}},
		.target = 0x3,
	},
	{
		.name = "CoRR",
		.text = "x=1 || a=x; b=x",
		.threads = 2,
		.registers = 2,
		.thread = {{only_store, X, X}, {load_load, X, X}},
		.reg = {{1, 0, 0}, {1, 1, 0}},
		.first = 1,
		.path = {{LITMUS_FOLLOW, 0}},
		.target = 0x1,
	},
	{
		.name = "WRC",
		.text = "x=1 || a=x; y=1 || b=y; c=x",
		.threads = 3,
		.registers = 3,
		.thread = {{only_store, X, X}, {load_store, X, Y}, {load_load, Y, X}},
		.reg = {{1, 0, 0}, {2, 0, 1}, {2, 1, 0}},
		.first = 2,
		.path = {{LITMUS_FOLLOW, 1}, {LITMUS_FOLLOW, 0}},
		.target = 0x3,
	},
	{
		.name = "IRIW",
		.text = "x=1 || y=1 || a=x; b=y || c=y; d=x",
		.threads = 4,
		.registers = 4,
		.thread = {{only_store, X, X},
			   {only_store, Y, Y},
			   {load_load, X, Y},
			   {load_load, Y, X}},
		.reg = {{2, 0, 0}, {2, 1, 1}, {3, 0, 1}, {3, 1, 0}},
		.first = 2,
		.path = {{LITMUS_FOLLOW, 0}, {LITMUS_FOLLOW, 1}, {LITMUS_SEEK, 3}},
		.target = 0x5,
	},
};

const unsigned litmus_tests_count = sizeof(litmus_tests) / sizeof(litmus_tests[0]);
