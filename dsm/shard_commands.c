/* SPDX-License-Identifier: Apache-2.0 */
/* What other threads ask of the shard (dsm/command.h), on the shard's thread. */
#include "dsm/shard.h"

#include "proto/base/clock.h"

static void post(struct shard *s, const struct command *c)
{
	const struct dsm_msg msg = {
		.type = PAGE_POST,
		.requester = s->config.self,
		.epoch = s->config.epoch,
	};

	if (member_eq(c->to, s->config.self))
		s->user.post(s->user.context, c->to, s->post, c->bytes);
	else
		s->transport_ops->send(s->transport, c->to, &msg, s->post, c->bytes);
}

/* A command for the core as its event; false: not for the core. */
static bool command_event(const struct command *c, struct dsm_event *ev)
{
	*ev = (struct dsm_event){.now = clock_ns()};
	switch ((enum command_type)c->type) {
	case COMMAND_ACQUIRE:
		ev->type = DSM_EV_ACQUIRE;
		ev->acquire.page = c->page;
		ev->acquire.pages = c->pages;
		ev->acquire.write = c->write;
		ev->acquire.token = c->token;
		return true;
	case COMMAND_RELEASE:
		ev->type = DSM_EV_RELEASE;
		ev->release.token = c->token;
		return true;
	case COMMAND_EVICT:
	case COMMAND_DISCARD:
		ev->type = DSM_EV_EVICT;
		ev->evict.page = c->page;
		ev->evict.discard = c->type == COMMAND_DISCARD;
		return true;
	case COMMAND_MOVE:
		ev->type = DSM_EV_MOVE;
		ev->move.page = c->page;
		ev->move.to = c->to;
		return true;
	default:
		return false;
	}
}

static void command(struct shard *s, const struct command *c)
{
	if (c->type == COMMAND_STATS) {
		shard_stats(s, c->request);
		s->user.answered(s->user.context, c->request);
	} else if (c->type == COMMAND_MAP) {
		s->map = c->request;
	} else if (shard_ended(s)) {
		return; /* who waits for an acquire was told by `ended` */
	} else if (c->type == COMMAND_POST) {
		post(s, c);
	} else if (c->type == COMMAND_LEAVE) {
		shard_leave(s);
	} else if (command_event(c, &s->event)) {
		shard_step(s);
	}
}

/* Those that waited at the start: a callback that posts to itself does not keep the round from
 * ending. */
void shard_commands(struct shard *s, uint32_t n)
{
	struct command c;

	while (n-- && command_pop(s->commands, &c, s->post))
		command(s, &c);
	if (command_waiting(s->commands))
		s->left |= SHARD_COMMANDS;
}

void shard_map_on(struct shard *s)
{
	struct shard_map *map = s->map;

	if (!map)
		return;
	if (shard_map_slice(s, map)) {
		s->map = NULL;
		s->user.answered(s->user.context, map);
	} else {
		s->left |= SHARD_MAP;
	}
}
