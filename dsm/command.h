/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other threads want of a shard's thread: a queue of fixed size, filled from any thread,
 * emptied by one. Nothing blocks on it and nothing is allocated after open. Order is kept.
 *
 * POST, ACQUIRE, EVICT and MOVE leave room for those that must not fail: RELEASE, LEAVE, STATS,
 * MAP. Their number is bounded by their callers (DSM_ACQUIRES_MAX tokens, one LEAVE, one STATS or
 * MAP at a time), so push never refuses them.
 *
 * Threads: push and fd from any thread, pop from one.
 */
#ifndef CELLULAR_DSM_COMMAND_H
#define CELLULAR_DSM_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/ids.h"

enum { COMMAND_QUEUE_BYTES = 8 << 20 }; /* touched lazily; a power of two */

enum command_type {
	COMMAND_POST,	 /* payload for `to` */
	COMMAND_ACQUIRE, /* page, pages, write, token */
	COMMAND_RELEASE, /* token */
	COMMAND_EVICT,	 /* page */
	COMMAND_DISCARD, /* page */
	COMMAND_MOVE,	 /* page, to */
	COMMAND_LEAVE,
	COMMAND_STATS, /* request: struct dsm_stats to fill */
	COMMAND_MAP,   /* request: struct shard_map to work off */
};

struct command {
	uint8_t type;
	bool write;
	struct member_id to;
	uint32_t pages;
	uint32_t token;
	uint32_t bytes; /* payload that follows, at most POST_BYTES_MAX */
	struct gpage page;
	void *request; /* stays valid until it is answered */
};

struct command_queue;

/* NOMEM, SYS. */
int command_open(struct command_queue **out, struct err *e);
/* Readable when push found the queue empty; pop does not clear it: command_heard does. Owned by q.
 */
int command_fd(const struct command_queue *q);
/* NOSPACE: nothing was queued. */
int command_push(struct command_queue *q, const struct command *c, const void *payload);
/* The same by who pops, and need not be told: the descriptor stays as it is. */
int command_push_own(struct command_queue *q, const struct command *c, const void *payload);
/* Clears the descriptor; returns how many commands wait. */
uint32_t command_heard(struct command_queue *q);
/* Takes the oldest; payload has room for POST_BYTES_MAX. False: none. */
bool command_pop(struct command_queue *q, struct command *c, void *payload);
uint32_t command_waiting(struct command_queue *q);
/* Makes the descriptor readable without a command. Any thread. */
void command_nudge(struct command_queue *q);
void command_close(struct command_queue *q); /* NULL is allowed */

#endif
