/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual time: a heap of everything that is going to happen. Events of the same instant come out
 * in the order they were put in, so that a run depends on nothing but its seed.
 */
#ifndef CELLULAR_SIM_CLOCK_H
#define CELLULAR_SIM_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum clock_kind {
	CLOCK_LETTER,	/* the head of the link other -> member arrives */
	CLOCK_THREAD,	/* thread `index` runs (on) */
	CLOCK_FAULT,	/* the fault message of thread `index` is read by the member's engine */
	CLOCK_TIMER,	/* the deadline the core asked for */
	CLOCK_SPURIOUS, /* a TIMER nobody asked for */
	CLOCK_RESUME,	/* a member that was slow within its effects goes on */
	CLOCK_STORM,	/* many fault messages at once */
	CLOCK_HINT,	/* ... one of them: of a page, and of no thread that still waits */
	CLOCK_DEVICE,	/* device `index` does its next thing */
	CLOCK_EVICT,	/* some page is to be given back */
	CLOCK_MOVE,	/* the home of some chunk is to move */
	CLOCK_LEAVE,	/* a member is to leave */
	CLOCK_COME,	/* one that is not there yet is to come */
	CLOCK_JOIN,	/* member is told that `other` comes */
	CLOCK_BIRTH,	/* all were told: its core begins */
	CLOCK_STALE,	/* a message of another epoch turns up */
	CLOCK_ODD,	/* an event the core must refuse */
	CLOCK_LOST,	/* member is told that `other` is lost */
	CLOCK_ZOMBIE,	/* stray `index` of the life before comes */
};

struct clock_event {
	uint64_t time;	     /* ns */
	uint64_t order;	     /* set by clock_push */
	uint8_t kind;	     /* enum clock_kind */
	uint8_t member;	     /* whom it happens to */
	uint8_t other;	     /* LETTER: sender, LOST: the dead, JOIN: the newcomer */
	bool write;	     /* FAULT */
	uint16_t index;	     /* THREAD, FAULT, DEVICE; HINT: 1 is an eviction */
	uint16_t page;	     /* FAULT */
	uint32_t generation; /* FAULT, TIMER: which one; an older one is void */
};

struct clock {
	struct clock_event *heap;
	size_t n;
	size_t room;
	uint64_t order;
};

void clock_push(struct clock *c, struct clock_event event);
bool clock_pop(struct clock *c, struct clock_event *out); /* false: nothing is going to happen */
uint64_t clock_due(const struct clock *c);		  /* of the next event; UINT64_MAX: none */
void clock_clear(struct clock *c);			  /* forgets all events, keeps the memory */
void clock_free(struct clock *c);

#endif
