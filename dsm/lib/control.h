/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control link to the controller that blocks: dial, hello, one question at a time. A program that
 * uses the library has a loop of its own, or none: so this one needs none (proto/link.h is the same
 * link on a libuv loop).
 *
 * Each call has an end, by clock_ms, and ends at once when stop_fd is readable; its struct err is
 * not NULL. What goes wrong with the link closes it: fd is -1 then, and it can be opened again. An
 * answer that was not waited for any more (INTERRUPTED) does not harm the next question.
 *
 * Threads: belongs to one.
 */
#ifndef CELLULAR_DSM_LIB_CONTROL_H
#define CELLULAR_DSM_LIB_CONTROL_H

#include <stdint.h>

#include "proto/base/buffer.h"
#include "proto/base/err.h"
#include "proto/control.h"
#include "proto/ids.h"

enum { CONTROL_ADDRESS_MAX = 128 };

struct control {
	int fd;				      /* -1: closed */
	int stop_fd;			      /* -1: none */
	char controller[CONTROL_ADDRESS_MAX]; /* address as in proto/link_address.h */
	uint8_t cluster_key[CELL_KEY_BYTES];
	uint32_t sent, received; /* frames */
	uint64_t asked;		 /* number of the last question */
	struct buffer in;
};

/* Before anything else: closed, without an address. */
void control_init(struct control *c);

/* Dials, if it is closed. INVALID: no such address; UNREACHABLE: nobody there, or no answer; AUTH,
 * VERSION, PROTOCOL, DENIED, INTERRUPTED; NOMEM, SYS. */
int control_open(struct control *c, uint64_t end_ms, struct err *e);

/*
 * Asks on an open link (the request's number is filled in) and waits for the answer, which is the
 * caller's (control_free), and may be a refusal (control_refused). UNREACHABLE: the link broke, or
 * no answer came; PROTOCOL, INTERRUPTED, NOMEM, SYS.
 */
int control_ask(struct control *c, Cellular__CtlRequest *request, uint64_t end_ms,
		Cellular__CtlReply **reply, struct err *e);

/* 0, or what the controller refused: its code and its sentence, made safe to be printed. */
int control_refused(const Cellular__CtlReply *reply, struct err *e);
void control_free(Cellular__CtlReply *reply); /* keys in it are wiped */

void control_close(struct control *c);

#endif
