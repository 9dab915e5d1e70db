/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world for exhaustive exploration: a few cores, one page, the letters between them. It can
 * be saved, restored and reduced to a key; what may happen next is a list of actions. Members fault
 * whenever they lack a right, may evict whenever they have a copy, and write whenever they may, at
 * the last moment too.
 *
 * One world a process, in explore_world: the search goes through millions of its states.
 */
#ifndef CELLULAR_TEST_DSM_EXPLORE_H
#define CELLULAR_TEST_DSM_EXPLORE_H

#include "dsm/core/internal.h"

enum {
	EXPLORE_MEMBERS_MAX = 4,
	EXPLORE_LETTERS_MAX = 8, /* of a pair; more is an error of the protocol */
	EXPLORE_ACTIONS_MAX = 4 * EXPLORE_MEMBERS_MAX + EXPLORE_MEMBERS_MAX * EXPLORE_MEMBERS_MAX,
};

struct explore_letter {
	struct dsm_msg msg;
	uint64_t data;
};

/* All that is not in the cores. */
struct explore_world {
	struct explore_letter letter[EXPLORE_MEMBERS_MAX][EXPLORE_MEMBERS_MAX]
				    [EXPLORE_LETTERS_MAX]; /* [from][to] */
	uint8_t letters[EXPLORE_MEMBERS_MAX][EXPLORE_MEMBERS_MAX];
	uint64_t value[EXPLORE_MEMBERS_MAX];
	bool present[EXPLORE_MEMBERS_MAX], writable[EXPLORE_MEMBERS_MAX];
	uint64_t slot[EXPLORE_MEMBERS_MAX][2]; /* of the one transaction; of READ_OUT */
	uint64_t now[EXPLORE_MEMBERS_MAX];     /* ns; clocks of members are independent */
	uint64_t truth;			       /* the last write */
	const char *broken;		       /* what went wrong first */
};

/* A state that can be returned to: all that one page and few members can change. */
struct explore_image {
	struct explore_world world;
	struct {
		struct dsm_core core;
		struct dsm_holder holder;
		struct dsm_home home;
		struct dsm_waiting waiting[EXPLORE_MEMBERS_MAX];
		struct dsm_deferred deferred;
	} member[EXPLORE_MEMBERS_MAX];
};

enum explore_kind { EXPLORE_READ, EXPLORE_WRITE, EXPLORE_EVICT, EXPLORE_TICK, EXPLORE_DELIVER };

struct explore_action {
	uint8_t kind;
	uint8_t a; /* whom it happens to; DELIVER: sender */
	uint8_t b; /* DELIVER: receiver */
};

typedef unsigned __int128 explore_key;

extern uint8_t explore_members;
extern uint32_t explore_hold_us;
extern struct dsm_core *explore_core[EXPLORE_MEMBERS_MAX];
extern struct explore_world explore_world;

void explore_open(uint8_t members, uint32_t hold_us);
void explore_close(void);
void explore_save(struct explore_image *i);
void explore_restore(const struct explore_image *i);

unsigned explore_possible(struct explore_action out[EXPLORE_ACTIONS_MAX]);
void explore_act(const struct explore_action *action);
bool explore_fresh(uint8_t member); /* the grant of its copy is younger than the hold */

/* Notes the first invariant that does not hold in explore_world.broken. */
void explore_check(void);
void explore_wrong(const char *what);

/* What matters of a state: two with the same key have the same future. */
explore_key explore_key_of(void);

#endif
