/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/control.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/vm/connect.h"
#include "node/vm/handover.h"
#include "node/vm/order.h"
#include "node/vm/report.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/link.h"

enum { CONSOLE_BACKLOG = 1 << 20 }; /* above it console bytes wait where they are */

enum state { WAITING, LISTENING, CONNECTING, READY, RUNNING, ENDING, STOPPED, LEAVING };

static const char *const state_names[] = {"waiting", "listening", "connecting", "ready",
					  "running", "ending",	  "stopped",	"leaving"};

struct control {
	struct control_config config;
	pthread_mutex_t poke_lock; /* against a poke while the loop ends */
	bool deaf;
	uv_async_t poked;
	uv_timer_t tick;
	struct link *link; /* NULL: over */
	enum state state;

	bool ordered; /* order is there */
	struct order order;
	struct load *load; /* member 0, from LISTENING to READY */
	struct vm *vm;	   /* from LISTENING on */
	struct connect connect;

	struct vm_end end;	   /* from ENDING on */
	uint64_t halt_by, done_by; /* ms */
	bool told_done;
	bool quit; /* leave when stopped */
};

static struct report_from from(const struct control *c)
{
	return (struct report_from){
		.link = c->link,
		.vm_id = c->order.vm.id,
		.epoch = c->order.vm.epoch.v,
		.member = c->order.vm.self.v,
		.vm = c->vm,
	};
}

static void report(struct control *c, Cellular__FragState state, const struct vm_end *end)
{
	struct report_from f = from(c);

	if (c->link)
		report_state(&f, state, end);
}

/* ---- leaving ---- */

static void leave(struct control *c)
{
	c->state = LEAVING;
	if (c->link)
		link_close(c->link);
}

static void stop(struct control *c, const struct vm_end *end)
{
	c->end = *end;
	c->state = STOPPED;
	log_info("stopped: %s", end->text);
	report(c, CELLULAR__FRAG_STATE__FRAG_STOPPED, end);
	if (c->quit)
		leave(c);
}

/* ---- the console on member 0 ---- */

static void give_credit(struct control *c, const uint32_t credit[DSM_MEMBERS_MAX])
{
	console_credit(&c->vm->console, credit[0], NULL);
	for (uint8_t m = 1; m < c->order.vm.members; m++) {
		struct vm_message message = {.type = VM_WIRE_CREDIT, .a = credit[m]};

		if (credit[m] && vm_tell(c->vm, (struct member_id){m}, &message) == ERR_NOSPACE)
			vm_end(c->vm, CELLULAR__END_CAUSE__END_MONITOR, 0,
			       "fragment %u takes no messages", m);
	}
}

/* Bytes stay where they are while celld does not read: then the guest waits, not our memory. */
static void pass_console(struct control *c, bool all)
{
	struct report_from f = from(c);
	uint32_t credit[DSM_MEMBERS_MAX];
	char bytes[CONSOLE_WINDOW];
	size_t n;

	if (!c->vm || c->order.vm.self.v || !c->link)
		return;
	while ((all || link_backlog(c->link) < CONSOLE_BACKLOG) &&
	       (n = console_take(&c->vm->console, bytes, credit))) {
		report_console(&f, bytes, n);
		give_credit(c, credit);
	}
}

/* ---- the end ---- */

static bool halted(struct control *c)
{
	return vm_halted(c->vm) && connect_over(&c->connect);
}

static bool others_done(struct control *c)
{
	uint8_t members = c->order.vm.members;
	dsm_set all = members == DSM_MEMBERS_MAX ? ~0ull : (1ull << members) - 1;

	return c->order.vm.self.v || !c->vm->connected || (vm_done(c->vm) | 1) == all ||
	       c->end.cause == CELLULAR__END_CAUSE__END_MEMBER_LOST;
}

static void begin_end(struct control *c)
{
	bool lost = c->end.cause == CELLULAR__END_CAUSE__END_MEMBER_LOST;

	c->state = ENDING;
	c->halt_by = clock_ms() + (lost ? CONTROL_HALT_LOST_MS : CONTROL_HALT_MS);
	c->done_by = c->halt_by + CONTROL_DONE_MS;
	connect_stop(&c->connect);
}

static void finish_end(struct control *c)
{
	uint64_t now = clock_ms();

	if (!halted(c) && now < c->halt_by)
		return;
	if (!c->told_done) {
		c->told_done = true;
		if (!halted(c))
			log_warning("not all threads left the guest");
		if (c->order.vm.self.v)
			vm_tell(c->vm, (struct member_id){0},
				&(struct vm_message){.type = VM_WIRE_DONE});
	}
	if (!others_done(c) && now < c->done_by)
		return;
	pass_console(c, true);
	dsm_quiesce(c->vm->dsm);
	stop(c, &c->end);
}

/* ---- orders ---- */

static void fail_start(struct control *c, const struct err *e)
{
	struct vm_end end = {.cause = CELLULAR__END_CAUSE__END_START_FAILED,
			     .code = (int)e->code,
			     .member = c->order.vm.self};

	snprintf(end.text, sizeof(end.text), "%s", e->text);
	if (c->vm)
		vm_end_for(c->vm, &end, true);
	else
		stop(c, &end);
}

static void poke(void *context)
{
	struct control *c = context;

	pthread_mutex_lock(&c->poke_lock);
	if (!c->deaf)
		uv_async_send(&c->poked);
	pthread_mutex_unlock(&c->poke_lock);
}

static int start(struct control *c, const Cellular__FragStart *m, struct err *e)
{
	int rc = order_take(m, &c->order, e);

	if (rc) { /* enough to report under the right name */
		c->order.vm.id = m->vm_id;
		c->order.vm.epoch.v = m->epoch;
		c->order.vm.self.v = (uint8_t)m->member;
		return rc;
	}
	c->ordered = true;
	if (c->config.kvm < 0) {
		*e = c->config.kvm_why;
		return e->code;
	}
	if (!c->order.vm.self.v && (rc = load_open(&c->order.load, &c->load, e)))
		return rc;
	c->order.vm.kvm = c->config.kvm;
	c->order.vm.flight = c->config.flight;
	c->order.vm.context = c;
	c->order.vm.poke = poke;
	if ((rc = vm_open(&c->order.vm, &c->vm, e)))
		return rc;
	rc = handover_uffd(c->config.uffd_socket, dsm_uffd(c->vm->dsm), e);
	fd_close(&c->config.uffd_socket);
	/* All is open that takes a right; nothing was looked at that may be hostile. */
	if (rc || (rc = sandbox_enter(&c->config.sandbox, e)))
		return rc;
	return c->load ? load_read(c->load, e) : ERR_OK;
}

static void take_start(struct control *c, const Cellular__FragStart *m)
{
	struct err e = {0};

	if (start(c, m, &e)) {
		fail_start(c, &e);
		return;
	}
	c->state = LISTENING;
	report(c, CELLULAR__FRAG_STATE__FRAG_LISTENING, NULL);
}

static void take_peers(struct control *c, const Cellular__FragPeers *m)
{
	struct err e = {0};

	if (m->n_address != c->order.vm.members)
		err_set(&e, ERR_INVALID, "%zu addresses for %u members", m->n_address,
			c->order.vm.members);
	else
		connect_start(&c->connect, c->vm, c->load, m->address, poke, c, &e);
	if (e.code)
		fail_start(c, &e);
	else
		c->state = CONNECTING;
}

static void connected(struct control *c)
{
	struct err e = {0};

	if (connect_finish(&c->connect, &e) || sandbox_connected(&e)) {
		fail_start(c, &e);
		return;
	}
	sandbox_common_priority();
	load_close(c->load);
	c->load = NULL;
	c->state = READY;
	report(c, CELLULAR__FRAG_STATE__FRAG_READY, NULL);
}

static void take_run(struct control *c)
{
	struct err e = {0};

	if (vm_run(c->vm, &e)) {
		fail_start(c, &e);
		return;
	}
	c->state = RUNNING;
	report(c, CELLULAR__FRAG_STATE__FRAG_RUNNING, NULL);
}

static void take_quit(struct control *c, const Cellular__FragQuit *m)
{
	struct vm_end end = {.cause = CELLULAR__END_CAUSE__END_KILLED, .member = c->order.vm.self};

	c->quit = true;
	if (!c->vm || c->state == STOPPED) {
		leave(c);
		return;
	}
	if (m->reason && m->reason->cause) {
		end.cause = m->reason->cause;
		end.code = m->reason->code;
	}
	snprintf(end.text, sizeof(end.text), "%s",
		 m->reason && *m->reason->text ? m->reason->text : "the VM was ended from outside");
	vm_end_for(c->vm, &end, true);
}

/* What happened elsewhere; comes from the loop after a poke, and from the tick. */
static void look(struct control *c)
{
	pass_console(c, false);
	if (!c->vm || c->state >= STOPPED)
		return;
	if (c->state != ENDING && vm_ended(c->vm, &c->end))
		begin_end(c);
	if (c->state == CONNECTING && connect_over(&c->connect))
		connected(c);
	if (c->state == ENDING)
		finish_end(c);
}

static void on_poke(uv_async_t *async)
{
	look(async->data);
}

static void on_tick(uv_timer_t *timer)
{
	struct control *c = timer->data;

	if (c->state == ENDING || c->state == RUNNING)
		look(c);
}

/* ---- the link ---- */

static bool stale(const struct control *c, uint64_t vm_id, uint32_t epoch)
{
	return vm_id != c->order.vm.id || epoch != c->order.vm.epoch.v;
}

/* The one state in which an order is right; FragQuit and FragQuery are always. */
static bool fits(struct control *c, enum state wanted, uint16_t type, bool old)
{
	if (c->state == wanted && !old)
		return true;
	log_warning("%s while %s%s: dropped", ctl_type_name(type), state_names[c->state],
		    old ? ", of another VM or epoch" : "");
	return false;
}

static void on_message(void *context, struct link *link, uint16_t type,
		       const ProtobufCMessage *message)
{
	const Cellular__FragPeers *peers = (const Cellular__FragPeers *)message;
	const Cellular__FragRun *run = (const Cellular__FragRun *)message;
	struct control *c = context;
	struct report_from f;

	(void)link;
	switch (type) {
	case CTL_TYPE_FRAG_START:
		if (fits(c, WAITING, type, false))
			take_start(c, (const Cellular__FragStart *)message);
		break;
	case CTL_TYPE_FRAG_PEERS:
		if (fits(c, LISTENING, type, stale(c, peers->vm_id, peers->epoch)))
			take_peers(c, peers);
		break;
	case CTL_TYPE_FRAG_RUN:
		if (fits(c, READY, type, stale(c, run->vm_id, run->epoch)))
			take_run(c);
		break;
	case CTL_TYPE_FRAG_QUIT:
		take_quit(c, (const Cellular__FragQuit *)message);
		break;
	case CTL_TYPE_FRAG_QUERY:
		f = from(c);
		report_answer(&f, (const Cellular__FragQuery *)message);
		break;
	default:
		log_warning("%s: not for a fragment, dropped", ctl_type_name(type));
	}
}

/* After leave: the loop ends. Before: celld is gone, and a fragment does not outlive it. */
static void on_closed(void *context, struct link *link, const struct err *why)
{
	struct control *c = context;

	(void)link;
	c->link = NULL;
	if (c->state != LEAVING)
		log_error("the link to celld is over: %s", why->text);
	pthread_mutex_lock(&c->poke_lock);
	c->deaf = true;
	uv_close((uv_handle_t *)&c->poked, NULL);
	pthread_mutex_unlock(&c->poke_lock);
	uv_close((uv_handle_t *)&c->tick, NULL);
}

static void on_open(void *context, struct link *link)
{
	(void)context, (void)link;
}

static const struct link_ops link_ops = {
	.open = on_open, .message = on_message, .closed = on_closed};

int control_open(uv_loop_t *loop, const struct control_config *config, struct control **out,
		 struct err *e)
{
	struct control *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return err_set(e, ERR_NOMEM, "no memory");
	c->config = *config;
	pthread_mutex_init(&c->poke_lock, NULL);
	if ((rc = link_adopt(loop, config->link_fd, &link_ops, c, &c->link, e))) {
		free(c);
		return rc;
	}
	uv_async_init(loop, &c->poked, on_poke);
	uv_timer_init(loop, &c->tick);
	c->poked.data = c->tick.data = c;
	uv_timer_start(&c->tick, on_tick, CONTROL_TICK_MS, CONTROL_TICK_MS);
	*out = c;
	return ERR_OK;
}

bool control_close(struct control *c)
{
	if (c->vm && !halted(c))
		return false;
	connect_free(&c->connect);
	vm_close(c->vm);
	load_close(c->load);
	if (c->ordered)
		order_free(&c->order);
	fd_close(&c->config.uffd_socket);
	free(c);
	return true;
}
