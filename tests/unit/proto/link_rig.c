/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/proto/link_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, TICK_MS = 20 };

void rig_request(struct link *link, uint64_t n, const char *text)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	request.request = n;
	request.name = (char *)text;
	CU_ASSERT_EQUAL(link_send(link, CTL_TYPE_CTL_REQUEST, &request.base, NULL), ERR_OK);
}

static void on_open(void *context, struct link *link)
{
	struct side *side = context;

	CU_ASSERT_EQUAL(side->closes, 0);
	side->link = link;
	side->opens++;
}

static void on_message(void *context, struct link *link, uint16_t type,
		       const ProtobufCMessage *message)
{
	struct side *side = context;
	const Cellular__CtlRequest *request = (const Cellular__CtlRequest *)message;

	CU_ASSERT_EQUAL(side->opens, 1);
	side->messages++;
	side->last_type = type;
	if (type != CTL_TYPE_CTL_REQUEST)
		return;
	side->gap = side->gap || (side->messages > 1 && request->request != side->last_request + 1);
	side->last_request = request->request;
	side->last_text = strlen(request->name);
	if (side->echo)
		rig_request(link, request->request, request->name);
	if (side->close_on_message)
		link_close(link);
}

static void on_closed(void *context, struct link *link, const struct err *why)
{
	struct side *side = context;

	CU_ASSERT_PTR_EQUAL(link_context(link), context);
	side->closes++;
	side->why = *why;
	side->link = NULL;
}

const struct link_ops rig_ops = {on_open, on_message, on_closed};

void rig_accept(void *context, struct link *link, enum hello_kind kind)
{
	struct rig *rig = context;

	rig->accepts++;
	rig->kind = kind;
	if (rig->refuse)
		link_close(link);
	else if (!rig->ignore)
		link_set_ops(link, &rig_ops, &rig->server);
}

static void on_guard(uv_timer_t *timer)
{
	struct rig *rig = timer->data;

	rig->late = uv_now(&rig->loop) >= rig->deadline;
}

void rig_listen(struct rig *rig, const char *address)
{
	struct link_identity both[2] = {{.kind = HELLO_CELLD}, {.kind = HELLO_CTL}};
	struct err e = {0};

	memset(both[0].key, 7, CELL_KEY_BYTES);
	memset(both[1].key, 7, CELL_KEY_BYTES);
	CU_ASSERT_EQUAL_FATAL(
		link_listen(&rig->loop, address, both, 2, rig_accept, rig, &rig->listener, &e),
		ERR_OK);
	link_listener_address(rig->listener, rig->address);
}

void rig_init(struct rig *rig, bool unix_socket)
{
	char address[LINK_ADDRESS_MAX];

	memset(rig, 0, sizeof(*rig));
	uv_loop_init(&rig->loop);
	uv_timer_init(&rig->loop, &rig->guard);
	rig->guard.data = rig;
	rig->deadline = uv_now(&rig->loop) + PATIENCE_MS;
	uv_timer_start(&rig->guard, on_guard, TICK_MS, TICK_MS);
	strcpy(rig->directory, "/tmp/cellular-link-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->directory));
	rig->identity.kind = HELLO_CTL;
	memset(rig->identity.key, 7, CELL_KEY_BYTES);
	if (unix_socket)
		snprintf(address, sizeof(address), "unix:%s/sock", rig->directory);
	else
		strcpy(address, "tcp:127.0.0.1:0");
	rig_listen(rig, address);
}

void rig_dial(struct rig *rig)
{
	struct err e = {0};

	CU_ASSERT_EQUAL_FATAL(link_dial(&rig->loop, rig->address, &rig->identity, &rig_ops,
					&rig->dialer, &rig->dialer.link, &e),
			      ERR_OK);
}

void rig_end(struct rig *rig)
{
	if (rig->late)
		return; /* failed already */
	if (rig->dialer.link)
		link_close(rig->dialer.link);
	if (rig->server.link)
		link_close(rig->server.link);
	link_listener_close(rig->listener);
	uv_unref((uv_handle_t *)&rig->guard);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	CU_ASSERT_FALSE(rig->late);
	CU_ASSERT_EQUAL(rig->dialer.closes + rig->server.closes,
			(rig->dialer.opens || rig->dialer.closes) + rig->server.opens);
	uv_close((uv_handle_t *)&rig->guard, NULL);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&rig->loop), 0);
	CU_ASSERT_EQUAL(rmdir(rig->directory), 0); /* the socket's file went with the listener */
}
