/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cell: the fragments that run here, the records of those that ended, what of the machine is
 * promised to them, and the orders of the controller. The cell does not know whether there is a
 * controller: what it has to say goes through cell_ops, which drops it when nobody listens; whoever
 * joins later is told everything (cell_join).
 *
 * One fragment of a VM at most. Orders name VM and epoch; one of another epoch is dropped. A record
 * stays until FragQuit{forget} or until CELL_RECORDS_MAX younger ones are there.
 *
 * Threads: the loop's only.
 */
#ifndef CELLULAR_CELLD_CELL_H
#define CELLULAR_CELLD_CELL_H

#include <stdbool.h>
#include <uv.h>

#include "node/celld/account.h"
#include "node/celld/fragment.h"
#include "proto/control.pb-c.h"

enum { CELL_RECORDS_MAX = 64 };

struct cell_ops {
	/* To the controller; type as in proto/control.h. */
	void (*tell)(void *context, uint16_t type, const ProtobufCMessage *message);
	/* cell_stop was called and the last fragment is gone. Once. */
	void (*stopped)(void *context);
};

struct cell {
	const struct cell_ops *ops;
	void *context;
	struct fragment_config config; /* for all fragments */
	struct account account;
	struct fragment *fragments; /* the youngest first; records too */
	uint64_t rejected;	    /* fragments that broke the control protocol */
	bool stopping;
};

/* config->ops and config->context are set by cell_init; strings outlive the cell. */
void cell_init(struct cell *c, const struct fragment_config *config, const struct account *account,
	       const struct cell_ops *ops, void *context);

/* An order of the controller. PROTOCOL: a message that is not the controller's to send; all others
 * are answered, or dropped with a line in the log. */
int cell_order(struct cell *c, uint16_t type, const ProtobufCMessage *message, struct err *e);

/* Calls send with a CelldJoin or CellLoad that describes the cell; valid during the call. */
typedef void (*cell_send_fn)(void *context, uint16_t type, const ProtobufCMessage *message);
void cell_join(const struct cell *c, cell_send_fn send, void *context);
/* rejected: links to a controller that ended so; those to fragments are added. */
void cell_load(const struct cell *c, uint64_t rejected, cell_send_fn send, void *context);

/* Asks every fragment that runs for its figures; they appear in a later cell_load. */
void cell_ask_figures(struct cell *c);

/* After SIGCHLD. */
void cell_reap(struct cell *c);

/* Ends all fragments and takes no more; `stopped` comes from the loop or, if none is there, at
 * once. */
void cell_stop(struct cell *c);

/* Frees the records; no fragment may live. */
void cell_free(struct cell *c);

#endif
