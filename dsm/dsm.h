/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A space as its user sees it: a range of memory in this process that is kept coherent with the
 * same range in the processes of the other members. The only header of dsm/ that code outside dsm/
 * includes. (The engine behind it: dsm/engine.c.)
 *
 * Life: dsm_open (memory is mapped, port is listening; nothing may touch coherent pages yet) ->
 * dsm_connect (all members found each other)
 * -> use -> dsm_close. A member that comes later begins with dsm_join, in place of the first two.
 * Loss of any member ends the space: `lost` is called once; from then on
 * threads that fault wait for ever and must be ended with their process; nothing is answered with
 * zeros or old data. There are two good ends: a member leaves by dsm_leave, and the space goes on
 * without it; or all agree not to use the space any more: dsm_quiesce tells the engine that losses
 * are expected now.
 *
 * Inline faults (dsm_config.inline_faults; dsm/trap.h, dsm/pump.h). A thread that touches a page
 * that is not here gets SIGBUS, and the handler installed by dsm_connect or dsm_join brings the
 * page; it needs 16 KiB of the thread's own stack. What it asks of the program: SIGBUS is not
 * blocked; a handler installed later hands on what it does not know; system calls are given no
 * memory of the range (they fail with EFAULT), and no vCPU runs in it. A SIGBUS of another address
 * goes to the handler that was there before. Signals wait while a thread waits for a page, but not
 * for longer than some 20 ms.
 *
 * What these functions are given lies outside the range, and so do the heap and all locks that are
 * held while they are called.
 *
 * Threads: one engine thread a space, made by dsm_open's caller through dsm_connect. Callbacks run
 * on it: they must not block, must not touch coherent pages, must not call dsm_acquire, dsm_leave,
 * dsm_stats, dsm_map or dsm_close. All other functions may be called from any thread.
 */
#ifndef CELLULAR_DSM_DSM_H
#define CELLULAR_DSM_DSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/ids.h"
#include "dsm/core/core.h"
#include "dsm/transport.h"

struct dsm;

struct dsm_config {
	struct space_id space;
	struct epoch epoch;
	struct member_id self;
	uint8_t members;  /* numbers 0 .. members-1 may ever be used in this epoch */
	uint8_t founders; /* the first so many begin the space, others join; 0: all, nobody joins */
	uint64_t pages;
	uint8_t locals;
	struct dsm_range local[DSM_LOCALS_MAX];
	uint8_t key[CELL_KEY_BYTES];
	const char *listen;  /* data address of this member, "ip:0" */
	void *address;	     /* where to map, page-aligned, over nothing; NULL: anywhere */
	uint32_t hold_us;    /* 0: 200; less than 20 is 20 */
	uint32_t silence_ms; /* 0: 3000: a member silent for so long is lost */
	/* Flight recorder: a file of shared memory (memfd_create) that keeps the last events of
	 * this member (dsm/core/journal.h), to be read by whoever holds it, also after this
	 * process is gone. 0: none. Stays the caller's; not used after dsm_open. */
	int recorder;
	/* Faults are served in the faulting thread, by a handler of SIGBUS, where that is faster:
	 * see "Inline faults". UNSUPPORTED on processors other than x86-64. */
	bool inline_faults;
	/* dsm_join: the member is called once, and given up after so long; 0: called again and
	 * again until the time is over. */
	uint32_t call_ms;
	/* A chunk (2 MiB) whose home is here, and that no other member ever asked for, is taken
	 * whole when a thread here first touches it: plain memory with huge pages, no fault and no
	 * bookkeeping for its pages, until another member asks for one. true: that is left out. */
	bool never_whole;

	void *context; /* handed to the callbacks */
	/* The space ended: `member` was lost. Once. The reason is one sentence. */
	void (*lost)(void *context, struct member_id member, const struct err *why);
	/* `member` joined, and may be sent posts. May be NULL. */
	void (*joined)(void *context, struct member_id member);
	/* `member` left in order: it is a member no more, its data is with the others. May be NULL.
	 */
	void (*left)(void *context, struct member_id member);
	/* Bytes another member sent with dsm_post. Valid during the call. */
	void (*post)(void *context, struct member_id from, const void *bytes, uint32_t n);
};

/* Maps the space and starts to listen. Errors: INVALID, NOMEM, DENIED (userfaultfd), EXISTS (port),
 * UNSUPPORTED. */
int dsm_open(const struct dsm_config *config, struct dsm **out, struct err *e);

/* Where this member listens. */
void dsm_address(const struct dsm *d, char out[TRANSPORT_ADDRESS_MAX]);

/* Connects the founders and starts the engine thread; from here on coherent pages may be touched.
 * peers as in transport.h. */
int dsm_connect(struct dsm *d, const char *const *peers, int timeout_ms, int stop_fd,
		struct err *e);

/*
 * Becomes a member of a space that runs: calls the member at `address` (as dsm_address of any of
 * them gives it), is given a number, connects to all, and returns when all know it; coherent pages
 * may be touched then, and dsm_base is its own. Blocks up to timeout_ms, or until stop_fd is
 * readable (-1: none). config->self, members, founders, pages, locals and silence_ms are the
 * space's: what is there does not count. A member that is busy, leaves, or is not there yet is
 * called again. If the caller is lost after all members agreed to take it in, the space ends;
 * before, nobody notices. TIMEOUT, UNREACHABLE, INTERRUPTED; AUTH, EPOCH, VERSION, PROTOCOL;
 * NOSPACE: no number is left, or nobody may join; LOST: a member was lost, or gave up waiting for
 * us: try again; also as dsm_open.
 */
int dsm_join(const struct dsm_config *config, const char *address, int timeout_ms, int stop_fd,
	     struct dsm **out, struct err *e);

/* What this member is, and the space as it sees it now. */
struct dsm_shape {
	struct member_id self;
	uint8_t members; /* numbers, used or not */
	uint64_t pages;
	dsm_set present; /* who is there; none once this member left */
};
void dsm_shape(const struct dsm *d, struct dsm_shape *out);

/* Stops the engine, unmaps, frees. No thread may touch the range or be in a call. NULL is allowed.
 */
void dsm_close(struct dsm *d);

/*
 * Leaves the space, which goes on without this member: its homes and pages move to the others. From
 * the call on no thread may touch coherent pages (one that does waits for ever), and devices have
 * released. Blocks until all others know and all that was sent has arrived; then only dsm_stats,
 * dsm_map and dsm_close make sense, and to the others this process may end in any way. Members that
 * leave at the same time do so one after the other; the last one leaves nothing behind, and nobody.
 * TIMEOUT: it goes on; call again to wait on. LOST: the space ended meanwhile, `lost` says why.
 * STATE: before dsm_connect.
 */
int dsm_leave(struct dsm *d, int timeout_ms, struct err *e);

/*
 * With inline faults, when the space has ended or this member has left, and the caller has put
 * something else in the place of the range: its SIGBUS is the program's from here on, and threads
 * that wait for a page touch it again, within some 20 ms. Without inline faults it does nothing.
 */
void dsm_abandon(struct dsm *d);

/* From here on, losses of members are no failure (an agreed end). */
void dsm_quiesce(struct dsm *d);

/* Address of page 0, page-aligned; local and coherent ranges alike. */
void *dsm_base(const struct dsm *d);
/* For a guardian process to keep a duplicate (SCM_RIGHTS); owned by d. */
int dsm_uffd(const struct dsm *d);

/*
 * For devices: brings pages [page, page+pages) here with read or write right and keeps requests for
 * them away until dsm_release, or for a bounded time (acquire_us of the core), after which the
 * pages may leave: accesses stay right, they may just fault. Blocks. pages: 1 ..
 * DSM_ACQUIRE_PAGES_MAX. LOST (also when a member that left after dsm_quiesce would be needed),
 * INVALID (outside, or a local range), NOSPACE (too many at once), STATE (before dsm_connect, after
 * dsm_leave).
 */
int dsm_acquire(struct dsm *d, struct gpage page, uint32_t pages, bool write, uint32_t *token,
		struct err *e);
void dsm_release(struct dsm *d, uint32_t token);

/* Gives a page back to its home, if it is here; a hint. */
void dsm_evict(struct dsm *d, struct gpage page);

/* Nobody wants the content of a page any more: it may be thrown away. A hint; a later read gives
 * zeros or the old content, a read after a later write what was written. A write of another thread
 * at the same time may be lost with the rest. */
void dsm_discard(struct dsm *d, struct gpage page);

/* Lets the home of the page's chunk move to another member, if it is here: the directory entries
 * (not the data) are kept there from now on. A hint: ignored if home is elsewhere, or moves
 * already. Accesses go on meanwhile. */
void dsm_move_home(struct dsm *d, struct gpage page, struct member_id to);

/* Sends n (0 .. POST_BYTES_MAX) bytes to a member (self too: its callback runs on the engine
 * thread). Ordered a pair. May be called from a callback. Does not block: it waits in a queue of 8
 * MiB for the engine thread, which hands it to the transport (contract T2). ERR_TOOBIG; ERR_INVALID
 * (no such member); ERR_NOTFOUND: it left, or did not join yet, or this member left; ERR_NOSPACE:
 * the queue is full, nothing was sent; ERR_LOST when the space has ended. What waits for a member
 * when it leaves is dropped. */
int dsm_post(struct dsm *d, struct member_id to, const void *bytes, uint32_t n);

/* A page that faults come from. */
struct dsm_hot {
	struct gpage page;
	uint64_t faults; /* that needed a message; at most `over` too many */
	uint64_t writes; /* of those seen, to write */
	uint64_t over;
};

enum { DSM_HOT_MAX = 16 };

struct dsm_stats {
	struct dsm_core_stats core;
	struct transport_stats transport;
	uint64_t notices_refused; /* about who is a member; they made no sense, and changed nothing
				   */
	/* Remote faults as the engine sees them, from fault message read to wake. The sums are over
	 * faults_timed faults, and queue + reply + install = fault. Raising the fault and running
	 * on after the wake are not in it: only the faulting thread can time those. */
	uint64_t faults_timed;
	uint64_t fault_ns_sum, fault_ns_max;
	uint64_t fault_ns_p50, fault_ns_p99; /* to 12 % */
	uint64_t queue_ns_sum;		     /* message read -> request handed to the system */
	uint64_t reply_ns_sum;	 /* -> last message that was waited for read: network and the other
				    members */
	uint64_t install_ns_sum; /* -> page installed, threads woken */
	uint64_t resident;	 /* coherent pages that are here, all of a whole chunk's too */
	uint64_t owned;		 /* of those, pages this member is owner of */
	uint64_t asked_ahead;	 /* pages nobody had stalled on, but somebody was about to */
	uint32_t hot_n;
	struct dsm_hot hot[DSM_HOT_MAX]; /* whose faults were the most, most first */
};
void dsm_stats(struct dsm *d, struct dsm_stats *out);

/*
 * Which pages are here: the space is cut into `buckets` equal runs (the last may be shorter: run =
 * ceil(pages / buckets)); out[b] counts pages by state. All pages of a whole chunk are here and
 * exclusive, also those nobody touched yet: they are used without a fault.
 */
struct dsm_bucket {
	uint32_t shared;    /* S, O */
	uint32_t exclusive; /* E, M */
	uint32_t owned;	    /* O, E, M */
};
void dsm_map(struct dsm *d, uint32_t buckets, struct dsm_bucket *out);

#endif
