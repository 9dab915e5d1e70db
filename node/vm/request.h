/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitor calls as data: a request block that came from a guest, checked. Pure; the block is a
 * snapshot, so what was checked is what is used.
 */
#ifndef CELLULAR_NODE_REQUEST_H
#define CELLULAR_NODE_REQUEST_H

#include "node/vm/memory.h"

/* The block a guest named by EAX (address >> 6), or NULL if it is not in coherent memory. */
struct guest_request *request_block(const struct guest_memory *m, uint32_t eax);

struct request {
	enum guest_op op;
	struct gpa address; /* WRITE, WAIT, WAKE */
	void *host;	    /* WRITE: the bytes; WAIT: the word */
	uint32_t bytes;	    /* WRITE: 0 .. GUEST_WRITE_MAX */
	uint32_t value;	    /* WAIT */
	int32_t code;	    /* EXIT */
};

/* GUEST_OK: out is safe to carry out. Else what the guest is told. */
enum guest_status request_check(const struct guest_memory *m, const struct guest_request *in,
				struct request *out);

#endif
