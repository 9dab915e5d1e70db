/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks and barriers, by posts between the members' libraries.
 *
 * A lock is a *token*. It stays with the member that used it last, so that who locks again asks
 * nobody (lock.c). Its *manager* knows where it is and who wants it, first come first served
 * (manager.c); all else goes through it:
 *
 *	member --LOCK_ASK--> manager --RECALL--> who has the token
 *	member <--LOCK_GIVE-- manager <--RETURN--
 *
 * A barrier is a count at its manager: ARRIVE from each thread, RELEASE to each member that has
 * some waiting (barrier.c).
 *
 * Managers: lock and barrier ids are spread over SYNC_SLOTS slots, and each slot has one member as
 * its manager. Newcomers are given a share, leavers hand theirs on (handover.c).
 *
 * All of it runs under the space's lock: in the caller's thread, or on the engine's, which brings
 * the posts. What a member sends to itself is done at once. Posts of a pair are ordered; nothing
 * else is. A message that makes no sense is dropped.
 */
#ifndef CELLULAR_DSM_LIB_SYNC_H
#define CELLULAR_DSM_LIB_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include <cellular/dsm.h>

#include "proto/ids.h"

struct cdsm;

enum {
	SYNC_SLOTS = 64,
	SYNC_LEAVE_LOCK = CDSM_LOCKS, /* who leaves holds it: one at a time */
	SYNC_LOCKS = CDSM_LOCKS + 1,
	SYNC_NOBODY = 255,
};

/* ---- messages ---- */

enum sync_type {
	SYNC_LOCK_ASK,	      /* member wants lock id */
	SYNC_LOCK_RETURN,     /* member gives the token of id back */
	SYNC_LOCK_GIVE,	      /* the token of id is yours; n: others wait already */
	SYNC_LOCK_RECALL,     /* others wait for the token of id */
	SYNC_BARRIER_ARRIVE,  /* a thread of member, its `ticket`, is at barrier id of n parties */
	SYNC_BARRIER_RELEASE, /* all are at barrier id, n threads of yours among them */
	SYNC_BARRIER_REFUSE,  /* `ticket` came with another number of parties than the first, n */
	SYNC_HAND_LOCK,	      /* lock id as its manager knows it: member has the token, bytes */
	SYNC_HAND_BARRIER,    /* barrier id: n parties; bytes: counts */
	SYNC_HAND_SLOT,	      /* you are the manager of slot id, by version n */
	SYNC_MANAGER,	      /* member is the manager of slot id, by version n */
	SYNC_FENCE,	      /* answer: */
	SYNC_FENCE_ACK,	      /* what I sent you before is there; n: of the FENCE */
	SYNC_TYPES,
};

/* Little endian on the wire; HAND messages are followed by bytes. */
struct sync_msg {
	uint8_t type;
	uint8_t member;
	uint16_t id;
	uint32_t n;
	uint32_t ticket;
} __attribute__((packed));
_Static_assert(sizeof(struct sync_msg) == 12, "wire");

/* ---- what a member keeps ---- */

/* A thread that waits, on its own stack; its lists are first come first served. */
struct sync_waiter {
	struct sync_waiter *next;
	pthread_cond_t wake;
	bool woken;
	bool sent;	 /* BARRIER_ARRIVE */
	int rc;		 /* once woken */
	uint32_t ticket; /* BARRIER_ARRIVE */
	uint32_t parties;
	uintptr_t thread;
};

struct sync_list {
	struct sync_waiter *first, *last;
};

struct sync_lock {
	bool token, asked;
	bool recalled;	  /* somebody else waits for the token */
	uint32_t batch;	  /* then: so many threads here came before, and go first */
	uintptr_t holder; /* thread; 0: none */
	struct sync_list waiting;
};

/* ---- what a manager keeps ---- */

struct sync_managed_lock {
	uint8_t holder; /* member + 1 that has the token, or to which it is on its way; 0: here */
	uint8_t waiting;
	uint8_t queue[DSM_MEMBERS_MAX]; /* members, first come first */
};

struct sync_managed_barrier {
	uint32_t parties; /* of this round; 0: nobody is there */
	uint32_t arrived;
	uint16_t of[DSM_MEMBERS_MAX]; /* threads of each */
};

struct sync_slot {
	uint8_t manager; /* member + 1; 0: not told yet */
	bool taken;	 /* ... says so itself */
	uint32_t version;
};

/* How far a leaver is: it waits for its turn, until its slots are taken, until nobody thinks it is
 * a manager. */
enum sync_leave { SYNC_STAYS, SYNC_WANTS, SYNC_HANDS, SYNC_FENCES, SYNC_GOES };

struct sync {
	struct sync_lock lock[SYNC_LOCKS];
	struct sync_list barrier[CDSM_BARRIERS];
	uint32_t tickets;
	struct sync_managed_lock managed_lock[SYNC_LOCKS];
	struct sync_managed_barrier managed_barrier[CDSM_BARRIERS];
	struct sync_slot slot[SYNC_SLOTS];
	enum sync_leave leave;
	pthread_cond_t leaver; /* a leaver has something to do; by CLOCK_MONOTONIC */
	uint32_t fence;	       /* number of the last one */
	dsm_set fenced;	       /* who has not answered it */
	dsm_set gone;	       /* who has left */
	uint64_t locks_cached, locks_waited, locks_asked, locks_recalled, barriers;
};

static inline unsigned sync_slot_of(unsigned id)
{
	return id % SYNC_SLOTS;
}

/* ---- sync.c ---- */

void sync_begin(struct cdsm *c);
/* The engine runs. */
void sync_settle(struct cdsm *c, bool founder);
void sync_end(struct cdsm *c);
void sync_send(struct cdsm *c, uint8_t to, const struct sync_msg *m, const void *bytes, uint32_t n);
/* To whoever is the manager of id, if that is known. */
void sync_send_manager(struct cdsm *c, unsigned id, const struct sync_msg *m);
/* May this member ask the manager of id? It knows it, and all know this member. */
bool sync_may_ask(const struct cdsm *c, unsigned id);
/* Members that are there, but for this one. */
dsm_set sync_others(const struct cdsm *c);
/* The engine's callbacks, under the lock. */
void sync_post(struct cdsm *c, uint8_t from, const void *bytes, uint32_t n);
void sync_joined(struct cdsm *c, uint8_t member);
void sync_left(struct cdsm *c, uint8_t member);
/* Ends every wait with rc: the space ended, or this member leaves. */
void sync_wake_all(struct cdsm *c, int rc);

/* Until it was taken from its list. */
void sync_wait(struct cdsm *c, struct sync_waiter *w);
void sync_enqueue(struct sync_list *list, struct sync_waiter *w);
void sync_remove(struct sync_list *list, struct sync_waiter *w);
/* Takes the first out of the list and ends its wait. */
void sync_wake_first(struct sync_list *list, int rc);

/* ---- lock.c, barrier.c: the member's side ---- */

void lock_given(struct cdsm *c, unsigned id, bool others_wait);
void lock_recalled(struct cdsm *c, unsigned id);
/* A manager was named: asks for what waits in the slot. */
void lock_ask_again(struct cdsm *c, unsigned slot);
void lock_want(struct cdsm *c, unsigned id);
/* A lock that a thread of this member holds, or SYNC_LOCKS. */
unsigned lock_held_here(const struct cdsm *c);
void barrier_released(struct cdsm *c, unsigned id, uint32_t n);
void barrier_refused(struct cdsm *c, unsigned id, uint32_t ticket, uint32_t parties);
void barrier_arrive_again(struct cdsm *c, unsigned slot);

/* ---- manager.c ---- */

void manager_ask(struct cdsm *c, unsigned id, uint8_t member);
void manager_return(struct cdsm *c, unsigned id, uint8_t member);
void manager_arrive(struct cdsm *c, const struct sync_msg *m);
/* Forgets a member in the slot: its wishes, its tokens, its arrivals. */
void manager_forget(struct cdsm *c, unsigned slot, uint8_t member);

/* ---- handover.c ---- */

bool slot_is_mine(const struct cdsm *c, unsigned slot);
void handover_lock(struct cdsm *c, const struct sync_msg *m, const uint8_t *bytes, uint32_t n);
void handover_barrier(struct cdsm *c, const struct sync_msg *m, const uint8_t *bytes, uint32_t n);
void handover_slot(struct cdsm *c, const struct sync_msg *m);
void handover_manager(struct cdsm *c, uint8_t from, const struct sync_msg *m);
void handover_fence_ack(struct cdsm *c, uint8_t from, uint32_t n);
void handover_joined(struct cdsm *c, uint8_t member);
void handover_left(struct cdsm *c, uint8_t member);
void handover_begin(struct cdsm *c); /* a newcomer */
/* All of it, in cdsm_leave, waiting up to deadline_ns (clock_ns). CDSM_ETIMEOUT, CDSM_ELOST. */
int handover_leave(struct cdsm *c, uint64_t deadline_ns);

#endif
