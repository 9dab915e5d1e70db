/* SPDX-License-Identifier: Apache-2.0 */
/* Named spaces of native programs: what their members claim, what others ask. All is answered at
 * once. */
#include <string.h>

#include "controller/server/state.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"

/* ---- answers ---- */

static Cellular__SpaceMember *member_info(struct server *s, const struct policy_holder *h)
{
	Cellular__SpaceMember *m = ARENA_NEW(&s->arena, Cellular__SpaceMember);

	cellular__space_member__init(m);
	m->member = h->member;
	m->address = (char *)h->address;
	m->pid = h->pid;
	return m;
}

static Cellular__SpaceInfo *space_info(struct server *s, const struct policy_space *space)
{
	Cellular__SpaceInfo *info = ARENA_NEW(&s->arena, Cellular__SpaceInfo);

	cellular__space_info__init(info);
	info->name = (char *)space->name;
	info->instance = space->instance;
	info->space = space->space.v;
	info->bytes = space->bytes;
	info->members = space->members;
	info->drawn = space->drawn;
	info->created_ms = space->created_ms;
	info->present = ARENA_ARRAY(&s->arena, Cellular__SpaceMember *, POLICY_SPACE_MEMBERS_MAX);
	for (unsigned m = 0; m < space->members; m++) {
		const struct policy_holder *h = policy_space_holder(s->spaces, space, m);

		if (h)
			info->present[info->n_present++] = member_info(s, h);
	}
	return info;
}

static void answer(struct peer *peer, const Cellular__CtlRequest *message,
		   const struct policy_space *space, bool with_key)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	Cellular__SpaceInfo *info = space_info(peer->server, space);

	if (with_key && space->drawn)
		info->key = (ProtobufCBinaryData){sizeof(space->key), (uint8_t *)space->key};
	reply.spaces = &info;
	reply.n_spaces = 1;
	server_reply(peer, message->request, &reply);
}

/* ---- requests ---- */

static void list(struct peer *peer, const Cellular__CtlRequest *message)
{
	struct server *s = peer->server;
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;

	policy_spaces_expire(s->spaces, server_now_ms(s));
	reply.spaces = ARENA_ARRAY(&s->arena, Cellular__SpaceInfo *, POLICY_SPACES_MAX);
	for (unsigned i = 0; i < POLICY_SPACES_MAX; i++)
		if (s->spaces->spaces[i].used)
			reply.spaces[reply.n_spaces++] = space_info(s, &s->spaces->spaces[i]);
	server_reply(peer, message->request, &reply);
}

static void find(struct peer *peer, const Cellular__CtlRequest *message, bool with_key)
{
	struct server *s = peer->server;
	const struct policy_space *space;
	struct err e;

	if (policy_space_find(s->spaces, server_now_ms(s), message->name, &space, &e))
		server_reply_error(peer, message->request, &e);
	else
		answer(peer, message, space, with_key);
}

static void claim(struct peer *peer, const Cellular__CtlRequest *message)
{
	struct server *s = peer->server;
	bool create = message->op == CELLULAR__CTL_OP__OP_SPACE_CREATE;
	uint64_t now = server_now_ms(s);
	struct policy_claim c;
	struct err e;
	int rc = server_read_claim(message, &c, &e);

	if (!rc && create) {
		c.created_ms = clock_unix_ms();
		rc = policy_space_create(s->spaces, now, peer->number, &c, &e);
	} else if (!rc) {
		rc = policy_space_hold(s->spaces, now, peer->number, &c, &e);
	}
	explicit_bzero(c.key, sizeof(c.key));
	if (rc) {
		server_reply_error(peer, message->request, &e);
		return;
	}
	if (create)
		log_info("a native space is named %s; its first member listens on %s", c.name,
			 c.address);
	find(peer, message, false);
}

static void drop(struct peer *peer, const Cellular__CtlRequest *message)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;

	policy_space_drop(peer->server->spaces, peer->number);
	server_reply(peer, message->request, &reply);
}

void server_space_request(struct peer *peer, const Cellular__CtlRequest *message)
{
	switch (message->op) {
	case CELLULAR__CTL_OP__OP_SPACE_LIST:
		list(peer, message);
		break;
	case CELLULAR__CTL_OP__OP_SPACE_CREATE:
	case CELLULAR__CTL_OP__OP_SPACE_HOLD:
		claim(peer, message);
		break;
	case CELLULAR__CTL_OP__OP_SPACE_DROP:
		drop(peer, message);
		break;
	default:
		find(peer, message, message->op == CELLULAR__CTL_OP__OP_SPACE_FIND);
	}
}
