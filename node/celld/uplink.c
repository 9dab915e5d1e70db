/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/uplink.h"

#include <string.h>

#include "proto/base/log.h"
#include "proto/base/rand.h"
#include "proto/control.h"

enum { HANDLES = 2 };

static void dial(struct uplink *u);

static void redial_fired(uv_timer_t *timer)
{
	dial(timer->data);
}

/* Half of the pause is drawn, so that the cells of a rack do not knock all at once. */
static void redial_later(struct uplink *u)
{
	uint16_t draw = 0;

	rand_bytes(&draw, sizeof(draw), NULL);
	uv_timer_start(&u->redial, redial_fired, u->pause_ms / 2 + draw % (u->pause_ms / 2 + 1), 0);
	u->pause_ms = u->pause_ms * 2 < UPLINK_PAUSE_MAX_MS ? u->pause_ms * 2 : UPLINK_PAUSE_MAX_MS;
}

static void finish_if_closed(struct uplink *u)
{
	if (u->closing && !u->link && u->handles == 0)
		u->ops->closed(u->context);
}

static void load_fired(uv_timer_t *timer)
{
	struct uplink *u = timer->data;

	u->ops->tick(u->context);
}

static void take_welcome(struct uplink *u, const Cellular__CelldWelcome *welcome)
{
	uint32_t ms = welcome->load_ms;

	log_info("joined as cell %u", welcome->cell_id);
	u->welcome = true;
	u->complained = ERR_OK;
	u->pause_ms = UPLINK_PAUSE_MIN_MS;
	ms = ms < UPLINK_LOAD_MS_MIN   ? UPLINK_LOAD_MS_MIN
	     : ms > UPLINK_LOAD_MS_MAX ? UPLINK_LOAD_MS_MAX
				       : ms;
	uv_timer_start(&u->load, load_fired, ms, ms);
}

static void link_open(void *context, struct link *link)
{
	struct uplink *u = context;

	(void)link;
	u->open = true;
	u->ops->join(u->context);
}

static void link_message(void *context, struct link *link, uint16_t type,
			 const ProtobufCMessage *message)
{
	struct uplink *u = context;

	if (type == CTL_TYPE_CELLD_WELCOME)
		take_welcome(u, (const Cellular__CelldWelcome *)message);
	else
		u->ops->order(u->context, link, type, message);
}

static void link_closed(void *context, struct link *link, const struct err *why)
{
	struct uplink *u = context;

	u->rejected += link_rejected(link);
	if (!u->closing && (u->welcome || (int)why->code != u->complained))
		log_warning("no controller: %s; dialling again", why->text);
	u->complained = why->code;
	u->link = NULL;
	u->open = u->welcome = false;
	if (u->closing) {
		finish_if_closed(u);
		return;
	}
	uv_timer_stop(&u->load);
	redial_later(u);
}

static const struct link_ops link_ops = {
	.open = link_open, .message = link_message, .closed = link_closed};

static void dial(struct uplink *u)
{
	struct err e;

	if (link_dial(u->loop, u->address, &u->identity, &link_ops, u, &u->link, &e)) {
		log_warning("cannot dial %s: %s", u->address, e.text);
		redial_later(u);
	}
}

int uplink_start(struct uplink *u, struct err *e)
{
	int rc;

	u->pause_ms = UPLINK_PAUSE_MIN_MS;
	rc = link_dial(u->loop, u->address, &u->identity, &link_ops, u, &u->link, e);
	if (rc)
		return rc;
	uv_timer_init(u->loop, &u->redial);
	uv_timer_init(u->loop, &u->load);
	u->redial.data = u->load.data = u;
	u->handles = HANDLES;
	return ERR_OK;
}

void uplink_send(struct uplink *u, uint16_t type, const ProtobufCMessage *message)
{
	struct err e;

	if (u->open && link_send(u->link, type, message, &e))
		log_warning("cannot tell the controller: %s", e.text);
}

void uplink_reject(struct uplink *u)
{
	u->rejected++;
	link_close(u->link);
}

static void handle_closed(uv_handle_t *handle)
{
	struct uplink *u = handle->data;

	u->handles--;
	finish_if_closed(u);
}

void uplink_close(struct uplink *u)
{
	if (u->closing)
		return;
	u->closing = true;
	uv_close((uv_handle_t *)&u->redial, handle_closed);
	uv_close((uv_handle_t *)&u->load, handle_closed);
	if (u->link)
		link_close(u->link);
}
