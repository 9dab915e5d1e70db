/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "controller/server/state.h"
#include "proto/base/log.h"

struct peer *server_peer(struct server *s, uint64_t number)
{
	for (struct peer *peer = s->peers; peer; peer = peer->next)
		if (peer->number == number)
			return peer;
	return NULL;
}

void server_send(struct peer *peer, uint16_t type, const ProtobufCMessage *message)
{
	struct err e;

	if (link_send(peer->link, type, message, &e))
		log_warning("%s was not sent: %s", ctl_type_name(type), e.text);
}

void server_offence(struct peer *peer, uint16_t type)
{
	log_warning("a %s sent %s, which is not its to send",
		    peer->kind == HELLO_CELLD ? "cell" : "client", ctl_type_name(type));
	peer->server->offences++;
	link_close(peer->link);
}

uint64_t server_rejected(const struct server *s)
{
	uint64_t n = s->offences;

	for (size_t i = 0; i < s->n_listeners; i++)
		n += link_listener_rejected(s->listeners[i]);
	return n;
}

static void on_open(void *context, struct link *link)
{
	(void)context;
	(void)link;
}

static void on_message(void *context, struct link *link, uint16_t type,
		       const ProtobufCMessage *message)
{
	struct peer *peer = context;

	(void)link;
	if (peer->server->stopping)
		return;
	if (peer->kind == HELLO_CELLD)
		server_cell_message(peer, type, message);
	else
		server_client_message(peer, type, message);
}

static void on_closed(void *context, struct link *link, const struct err *why)
{
	struct peer *peer = context;
	struct server *s = peer->server;
	const struct policy_cell *cell = policy_cell_linked(s->policy, peer->number);

	(void)link;
	*peer->back = peer->next;
	if (peer->next)
		peer->next->back = peer->back;
	s->n_peers--;
	if (cell)
		log_warning("the link to %s is lost: %s", cell->name, why->text);
	else if (why->code)
		log_info("a link ended: %s", why->text);
	server_query_closed(s, peer);
	policy_space_drop(s->spaces, peer->number);
	if (peer->kind == HELLO_CELLD)
		server_step(s, &(struct policy_event){.kind = POLICY_EV_LINK_LOST,
						      .link = peer->number});
	else
		server_client_closed(peer);
	free(peer);
}

static const struct link_ops ops = {on_open, on_message, on_closed};

void server_accept(void *context, struct link *link, enum hello_kind kind)
{
	struct server *s = context;
	struct peer *peer = s->n_peers < SERVER_PEERS_MAX ? calloc(1, sizeof(*peer)) : NULL;

	if (!peer) {
		log_warning("a link is refused: %zu are open", s->n_peers);
		link_close(link);
		return;
	}
	*peer = (struct peer){
		.server = s,
		.link = link,
		.number = s->next_number++,
		.kind = kind,
		.next = s->peers,
		.back = &s->peers,
	};
	if (peer->next)
		peer->next->back = &peer->next;
	s->peers = peer;
	s->n_peers++;
	link_set_ops(link, &ops, peer);
}
