/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link to the controller: dialled again for ever, with growing pauses. While there is none, VMs
 * run on and what would be said is dropped: CelldJoin tells the whole state to whoever answers
 * next.
 *
 * Threads: the loop's only.
 */
#ifndef CELLULAR_CELLD_UPLINK_H
#define CELLULAR_CELLD_UPLINK_H

#include <stdbool.h>
#include <uv.h>

#include "proto/link.h"

enum {
	UPLINK_PAUSE_MIN_MS = 100,
	UPLINK_PAUSE_MAX_MS = 2000,
	UPLINK_LOAD_MS_MIN = 50, /* whatever the controller wishes */
	UPLINK_LOAD_MS_MAX = 60000,
};

struct uplink_ops {
	void (*join)(void *context); /* a controller answered: tell it who we are */
	void (*order)(void *context, struct link *link, uint16_t type,
		      const ProtobufCMessage *message);
	void (*tick)(void *context);   /* the controller wants our load now */
	void (*closed)(void *context); /* after uplink_close: no handle is left */
};

struct uplink {
	uv_loop_t *loop;
	const char *address; /* outlives it */
	struct link_identity identity;
	const struct uplink_ops *ops;
	void *context;

	struct link *link; /* NULL: none */
	bool open;	   /* the hello is over */
	bool welcome;	   /* CelldWelcome came: the pause starts small again */
	bool closing;
	uv_timer_t redial;
	uv_timer_t load;
	unsigned handles;
	unsigned pause_ms;
	uint64_t rejected; /* links whose other end failed the hello or broke the protocol */
	int complained;	   /* err_code that was logged last; the same again is not */
};

/* Begins to dial. INVALID: address. */
int uplink_start(struct uplink *u, struct err *e);

/* Sends if there is a link, else drops. */
void uplink_send(struct uplink *u, uint16_t type, const ProtobufCMessage *message);

/* The controller broke the protocol: counts, closes the link, and dials again. */
void uplink_reject(struct uplink *u);

/* Sends what is queued, then closes; `closed` comes from the loop. */
void uplink_close(struct uplink *u);

#endif
