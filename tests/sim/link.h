/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels between members: reliable and ordered a pair (dsm/transport.h, T1), with delays drawn
 * for each message, so that messages of different pairs overtake each other as they like.
 */
#ifndef CELLULAR_SIM_LINK_H
#define CELLULAR_SIM_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/page.h"

struct world;

struct letter {
	struct dsm_msg msg;
	uint64_t data;	  /* content, if the message has flag DATA */
	uint64_t arrival; /* ns */
	dsm_set loose;	  /* members that cannot be compared with the directory until it is there */
};

struct link {
	struct letter *ring;
	uint32_t room; /* a power of two */
	uint32_t head;
	uint32_t n;
	uint64_t last;	      /* arrival of the youngest letter */
	bool cut;	      /* no letter goes in any more: after the last one comes LOST */
	bool farewell;	      /* a BYE went in: after it nothing that matters does */
	bool used;	      /* `sample` holds a letter */
	struct letter sample; /* the youngest letter, to be replayed under another epoch */
};

struct links {
	struct link *v; /* [from * members + to] */
	unsigned members;
	uint64_t last;	  /* arrival of the youngest letter of all */
	uint64_t sent;	  /* letters */
	uint32_t longest; /* most letters a link ever held */
};

void links_init(struct links *l, unsigned members);
void links_clear(struct links *l);
void links_free(struct links *l);

struct link *links_at(struct links *l, unsigned from, unsigned to);

void link_send(struct world *w, unsigned from, unsigned to, const struct dsm_msg *msg,
	       uint64_t data);

/* Takes the oldest letter off and sees to the next. The link is not empty. */
struct letter link_take(struct world *w, unsigned from, unsigned to);

/* The receiver is dead. An event of the clock for what was under way is void. */
void link_drain(struct world *w, unsigned from, unsigned to);

/* The sender is dead, or the link is: a part of what is under way still arrives, then silence, by
 * which the receiver learns of the loss. */
void link_cut(struct world *w, unsigned from, unsigned to);

#endif
