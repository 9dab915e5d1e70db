/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control link on a libuv loop: hello, framing, protobuf messages in and out. One implementation
 * for cellctl, controller, celld and cell-vm.
 *
 * Addresses: "unix:/path/to/socket" or "tcp:10.0.0.1:4711" ("tcp:[::1]:0": the system chooses the
 * port).
 *
 * Rules: a link that breaks the protocol in any way (magic, length, checksum, sequence, a message
 * that does not unpack, an unknown type without FRAME_OPTIONAL) is closed with a reason. A peer
 * that does not read loses the link when more than LINK_BACKLOG_MAX bytes wait. A hello must be
 * over within LINK_HELLO_MS; on a link that is not adopted a frame that has begun to come must be
 * whole within LINK_FRAME_MS.
 *
 * Threads: all functions and callbacks on the loop's thread. A link is valid until its `closed`
 * callback returns; closed comes exactly once, also after link_close, and never from inside
 * link_close, link_send or link_dial.
 */
#ifndef CELLULAR_PROTO_LINK_H
#define CELLULAR_PROTO_LINK_H

#include <stdbool.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/control.h"
#include "proto/hello.h"

enum {
	LINK_BACKLOG_MAX = 32 << 20,
	LINK_HELLO_MS = 5000,
	LINK_LINGER_MS =
		1000, /* link_close waits so long for the queue to go out and the peer to close */
	LINK_FRAME_MS = 10000,	  /* from a frame's first byte to its last: 4 MiB at 3.4 Mbit/s */
	LINK_STRANGERS_MAX = 256, /* hellos under way at one listener; for one more the oldest is
				     closed: a good hello takes a moment, and must not be kept out
				     by those that never end theirs */
	LINK_ADDRESS_MAX = 128,
};

struct link;
struct link_listener;

struct link_ops {
	/* The hello succeeded (adopted links: at once, from the loop). */
	void (*open)(void *context, struct link *link);
	/* One message; valid during the call. */
	void (*message)(void *context, struct link *link, uint16_t type,
			const ProtobufCMessage *message);
	/* The link is over: why->code is OK after link_close and after an orderly end of the peer
	 * between two frames (text says so). */
	void (*closed)(void *context, struct link *link, const struct err *why);
};

/* Who this end is: kind, key. */
struct link_identity {
	enum hello_kind kind;
	uint8_t key[CELL_KEY_BYTES];
};

/* Dials; what goes wrong later comes through closed (UNREACHABLE, AUTH, VERSION, TIMEOUT). INVALID:
 * address. */
int link_dial(uv_loop_t *loop, const char *address, const struct link_identity *identity,
	      const struct link_ops *ops, void *context, struct link **out, struct err *e);

/* Takes over a connected stream socket without a hello (a socket pair that was inherited: no
 * stranger can be at its other end). */
int link_adopt(uv_loop_t *loop, int fd, const struct link_ops *ops, void *context,
	       struct link **out, struct err *e);

/*
 * Listens. identities: those whose hello is accepted, e.g. CELLD and CTL. accept is called after a
 * good hello; it names ops and context of the new link by link_set_ops (then its open comes), or
 * calls link_close. A unix socket that a dead process left behind is replaced; a live one is
 * EXISTS.
 */
typedef void (*link_accept_fn)(void *context, struct link *link, enum hello_kind kind);
int link_listen(uv_loop_t *loop, const char *address, const struct link_identity *identities, int n,
		link_accept_fn accept, void *context, struct link_listener **out, struct err *e);
void link_listener_address(const struct link_listener *listener, char out[LINK_ADDRESS_MAX]);
uint64_t link_listener_rejected(
	const struct link_listener *listener);		  /* failed hellos and broken links */
void link_listener_close(struct link_listener *listener); /* NULL is allowed; links stay */

void link_set_ops(struct link *link, const struct link_ops *ops, void *context);
void *link_context(const struct link *link);
/* For `closed` of a dialled link: its peer failed the hello or broke the protocol; false: it was
 * not there, or went. */
bool link_rejected(const struct link *link);
uint64_t link_skipped(const struct link *link); /* optional messages of unknown type */
/* Bytes that wait to be sent: who can should stop making more long before LINK_BACKLOG_MAX. */
size_t link_backlog(const struct link *link);

/* Packs and queues; what is sent before `open` goes out after the hello. Does not block. A link
 * that is closing drops it. TOOBIG: message above FRAME_PAYLOAD_MAX; NOMEM (the link fails). */
int link_send(struct link *link, uint16_t type, const ProtobufCMessage *message, struct err *e);

/* Sends what is queued, then closes; a link whose hello is not over closes at once. No message is
 * handed up any more. */
void link_close(struct link *link);

#endif
