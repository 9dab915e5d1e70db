/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/say.h"

#include <inttypes.h>

#include "tests/sim/world.h"

const char *say_effect_name(int type)
{
	static const char *const names[] = {
		[DSM_FX_SEND] = "SEND",		  [DSM_FX_READ_OUT] = "READ_OUT",
		[DSM_FX_STASH] = "STASH",	  [DSM_FX_MAP] = "MAP",
		[DSM_FX_UNPROTECT] = "UNPROTECT", [DSM_FX_PROTECT] = "PROTECT",
		[DSM_FX_UNMAP] = "UNMAP",	  [DSM_FX_WAKE] = "WAKE",
		[DSM_FX_TIMER] = "TIMER",	  [DSM_FX_ACQUIRED] = "ACQUIRED",
		[DSM_FX_WHOLE] = "WHOLE",	  [DSM_FX_SPLIT] = "SPLIT",
		[DSM_FX_LEFT] = "LEFT",		  [DSM_FX_LOST] = "LOST",
	};
	return type >= 0 && type <= DSM_FX_LOST ? names[type] : "?";
}

const char *say_event_name(int type)
{
	static const char *const names[] = {"fault",   "message", "timer", "lost",  "acquire",
					    "release", "evict",	  "move",  "leave", "join"};
	return type >= 0 && type <= DSM_EV_JOIN ? names[type] : "?";
}

static void say_map(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	const char *right = fx->writable ? "writable" : "read-only";
	if (fx->source == DSM_FROM_SLOT)
		world_say(w, "%12" PRIu64 "          m%u MAP p%u %s from slot %u", w->now, m, page,
			  right, fx->slot);
	else
		world_say(w, "%12" PRIu64 "          m%u MAP p%u %s from %s", w->now, m, page,
			  right, fx->source == DSM_FROM_ZERO ? "zero" : "the message");
}

void say_effect(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	const struct dsm_msg *msg = &fx->msg;
	const char *name = say_effect_name(fx->type);
	switch (fx->type) {
	case DSM_FX_SEND:
		world_say(w,
			  "%12" PRIu64 "          m%u -> m%u %s p%d for m%u flags %#x acks %u "
			  "version %u txn %u map %u m%u",
			  w->now, m, fx->to.v, page_type_name(msg->type), (int16_t)page,
			  msg->requester.v, msg->flags, msg->acks, msg->version, msg->txn, msg->map,
			  msg->member.v);
		break;
	case DSM_FX_TIMER:
		world_say(w, "%12" PRIu64 "          m%u TIMER %" PRIu64, w->now, m, fx->deadline);
		break;
	case DSM_FX_ACQUIRED:
		world_say(w, "%12" PRIu64 "          m%u ACQUIRED token %u: %s", w->now, m,
			  fx->token, err_name((int)fx->reason));
		break;
	case DSM_FX_LOST:
		world_say(w, "%12" PRIu64 "          m%u LOST m%u: %s", w->now, m, fx->to.v,
			  err_name((int)fx->reason));
		break;
	case DSM_FX_MAP:
		say_map(w, m, page, fx);
		break;
	case DSM_FX_WHOLE:
	case DSM_FX_SPLIT:
		world_say(w, "%12" PRIu64 "          m%u %s chunk %" PRIu64, w->now, m, name,
			  fx->page.v / DSM_CHUNK_PAGES);
		break;
	case DSM_FX_READ_OUT:
	case DSM_FX_STASH:
		world_say(w, "%12" PRIu64 "          m%u %s p%d to slot %u", w->now, m, name,
			  (int16_t)page, fx->slot);
		break;
	default:
		world_say(w, "%12" PRIu64 "          m%u %s p%d", w->now, m, name, (int16_t)page);
	}
}

static void say_message(struct world *w, unsigned m, const struct dsm_event *event, uint64_t data)
{
	const struct dsm_msg *msg = &event->msg.msg;
	world_say(w,
		  "%12" PRIu64 " %8" PRIu64
		  " m%u <- m%u %s p%d for m%u flags %#x acks %u version %u txn %u map %u m%u data "
		  "%" PRIu64 "%s",
		  w->now, w->steps, m, event->msg.from.v, page_type_name(msg->type),
		  (int16_t)world_page(w, msg->page), msg->requester.v, msg->flags, msg->acks,
		  msg->version, msg->txn, msg->map, msg->member.v, data,
		  msg->epoch.v == w->tuning.epoch ? "" : " of another epoch");
}

void say_event(struct world *w, unsigned m, const struct dsm_event *event,
	       const struct letter *letter)
{
	const struct member *mb = &w->members[m];
	const bool discard = event->type == DSM_EV_EVICT && event->evict.discard;
	const char *name = discard ? "discard" : say_event_name(event->type);
	switch (event->type) {
	case DSM_EV_MSG:
		say_message(w, m, event, letter->data);
		break;
	case DSM_EV_LOST:
		world_say(w, "%12" PRIu64 " %8" PRIu64 " m%u lost m%u", w->now, w->steps, m,
			  event->lost.member.v);
		break;
	case DSM_EV_FAULT:
		world_say(w, "%12" PRIu64 " %8" PRIu64 " m%u fault p%d %s", w->now, w->steps, m,
			  mb->n_touched ? mb->touched[0] : -1,
			  event->fault.write ? "write" : "read");
		break;
	case DSM_EV_ACQUIRE:
		world_say(w, "%12" PRIu64 " %8" PRIu64 " m%u acquire p%d, %u pages %s token %u",
			  w->now, w->steps, m, mb->n_touched ? mb->touched[0] : -1,
			  event->acquire.pages, event->acquire.write ? "write" : "read",
			  event->acquire.token);
		break;
	case DSM_EV_JOIN:
		world_say(w, "%12" PRIu64 " %8" PRIu64 " m%u join m%u", w->now, w->steps, m,
			  event->join.member.v);
		break;
	case DSM_EV_RELEASE:
		world_say(w, "%12" PRIu64 " %8" PRIu64 " m%u release token %u", w->now, w->steps, m,
			  event->release.token);
		break;
	default:
		world_say(w, "%12" PRIu64 " %8" PRIu64 " m%u %s p%d", w->now, w->steps, m, name,
			  mb->n_touched ? mb->touched[0] : -1);
	}
}
