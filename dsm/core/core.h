/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The coherence core of one member of one space: a state machine without system calls, threads,
 * clock or allocation after init. dsm_step(core, event) -> effects. The same code runs under
 * userfaultfd and TCP (dsm/engine.c), under the simulator, and under exhaustive
 * exploration. Rules, states and crossings: dsm/PROTOCOL.md.
 *
 * MOESI at 4 KiB with a home-based directory (Ivy: Li & Hudak, TOCS 7(4) 1989; directory MOESI as
 * in Sorin, Hill, Wood, "A Primer on Memory Consistency and Cache Coherence", ch. 8). The home of a
 * page is the home of its chunk.
 *
 * Threads: a core belongs to one thread. Time comes in with the events (now, ns, monotonic, never
 * going back). Memory: the caller hands over dsm_core_bytes() of *zeroed* memory, which is touched
 * lazily.
 *
 * Effects are to be carried out in the order they stand in the list, each finished before the next
 * begins; that order is part of the protocol (PROTECT, READ_OUT, UNMAP, then SEND).
 */
#ifndef CELLULAR_DSM_CORE_H
#define CELLULAR_DSM_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/ids.h"
#include "proto/page.h"

enum {
	DSM_TXN_MAX =
		128, /* K: transactions a member may have under way; more faults wait in the core */
	DSM_ACQUIRE_PAGES_MAX = 16, /* pages of one acquire, or of one instruction */
	DSM_ACQUIRES_MAX = 64,	    /* acquires under way or held at one time */
	DSM_THREADS_MAX = 64,	    /* threads whose stalls are remembered */
	DSM_PROOFS_MAX = 4,	    /* proofs an event can carry */
	DSM_LOCALS_MAX = 8,	    /* local ranges of a space */
	DSM_EFFECTS_MAX = 512,	    /* bound on the effects of one step; the core asserts it */
	DSM_SLOT_NONE = 0xffff,
	DSM_SLOTS = 2 * DSM_TXN_MAX + 2, /* page buffers the adapter keeps for STASH and READ_OUT */
};

/* What this member may do with a page, and what it owes. */
enum dsm_state {
	DSM_I = 0, /* nothing here */
	DSM_S,	   /* reads a copy */
	DSM_O,	   /* owner that served readers: read-only, responsible for the data */
	DSM_E, /* sole copy, not written since the grant, mapped read-only: a write needs no message
		*/
	DSM_M, /* sole copy, writable */
};

struct dsm_range {
	uint64_t first; /* page */
	uint64_t pages;
};

struct dsm_core_config {
	struct member_id self;
	uint8_t members;  /* 1 .. DSM_MEMBERS_MAX: numbers that may ever be used in this epoch */
	uint8_t founders; /* members there at the start, 0 .. founders-1; 0: all `members` */
	/* The members as this one begins, itself among them; 0: the founders. With the heirs of
	 * those that left before: what any member that is there says (dsm_core_present,
	 * dsm_core_heir). The same for all cores that begin together. */
	dsm_set present;
	uint8_t heir[DSM_MEMBERS_MAX]; /* of each that left: member + 1; 0: it did not leave */
	struct epoch epoch;
	uint64_t pages;	  /* of the space, 1 .. 2^32 - 1 */
	uint32_t hold_us; /* a fresh grant is kept at least this long against remote requests; 0:
			     not at all */
	/* An acquire that has its pages keeps them at least this long, unless released. */
	uint32_t acquire_us;
	/* Chunks are taken whole (R52): the adapter carries out WHOLE and SPLIT. Each member may
	 * have it as it likes. */
	bool whole;
	uint8_t locals;
	struct dsm_range local[DSM_LOCALS_MAX]; /* outside coherence: events for them are refused
						   (counted) */
};

enum dsm_event_type {
	DSM_EV_FAULT,	/* a local thread stalled on page; a hint: the core's state decides */
	DSM_EV_MSG,	/* a message arrived; its page data, if any, is the adapter's "event data"
			   during this step */
	DSM_EV_TIMER,	/* now >= the last TIMER deadline (early or spurious ones are harmless) */
	DSM_EV_LOST,	/* a member was lost: the space ends */
	DSM_EV_ACQUIRE, /* a device wants pages [page, page+pages) with read or write right, and to
			   keep them for a while */
	DSM_EV_RELEASE, /* ... and is done with them */
	DSM_EV_EVICT,	/* give page back to its home: PUT (owner) or DROP (sharer); or forget it */
	DSM_EV_MOVE,	/* let the home of page's chunk move to member `to`; ignored if home is not
			   here, or on its way already */
	DSM_EV_LEAVE,	/* this member leaves the space in order (R46). Its threads have stopped and
			   its devices have released: no fault is served any more. Refused (counted)
			   if it is alone, or leaves already, or another member does, or a newcomer
			   was not heard of yet; say it again then */
	DSM_EV_JOIN,	/* a newcomer is about to begin (R49): said to every member that is present
			   before the newcomer's core exists. Refused (counted) if the number is out
			   of range or was ever used, or if this member leaves or knows of another
			   that does: no core may begin under that number then, until it was said to
			   all */
};

/*
 * Members that come and go: one at a time, which is the caller's duty; the core refuses what it can
 * see of a breach. To let one come:
 *   1. Choose a number that was never used in this epoch. Its channels with all members are there.
 *   2. DSM_EV_JOIN at every member that is present. If one refuses, say it there again later. Only
 *	 when all have taken it:
 *   3. dsm_core_init() of the newcomer, with the members and heirs that one of the present ones
 *	 says. Give it an event at once, a TIMER will do: with its first step it says HERE to all.
 *	 Until a member heard that, it moves no home there and does not leave.
 * From the first DSM_EV_JOIN on, losing the newcomer is losing a member: the space ends.
 */

/*
 * What the adapter saw of a page that could be written here when it read it out: that it was
 * written since, or that it leaves as it came. A hint: who is stalled on it got on, or did not
 * (R42). Where nothing is known, say nothing.
 */
struct dsm_proof {
	struct gpage page;
	bool written;
};

struct dsm_event {
	enum dsm_event_type type;
	uint64_t now;	/* ns */
	uint8_t proofs; /* of READ_OUTs since the last event */
	struct dsm_proof proof[DSM_PROOFS_MAX];
	union {
		struct {
			struct gpage page;
			bool write;
			uint32_t thread; /* who stalled, so that it gets the set of pages it needs
					    (R40); 0: unknown. Its faults come in their order */
		} fault;
		struct {
			struct member_id from;
			struct dsm_msg msg;
		} msg;
		struct {
			struct member_id member;
			uint32_t reason; /* enum err_code */
		} lost;
		struct {
			struct gpage page;
			uint32_t pages; /* 1 .. DSM_ACQUIRE_PAGES_MAX */
			bool write;
			uint32_t token; /* chosen by the caller, unique among those under way */
		} acquire;
		struct {
			uint32_t token;
		} release;
		struct {
			struct gpage page;
			bool discard; /* nobody wants its content any more: zeros will do (R43) */
		} evict;
		struct {
			struct gpage page; /* any of the chunk */
			struct member_id to;
		} move;
		struct {
			struct member_id member;
		} join;
	};
};

enum dsm_fx_type {
	DSM_FX_SEND,	 /* msg to `to`; with flag DATA the payload is slot */
	DSM_FX_READ_OUT, /* copy page into slot; it is present, and protected if it was writable */
	DSM_FX_STASH,	 /* copy the event's data into slot */
	DSM_FX_MAP,	 /* install the absent page: from source, writable or write-protected; wakes
			    nobody */
	DSM_FX_UNPROTECT, /* page is present and write-protected: allow writes; wakes nobody */
	DSM_FX_PROTECT,	  /* page is present and writable: when this returns, no thread and no vCPU
			     writes any more */
	DSM_FX_UNMAP,	  /* page is present: drop it; later touches fault */
	DSM_FX_WHOLE,	  /* page is the first of a chunk of which no page is present: it becomes
			     ordinary memory, zeros, to be written without a fault */
	DSM_FX_SPLIT,	  /* ... of a chunk that is WHOLE: from now on each of its pages is present
			     and writable, as if mapped one by one. No write is lost meanwhile */
	DSM_FX_WAKE,	  /* wake threads stalled on page: they retry */
	DSM_FX_TIMER,	  /* ask for DSM_EV_TIMER at or after deadline; replaces an earlier one;
			     UINT64_MAX: none */
	DSM_FX_ACQUIRED,  /* acquire `token` holds its pages; result is ERR_OK, or why not (INVALID,
			     NOSPACE, LOST) */
	DSM_FX_LEFT, /* this member has left: the space goes on without it, and it may go once what
			it sent has arrived; at most once; nothing follows it, ever */
	DSM_FX_LOST, /* the space ended: `to` was lost, `reason`; at most once; nothing follows it,
			ever */
};

enum dsm_source { DSM_FROM_ZERO, DSM_FROM_EVENT, DSM_FROM_SLOT };

struct dsm_effect {
	uint8_t type;	     /* enum dsm_fx_type */
	uint8_t source;	     /* MAP: enum dsm_source */
	bool writable;	     /* MAP */
	struct member_id to; /* SEND, LOST */
	uint16_t slot;	     /* SEND with data, READ_OUT, STASH, MAP from slot */
	uint32_t token;	     /* ACQUIRED */
	uint32_t reason;     /* LOST, ACQUIRED: enum err_code */
	struct gpage page;
	uint64_t deadline;  /* TIMER, ns */
	struct dsm_msg msg; /* SEND */
};

struct dsm_effects {
	uint32_t n;
	struct dsm_effect v[DSM_EFFECTS_MAX];
};

/* Counted by the core. "remote": at least one message left or entered this member for it. */
#define DSM_STATS(X)                                                                               \
	X(read_local, "read faults served without a message")                                      \
	X(read_remote, "read faults served by other members")                                      \
	X(write_local, "write faults on absent pages served without a message")                    \
	X(write_remote, "write faults on absent pages served by other members")                    \
	X(upgrade_local, "write faults on present pages served without a message")                 \
	X(upgrade_remote, "write faults on present pages served by other members")                 \
	X(spurious, "faults on pages that were there already")                                     \
	X(whole, "chunks nobody else asked for that were taken whole, at a fault each")            \
	X(split, "whole chunks that were split, for another member mostly")                        \
	X(fetch_served, "pages given or copied to other members")                                  \
	X(invalidated, "copies dropped for a writer")                                              \
	X(deferred, "requests held back by a hold or an acquire")                                  \
	X(queued, "requests queued at home behind another one")                                    \
	X(evicted, "pages or copies given back")                                                   \
	X(discarded, "pages whose content nobody wanted any more")                                 \
	X(redirected, "requests that found their home moved, and asked again")                     \
	X(moved_in, "chunks whose home came here")                                                 \
	X(moved_out, "chunks whose home went from here")                                           \
	X(stale_epoch, "messages of another epoch, dropped")                                       \
	X(stale_version, "messages overtaken by a newer version, dropped")                         \
	X(refused, "messages or events that break the protocol, dropped")

struct dsm_core_stats {
#define X(name, text) uint64_t name;
	DSM_STATS(X)
#undef X
};

struct dsm_core;

/* Bytes of zeroed memory a core needs: address space, touched lazily, with one entry a page for a
 * holder and one a page for a home. 0 if config is out of range. */
size_t dsm_core_bytes(const struct dsm_core_config *config);

/* Builds a core in `memory` (page-aligned, zeroed). NULL if config is out of range. The memory
 * stays the caller's. */
struct dsm_core *dsm_core_init(void *memory, const struct dsm_core_config *config);

/*
 * One step. `out->n` is set by the callee. Never fails: an event that makes no sense is dropped and
 * counted (refused): a fault outside the space or in a local range, a message from a number that is
 * not a member, one that no rule allows. A message that could only come from a broken or hostile
 * peer additionally ends the space (LOST with ERR_PROTOCOL and that member).
 */
void dsm_step(struct dsm_core *core, const struct dsm_event *event, struct dsm_effects *out);

/* What the core knows, for tests, maps and statistics. */
/* A page that was put and not acknowledged yet is I: it waits in a slot. */
enum dsm_state dsm_core_state(const struct dsm_core *core, struct gpage page);
/* The home this core would ask; others may know a newer one. */
struct member_id dsm_core_home(const struct dsm_core *core, struct gpage page);
/* Moves ordered here and not finished, openings included. */
bool dsm_core_moving(const struct dsm_core *core);
/* LEAVE was accepted and is not finished. It ends with LEFT, or with LOST; or, if all others left
 * meanwhile, with nothing: the last one cannot leave (counted as refused). */
bool dsm_core_leaving(const struct dsm_core *core);
/* Members of the space as this one knows it: without those that left. */
dsm_set dsm_core_present(const struct dsm_core *core);
/* Who stands for a member that left; MEMBER_NONE: it did not leave. It may have left itself. */
struct member_id dsm_core_heir(const struct dsm_core *core, struct member_id member);
bool dsm_core_ended(const struct dsm_core *core);
/* Is the page in a chunk that is whole here? Then it is in state M, and always was since WHOLE. */
bool dsm_core_whole(const struct dsm_core *core, struct gpage page);
void dsm_core_stats(const struct dsm_core *core, struct dsm_core_stats *out);
/* Transactions of this member that are not finished, with those waiting for a free one. */
uint32_t dsm_core_pending(const struct dsm_core *core);
/* Is the page one of a set that is being collected or held for a stalled thread? */
bool dsm_core_collects(const struct dsm_core *core, struct gpage page);

/* Directory entry of a page whose home is here. */
struct dsm_dir {
	bool busy;		/* a transaction is under way */
	bool stopped;		/* requests wait because home is about to move, or just came */
	struct member_id owner; /* MEMBER_NONE: never granted: all zero */
	dsm_set sharers; /* without the owner; may hold members that dropped their copy (a superset)
			  */
	uint32_t version;
	uint32_t queued; /* requests waiting */
};
bool dsm_core_dir(const struct dsm_core *core, struct gpage page,
		  struct dsm_dir *out); /* false: home is not here */

const char *dsm_state_name(enum dsm_state state);

#endif
