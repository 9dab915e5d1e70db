/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The users that fragments become (node/vm/sandbox.h): each that runs has one to itself, out of a
 * range that must be nobody's. The default lies between what systemd and shadow hand out (systemd,
 * docs/UIDS-GIDS.md: 65536 to 99999 is nobody's).
 *
 * A uid is handed out again as late as possible. Two celld on one machine that use the same range
 * may give the same uid to two fragments; what keeps those apart then is the rest of the sandbox.
 *
 * Threads: none of its own, no lock.
 */
#ifndef CELLULAR_CELLD_VM_UIDS_H
#define CELLULAR_CELLD_VM_UIDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/err.h"

enum { VM_UIDS_FIRST = 70000, VM_UIDS_LAST = 74095, VM_UIDS_MAX = 4096 };

struct vm_uids {
	uid_t first;
	unsigned n;    /* 0: fragments stay who celld is */
	unsigned next; /* where the search goes on */
	uint64_t taken[VM_UIDS_MAX / 64];
};

/* "FIRST-LAST", at most VM_UIDS_MAX of them, none of root or of the whole 2^32 - 1. INVALID with a
 * sentence. */
int vm_uids_parse(const char *text, struct vm_uids *out, struct err *e);
void vm_uids_default(struct vm_uids *u);

/* Empties the range if this process may not change uids. true: it may. */
bool vm_uids_possible(struct vm_uids *u);

/* *out: one that is free, or 0 if the range is empty. NOSPACE: all are taken. */
int vm_uids_take(struct vm_uids *u, uid_t *out, struct err *e);

/* Sets *uid to 0; nothing if it is. */
void vm_uids_give_back(struct vm_uids *u, uid_t *uid);

#endif
