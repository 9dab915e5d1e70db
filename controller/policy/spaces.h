/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of native spaces (libcellular-dsm): which members of a space can be called, and what
 * one has to know to join it. Pure as the rest of the policy: no clock, no thread, no memory but
 * what the caller gives. It gives no orders and saves nothing: who holds a name says so again and
 * again, and tells a controller that was started again.
 *
 *   Life      A name is there as long as a member holds it, by a link of its own. The creator is
 *             the first; each that joins holds it, too, so that the name outlives its creator. A
 *             member holds no more when it says so, when its link is gone, or when it was silent
 *             for POLICY_SPACE_SILENT_MS. With the last one the name is free.
 *   Instance  A number that the creator drew and all members know. A member that holds a name
 *             nobody knows makes it known; one whose name has another instance by now is refused,
 *             and its space goes on without a name.
 *   Restart   For POLICY_SPACE_LEARN_MS after a controller was started again a name that is not
 *             there is neither given away nor said to be unknown: BUSY.
 *
 * Threads: one at a time.
 */
#ifndef CELLULAR_CONTROLLER_POLICY_SPACES_H
#define CELLULAR_CONTROLLER_POLICY_SPACES_H

#include "controller/policy/policy.h"

enum {
	POLICY_SPACES_MAX = 1024,
	POLICY_HOLDERS_MAX = 1024, /* members of all spaces */
	POLICY_SPACE_MEMBERS_MAX = DSM_MEMBERS_MAX,
	POLICY_SPACE_SILENT_MS = 20000,
	POLICY_SPACE_LEARN_MS = 5000, /* members dial again every two seconds at least */
};

#define POLICY_SPACE_BYTES_MAX (UINT32_MAX * (uint64_t)DSM_PAGE_SIZE)

/* What a member says of its space and of itself. Pointers are used during the call only. */
struct policy_claim {
	const char *name;
	uint64_t instance; /* not 0 */
	struct space_id space;
	uint64_t bytes;	  /* whole pages */
	uint32_t members; /* numbers, 1 .. POLICY_SPACE_MEMBERS_MAX */
	bool drawn;	  /* the key was drawn for the name */
	uint8_t key[CELL_KEY_BYTES];
	uint64_t created_ms; /* unix time */
	uint32_t member;     /* 0 .. members - 1 */
	const char *address; /* below POLICY_TEXT_MAX bytes; the caller has looked at it */
	uint32_t pid;
};

struct policy_space {
	bool used;
	char name[CELL_NAME_MAX];
	uint64_t instance;
	struct space_id space;
	uint64_t bytes;
	uint32_t members;
	bool drawn;
	uint8_t key[CELL_KEY_BYTES];
	uint64_t created_ms;
	uint32_t n_holders;
	uint16_t holder[POLICY_SPACE_MEMBERS_MAX]; /* slot + 1, by member; 0: holds it not */
};

struct policy_holder {
	uint64_t link; /* the caller's number of the link; 0: free */
	uint16_t space;
	uint8_t member;
	uint32_t pid;
	uint64_t heard_ms;
	char address[POLICY_TEXT_MAX];
};

struct policy_spaces {
	uint64_t learn_until_ms;
	struct policy_space spaces[POLICY_SPACES_MAX];
	struct policy_holder holders[POLICY_HOLDERS_MAX];
};

/* `memory` is zeroed. again: the controller was there before, and members may hold names. */
void policy_spaces_init(struct policy_spaces *p, uint64_t now_ms, bool again);

/*
 * A new space; its creator holds the name by this link. claim->created_ms is the caller's clock.
 * INVALID; EXISTS: the name is taken; BUSY: not known yet whether it is; NOSPACE: too many; STATE:
 * this link holds another name.
 */
int policy_space_create(struct policy_spaces *p, uint64_t now_ms, uint64_t link,
			const struct policy_claim *claim, struct err *e);

/* A member holds the name by this link, for the first time or still. Said on another link, that one
 * holds it no more. INVALID: also, it says something else of the space than the others; EXISTS:
 * another space has the name; NOSPACE; STATE. */
int policy_space_hold(struct policy_spaces *p, uint64_t now_ms, uint64_t link,
		      const struct policy_claim *claim, struct err *e);

/* The link holds nothing any more; it may have held nothing. */
void policy_space_drop(struct policy_spaces *p, uint64_t link);

/* NOTFOUND; BUSY: as above. */
int policy_space_find(struct policy_spaces *p, uint64_t now_ms, const char *name,
		      const struct policy_space **out, struct err *e);

/* Forgets who was silent for too long: before the table is walked. */
void policy_spaces_expire(struct policy_spaces *p, uint64_t now_ms);

/* NULL: holds it not. */
const struct policy_holder *policy_space_holder(const struct policy_spaces *p,
						const struct policy_space *space, unsigned member);

/* For tests: ERR_OK if all that must always hold does, else ERR_STATE with a sentence. */
int policy_spaces_check(const struct policy_spaces *p, struct err *e);

#endif
