/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shard: the share-nothing part of a space on one member - one thread with its own memory
 * adapter, channels and core. Today a space has one; everything a shard needs is in struct shard,
 * and dsm/engine.c is what would put several under one dsm.h.
 *
 * Life: shard_open -> shard_connect -> shard_start -> commands and faults -> shard_close. A space
 * that ends leaves its shard's thread running: it answers statistics and maps and keeps the
 * channels alive until shard_close, but it never reads a fault, steps the core or wakes a thread
 * again.
 *
 * Files: shard.c (life), shard_loop.c (the thread), shard_commands.c (what it is told),
 * shard_effects.c (what the core asks for), shard_run.c (... of several pages together),
 * shard_ahead.c (pages that are wanted soon), shard_inline.c (in the faulting thread), shard_end.c
 * (the end of the space), shard_leave.c (members that come and go); whose turn that is:
 * membership.c.
 *
 * Threads: shard_command, shard_quiesce, shard_abandon, shard_ended and shard_present from any; the
 * `user` functions are called on the shard's thread, without a lock, but `left` and `acquired`,
 * which may also come in a thread that faults; the rest of struct shard belongs, once its thread
 * runs, to who runs the shard: its thread, or with config.inline_faults whoever has the lock of
 * struct pump.
 */
#ifndef CELLULAR_DSM_SHARD_H
#define CELLULAR_DSM_SHARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "dsm/ahead.h"
#include "dsm/awake.h"
#include "dsm/command.h"
#include "dsm/dsm.h"
#include "dsm/hot.h"
#include "dsm/membership.h"
#include "dsm/mem.h"
#include "dsm/pump.h"
#include "dsm/shard_run.h"
#include "dsm/timing.h"
#include "dsm/written.h"

/* Whom the shard tells. */
struct shard_user {
	void *context;
	/* The space ended. Once. */
	void (*ended)(void *context, struct member_id member, const struct err *why);
	/* A member was lost after quiesce: what needs it will not come. */
	void (*parted)(void *context, struct member_id member);
	/* This member has left: nothing it has sent is under way any more. Once. */
	void (*left)(void *context);
	/* Another one has left; has come. */
	void (*gone)(void *context, struct member_id member);
	void (*here)(void *context, struct member_id member);
	void (*post)(void *context, struct member_id from, const void *bytes, uint32_t n);
	void (*acquired)(void *context, uint32_t token, int result);
	/* A STATS or MAP command was carried out. */
	void (*answered)(void *context, void *request);
};

/* Of a newcomer: what the members were when it came. */
struct shard_seat {
	dsm_set present; /* itself among them */
	uint8_t heir[DSM_MEMBERS_MAX];
};

struct shard_config {
	const struct dsm_config *space; /* copied */
	const struct shard_seat *seat;	/* NULL: a founder */
	const struct mem_ops *mem;
	const struct transport_ops *transport;
	struct shard_user user;
};

/* A map under way, worked off in slices between the rounds. */
struct shard_map {
	uint64_t next; /* page */
	uint64_t run;  /* pages a bucket */
	struct dsm_bucket *out;
};

/* How far this member is with leaving (shard_leave.c). */
enum shard_part { PART_STAYS, PART_WANTS, PART_LEAVES, PART_PARTS, PART_LEFT };

/* What a round finds to do, as a set. */
enum shard_ready {
	SHARD_FAULTS = 1 << 0,
	SHARD_MESSAGES = 1 << 1,
	SHARD_COMMANDS = 1 << 2,
	SHARD_TIMER = 1 << 3,
	SHARD_MAP = 1 << 4, /* no descriptor: only ever left over */
};

struct shard {
	struct dsm_config config;
	struct shard_user user;

	const struct mem_ops *mem_ops;
	struct mem *mem;
	const struct transport_ops *transport_ops;
	struct transport *transport;
	struct dsm_core *core;
	size_t core_bytes;
	void *journal; /* the core's flight recorder, or NULL */
	size_t journal_bytes;
	struct command_queue *commands;

	pthread_t thread;
	bool running;
	int epoll;
	int timer;
	uint64_t deadline; /* of the core; UINT64_MAX: none */
	uint64_t armed;	   /* what the timer is set to; at most deadline once a round is over */
	struct awake awake;
	uint32_t left;	       /* what the last round did not finish, as a set: do not sleep */
	struct shard_map *map; /* under way, or NULL */

	/* Of inline faults: who runs the shard; an event that is not for a faulting thread; an end
	 * that was found by one, and that the user was not told yet. */
	struct pump pump;
	struct transport_event kept;
	struct {
		bool due;
		struct member_id member;
		struct err why;
	} verdict;

	/* The step under way. */
	struct dsm_event event;
	const void *data; /* of the event's message */
	uint32_t data_bytes;
	struct err why; /* of a LOST event, for the user */
	bool answered;	/* the faulting page was woken in the step of the fault */

	uint64_t *here;	  /* a bit a page: present; not those of whole chunks */
	uint64_t *gone;	  /* a bit a page: was here, and left */
	uint64_t *own;	  /* a bit a page: this member is owner */
	uint64_t *unused; /* a bit a page: was asked for ahead, and no thread got there */
	uint64_t resident, owned;
	struct timing timing;
	struct hot hot;
	struct written written;
	struct ahead ahead[2]; /* of reads, of writes */
	uint64_t asked_ahead;  /* pages */

	atomic_bool stop;
	atomic_bool quiesced;
	atomic_bool ended;
	atomic_bool abandoned; /* nobody waits for pages any more */

	enum shard_part part;
	struct membership membership;
	bool newcomer;		 /* its core did not begin yet */
	dsm_set channels;	 /* members whose messages count */
	dsm_set greeted;	 /* all but newcomers that did not say HERE yet */
	_Atomic dsm_set present; /* members that are there and were heard, for any thread */

	uint8_t *slots; /* DSM_SLOTS pages */
	uint8_t post[POST_BYTES_MAX];
	struct dsm_effects effects;
	struct shard_run run;
	uint8_t *run_pages; /* SHARD_RUN_MAX of them */
};

/* Maps, builds the core, listens. Errors as dsm_open. */
int shard_open(const struct shard_config *config, struct shard **out, struct err *e);
/* Errors as transport connect. */
int shard_connect(struct shard *s, const char *const *peers, int timeout_ms, int stop_fd,
		  struct err *e);
int shard_start(struct shard *s, struct err *e); /* SYS */
/* Carries out the commands queued so far, stops the thread, frees all. NULL is allowed. */
void shard_close(struct shard *s);

int shard_command(struct shard *s, const struct command *c,
		  const void *payload); /* as command_push */
void shard_quiesce(struct shard *s);
void shard_abandon(struct shard *s); /* as dsm_abandon */
bool shard_ended(const struct shard *s);
/* Members that are there; none when this one left. */
dsm_set shard_present(const struct shard *s);

/* -- among the shard's files; on its thread -- */

/* Before the thread starts: a thread that cannot hear would not hear its end either. */
int shard_watch(struct shard *s, struct err *e);
void *shard_thread(void *shard);
/* How often another thread took the core from the calling one, which did not want to sleep. */
long shard_displacements(void);
/* Is the caller the shard's thread? */
bool shard_is_mine(const struct shard *s);
/* Parts of a round: what is ready is done; what was to be sent is handed to the system; the timer
 * is set. */
void shard_serve(struct shard *s, uint32_t ready);
void shard_send(struct shard *s);
void shard_arm(struct shard *s);
/* Carries out up to n commands; goes on with a map. */
void shard_commands(struct shard *s, uint32_t n);
void shard_map_on(struct shard *s);
/* From now on threads that fault serve themselves. */
int shard_catch_faults(struct shard *s, struct err *e);
/* One step of the core with s->event, and its effects. Not after the end. */
void shard_step(struct shard *s);
/* Asks for pages that threads here are about to touch, as far as that keeps nobody waiting. */
void shard_ahead(struct shard *s);
/* After an effect on page: counts what this member holds and owns by now. */
void shard_account(struct shard *s, struct gpage page, bool here);
/* The page can be written from now on, with this content (NULL: zeros). */
void shard_watch_writes(struct shard *s, struct gpage page, const void *bytes);
/* Is all of a page zero? */
bool shard_is_zero(const void *page);
/* A message with the data of one page. */
void shard_send_page(struct shard *s, struct member_id to, const struct dsm_msg *msg,
		     const void *page);
/* STATE: the core believes what is not so. */
int shard_must_be(const struct shard *s, struct gpage page, bool here, struct err *e);
void shard_stats(struct shard *s, struct dsm_stats *out);
/* Counts some pages; true when the map is whole. */
bool shard_map_slice(struct shard *s, struct shard_map *map);

/* A member was lost or broke the protocol: asks the core, ends the space. */
void shard_member_lost(struct shard *s, struct member_id member, const struct err *why);
/* Something here failed: the space ends with this member as the culprit. */
void shard_fail(struct shard *s, const struct err *why);
/* LEAVE command; its turn; LEFT effect; a channel ended in order; GONE, HERE was read. */
void shard_leave(struct shard *s);
void shard_leave_now(struct shard *s);
void shard_left(struct shard *s);
void shard_channel_ended(struct shard *s, struct member_id member);
void shard_member_gone(struct shard *s, struct member_id member);
void shard_member_here(struct shard *s, struct member_id member);
/* Tells the other members and the user; nothing is served any more. */
void shard_end(struct shard *s, struct member_id member, const struct err *why);
/* The shard's thread: tells the user of an end that another thread found. */
void shard_tell_end(struct shard *s);

#endif
