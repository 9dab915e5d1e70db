/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flight recorder of a core: its last events, and the state they began from, in a block of
 * memory that outlives it. Read back, the events run through a fresh core and must cause the same
 * effects again: a core is a pure function of both.
 *
 * The block has two halves, used in turns. A half begins with a copy of the core's fixed part
 * (transactions, queues, holds); of the tables, which are as large as the space, only the *lines*
 * (64 bytes) that an event touches are kept, as they were before (an undo log, as in Mohan et al.,
 * ARIES, TODS 17(1) 1992). So recording costs no pause, and a recording no more than its block:
 * the state at the older half's begin is the older half's lines, and where it has none the younger
 * one's.
 *
 * A block holds no pointer, and nothing in it counts before it is complete: a process that is
 * killed, even in the middle of a step, leaves a block that can be read. It is read by the same
 * build only (it holds the core's structs; their sizes are checked).
 *
 * Threads: as the core it belongs to. No allocation, no system call.
 */
#ifndef CELLULAR_DSM_CORE_JOURNAL_H
#define CELLULAR_DSM_CORE_JOURNAL_H

#include "dsm/core/core.h"

enum {
	DSM_JOURNAL_EVENTS = 4096, /* a half, for a running space: seconds of heavy faulting */
	DSM_JOURNAL_EVENTS_MIN = 64,
	DSM_JOURNAL_EVENTS_MAX = 1 << 20,
};

/* An event and what came of it. */
struct dsm_journal_entry {
	struct dsm_event event;
	uint32_t effects; /* how many */
	uint64_t digest;  /* of them: dsm_effects_digest() */
};

/* Bytes of zeroed memory, aligned to 64, that a recording of `events` a half needs; 0: out of
 * range. */
size_t dsm_journal_bytes(const struct dsm_core_config *config, uint32_t events);

/* From the next step on the core records into `memory`, which stays the caller's and must stay as
 * long as the core is stepped. Other processes may read it at any time; it is whole when no step is
 * under way. */
void dsm_core_record(struct dsm_core *core, void *memory, uint32_t events);

uint64_t dsm_effects_digest(const struct dsm_effects *effects);

/* ---- reading back ---- */

struct dsm_journal;

/*
 * A block of `bytes` that was recorded, by whomever; NULL: it is none, is of another build, or its
 * numbers cannot be true (*why says which, a constant sentence). It checks all that reading needs;
 * the state it holds is taken on trust: step a restored core where a crash does no harm.
 */
const struct dsm_journal *dsm_journal_open(const void *memory, size_t bytes, const char **why);

const struct dsm_core_config *dsm_journal_config(const struct dsm_journal *j);
/* Events in it, and steps of the core before the first of them. */
uint32_t dsm_journal_count(const struct dsm_journal *j);
uint64_t dsm_journal_before(const struct dsm_journal *j);
/* Entry i < count; the last may be a step that never ended (effects is UINT32_MAX). */
const struct dsm_journal_entry *dsm_journal_at(const struct dsm_journal *j, uint32_t i);

/* The core as it was before the first entry, in dsm_core_bytes() of zeroed memory. It records
 * nothing. */
struct dsm_core *dsm_journal_restore(const struct dsm_journal *j, void *memory);

#endif
