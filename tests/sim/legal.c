/* SPDX-License-Identifier: Apache-2.0 */
/* What a core may send: the part of I7 that needs no memory of what went before. */
#include "tests/sim/legal.h"

#include "dsm/core/internal.h"
#include "tests/sim/world.h"

/* A home that moves sends what it knows when it may, and requests in the name of who waits. So does
 * who leaves. */
static bool hands_over(unsigned m, const struct dsm_msg *msg)
{
	return msg->type >= PAGE_HAND ||
	       (page_type_class(msg->type) == PAGE_CLASS_REQUEST && msg->requester.v != m);
}

/*
 * A request causes forwards and replies, a forward only replies. A reply ends a transaction; what
 * waited for that may begin then. Other pages do not count: any step may also do what has become
 * due. A device that waits for the page, or a core that collects it for a stalled thread, asks
 * again when it leaves.
 */
static bool class_allowed(const struct world *w, unsigned m, const struct dsm_msg *msg)
{
	const struct member *mb = &w->members[m];
	const struct cause *cause = &mb->cause;
	const enum page_class sent = page_type_class(msg->type);
	if (sent == PAGE_CLASS_LINK)
		return cause->type == DSM_EV_LOST ||
		       (cause->type == DSM_EV_MSG && cause->msg_class == PAGE_CLASS_LINK);
	if (hands_over(m, msg) || cause->type != DSM_EV_MSG ||
	    cause->page != world_page(w, msg->page))
		return true;
	if (dsm_core_leaving(mb->core) && (msg->type == PAGE_PUT || msg->type == PAGE_DROP))
		return true; /* all its pages go, in any step */
	if (cause->msg_class == PAGE_CLASS_REQUEST && !world_is_home(w, m, cause->page))
		return true; /* it was redirected, at most; what else is done was due */
	if (cause->msg_class == PAGE_CLASS_FORWARD && sent == PAGE_CLASS_FORWARD &&
	    world_is_home(w, m, cause->page))
		return true; /* nothing of it: what home's own holder put off was due (R10) */
	if (cause->msg_class == PAGE_CLASS_FORWARD && sent == PAGE_CLASS_REQUEST)
		return device_waits(w, m, cause->page) || dsm_core_collects(mb->core, msg->page);
	return cause->msg_class == PAGE_CLASS_REPLY || sent > cause->msg_class;
}

/* Requests go to the home that the sender knows, UNBLOCK to the one there is; forwards come from
 * it, all others go to the requester. */
static bool way_allowed(const struct world *w, unsigned m, const struct dsm_effect *fx)
{
	const uint8_t type = fx->msg.type;
	const uint16_t page = world_page(w, fx->msg.page);
	if (type == PAGE_LEAVE || type == PAGE_TELL || type == PAGE_BYE || type == PAGE_GONE ||
	    type == PAGE_HERE || type == PAGE_FENCE)
		return fx->msg.requester.v == m;
	if (page_type_class(type) == PAGE_CLASS_REQUEST)
		return fx->to.v == dsm_core_home(w->members[m].core, fx->msg.page).v;
	if (type == PAGE_UNBLOCK)
		return world_is_home(w, fx->to.v, page);
	if (page_type_class(type) == PAGE_CLASS_FORWARD)
		return world_is_home(w, m, page);
	return fx->to.v == fx->msg.requester.v;
}

/* ACK: of the right to write that it makes room for. */
static bool is_of_next_version(struct world *w, const struct dsm_msg *msg)
{
	struct dsm_dir dir;
	const unsigned home = world_home(w, world_page(w, msg->page));
	return home == WORLD_NO_HOME || (w->dead | w->ended) & member_bit(home) ||
	       !dsm_core_dir(w->members[home].core, msg->page, &dir) || dir.version == msg->version;
}

/* Does it carry the versions that its sender knows? Most receivers do not look at all of them. */
static bool versions_good(struct world *w, unsigned m, const struct dsm_msg *msg)
{
	const struct dsm_core *core = w->members[m].core;
	const uint32_t map = core->chunks[msg->page.v / DSM_CHUNK_PAGES].version;
	switch (msg->type) {
	case PAGE_GET_S:
	case PAGE_GET_X:
	case PAGE_UPGRADE:
		return msg->requester.v != m || msg->map == map; /* handed on, or its own */
	case PAGE_PUT:
	case PAGE_DROP:
	case PAGE_UNBLOCK:
		break;
	case PAGE_ACK:
		return is_of_next_version(w, msg);
	case PAGE_PUT_ACK:
		/* Home may begin to move in the same step. */
		return msg->version == w->members[m].cause.version && map - msg->map <= 1;
	default:
		return true;
	}
	return msg->version == dsm_holder_seen(core, (uint32_t)(msg->page.v)).version &&
	       msg->map == map;
}

static const char *send_fault(struct world *w, unsigned m, const struct dsm_effect *fx)
{
	const struct dsm_msg *msg = &fx->msg;
	const unsigned members = w->options->members;
	if (fx->to.v >= members)
		return "to nobody";
	if (fx->to.v == m)
		return "to itself";
	if (w->left & member_bit(fx->to.v))
		return "to a member that has left";
	if (w->absent & member_bit(fx->to.v))
		return "to a member that has not begun";
	if (msg->type < PAGE_GET_S || msg->type > PAGE_TYPE_LAST || msg->type == PAGE_PING ||
	    msg->type == PAGE_POST || msg->type == PAGE_CHANGE)
		return "of a type that is not the core's";
	if (msg->epoch.v != w->tuning.epoch)
		return "of another epoch";
	if (msg->requester.v >= members)
		return "on behalf of nobody";
	if (msg->type == PAGE_MEMBER_LOST)
		return w->suspects & member_bit(msg->requester.v) ? NULL
								  : "about a loss that never was";
	if (msg->pages != 1 ||
	    (msg->type < PAGE_HANDED && world_page(w, msg->page) == WORLD_NO_PAGE))
		return "about pages nobody asked for";
	if (!class_allowed(w, m, msg))
		return "of a class its cause does not allow";
	if (!way_allowed(w, m, fx))
		return "that does not go this way";
	if (!versions_good(w, m, msg))
		return "with wrong versions";
	if (msg->flags & PAGE_FLAG_DATA && msg->type != PAGE_GRANT && msg->type != PAGE_PUT)
		return "with data";
	if (msg->flags & PAGE_FLAG_DATA && msg->flags & PAGE_FLAG_ZERO)
		return "with data and without";
	return msg->acks >= members ? "with too many acks" : NULL;
}

void legal_send(struct world *w, unsigned m, const struct dsm_effect *fx)
{
	const char *fault = send_fault(w, m, fx);
	if (fault)
		world_fail(w, "I7", -1, "m%u sends a message %s (type %u to m%u)", m, fault,
			   fx->msg.type, fx->to.v);
}
