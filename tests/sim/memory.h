/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake of dsm/mem.h: a page is a number. What userfaultfd refuses, or accepts and silently gets
 * wrong, is a violation here: MAP on a present page (M5), PROTECT, UNPROTECT, UNMAP or READ_OUT of
 * a missing one (M2), READ_OUT of a writable one (M3: loses writes), any of them in a chunk that is
 * whole (M14). A drop wakes nobody (M6); so
 * does a map.
 */
#ifndef CELLULAR_SIM_MEMORY_H
#define CELLULAR_SIM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "dsm/core/core.h"

struct world;

struct frame {
	uint64_t value;
	bool present;
	bool writable;
	uint64_t gained;    /* now of the step that last gave any right */
	bool lent;	    /* a device was told since that it may write */
	bool asked_for;	    /* by a forward that was not answered yet */
	bool given_back;    /* an EVICT was asked for since the page came */
	bool whole;	    /* in a whole chunk (M14): not to be touched alone */
	bool zeros;	    /* came as zeros, and was not writable since */
	bool watched;	    /* may be written, or was, and was not read out since */
	uint64_t came;	    /* its value when it could first be written */
	uint64_t hold_from; /* now of the step that granted the present right; 0: not held */
};

struct slot {
	uint64_t value;
	uint16_t page;
	bool filled;
	bool used; /* sent or mapped at least once since */
};

struct memory {
	struct frame *frames;
	struct slot slots[DSM_SLOTS];
};

void memory_init(struct memory *m, unsigned pages);
void memory_clear(struct memory *m, unsigned pages);
void memory_free(struct memory *m);

/* Carries out MAP, UNPROTECT, PROTECT, UNMAP, READ_OUT or STASH for member m. */
void memory_effect(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx);

/* WHOLE or SPLIT, for one of the pages of the chunk that are used. */
void memory_chunk(struct world *w, unsigned m, uint16_t page, bool whole);

/* Content of a slot for a SEND; it stays there: a PUT that met a FETCH is sent again. */
uint64_t memory_slot(struct world *w, unsigned m, uint16_t page, uint16_t slot);

/* The member is dead: its pages are gone. */
void memory_die(struct world *w, unsigned m);

#endif
