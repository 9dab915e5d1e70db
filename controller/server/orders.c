/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A step of the policy and its orders. The order of things is the point of this file: event, saves,
 * commit, sends. If a save fails, nothing is sent, and the controller stops: what it could not
 * write down it has not decided.
 */
#include <inttypes.h>
#include <string.h>

#include "controller/server/state.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"

void server_stop(struct server *s, const struct err *why)
{
	if (s->stopping)
		return;
	s->stopping = true;
	if (why)
		s->failure = *why;
	uv_stop(&s->loop);
}

/* ---- saves ---- */

/* The slot of a VM that is saved for the first time has no body yet: it is the one that comes. */
static struct body *body_of(struct server *s, unsigned slot, struct space_id id)
{
	struct body *body = &s->bodies[slot];

	if (body->id.v == id.v)
		return body;
	body_free(body);
	*body = s->coming;
	body->id = id;
	memset(&s->coming, 0, sizeof(s->coming));
	return body;
}

static int save_vm(struct server *s, const struct policy_order *order, struct err *e)
{
	const struct policy_vm *vm = policy_vm_at(s->policy, order->vm);
	struct store_vm record = {.vm = vm};
	const struct body *body;

	if (!vm || vm->id.v != order->vm_id.v)
		return ERR_OK; /* saved and forgotten in one step */
	body = body_of(s, order->vm, vm->id);
	record.spec = (struct store_blob){body->spec.bytes, body->spec.n};
	for (unsigned m = 0; m < vm->members; m++) {
		record.cells[m] = policy_cell_at(s->policy, vm->fragments[m].cell)->id;
		record.stats[m] = (struct store_blob){body->stats[m].bytes, body->stats[m].n};
	}
	return store_save_vm(s->store, &record, e);
}

static int save(struct server *s, const struct policy_order *order, struct err *e)
{
	switch (order->kind) {
	case POLICY_SAVE_CELL:
		return store_save_cell(s->store, policy_cell_at(s->policy, order->cell), e);
	case POLICY_SAVE_VM:
		return save_vm(s, order, e);
	case POLICY_FORGET_CELL:
		return store_forget_cell(s->store, order->cell_id, e);
	case POLICY_FORGET_VM:
		if (s->bodies[order->vm].id.v == order->vm_id.v)
			body_free(&s->bodies[order->vm]);
		return store_forget_vm(s->store, order->vm_id, e);
	default:
		return ERR_OK;
	}
}

static int save_all(struct server *s, const struct policy_orders *orders, struct err *e)
{
	int ret = orders->n_saves ? store_begin(s->store, e) : ERR_OK;

	for (size_t i = 0; !ret && i < orders->n_saves; i++)
		ret = save(s, &orders->saves[i], e);
	if (!ret && orders->n_saves)
		ret = store_commit(s->store, e);
	return ret;
}

/* ---- time ---- */

/*
 * The policy judges cells by their silence. While this process stood still - stopped, or its
 * machine - it could hear nobody, and what they sent meanwhile is read only after the timers that
 * fell due. So that time does not count: deadlines go by time in which a cell could be heard.
 */
uint64_t server_now_ms(struct server *s)
{
	uint64_t now = clock_ms();

	if (now - s->beat_ms > SERVER_STALL_MS) {
		log_warning("the controller stood still for %" PRIu64 " ms", now - s->beat_ms);
		s->stood_still_ms += now - s->beat_ms - SERVER_BEAT_MS;
	}
	s->beat_ms = now;
	return now - s->stood_still_ms;
}

static void on_beat(uv_timer_t *timer)
{
	server_now_ms(timer->data);
}

void server_beat(struct server *s)
{
	s->beat_ms = clock_ms();
	s->beat.data = s;
	uv_timer_init(&s->loop, &s->beat);
	uv_timer_start(&s->beat, on_beat, SERVER_BEAT_MS, SERVER_BEAT_MS);
}

static void arm(struct server *s, uint64_t at_ms);

static void on_timer(uv_timer_t *timer)
{
	struct server *s = timer->data;

	if (server_now_ms(s) < s->due_ms)
		arm(s, s->due_ms);
	else
		server_step(s, &(struct policy_event){.kind = POLICY_EV_TIMER});
}

static void arm(struct server *s, uint64_t at_ms)
{
	uint64_t now = server_now_ms(s);

	s->due_ms = at_ms;
	uv_timer_stop(&s->timer);
	if (!at_ms)
		return;
	uv_update_time(&s->loop);
	uv_timer_start(&s->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

/* ---- sends ---- */

static void close_link(struct server *s, const struct policy_order *order)
{
	struct peer *peer = server_peer(s, order->number);

	if (!peer)
		return;
	log_warning("a cell's link is closed: %s", order->answer->text);
	link_close(peer->link);
}

static void send_all(struct server *s, const struct policy_orders *orders)
{
	for (size_t i = 0; i < orders->n_sends; i++) {
		const struct policy_order *order = &orders->sends[i];

		switch (order->kind) {
		case POLICY_ANSWER:
			server_answer(s, order);
			break;
		case POLICY_TIMER:
			arm(s, order->number);
			break;
		case POLICY_CLOSE:
			close_link(s, order);
			break;
		default:
			server_tell_cell(s, order);
		}
	}
}

void server_step(struct server *s, struct policy_event *event)
{
	struct policy_orders orders;
	struct err e;

	if (s->stopping)
		return;
	event->now_ms = server_now_ms(s);
	event->unix_ms = clock_unix_ms();
	orders = policy_step(s->policy, event);
	if (save_all(s, &orders, &e)) {
		log_error("%s", e.text);
		server_stop(s, &e);
		return;
	}
	send_all(s, &orders);
}
