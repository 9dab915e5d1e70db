/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program that runs on bare vCPUs can use: the library OS. A program defines g_main and
 * includes nothing but this header; the same source is linked with lib/vcpu.c into a guest ELF and
 * with lib/native.c (pthreads) into an ordinary program, so that results can be compared.
 *
 * vCPU 0 runs g_main; the others sleep until g_parallel. What one vCPU writes and another reads
 * travels by pages of 4 KiB between cells: keep what different vCPUs write on pages of their own
 * (G_PAGE_ALIGNED, g_alloc of a page or more).
 *
 * Units: bytes. Nothing here fails silently: what cannot be had ends the program with a sentence on
 * the console and exit code 125.
 */
#ifndef CELLULAR_GUEST_G_H
#define CELLULAR_GUEST_G_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	G_PAGE = 4096,
	G_VCPUS_MAX = 64,
	G_EXIT_PANIC = 125, /* exit code of g_panic */
};

#define G_PAGE_ALIGNED __attribute__((aligned(G_PAGE)))

/* ---- the program and its surroundings ---- */

/* Defined by the program. argv[0] is the first argument: there is no program name. Returns the exit
 * code of the VM. */
int g_main(int argc, char **argv);

unsigned g_vcpus(void);
unsigned g_self(void); /* the vCPU this runs on, 0 .. g_vcpus() - 1 */
void g_exit(int code) __attribute__((noreturn));
void g_panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* An input file by its name in the VM file: page-aligned, read-only by habit. NULL: there is none.
 * Owned by the library. */
struct g_file {
	const void *data;
	uint64_t bytes;
};
const struct g_file *g_file(const char *name);

/* Decimal number of 1 .. 19 digits and nothing else; false leaves *out alone. */
bool g_number(const char *s, uint64_t *out);

/* Time in ns from any start, for durations on one vCPU: cells agree on neither start nor rate. */
uint64_t g_ns(void);

/* ---- console ---- */

/* %s %c %d %i %u %x %llu-like (l, ll, z), width, '0', '-', precision of %s, %f and %e. A line is
 * written whole. Thread-safe. */
void g_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same into a buffer; returns the length it would have had, as snprintf does. */
size_t g_format(char *out, size_t room, const char *fmt, va_list ap);

/* ---- memory ---- */

/* Zeroed; aligned to 16 bytes, or to a page if a page or more is asked for (and then rounded up to
 * pages). There is no free: a guest lives as long as its work. Thread-safe. */
void *g_alloc(size_t bytes);

/* ---- running together ---- */

/* Runs fn(vcpu, arg) on every vCPU, returns when all are done. From g_main only. What was written
 * before is seen inside; what was written inside is seen after. */
void g_parallel(void (*fn)(unsigned vcpu, void *arg), void *arg);

/* All of g_vcpus() wait for each other. Sense-reversing; arrivals are counted on one page, those
 * who wait look at another. Zeroed to begin with. */
struct g_barrier {
	uint32_t arrived G_PAGE_ALIGNED;
	uint32_t round G_PAGE_ALIGNED;
};
void g_barrier_wait(struct g_barrier *b);

/* First come, first served. Zeroed to begin with. Give a hot one a page of its own. */
struct g_lock {
	uint32_t next, serving;
};
void g_lock_take(struct g_lock *l);
void g_lock_drop(struct g_lock *l);

/* Sleeps while *word holds value; may return early. g_wake wakes all who sleep on word, on all
 * cells. */
void g_wait(const uint32_t *word, uint32_t value);
void g_wake(const uint32_t *word);

/* Returns when *word holds something else than value: spins for a moment, then sleeps. */
void g_wait_while(const uint32_t *word, uint32_t value);

static inline uint32_t g_load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void g_store(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline uint32_t g_add(uint32_t *p, uint32_t v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t g_add64(uint64_t *p, uint64_t v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
static inline void g_pause(void)
{
	__builtin_ia32_pause();
}

/* ---- small things programs share ---- */

#define G_FNV_START 0xcbf29ce484222325ull

/* FNV-1a, 64 bit (draft-eastlake-fnv), continued from `hash`. */
uint64_t g_fnv(uint64_t hash, const void *bytes, size_t n);

#if !__STDC_HOSTED__
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
#else
#include <string.h>
#endif

#endif
