/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is a member, while the space runs: one change at a time. The cores agree on what a change
 * does (R46 .. R51); here is whose turn it is, and how a newcomer comes as far as its core.
 *
 * Turns. The *sponsor* is the lowest member that has not left. Who wants to leave, or has somebody
 * who wants to join, asks it (ASK), gets its turn (TURN), and says when it is over (OVER; a leaver
 * by GONE, which the sponsor reads as everybody does). The sponsor leaves by a turn of its own, so
 * no other is under way then; who still waits asks its successor.
 *
 * Joining. A newcomer calls any member: its *host*, which answers when it has the turn.
 *
 *	newcomer                 host                          every member, the host too
 *	   call  ------------------>  PREPARE  -------------------->   lets it connect
 *	         <--- welcome ------           <---- PREPARED -------
 *	   connects to all; READY -->  ADMIT   -------------------->   core takes it in (JOIN)
 *	         <------ GO --------           <---- ADMITTED -------  ... when its channel stands
 *	   its core begins; HERE ------------------------------------> a member as any other
 *
 * Until ADMIT the newcomer is nobody: if it is lost, or not READY within MEMBERSHIP_READY_MS, the
 * host says CANCEL, waits for CANCELLED from all, and only its number is used up. From ADMIT on its
 * loss ends the space.
 *
 * A notice that does not fit is counted and changes nothing.
 *
 * Threads: the shard's.
 */
#ifndef CELLULAR_DSM_MEMBERSHIP_H
#define CELLULAR_DSM_MEMBERSHIP_H

#include <stdbool.h>

#include "dsm/transport.h"
#include "proto/change.h"

enum {
	MEMBERSHIP_READY_MS = 5000,
	MEMBERSHIP_CALLERS_MAX = 8, /* that wait for this member's turn */
};

struct shard;

/* Of this member. */
enum turn { TURN_NONE, TURN_ASKED, TURN_MINE };

/* How far the newcomer is, as this member was told. */
enum newcomer_phase { NEWCOMER_NONE, NEWCOMER_PREPARED, NEWCOMER_ADMITTED };

enum host_step {
	HOST_IDLE,
	HOST_PREPARING,	 /* awaits PREPARED */
	HOST_CALLING,	 /* awaits READY, until deadline_ns */
	HOST_ADMITTING,	 /* awaits ADMITTED */
	HOST_GREETING,	 /* awaits HERE */
	HOST_CANCELLING, /* awaits CANCELLED */
};

struct membership {
	uint64_t refused; /* notices that did not fit */
	uint8_t next;	  /* number of the next newcomer: all below were used */
	enum turn turn;

	/* Of the sponsor. */
	dsm_set asking;		  /* who waits for a turn */
	struct member_id turn_of; /* MEMBER_NONE: nobody's */
	uint8_t after;		  /* who is asked first next time */

	struct {
		enum newcomer_phase phase;
		struct member_id member;
		struct member_id host;
		bool up;     /* its channel stands */
		bool broken; /* ... and does no more */
	} newcomer;

	struct {
		enum host_step step;
		dsm_set awaited;
		uint64_t deadline_ns;
		uint32_t caller;
		char address[DSM_MEMBERS_MAX][TRANSPORT_ADDRESS_MAX];
	} host;
	uint32_t callers;
	uint32_t caller[MEMBERSHIP_CALLERS_MAX]; /* oldest first */
};

void membership_begin(struct shard *s);
/* Asks for a turn, if there is none. With it comes shard_leave_now, or a caller is welcomed. */
void membership_ask(struct shard *s);

/* A CHANGE message; events of the transport. */
void membership_notice(struct shard *s, const struct transport_event *ev);
void membership_caller(struct shard *s, uint32_t caller);
void membership_up(struct shard *s, struct member_id member);
/* The channel to somebody who is no member, or not yet. */
void membership_channel_lost(struct shard *s, struct member_id member, const struct err *why);

/* What the core read. */
void membership_gone(struct shard *s, struct member_id member);
void membership_here(struct shard *s, struct member_id member);

/* Now and then. */
void membership_tick(struct shard *s);
/* This member leaves: its callers are sent away. */
void membership_end(struct shard *s);

/* Puts a notice on its way: for newcomers, which are not members yet. */
void membership_say(struct shard *s, struct member_id to, enum notice_type type,
		    struct member_id about);

#endif
