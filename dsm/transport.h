/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport adapter: reliable, ordered channels between the members of one space. A failure is
 * an event, not a return value. Implementations: tcp (dsm/tcp); verbs follows behind the same
 * table.
 *
 * Contract:
 *  T1  Messages between two members arrive once and in the order they were sent, or the channel
 *	is lost.
 *
 *  T2  send never blocks: what the peer does not take at once waits in memory. The protocol bounds
 *	it (K transactions a member); a queue above config.backlog_bytes loses the channel
 *	(ERR_TOOBIG) instead of growing.
 *
 *  T3  A channel that fails, is closed by the peer, breaks the framing or stays silent for
 *	config.silence_ms yields one TRANSPORT_LOST for that member and is never used again.
 *
 *  T4  A PING is sent when nothing else was sent to a member for silence_ms / 6; pings are not
 *	handed up.
 *
 *  T5  Before the first message the hello (proto/hello.h) has succeeded; nobody else's bytes reach
 *	the core. A failed hello on a connection from outside is closed and counted, and the
 *	listener goes on.
 *
 *  T6  Page data of an event stays valid until the next poll or look. A run is one event.
 *
 *  T7  A channel that was ended in order (end) yields one TRANSPORT_ENDED in place of LOST, when
 *	all that was sent before has arrived and the other side has ended it too, or is lost.
 *
 *  T8  One that is open listens for good. A member that is expected (expect) may connect then: UP,
 *	then its messages. Who has no number but knows the key may call (ask): one CALLER, and its
 *	connection waits, for a bounded time, for the one answer there is. Both after a hello, as T5
 *	says.
 *
 * Threads: one thread at a time; open, address and connect may run on another one before the
 * shard's thread starts.
 */
#ifndef CELLULAR_DSM_TRANSPORT_H
#define CELLULAR_DSM_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/ids.h"
#include "proto/page.h"

enum {
	TRANSPORT_ADDRESS_MAX = 64,  /* "10.0.0.1:4711" or "[fe80::1]:4711", with its NUL */
	TRANSPORT_ANSWER_MAX = 8192, /* bytes */
	TRANSPORT_SILENCE_MS = 3000, /* where a configuration says 0 */
};

struct transport;

struct transport_config {
	struct space_id space;
	struct epoch epoch;
	struct member_id self;
	uint8_t members;
	dsm_set present; /* who connect to each other, self among them; 0: all */
	bool open;	 /* T8 */
	uint64_t pages;	 /* bounds page numbers of incoming messages */
	uint8_t key[CELL_KEY_BYTES];
	const char *listen;   /* address and port to listen on; port 0: the system chooses */
	size_t backlog_bytes; /* 0: 64 MiB */
	uint32_t silence_ms;  /* 0: TRANSPORT_SILENCE_MS */
};

enum transport_event_type {
	TRANSPORT_NONE,
	TRANSPORT_MSG,
	TRANSPORT_LOST,
	TRANSPORT_ENDED,
	TRANSPORT_UP,
	TRANSPORT_CALLER,
};

struct transport_event {
	enum transport_event_type type;
	struct member_id from;
	struct dsm_msg msg; /* TRANSPORT_MSG */
	const void *data;   /* payload, or NULL */
	uint32_t bytes;
	struct err why;	 /* TRANSPORT_LOST */
	uint32_t caller; /* TRANSPORT_CALLER: for answer; never 0 */
};

struct transport_stats {
	uint64_t messages_in, messages_out;
	uint64_t bytes_in, bytes_out;
	uint64_t rejected; /* connections whose hello failed */
	uint64_t skipped;  /* optional messages of unknown type */
};

struct transport_ops {
	const char *name;
	/* Starts to listen. EXISTS: port in use; DENIED; UNREACHABLE: not an address of this host.
	 */
	int (*open)(const struct transport_config *config, struct transport **out, struct err *e);
	/* Where it listens, port filled in. */
	int (*address)(const struct transport *t, char out[TRANSPORT_ADDRESS_MAX]);
	/* Dials members below self, accepts those above, until all channels stand. Blocks up to
	 * timeout_ms. peers[m]: address of member m (self's entry is ignored). `stop_fd`: readable
	 * means give up (ERR_INTERRUPTED); -1: none. TIMEOUT, AUTH, UNREACHABLE: which member is in
	 * the text. LOST: one left meanwhile; INVALID: an address; also VERSION, PROTOCOL.
	 * Afterwards nothing listens any more, unless it went well and is open. */
	int (*connect)(struct transport *t, const char *const *peers, int timeout_ms, int stop_fd,
		       struct err *e);
	/* Readable (level-triggered epoll) when poll would find something; owned by t. Call poll
	 * until it says NONE before waiting: messages that were received already do not make fd
	 * readable. */
	int (*fd)(const struct transport *t);
	/* For who stays awake: looks, as cheaply as can be, whether something came from members
	 * that spoke lately. True: poll has something. */
	bool (*look)(struct transport *t);
	/* Next event, or TRANSPORT_NONE. Non-blocking. Also keeps pings and silence timers: call it
	 * at least every silence_ms / 6 (fd becomes readable for that by itself). */
	void (*poll)(struct transport *t, struct transport_event *out);
	/* Does another message seem to lie here already? A hint: who says yes polls again soon. */
	bool (*more)(const struct transport *t);
	/* Queues a message with `bytes` of payload (copied). To a lost member: dropped silently,
	 * its LOST event is on the way. */
	void (*send)(struct transport *t, struct member_id to, const struct dsm_msg *msg,
		     const void *data, uint32_t bytes);
	/* Sends a run (proto/page.h): msg->pages items, and as many pages of data. */
	void (*send_run)(struct transport *t, struct member_id to, const struct dsm_msg *msg,
			 const struct page_item *items, const void *data);
	/* The channel to `to` ends in order: what was sent goes out, nothing is sent after it, not
	 * even a PING. What still comes is handed up, then ENDED (T7). Once is enough. */
	void (*end)(struct transport *t, struct member_id to);
	/* The member may connect now, or (false) no longer: then its channel, if it stands, is over
	 * without an event. Of a number above self that was never connected. */
	void (*expect)(struct transport *t, struct member_id member, bool expected);
	/* Says n bytes (at most TRANSPORT_ANSWER_MAX) to a caller and ends its call. NOTFOUND: it
	 * has left, or its time was over. */
	int (*answer)(struct transport *t, uint32_t caller, const void *bytes, uint32_t n,
		      struct err *e);
	/* Calls the member that listens at `address` and reads its answer, of up to room bytes.
	 * Blocks; needs no transport: of config counts space, epoch, key. UNREACHABLE (also: it
	 * hung up), TIMEOUT, INTERRUPTED (as connect), AUTH, VERSION, PROTOCOL, EPOCH, INVALID. */
	int (*ask)(const struct transport_config *config, const char *address, int timeout_ms,
		   int stop_fd, void *out, uint32_t room, uint32_t *n, struct err *e);
	/* Hands to the system what it takes now. Called once a round, after all sends. */
	void (*flush)(struct transport *t);
	void (*stats)(const struct transport *t, struct transport_stats *out);
	void (*close)(struct transport *t); /* NULL is allowed */
};

extern const struct transport_ops transport_tcp;

#endif
