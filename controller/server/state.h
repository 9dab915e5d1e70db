/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the server share. Nobody else includes this.
 *
 *   boot.c     the ladder up and down
 *   peers.c    links come and go; each message to its file
 *   orders.c   a step of the policy; its saves, then its sends
 *   cells.c    what celld says, what it is told
 *   clients.c  what cellctl asks
 *   query.c    questions passed on to cells, answers gathered
 *   spaces.c   what native members and cellctl say of named spaces; claim.c: the former, read
 *   info.c     what the policy knows, as messages
 *   body.c     what the policy does not know of a VM: specification, key, last figures
 */
#ifndef CELLULAR_CONTROLLER_SERVER_STATE_H
#define CELLULAR_CONTROLLER_SERVER_STATE_H

#include <uv.h>

#include "controller/policy/policy.h"
#include "controller/policy/spaces.h"
#include "controller/server/arena.h"
#include "controller/server/server.h"
#include "controller/store/store.h"
#include "proto/control.h"
#include "proto/link.h"

enum {
	SERVER_PEERS_MAX = 2048,  /* members that hold names, and as many others */
	SERVER_REQUESTS_MAX = 64, /* of one client, unanswered */
	SERVER_QUERIES_MAX = 256,
	SERVER_BEAT_MS = 250,	/* how often it looks whether it stood still */
	SERVER_STALL_MS = 1000, /* it did, if it comes so late: that time counts for nobody */
	SERVER_QUERY_MS = 2000, /* for all cells to answer */
	SERVER_LOAD_MS = 1000,	/* between two CellLoads */
	SERVER_END_MS = 30000,	/* for a VM to be over after stop or kill, unless the client says
				   otherwise */
	SERVER_SPEC_MAX = 64 << 10, /* bytes of a packed VmSpec */
	SERVER_STAT_MAX = 4 << 10,  /* bytes of a packed DsmStat: larger ones are not kept */
	SERVER_BUCKETS_DEFAULT = 64,
	SERVER_BUCKETS_MAX = 2048, /* 64 maps of three numbers a bucket fit a frame */
};

struct blob {
	uint8_t *bytes;
	size_t n;
};

/* By slot of the policy's table. */
struct body {
	struct space_id id; /* 0: empty */
	struct blob spec;
	Cellular__VmSpec *message; /* the same, unpacked */
	uint8_t key[CELL_KEY_BYTES];
	struct blob stats[POLICY_MEMBERS_MAX];
};

struct request {
	uint64_t waiter; /* 0: free */
	uint64_t number; /* the client's */
	Cellular__CtlOp op;
};

struct peer {
	struct server *server;
	struct link *link;
	uint64_t number; /* never used again */
	enum hello_kind kind;
	struct request requests[SERVER_REQUESTS_MAX]; /* CTL */
	struct peer *next, **back;
};

struct query {
	struct server *server;
	uint64_t number;
	uint64_t client;  /* peer */
	uint64_t request; /* the client's number */
	Cellular__QueryKind kind;
	struct space_id vm;
	unsigned members;
	uint64_t pending;			 /* bit m: member m has not answered */
	uint64_t asked[POLICY_MEMBERS_MAX];	 /* peer, by member; 0: not asked */
	struct blob answers[POLICY_MEMBERS_MAX]; /* packed FragAnswer */
	char cells[POLICY_MEMBERS_MAX][CELL_NAME_MAX];
	uv_timer_t timer;
	struct query *next, **back;
};

struct server {
	const struct server_config *config;
	uint8_t key[CELL_KEY_BYTES];
	uv_loop_t loop;
	uv_signal_t signals[2];
	uv_timer_t timer;
	uv_timer_t beat;
	uint64_t due_ms;	 /* what the timer waits for, in served time */
	uint64_t beat_ms;	 /* when this process last ran, as far as it knows */
	uint64_t stood_still_ms; /* time in which it could listen to nobody */
	struct store *store;
	struct policy *policy;
	struct policy_spaces *spaces;
	struct link_listener *listeners[SERVER_LISTEN_MAX + 1];
	size_t n_listeners;
	struct peer *peers;
	size_t n_peers;
	uint64_t offences; /* links closed for a message that was not theirs to send */
	struct query *queries;
	size_t n_queries;
	uint64_t next_number; /* of peers, waiters, queries */
	uint64_t started_ms;
	struct body bodies[POLICY_VMS_MAX];
	struct body coming; /* of the VM a START event is about */
	struct arena arena; /* for one message on its way out */
	bool stopping;
	struct err failure; /* why the loop was stopped; OK: a signal */
};

/* peers.c */
void server_accept(void *context, struct link *link, enum hello_kind kind);
struct peer *server_peer(struct server *s, uint64_t number); /* NULL: gone */
void server_send(struct peer *peer, uint16_t type, const ProtobufCMessage *message);
/* It sent a message that is not its to send: closes the link, and counts that. */
void server_offence(struct peer *peer, uint16_t type);
/* Links that failed their hello or broke the protocol, since the start. */
uint64_t server_rejected(const struct server *s);

/* orders.c */
void server_step(struct server *s, struct policy_event *event);
void server_stop(struct server *s, const struct err *why); /* NULL: in order */
void server_beat(struct server *s);			   /* time begins */
/* Monotonic, but for time in which this process stood still. */
uint64_t server_now_ms(struct server *s);

/* cells.c */
void server_cell_message(struct peer *peer, uint16_t type, const ProtobufCMessage *message);
void server_tell_cell(struct server *s, const struct policy_order *order);

/* clients.c */
void server_client_message(struct peer *peer, uint16_t type, const ProtobufCMessage *message);
void server_client_closed(struct peer *peer);
void server_answer(struct server *s, const struct policy_order *order);
void server_reply(struct peer *peer, uint64_t request, Cellular__CtlReply *reply);
void server_reply_error(struct peer *peer, uint64_t request, const struct err *e);

/* claim.c. INVALID: no claim, a key of another length, or an address where nobody can be called. */
int server_read_claim(const Cellular__CtlRequest *message, struct policy_claim *out, struct err *e);

/* spaces.c */
void server_space_request(struct peer *peer, const Cellular__CtlRequest *message);

/* query.c */
void server_query(struct peer *client, const Cellular__CtlRequest *request,
		  const struct policy_vm *vm);
void server_query_answer(struct peer *cell, const Cellular__FragAnswer *answer);
void server_query_closed(struct server *s, const struct peer *peer); /* cell or client */
void server_query_cancel_all(struct server *s);

/* info.c: messages live in s->arena until its next reset. */
Cellular__CellInfo *server_cell_info(struct server *s, const struct policy_cell *cell);
enum info_detail {
	INFO_STATE, /* id, name, state */
	INFO_LIST,  /* all but arguments, files, placement and figures: they may be long */
	INFO_WHOLE,
};
Cellular__VmInfo *server_vm_info(struct server *s, const struct policy_vm *vm,
				 enum info_detail detail);
void server_all_cells(struct server *s, Cellular__CtlReply *reply);
void server_all_vms(struct server *s, Cellular__CtlReply *reply, enum info_detail detail);
void server_fill_reason(Cellular__EndReason *out, const struct policy_reason *reason);
Cellular__DsmStat *server_stat(struct server *s, const struct policy_vm *vm,
			       unsigned member); /* NULL: none */

/* body.c */
int body_take_spec(struct body *body, const Cellular__VmSpec *spec,
		   struct err *e); /* draws the key */
int body_load(struct body *body, const struct store_vm *record, struct err *e);
void body_set_stat(struct body *body, unsigned member, const Cellular__DsmStat *stat);
void body_free(struct body *body);

#endif
