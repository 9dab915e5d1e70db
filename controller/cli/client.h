/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question to the controller at a time: dial, ask, wait, answer. Blocks; made for a command
 * that does one thing and ends.
 *
 * Threads: one.
 */
#ifndef CELLULAR_CLI_CLIENT_H
#define CELLULAR_CLI_CLIENT_H

#include <stdint.h>

#include "proto/base/err.h"
#include "proto/control.pb-c.h"

struct client_config {
	const char *controller; /* address as in proto/link.h */
	const char *key;	/* key file */
	uint32_t timeout_ms;	/* of one question; 0: for ever */
};

struct client;

/* Reads the key and dials. NOTFOUND, DENIED, INVALID: key file; UNREACHABLE; AUTH; TIMEOUT. */
int client_open(const struct client_config *config, struct client **out, struct err *e);

/*
 * Asks (request number and timeout are filled in) and waits. *reply is the caller's
 * (cellular__ctl_reply__free_unpacked); it is set only on ERR_OK. An error in the reply is returned
 * as one. TIMEOUT, LOST (as UNREACHABLE), PROTOCOL.
 */
int client_ask(struct client *c, Cellular__CtlRequest *request, Cellular__CtlReply **reply,
	       struct err *e);

/* NULL is allowed. */
void client_close(struct client *c);

#endif
