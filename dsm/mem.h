/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory adapter: how the core's MAP, PROTECT, READ_OUT, UNMAP and WAKE reach real memory. One
 * implementation today: userfaultfd MISSING + WP on anonymous memory (dsm/mem_uffd.c; Linux
 * Documentation/admin-guide/mm/userfaultfd.rst).
 *
 * Contract (each line has a test: mem-contract, mem-access, mem-hammer in tests/unit/dsm/mem with
 * native threads, vm-storm in tests/unit/node with vCPUs; found by experiment on Linux 6.1, 6.18):
 *
 *  M1  A read-only install is UFFDIO_COPY with MODE_WP, for zero pages too. UFFDIO_ZEROPAGE only
 *	with write right.
 *
 *  M2  WRITEPROTECT only on a page that is present: on a missing one it returns 0 and protects
 *	nothing.
 *
 *  M3  Giving a page away: protect -> read_out -> drop. When protect returns, no thread and no vCPU
 *	writes the page any more. Reading before protecting loses writes.
 *
 *  M4  A fault message is a hint; who asks decides by its own state. The page may be present by
 *	now: then only wake.
 *
 *  M5  COPY on a present page is EEXIST, changes nothing and wakes nobody: wake then. A run stops
 *	at the first present page (EAGAIN, bytes done); it has woken those who wait for the pages
 *	done, nobody else.
 *
 *  M6  A drop wakes nobody, not even those waiting for write right on the page.
 *
 *  M7  EVENT_REMOVE, EVENT_FORK, EVENT_REMAP are never asked for.
 *
 *  M8  The thread that calls these functions reads only pages that are present, never writes the
 *	range, never waits for a thread that may fault, never maps, unmaps or forks; but for M14 and
 *	M15.
 *
 *  M9  The range is MADV_DONTFORK, DONTDUMP, NOHUGEPAGE (of whole chunks HUGEPAGE). No mlock
 *	(drop fails then), O_DIRECT, fixed io_uring buffers, vhost or ibv_reg_mr on it.
 *
 *  M10 The descriptor is closed only when no thread can touch the range any more: later faults
 *	read zeros silently.
 *
 *  M11 What the kernel itself writes and reads in the range obeys all this, too: system calls
 *	(read, write) into pages that are missing or protected, and what KVM keeps for a vCPU (steal
 *	time, pvclock). It faults and waits, and protect stops it.
 *
 *  M12 An access over two pages needs both at the same time; it faults for one after the other,
 *	and nothing of a store is seen before both are there. Locked instructions too.
 *
 *  M13 Moving a page out of the range (UFFDIO_MOVE, Linux 6.8) does all of M3 at once. A page that
 *	is pinned or shared is not moved: EBUSY.
 *
 *  M14 A chunk of which no page is present can be made whole: memory that is not registered, with
 *	huge pages where the kernel has them. It is mapped anew, in the place of the old range,
 *	which wakes nobody: who waited for its pages is woken then. Until it is split no access to
 *	it raises a fault, and no other operation here is for its pages.
 *
 *  M15 A chunk is split by making all its pages present, and then registering it: no page can be
 *	missing any more, so no fault reads zeros or waits. Nothing is unmapped and nothing copied:
 *	threads write on, and protect (M3) stops them as ever; it splits a huge page by itself. To
 *	read an unregistered page keeps M8.
 *
 * Threads: all functions from one thread at a time (who runs the shard), except open, and
 * duplicate.
 */
#ifndef CELLULAR_DSM_MEM_H
#define CELLULAR_DSM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "dsm/core/core.h"

struct mem;

enum { MEM_TAKE_MAX = 64 }; /* pages of a take */

struct mem_config {
	uint64_t pages;
	uint8_t locals; /* ranges that stay ordinary private memory */
	struct dsm_range local[DSM_LOCALS_MAX];
	void *want; /* address to map at (not over an existing mapping), or NULL */
	/* A fault raises SIGBUS in its thread, and is not read from fd. System calls into pages
	 * that are missing or protected fail with EFAULT, and so does KVM_RUN. */
	bool sigbus;
};

struct mem_fault {
	struct gpage page;
	bool write;	 /* a write, or a write to a protected page */
	uint32_t thread; /* kernel thread id, 0 if unknown */
};

struct mem_ops {
	const char *name;
	/* Reserves the range and starts to catch faults. DENIED: no right to userfaultfd (open
	 * /dev/userfaultfd, or run as root); UNSUPPORTED: the kernel lacks a feature; NOMEM. */
	int (*open)(const struct mem_config *config, struct mem **out, struct err *e);
	void *(*base)(const struct mem *m);
	int (*fd)(const struct mem *m); /* readable when faults wait; owned by m */
	/* Reads up to max faults; returns how many, 0 if none wait, -ERR_SYS if the descriptor
	 * failed. Non-blocking. */
	int (*faults)(struct mem *m, struct mem_fault *out, int max);
	/* data NULL: zeros. The page must be absent. No wake. ERR_EXISTS: it was present (the
	 * caller's state is wrong). */
	int (*install)(struct mem *m, struct gpage page, bool writable, const void *data,
		       struct err *e);
	/* The same of n adjacent absent pages, from n pages of data; wakes who waits for them. (M5)
	 */
	int (*install_run)(struct mem *m, struct gpage first, uint32_t n, bool writable,
			   const void *data, struct err *e);
	int (*protect)(struct mem *m, struct gpage page, struct err *e);
	/* The same of n adjacent pages, all present (M2). */
	int (*protect_run)(struct mem *m, struct gpage first, uint32_t n, struct err *e);
	int (*unprotect)(struct mem *m, struct gpage page, struct err *e); /* no wake */
	int (*read_out)(struct mem *m, struct gpage page, void *out, struct err *e);
	/* The same of n adjacent pages: *at is where they lie together, in memory itself perhaps,
	 * or in `room`; until the next call for one of them. */
	int (*read_run)(struct mem *m, struct gpage first, uint32_t n, void *room, const void **at,
			struct err *e);
	int (*drop)(struct mem *m, struct gpage page, struct err *e);
	/* protect, read_out and drop at once (M13), of the first of n adjacent pages, all present:
	 * as many as the kernel moves; how many. *out: where their bytes lie together, until the
	 * next take. 0: not this page, or not on this kernel; nothing was done. At most
	 * MEM_TAKE_MAX. */
	uint32_t (*take)(struct mem *m, struct gpage first, uint32_t n, const void **out);
	/* n pages, none of them present, become whole (M14), and wakes who waits for them. */
	int (*whole)(struct mem *m, struct gpage first, uint32_t n, struct err *e);
	/* n pages that became whole together are split (M15): present and writable. */
	int (*split)(struct mem *m, struct gpage first, uint32_t n, struct err *e);
	int (*wake)(struct mem *m, struct gpage page, struct err *e);
	/* Unmaps and closes. No thread may touch the range any more (M10). NULL is allowed. */
	void (*close)(struct mem *m);
};

extern const struct mem_ops mem_uffd;

#endif
