/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts cost without us: the least a page fault handled in user space can cost here, and
 * the least an exchange over TCP. Every figure of cellbench is told against these, measured in
 * turns with it, on the same cores. Links libc only, so that nothing of ours can be in it.
 *
 * Each function works on the core its caller is pinned to. A failure is told by errno and -1.
 * Threads: an object belongs to the thread that made it.
 */
#ifndef CELLULAR_BENCH_FLOOR_H
#define CELLULAR_BENCH_FLOOR_H

#include <stddef.h>
#include <stdint.h>

enum {
	FLOOR_PAGE = 4096,
	FLOOR_ASK = 64, /* bytes of a small message */
	FLOOR_REPLY = FLOOR_ASK + FLOOR_PAGE,
};

#define FLOOR_WORD 0x0101010101010101ull /* what every word of a page reads that was resolved */

/* ---- faults: MISSING, resolved by UFFDIO_COPY of one page ---- */

enum floor_handler {
	FLOOR_THREAD,	     /* a thread on the caller's core that sleeps in epoll */
	FLOOR_THREAD_SPINS,  /* a thread on `core` that never sleeps */
	FLOOR_THREAD_ACROSS, /* a thread on `core` that sleeps in epoll */
	FLOOR_INLINE,	     /* the faulting thread itself, in its SIGBUS handler */
};

struct floor_faults;

/* `core` where handler names one. EPERM: no right to userfaultfd. */
int floor_faults_open(enum floor_handler handler, int core, unsigned pages,
		      struct floor_faults **out);
/* Touches n (<= pages) absent pages one after the other; ns[i]: what each took. */
int floor_faults_run(struct floor_faults *f, uint64_t *ns, unsigned n);
/* The pages, for somebody else to touch; and all of them made absent again. */
void *floor_faults_base(struct floor_faults *f);
int floor_faults_forget(struct floor_faults *f);
void floor_faults_close(struct floor_faults *f);

/* ---- exchanges over a connected TCP socket; both sides spin ---- */

/* Two ends over loopback, as plain as they can be. */
int floor_link(int link[2]);
/* n times: sends `ask` bytes, waits for `reply` bytes. At most FLOOR_REPLY each. */
int floor_call(int fd, size_t ask, size_t reply, uint64_t *ns, unsigned n);
/* The other side. */
int floor_answer(int fd, size_t ask, size_t reply, unsigned n);
/* Sends, or takes, `bytes` in pieces of 1 MiB; the taker's time in *ns. */
int floor_stream_send(int fd, size_t bytes);
int floor_stream_take(int fd, size_t bytes, uint64_t *ns);

uint64_t floor_now(void);

#endif
