/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console of a VM. The device is on member 0; a vCPU elsewhere posts its bytes there. A guest
 * that writes faster than the control link takes must not fill anybody's memory: each fragment has
 * a window of CONSOLE_WINDOW bytes that are written and not yet passed on; a vCPU that would exceed
 * it sleeps until member 0 gives credit.
 *
 * Threads: any. Only console_reserve sleeps.
 */
#ifndef CELLULAR_NODE_CONSOLE_H
#define CELLULAR_NODE_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/err.h"
#include "proto/ids.h"

enum { CONSOLE_WINDOW = 64 << 10 };

struct console {
	pthread_mutex_t lock;
	pthread_cond_t room;
	bool stopped;
	uint32_t waiting; /* bytes of our vCPUs that have no credit yet, 0 .. CONSOLE_WINDOW */
	char *bytes;	  /* member 0: to be passed on; room for a window a member. Else NULL */
	size_t used;
	uint32_t from[DSM_MEMBERS_MAX]; /* member 0: how many of them came from whom */
};

/* members: 0 if the device is not here. */
int console_init(struct console *c, unsigned members, struct err *e);
void console_free(struct console *c);

/* Takes n (at most CONSOLE_WINDOW) bytes of our window; false: the VM is being stopped. */
bool console_reserve(struct console *c, uint32_t n);
/* Gives n bytes back; PROTOCOL: more than are out. */
int console_credit(struct console *c, uint64_t n, struct err *e);

/* Device: bytes of a member. PROTOCOL: beyond its window. */
int console_put(struct console *c, struct member_id from, const char *bytes, uint32_t n,
		struct err *e);
/* Device: moves what is there to out (room for CONSOLE_WINDOW), at most that; from[m]: bytes now
 * due as credit to m. Returns bytes. */
size_t console_take(struct console *c, char *out, uint32_t from[DSM_MEMBERS_MAX]);

/* Nobody sleeps from here on. */
void console_stop(struct console *c);

#endif
