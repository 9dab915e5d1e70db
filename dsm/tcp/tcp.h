/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the TCP transport know of each other: the transport (tcp.c), its channels to
 * peers (tcp_channel.c), and how they come to stand (tcp_mesh.c). Users see dsm/transport.h.
 *
 * Threads: as dsm/transport.h: one at a time.
 */
#ifndef CELLULAR_DSM_TCP_TCP_H
#define CELLULAR_DSM_TCP_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dsm/transport.h"
#include "proto/base/buffer.h"

enum {
	TCP_BACKLOG_BYTES = 64 << 20, /* default of struct transport_config */
	TCP_IN_BYTES =
		sizeof(struct page_wire) + PAGE_BYTES_MAX, /* one frame of the largest size */
	TCP_READ_BYTES = 64 << 10, /* of one recv, when no larger frame is awaited */
	TCP_DIRECT_BYTES = 1024, /* payloads from this size on are handed to the kernel in place, by
				    send itself */
	TCP_OUT_BYTES = 16 << 10, /* room of a queue from the start: faults do not allocate */
	TCP_NEAR_MAX = 4,	  /* more channels are looked at by epoll */
	TCP_OUT_KEEP = 1 << 20,	  /* an empty queue larger than this is given back */
	TCP_SILENCE_TICKS = 12,	  /* ticks of silence_ms / 12 without a byte: lost */
	TCP_PING_TICKS = 1, /* whole ticks without a byte sent: ping, silence_ms / 6 after the last
			       byte at the latest */

	TCP_PAYLOAD_PARTS = 2,
	TCP_PARTS = TCP_PAYLOAD_PARTS + 1, /* and the header */

	/* Data of the epoll set; a channel's is its member. */
	TCP_TICK = 0xffff,
	TCP_LISTENER = 0xfffe,
	TCP_STRANGER = 0x1000, /* + place */
};

struct mesh;

/* A channel to one member. fd >= 0 while it stands; lost: it stood, and stands never again. */
struct tcp_channel {
	int fd;
	bool lost;
	bool ending;	     /* in order: nothing more is sent, its end is no loss */
	bool shut;	     /* ... and the peer was told */
	bool mute;	     /* the kernel takes no more: what is still to be read decides why */
	bool armed;	     /* EPOLLOUT is asked for */
	bool heard, spoke;   /* since the last tick */
	uint8_t quiet, idle; /* ticks since then */
	uint32_t sequence_in, sequence_out; /* of the next message */
	struct buffer out;
	uint8_t *in; /* TCP_IN_BYTES, touched lazily; an event's data lies in it */
	size_t in_start, in_end;
	size_t in_need; /* bytes of the frame that begins at in_start, as far as known */
	struct err why; /* lost */
};

struct transport {
	struct transport_config config;
	int listener;	   /* -1 once the mesh stands, unless it is open */
	struct mesh *late; /* the mesh stands, and is open */
	dsm_set expected;
	dsm_set up_due;	     /* UP events to hand up */
	uint64_t caller_due; /* CALLER events, by place */
	uint32_t callers;    /* so far: the name of the last */
	int epoll, ticks;    /* ticks: timerfd */
	char address[TRANSPORT_ADDRESS_MAX];
	struct transport_stats stats;
	dsm_set ready;	  /* the kernel has input */
	dsm_set full;	  /* the buffer may hold a whole message */
	dsm_set pending;  /* output waits for flush */
	dsm_set lost_due; /* LOST or ENDED events to hand up */
	dsm_set near;	  /* spoke since the last tick */
	bool tick_due;
	bool asked; /* the kernel, since poll last had nothing */
	struct tcp_channel channel[DSM_MEMBERS_MAX];
};

/* tcp_channel.c, tcp_send.c, tcp_receive.c. A channel that stands is non-blocking and in the epoll
 * set. It takes the descriptor over, also when it fails. */
int tcp_channel_open(struct transport *t, struct member_id m, int fd, struct err *e);
void tcp_channel_close(struct tcp_channel *c);
/* Sends a message, or queues what the kernel does not take. Its payload is in TCP_PAYLOAD_PARTS. */
void tcp_channel_send(struct transport *t, struct member_id m, const struct dsm_msg *msg,
		      const struct iovec payload[TCP_PAYLOAD_PARTS]);
/* Nothing is sent after what waits; then the peer reads the end. */
void tcp_channel_end(struct transport *t, struct member_id m);
/* Hands the queue to the kernel; what it does not take goes out by EPOLLOUT. */
void tcp_channel_flush(struct transport *t, struct member_id m);
/* One recv. */
void tcp_channel_receive(struct transport *t, struct member_id m);
/* Cuts the next message out of the buffer. false: there is no whole one (or the channel is lost).
 */
bool tcp_channel_next(struct transport *t, struct member_id m, struct transport_event *out);
/* Counts silence and idleness: loses the channel or pings. */
void tcp_channel_tick(struct transport *t, struct member_id m);
void tcp_channel_ping(struct transport *t, struct member_id m);
/* Asks epoll for EPOLLOUT, or no longer. */
void tcp_channel_arm(struct transport *t, struct member_id m, bool armed);
static inline bool tcp_channel_speaks(const struct tcp_channel *c)
{
	return c->fd >= 0 && !c->mute && !c->shut;
}
/* The channel is over; its LOST or ENDED event is due. */
void tcp_channel_lose(struct transport *t, struct member_id m, const struct err *why);

/* tcp_late.c */
int tcp_late_open(struct transport *t, struct mesh *mesh, struct err *e); /* takes mesh over */
void tcp_late_close(struct transport *t);
void tcp_late_accept(struct transport *t);
void tcp_late_serve(struct transport *t, uint32_t stranger);
void tcp_late_tick(struct transport *t);
bool tcp_late_take_caller(struct transport *t, struct transport_event *out);
int tcp_answer(struct transport *t, uint32_t caller, const void *bytes, uint32_t n, struct err *e);
void tcp_expect(struct transport *t, struct member_id member, bool expected);

/* tcp_ask.c: transport_ops.ask. */
int tcp_ask(const struct transport_config *config, const char *address, int timeout_ms, int stop_fd,
	    void *out, uint32_t room, uint32_t *n, struct err *e);

/* tcp_mesh.c: transport_ops.connect. */
int tcp_mesh_connect(struct transport *t, const char *const *peers, int timeout_ms, int stop_fd,
		     struct err *e);

#endif
