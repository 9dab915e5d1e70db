/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a fragment as celld steers it (ARCHITECTURE.md, "Life of a VM"):
 *
 *	WAITING    --FragStart: take_start-->       LISTENING
 *	LISTENING  --FragPeers: take_peers-->       CONNECTING
 *	CONNECTING --connected-->                   READY
 *	READY      --FragRun: take_run-->           RUNNING
 *	RUNNING    --any end: begin_end-->          ENDING
 *	ENDING     --halted or late: finish_end-->  STOPPED
 *	any        --FragQuit: take_quit-->         (ENDING -> STOPPED ->) LEAVING
 *
 * The end may come in every state from LISTENING on; a start that fails goes to STOPPED at once. An
 * order that does not fit the state is logged and dropped. Connecting and loading block, so they
 * run on a helper thread, which like everything else that happens on other threads pokes the loop.
 *
 * Threads: the loop's.
 */
#ifndef CELLULAR_NODE_CONTROL_H
#define CELLULAR_NODE_CONTROL_H

#include <stdbool.h>
#include <uv.h>

#include "node/vm/sandbox.h"
#include "proto/base/err.h"

enum {
	CONTROL_CONNECT_MS = 20000,
	CONTROL_HALT_MS = 800, /* time for the vCPUs to leave the guest, in a space that lives */
	CONTROL_HALT_LOST_MS = 100, /* in a dead one some may never leave */
	CONTROL_DONE_MS = 300,	    /* time for the others' last console bytes */
	CONTROL_TICK_MS = 10,
};

struct control_config {
	int link_fd;	 /* taken over */
	int uffd_socket; /* the userfaultfd goes out here; taken over */
	int flight;	 /* flight recorder; stays the caller's */
	int kvm;	 /* /dev/kvm, or -1 and why not */
	struct err kvm_why;
	struct sandbox sandbox; /* entered when all is open */
};

struct control;

int control_open(uv_loop_t *loop, const struct control_config *config, struct control **out,
		 struct err *e);

/* After the loop has ended. true: everything was undone in order. false: something still waits for
 * a page that never comes, and only the end of the process ends it. */
bool control_close(struct control *c);

#endif
