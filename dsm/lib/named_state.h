/* SPDX-License-Identifier: Apache-2.0 */
/* What named.c and named_keep.c share. Nobody else includes this. */
#ifndef CELLULAR_DSM_LIB_NAMED_STATE_H
#define CELLULAR_DSM_LIB_NAMED_STATE_H

#include <pthread.h>
#include <stdbool.h>

#include "dsm/lib/named.h"

enum named_state { NAMED_IDLE, NAMED_KEPT, NAMED_OVER };

struct named {
	char name[CELL_NAME_MAX];
	bool own_key; /* the caller's */
	struct place place;
	unsigned member;
	char address[TRANSPORT_ADDRESS_MAX];
	struct control link; /* of who has the turn: the caller while IDLE, then the thread */

	pthread_t thread;
	bool running;
	int wake; /* readable: look at the state; it stays so when all is over */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum named_state state; /* under the lock */
	bool gone;		/* the thread has nothing more to say; under the lock */
};

/* named.c. One question about the name. */
int named_talk(struct named *n, Cellular__CtlOp op, Cellular__SpaceClaim *claim, uint64_t end_ms,
	       Cellular__CtlReply **reply, struct err *e);
/* *answered: what is wrong, if anything, the controller said; its link is as good as before. */
int named_claim(struct named *n, Cellular__CtlOp op, uint64_t end_ms, bool *answered,
		struct err *e);

/* named_keep.c */
int named_start_thread(struct named *n, struct err *e);
void named_set_state(struct named *n, enum named_state state);

#endif
