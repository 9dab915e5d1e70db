/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A space's name in a cluster. Whoever creates or joins it by name holds it (proto/control.proto,
 * SPACE_HOLD) as long as it is a member, on a control link of its own that a thread keeps:
 *
 *	IDLE --named_keep--> KEPT: says every NAMED_HOLD_MS that it holds the name; a link that is
 *	   \                  /    lost, or whose controller does not answer, is dialled again, at
 *	    \-named_let_go---/     first at once, then every NAMED_REDIAL_MAX_MS
 *	             |
 *	            OVER: says that it holds it no more; the thread ends
 *
 * What becomes of the controller is of no concern to the space: it only cannot be found meanwhile.
 *
 * Threads: until named_keep by one thread; then named_let_go and named_end only.
 */
#ifndef CELLULAR_DSM_LIB_NAMED_H
#define CELLULAR_DSM_LIB_NAMED_H

#include <cellular/dsm.h>

#include "dsm/dsm.h"
#include "dsm/lib/control.h"

enum {
	NAMED_DIAL_MS = 5000,	 /* dial and hello */
	NAMED_ASK_MS = 5000,	 /* an answer */
	NAMED_CREATE_MS = 10000, /* all of it; a controller just started must learn names first */
	NAMED_AGAIN_MS = 100,
	NAMED_HOLD_MS = 5000, /* the controller forgets who is silent for 20 s */
	NAMED_REDIAL_MIN_MS = 50,
	NAMED_REDIAL_MAX_MS = 2000, /* the controller waits 5 s for members to come back */
	NAMED_DROP_MS = 1000,
};

/* What the controller says of a space. */
struct place {
	uint64_t instance, space, bytes, created_ms;
	uint32_t members;
	bool drawn;
	uint8_t key[CELL_KEY_BYTES]; /* if drawn */
	unsigned n;
	char address[DSM_MEMBERS_MAX][TRANSPORT_ADDRESS_MAX];
};

/* What came from a controller, made sure of. PROTOCOL: it makes no sense, or is about another
 * name. */
int place_read(const Cellular__SpaceInfo *info, const char *name, struct place *out, struct err *e);

struct named;

/* Dials the cluster that the options name. INVALID; NOTFOUND, DENIED: the cluster's key file; and
 * as control_open. */
int named_begin(const struct cdsm_options *o, struct named **out, struct err *e);

/* Draws instance and, unless the caller has one, the space's key, which becomes the config's. */
int named_draw(struct named *n, struct dsm_config *config, struct err *e);
/* Takes the name for a space that is there, with this member as its first. EXISTS; TIMEOUT: the
 * controller does not know yet; and as control_ask. */
int named_create(struct named *n, const struct dsm_config *config, uint64_t bytes,
		 const char *address, struct err *e);

/* Who can be called, until end_ms at the latest: *out lives as long as n. NOTFOUND; TIMEOUT; and as
 * control_ask. */
int named_find(struct named *n, uint64_t end_ms, const struct place **out, struct err *e);
/* Space and, unless the caller has one, key. INVALID: neither has. */
int named_apply(const struct named *n, struct dsm_config *config, struct err *e);
/* This process is a member: says so, if that can be said now. */
void named_joined(struct named *n, unsigned member, const char *address);

/* From now on the thread holds the name. */
void named_keep(struct named *n);
/* Holds it no more. wait: until the controller knows, for up to NAMED_DROP_MS; else it does not
 * block. NULL is allowed. */
void named_let_go(struct named *n, bool wait);
void named_end(struct named *n); /* NULL is allowed */

#endif
