/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The invariants, checked for the touched pages after every step and for all pages at rest:
 *
 *  I1  One writer or many readers, by the rights the fake memories really give.
 *  I2  Directory and holders agree: where an entry is idle, its owner is O, E or M, all others that
 * hold the page are S and named in sharers; what a core says it holds is what its memory maps;
 * versions never go back. I3  A read returns the last write: every page that is present holds what
 * the oracle holds. I4  Nothing is lost: the last write of each page is in some memory, slot or
 * message. I5  Nothing waits for ever: stalls end within a bound, and when load stops the rack
 * comes to rest: nothing pending, busy, queued. I6  A loss ends the space: each survivor says LOST
 * once, naming a dead member; no effect follows, no thread is woken. I7  Messages and effects are
 * legal: classes, addressees, data, slots, bounds; the core refuses and drops what it must, and
 * nothing else. I8  A grant is kept for the hold time. I9  What a device acquired is there, and
 * stays for the time promised. I10  Home serves the requests of others for a page in the order they
 * came. I11  Who has left is silent and has nothing. I12  What no rule allows is refused
 * (hostile.c). I13  Counters say what happened (count.c). I14  Nothing is done for nothing: no
 * timer twice, no zeros as data. I15  Threads that stall are known (stall.c). I16  What a core
 * keeps fits together (audit.c). M2, M3, M5  of dsm/mem.h. A0  An assert of the core failed.
 */
#ifndef CELLULAR_SIM_CHECK_H
#define CELLULAR_SIM_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "dsm/core/core.h"
#include "tests/sim/clock.h"

struct world;

/* What the invariants need to know of a page, kept up to date by memory.c and link.c. */
struct book {
	dsm_set present;   /* members whose memory maps it */
	dsm_set writable;  /* ... for writing */
	dsm_set unsettled; /* members with messages about it under way, home excepted */
	uint16_t *letters; /* of each member: how many */
	dsm_set remote;	   /* members for whose open request a message went out or came in */
	dsm_set put;	   /* ... whose PUT is not acknowledged */
	uint64_t kept_value;
	uint32_t kept;	  /* slots and messages under way with kept_value in them */
	uint32_t version; /* last seen in the directory */
	bool version_known;
	bool unowned; /* nobody had it when it was last looked at */
	uint8_t home; /* when it was last looked for: world_home */
	/* Requests of others that reached a home and were not served yet, in their order. */
	struct {
		uint8_t at, from;
	} queue[DSM_MEMBERS_MAX];
	uint8_t queued;
};

/* A slot or a message holds `value`. Only the last write counts: its number is new, so the count
 * starts anew. */
void book_keep(struct book *b, uint64_t value, uint64_t last_write);
void book_forget(struct book *b, uint64_t value);

/* Member m got a request of member `from`, or sends a message on behalf of one. */
void check_queued(struct world *w, unsigned m, uint16_t page, unsigned from);
void check_served(struct world *w, unsigned m, uint16_t page, const struct dsm_msg *msg);

void check_page(struct world *w, uint16_t page);
void check_holder(struct world *w, unsigned m, uint16_t page);

/* After a step of member m: what nothing holds any more waits no longer, and for what a plain hold
 * keeps waiting the timer is early enough. */
void check_held_back(struct world *w, unsigned m);

/* No thread has waited too long. */
void check_waits(struct world *w);

/* All load has stopped and the clock is empty. */
void check_rest(struct world *w);

#endif
