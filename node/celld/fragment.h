/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fragment of a VM on this cell: the process, its two sockets, what it last reported, its
 * console, and - after it is gone - the record of how it ended.
 *
 *   fragment_start --> ALIVE --fragment_quit, end of file--> LEAVING --2 s: SIGKILL--.
 *                        |                                     | ^                  |
 *                        |--broken protocol, late: SIGKILL-----|-'<-----------------'
 *                        |                                     |
 *                        '--reaped, link over--> GONE <--------'
 *
 * GONE is a record: it has no process, no descriptor and, once `gone` was called, no handle.
 *
 * The order at the end: the process is reaped (fragment_reap), the link is read to its end - the
 * last report and the last words to the console may still be in it -, the duplicates of the
 * userfaultfd are closed, the handles are closed, then `gone` is called.
 *
 * Threads: the loop's only.
 */
#ifndef CELLULAR_CELLD_FRAGMENT_H
#define CELLULAR_CELLD_FRAGMENT_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "node/celld/console.h"
#include "node/celld/guard.h"
#include "node/celld/reason.h"
#include "node/celld/vm_uids.h"
#include "proto/control.pb-c.h"
#include "proto/ids.h"
#include "proto/link.h"

enum {
	FRAGMENT_QUIT_MS = 2000, /* from the polite word to SIGKILL */
	FRAGMENT_ADDRESS_MAX = 64,
	FRAGMENT_PATH_MAX = 4096,
};

enum fragment_phase { FRAGMENT_ALIVE, FRAGMENT_LEAVING, FRAGMENT_GONE };

struct fragment;

/* What a fragment tells its owner; all from the loop, none from inside a fragment_ function. */
struct fragment_ops {
	void (*changed)(void *context,
			struct fragment *f); /* state or reason are new: report them */
	void (*answer)(void *context, struct fragment *f, const Cellular__FragAnswer *answer);
	void (*gone)(void *context, struct fragment *f); /* last call; the record may be freed */
};

struct fragment_config {
	uv_loop_t *loop;
	const struct fragment_ops *ops;
	void *context;
	const char *cell;     /* name of this cell; outlives the fragment, as do the next three */
	const char *program;  /* cell-vm */
	const char *run;      /* directory of logs */
	const char *data;     /* IP the fragment shall listen on */
	struct vm_uids *uids; /* outlives the fragment, too */
	bool keep_rights;     /* no sandbox */
	unsigned start_ms;    /* a fragment that does not listen within this time is ended */
};

struct fragment {
	const struct fragment_config *config;
	struct fragment *next; /* the owner's list */

	uint64_t vm_id;
	bool broke; /* the control protocol */
	uint32_t epoch;
	uint32_t member;
	uint64_t memory; /* promised by the owner's account */
	uint32_t vcpus;

	enum fragment_phase phase;
	Cellular__FragState state; /* as last reported; FRAG_GONE in phase GONE */
	struct end_reason reason;  /* END_NONE: none yet */
	int flight;		   /* its recorder; -1: none, or saved */
	Cellular__DsmStat *stat;   /* last figures; NULL: none yet */
	char address[FRAGMENT_ADDRESS_MAX];
	struct console console;
	bool forget; /* the record is not wanted after the end */

	pid_t pid; /* stays in the record */
	uid_t uid; /* of config->uids; 0: none, or given back */
	bool reaped;
	int wait_status;
	bool asked;		/* fragment_quit was called: the end is no surprise */
	bool killed;		/* SIGKILL came from us */
	struct end_reason quit; /* why it was asked; the reason, if it has none of its own */
	struct link *link;	/* NULL: over */
	struct guard guard;
	uv_timer_t
		timer; /* start limit, then time to SIGKILL, then limit for the end of the link */
	unsigned handles; /* of libuv, not closed yet */
	char log[FRAGMENT_PATH_MAX];
};

/* Starts the process and hands it the order. The order was checked by the caller. On an error
 * nothing is left behind. */
int fragment_start(const struct fragment_config *config, const Cellular__FragStart *order,
		   struct fragment **out, struct err *e);

/* Passes a message on (FRAG_PEERS, FRAG_RUN, FRAG_QUERY). STATE: it has no process any more. */
int fragment_send(struct fragment *f, uint16_t type, const ProtobufCMessage *message,
		  struct err *e);

/* Ends it: a word first, SIGKILL after FRAGMENT_QUIT_MS. Again: no effect. */
void fragment_quit(struct fragment *f, const Cellular__EndReason *why);

/* To be called after SIGCHLD: reaps the process if it is dead. */
void fragment_reap(struct fragment *f);

/* Describes it; strings and stat point into f. `reason` is the caller's room for the reason. */
void fragment_report(const struct fragment *f, Cellular__FragReport *out,
		     Cellular__EndReason *reason);

/* Frees a record with console and log; only after `gone`. NULL is allowed. */
void fragment_free(struct fragment *f);

#endif
