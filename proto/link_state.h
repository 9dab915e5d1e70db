/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the control link - link*.c - know of each other. Nobody
 * else includes this.
 */
#ifndef CELLULAR_PROTO_LINK_STATE_H
#define CELLULAR_PROTO_LINK_STATE_H

#include "proto/base/buffer.h"
#include "proto/hello_stream.h"
#include "proto/link.h"

enum { LINK_BUFFER_KEEP = 256 << 10 }; /* larger buffers are given back once empty */

enum link_state {
	LINK_CONNECTING, /* dialled, no answer yet */
	LINK_HELLO,	 /* connected, hello under way */
	LINK_ADOPTED,	 /* open comes from the loop */
	LINK_OPEN,
	LINK_DRAINING, /* link_close was called: the queue goes out, then FIN, then the peer's end
			  is awaited */
	LINK_CLOSED,   /* handles are being closed, `closed` is due */
};

union link_stream {
	uv_handle_t handle;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

struct link_hello_write {
	uv_write_t request;
	struct hello_out out;
};

struct link {
	enum link_state state;
	const struct link_ops *ops; /* NULL: accepted and not named yet */
	void *context;

	union link_stream io;
	uv_timer_t timer; /* hello, half a frame, draining; opens an adopted link */
	int handles;	  /* of these two, not closed yet */
	union {
		uv_connect_t connect;
		uv_shutdown_t shutdown;
	} request;

	struct hello_stream talk;
	struct link_hello_write hello_write[2];
	int hello_writes;

	struct buffer in;
	size_t need; /* bytes of `in` without which the next frame cannot be cut */
	uint32_t sequence_in;
	uint64_t skipped;

	struct buffer queue; /* frames that wait */
	struct buffer wire;  /* frames that uv_write has */
	uv_write_t write;
	bool writing;
	bool shut;
	uint32_t sequence_out;

	struct err why;
	bool reached;			/* dialled: someone answered */
	bool identified;		/* accepted: the hello succeeded */
	struct link_listener *listener; /* that accepted it and still lives, or NULL */
	struct link *next, **back;	/* its list */
	char peer[LINK_ADDRESS_MAX];	/* for sentences; may be empty */
};

/* A link with its timer; the stream handle is the caller's to init, then link->handles = 2. NULL:
 * no memory. */
struct link *link_new(uv_loop_t *loop, const struct link_ops *ops, void *context);
/* Inits the stream handle. */
void link_init_stream(uv_loop_t *loop, union link_stream *io, bool local);
void link_start_hello(struct link *link, bool dialer);
/* Ends it without touching `why`. */
void link_end(struct link *link);
/* Ends the link for e's reason, unless it is ending already. */
void link_fail(struct link *link, const struct err *e);
void link_failf(struct link *link, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void link_write_hello(struct link *link, const struct hello_out *out);
/* The hello is over, or was not needed. */
void link_opened(struct link *link);
/* The frame under way must be whole within LINK_FRAME_MS. */
void link_await_frame(struct link *link);
/* Everything queued went out: FIN, once. */
void link_drain(struct link *link);

/* link_send.c: gives the queue to the loop. */
void link_flush(struct link *link);
/* link_receive.c */
void link_start_reading(struct link *link);

/* link_listen.c: HELLO_1 lies in `first`; sets kind and key. PROTOCOL: no identity of that kind. */
int link_listener_identify(struct link *link, const struct hello_1 *first, struct err *e);
/* link_listen.c: the hello is over; the user names ops, or closes. */
void link_listener_accept(struct link *link);
/* link_listen.c: the link is over; counts it if it ended badly and takes it off the list. */
void link_listener_forget(struct link *link);

#endif
