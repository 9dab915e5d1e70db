/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cli/client.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/key.h"
#include "proto/link.h"

enum {
	DIAL_MS = 5000, /* for the dial, when questions may wait for ever */
	GRACE_MS = 500, /* the controller's own answer to a late question is better than ours */
};

struct client {
	uv_loop_t loop;
	uv_timer_t timer;
	struct link *link; /* NULL: over */
	bool open;
	bool late;
	uint32_t timeout_ms;
	uint64_t asked;		   /* number of the last question */
	Cellular__CtlReply *reply; /* to it */
	struct err why;		   /* of the link's end */
};

static Cellular__CtlReply *copy_reply(const Cellular__CtlReply *in)
{
	size_t n = cellular__ctl_reply__get_packed_size(in);
	uint8_t *packed = malloc(n + 1);
	Cellular__CtlReply *copy = NULL;

	if (packed) {
		cellular__ctl_reply__pack(in, packed);
		copy = cellular__ctl_reply__unpack(NULL, n, packed);
	}
	free(packed);
	return copy;
}

static void link_open(void *context, struct link *link)
{
	struct client *c = context;

	(void)link;
	c->open = true;
}

static void link_message(void *context, struct link *link, uint16_t type,
			 const ProtobufCMessage *message)
{
	struct client *c = context;
	const Cellular__CtlReply *reply = (const Cellular__CtlReply *)message;

	(void)link;
	if (type != CTL_TYPE_CTL_REPLY || reply->request != c->asked || c->reply)
		return; /* not for us, or too late */
	c->reply = copy_reply(reply);
}

static void link_closed(void *context, struct link *link, const struct err *why)
{
	struct client *c = context;

	(void)link;
	c->link = NULL;
	c->open = false;
	c->why = *why;
}

static const struct link_ops link_ops = {
	.open = link_open, .message = link_message, .closed = link_closed};

static void timer_fired(uv_timer_t *timer)
{
	struct client *c = timer->data;

	c->late = true;
}

/* Runs the loop until the flag is set, the link is over, or time is up. */
static void run(struct client *c, uint32_t ms, const bool *flag, Cellular__CtlReply *const *reply)
{
	c->late = false;
	uv_timer_stop(&c->timer);
	if (ms)
		uv_timer_start(&c->timer, timer_fired, ms, 0);
	while (c->link && !c->late && !(flag && *flag) && !(reply && *reply))
		uv_run(&c->loop, UV_RUN_ONCE);
}

static int link_error(const struct client *c, const char *address, struct err *e)
{
	if (c->link)
		return err_set(e, ERR_TIMEOUT, "the controller at %s does not answer", address);
	if (c->why.code == ERR_OK || c->why.code == ERR_LOST)
		return err_set(e, ERR_UNREACHABLE, "the controller has closed the link: %s",
			       c->why.text);
	if (e)
		*e = c->why;
	return err_wrap(e, c->why.code, "no controller");
}

int client_open(const struct client_config *config, struct client **out, struct err *e)
{
	struct link_identity identity = {.kind = HELLO_CTL};
	struct client *c;
	int rc = key_file_read(config->key, identity.key, e);

	if (rc)
		return rc;
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(e, ERR_NOMEM, "no memory for a link");
	uv_loop_init(&c->loop);
	uv_timer_init(&c->loop, &c->timer);
	c->timer.data = c;
	c->timeout_ms = config->timeout_ms;
	rc = link_dial(&c->loop, config->controller, &identity, &link_ops, c, &c->link, e);
	if (!rc) {
		run(c, c->timeout_ms ? c->timeout_ms : DIAL_MS, &c->open, NULL);
		if (!c->open)
			rc = link_error(c, config->controller, e);
	}
	if (rc)
		client_close(c);
	else
		*out = c;
	return rc;
}

int client_ask(struct client *c, Cellular__CtlRequest *request, Cellular__CtlReply **reply,
	       struct err *e)
{
	int rc;

	if (!c->link)
		return link_error(c, "", e);
	request->request = ++c->asked;
	request->timeout_ms = c->timeout_ms;
	rc = link_send(c->link, CTL_TYPE_CTL_REQUEST, &request->base, e);
	if (rc)
		return rc;
	run(c, c->timeout_ms ? c->timeout_ms + GRACE_MS : 0, NULL, &c->reply);
	if (!c->reply)
		return c->link ? err_set(e, ERR_TIMEOUT, "no answer within %g s",
					 c->timeout_ms / 1000.0)
			       : link_error(c, "", e);
	*reply = c->reply;
	c->reply = NULL;
	if ((*reply)->error == ERR_OK)
		return ERR_OK;
	rc = err_set(e, (enum err_code)(*reply)->error, "%s",
		     (*reply)->text[0] ? (*reply)->text : err_sentence((int)(*reply)->error));
	cellular__ctl_reply__free_unpacked(*reply, NULL);
	*reply = NULL;
	return rc;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	uv_close((uv_handle_t *)&c->timer, NULL);
	if (c->link)
		link_close(c->link);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	uv_loop_close(&c->loop);
	if (c->reply)
		cellular__ctl_reply__free_unpacked(c->reply, NULL);
	free(c);
}
