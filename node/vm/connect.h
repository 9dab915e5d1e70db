/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting the members and, on member 0, loading the guest: both block for as long as the
 * network, so they run on a thread.
 *
 * Threads: all from the loop's. Zero is one that was never started.
 */
#ifndef CELLULAR_NODE_CONNECT_H
#define CELLULAR_NODE_CONNECT_H

#include "node/vm/load.h"
#include "node/vm/vm.h"

struct connect {
	struct vm *vm;
	struct load *load; /* NULL: nothing to load here */
	char *peer[DSM_MEMBERS_MAX];
	void (*poke)(void *context);
	void *context;
	int stop_fd;
	pthread_t thread;
	bool started, joined;
	bool over; /* atomic: rc and why are set */
	int rc;
	struct err why;
};

/* peers: an address a member, copied. poke is called from the thread when it is over. Returns
 * e->code. */
int connect_start(struct connect *c, struct vm *vm, struct load *load, char *const *peers,
		  void (*poke)(void *context), void *context, struct err *e);

/* Asks it to give up: works until the members are connected; loading ends with the space. */
void connect_stop(struct connect *c);

/* It was never started, or is over. */
bool connect_over(const struct connect *c);

/* How it went; joins. Only when over. */
int connect_finish(struct connect *c, struct err *e);

/* Joins and frees. Only when over. */
void connect_free(struct connect *c);

#endif
