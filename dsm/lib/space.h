/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the library: a thin layer over dsm/dsm.h. What the engine does not know is here:
 * options that grow, errors of the public header, and what becomes of threads when a space ends.
 *
 * One lock a space, held for moments, never while coherent memory is touched or the engine is
 * waited for. The engine's callbacks take it on the engine's thread.
 *
 *	HERE --cdsm_leave--> LEAVING --all know--> LEFT
 *	  \-----a member was lost----/----> LOST
 *
 * In LEFT and LOST the range is barred (bar.h).
 */
#ifndef CELLULAR_DSM_LIB_SPACE_H
#define CELLULAR_DSM_LIB_SPACE_H

#include <pthread.h>
#include <stdatomic.h>

#include <cellular/dsm.h>

#include "dsm/dsm.h"
#include "dsm/lib/named.h"
#include "dsm/lib/sync.h"

/* Pages that this member may not give up. */
struct pins {
	uint64_t limit, bytes;
	uint64_t *page; /* a bit a page; NULL: none was ever pinned */
};

enum space_state { SPACE_HERE, SPACE_LEAVING, SPACE_LEFT, SPACE_LOST };

struct cdsm {
	struct dsm *dsm;
	uint8_t *base;
	size_t bytes;
	uint8_t self;
	char address[TRANSPORT_ADDRESS_MAX];
	int nothing;	     /* an empty file: what is mapped of it is SIGBUS */
	struct named *named; /* NULL: it has no name */

	pthread_mutex_t lock;		/* everything below */
	_Atomic enum space_state state; /* changes under the lock */
	struct err why;			/* LOST */
	bool name_kept;
	struct sync sync;
	struct pins pins;
};

/* Fills *why, if any, from e; returns e's code. */
int space_fail(struct cdsm_error *why, const struct err *e);
int space_refuse(struct cdsm_error *why, enum cdsm_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* 0, or why there is no space any more. Under the lock. */
int space_check(const struct cdsm *c, struct cdsm_error *why);
/* The end. Under the lock. */
void space_lost(struct cdsm *c, const struct err *why);

/* Becomes a member, c->dsm, by the member at `address`, or by name: one of both. INVALID; as
 * dsm_join, named_find, named_apply. */
int join_begin(struct cdsm *c, struct dsm_config *config, const char *address, int timeout_ms,
	       struct err *e);

/* limit 0: what the header says. */
void pins_begin(struct pins *p, uint64_t limit);
void pins_end(struct pins *p);

/* The caller's options, of whatever size, as this library knows them. CDSM_EINVAL. */
int options_read(const struct cdsm_options *from, struct cdsm_options *out, struct cdsm_error *why);
/* What the engine wants to know, but for the callbacks. CDSM_EINVAL, and as key_file_read. */
int options_apply(const struct cdsm_options *o, struct dsm_config *config, struct cdsm_error *why);

#endif
