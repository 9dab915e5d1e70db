/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a newcomer comes into a space that runs, as far as its shard's thread: it calls a member, is
 * told what to know, connects to all, and waits for GO. dsm/membership.h tells the other side.
 *
 * Threads: that of dsm_join's caller; blocking.
 */
#ifndef CELLULAR_DSM_NEWCOMER_H
#define CELLULAR_DSM_NEWCOMER_H

#include "dsm/shard.h"
#include "proto/change.h"

struct newcomer_patience {
	uint64_t end_ms; /* by clock_ms */
	int stop_fd;	 /* readable: give up; -1: none */
};

/* Calls the member at `address` until it says what is to be known. Of config count space, epoch,
 * key and call_ms. TIMEOUT, UNREACHABLE, AUTH, EPOCH, VERSION, PROTOCOL, INVALID, INTERRUPTED;
 * NOSPACE: no number is left. */
int newcomer_call(const struct transport_ops *ops, const struct dsm_config *config,
		  const char *address, const struct newcomer_patience *p, struct welcome *out,
		  struct err *e);

/* Connects a shard that was opened as the welcome says, and waits until all have taken it in: then
 * it may start. LOST: a member was, or was not willing; TIMEOUT, UNREACHABLE, INTERRUPTED. */
int newcomer_connect(struct shard *s, const struct welcome *w, const struct newcomer_patience *p,
		     struct err *e);

#endif
