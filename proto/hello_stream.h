/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end's walk through the hello over a stream: says how many bytes the next message has, takes
 * it, and gives the answer to send. Transports and control links read and write; the order of
 * messages lives here.
 *
 *   dialer:    hello_stream_begin -> HELLO_1 | take HELLO_2 -> HELLO_3, done
 *   listener:  hello_stream_begin -> nothing | take HELLO_1 -> HELLO_2 | take HELLO_3 -> nothing,
 * done
 *
 * Threads: belongs to one.
 */
#ifndef CELLULAR_PROTO_HELLO_STREAM_H
#define CELLULAR_PROTO_HELLO_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/hello.h"

enum { HELLO_MESSAGE_MAX = sizeof(struct hello_2) };

struct hello_stream {
	struct hello hello;
	bool dialer;
	size_t want; /* bytes of the message that must come next; 0: the hello is over */
};

/* What is to be sent. */
struct hello_out {
	size_t length;
	uint8_t bytes[HELLO_MESSAGE_MAX];
};

/* s->hello is filled in as proto/hello.h says. SYS: no random bytes. */
int hello_stream_begin(struct hello_stream *s, bool dialer, struct hello_out *out, struct err *e);

/* in: the s->want bytes of the next message. Errors as in hello.h: close the stream without a
 * further word. */
int hello_stream_take(struct hello_stream *s, const void *in, struct hello_out *out, struct err *e);

#endif
