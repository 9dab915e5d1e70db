/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/fragment.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/celld/flight.h"
#include "node/celld/last_words.h"
#include "node/celld/spawn.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"

enum {
	HANDLES = 2,	      /* timer and guard */
	LINK_END_MS = 1000,   /* a link whose process is dead ends by itself; not relied on */
	NOT_DYING_MS = 10000, /* after SIGKILL: how often to complain */
	COUNTERS_MAX = 64,
};

/* ---- the end
 * -------------------------------------------------------------------------------------------------------
 */

/* A reason that celld itself finds. */
#define OWN_REASON(f, end_cause, ...)                                                              \
	do {                                                                                       \
		(f)->reason = (struct end_reason){.member = (f)->member};                          \
		snprintf((f)->reason.cell, sizeof((f)->reason.cell), "%s", (f)->config->cell);     \
		reason_set(&(f)->reason, end_cause, __VA_ARGS__);                                  \
	} while (0)

/*
 * An order to quit may overtake the news of a death that caused it: a fragment elsewhere saw this
 * one go first. Then the death is the reason, not its echo.
 */
static bool quit_is_the_reason(const struct fragment *f)
{
	bool killed_by_others = WIFSIGNALED(f->wait_status) && !f->killed;

	return f->asked &&
	       !(killed_by_others && f->quit.cause > CELLULAR__END_CAUSE__END_PROCESS_DIED);
}

static void settle_reason(struct fragment *f)
{
	char words[LAST_WORDS_MAX];

	if (f->reason.cause != CELLULAR__END_CAUSE__END_NONE)
		return;
	if (quit_is_the_reason(f)) {
		f->reason = f->quit;
		return;
	}
	last_words(f->log, words);
	OWN_REASON(f, CELLULAR__END_CAUSE__END_PROCESS_DIED, "%s", "");
	reason_of_process(&f->reason, f->wait_status, (int)f->pid, words);
}

/* What it did last is of interest only where something broke. */
static void keep_flight(struct fragment *f)
{
	Cellular__EndCause cause = f->reason.cause;
	char path[FLIGHT_PATH_MAX];

	if ((cause == CELLULAR__END_CAUSE__END_PROCESS_DIED ||
	     cause == CELLULAR__END_CAUSE__END_MEMBER_LOST ||
	     cause == CELLULAR__END_CAUSE__END_MONITOR) &&
	    flight_save(f->flight, f->config->run, f->vm_id, f->member, path))
		log_info("vm %" PRIu64 ": the last events of fragment %u are in %s", f->vm_id,
			 f->member, path);
	fd_close(&f->flight);
}

static void handle_gone(struct fragment *f)
{
	if (--f->handles == 0)
		f->config->ops->gone(f->config->context, f);
}

static void timer_closed(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

static void guard_closed(struct guard *g)
{
	handle_gone((struct fragment *)((char *)g - offsetof(struct fragment, guard)));
}

static void end_if_over(struct fragment *f)
{
	if (!f->reaped || f->link || f->phase == FRAGMENT_GONE)
		return;
	settle_reason(f);
	keep_flight(f);
	f->phase = FRAGMENT_GONE;
	f->state = CELLULAR__FRAG_STATE__FRAG_GONE;
	guard_stop(&f->guard, guard_closed);
	uv_close((uv_handle_t *)&f->timer, timer_closed);
}

static void kill_process(struct fragment *f)
{
	f->phase = FRAGMENT_LEAVING;
	if (f->reaped)
		return;
	f->killed = true;
	kill(f->pid, SIGKILL);
}

static void timer_fired(uv_timer_t *timer)
{
	struct fragment *f = timer->data;

	if (f->reaped) {
		if (f->link)
			link_close(f->link);
		return;
	}
	if (f->phase == FRAGMENT_ALIVE)
		OWN_REASON(f, CELLULAR__END_CAUSE__END_START_FAILED,
			   "cell-vm (pid %d) on %s did not listen within %u s", (int)f->pid,
			   f->config->cell, f->config->start_ms / 1000);
	else if (!uv_timer_get_repeat(timer))
		log_warning("vm %" PRIu64 ": cell-vm (pid %d) does not end: killed", f->vm_id,
			    (int)f->pid);
	else
		log_warning("vm %" PRIu64 ": cell-vm (pid %d) was killed and does not die",
			    f->vm_id, (int)f->pid);
	kill_process(f);
	uv_timer_start(timer, timer_fired, NOT_DYING_MS, NOT_DYING_MS);
}

static void leave(struct fragment *f)
{
	f->phase = FRAGMENT_LEAVING;
	uv_timer_start(&f->timer, timer_fired, FRAGMENT_QUIT_MS, 0);
}

void fragment_quit(struct fragment *f, const Cellular__EndReason *why)
{
	Cellular__FragQuit quit = CELLULAR__FRAG_QUIT__INIT;
	Cellular__EndReason reason;

	if (f->phase != FRAGMENT_ALIVE)
		return;
	reason_from_message(&f->quit, why);
	if (f->quit.cause == CELLULAR__END_CAUSE__END_NONE)
		reason_set(&f->quit, CELLULAR__END_CAUSE__END_KILLED, "ended on demand");
	reason_to_message(&f->quit, &reason);
	f->asked = true;
	quit.vm_id = f->vm_id;
	quit.epoch = f->epoch;
	quit.reason = &reason;
	leave(f);
	fragment_send(f, CTL_TYPE_FRAG_QUIT, &quit.base, NULL);
}

void fragment_reap(struct fragment *f)
{
	pid_t pid;

	if (f->reaped)
		return;
	pid = waitpid(f->pid, &f->wait_status, WNOHANG);
	if (pid == 0)
		return;
	assert(pid == f->pid); /* nobody else reaps our children */
	f->reaped = true;
	vm_uids_give_back(f->config->uids, &f->uid);
	f->phase = FRAGMENT_LEAVING;
	uv_timer_start(&f->timer, timer_fired, LINK_END_MS, 0);
	end_if_over(f);
}

/* ---- what the process says
 * ------------------------------------------------------------------------------------------- */

static void broke_protocol(struct fragment *f, const char *how)
{
	f->broke = true;
	if (f->reason.cause == CELLULAR__END_CAUSE__END_NONE)
		OWN_REASON(f, CELLULAR__END_CAUSE__END_MONITOR,
			   "cell-vm (pid %d) on %s broke the control protocol: %s", (int)f->pid,
			   f->config->cell, how);
	kill_process(f);
}

static void keep_stat(struct fragment *f, const Cellular__DsmStat *stat)
{
	size_t n;
	uint8_t *packed;

	if (!stat || stat->n_counters > COUNTERS_MAX || stat->n_hot > COUNTERS_MAX)
		return;
	n = cellular__dsm_stat__get_packed_size(stat);
	packed = malloc(n + 1);
	if (!packed)
		return;
	cellular__dsm_stat__pack(stat, packed);
	if (f->stat)
		cellular__dsm_stat__free_unpacked(f->stat, NULL);
	f->stat = cellular__dsm_stat__unpack(NULL, n, packed);
	free(packed);
}

static void keep_reason(struct fragment *f, const Cellular__EndReason *in)
{
	if (!in || in->cause == CELLULAR__END_CAUSE__END_NONE ||
	    f->reason.cause != CELLULAR__END_CAUSE__END_NONE)
		return;
	reason_from_message(&f->reason, in);
	if (!f->reason.cell[0] && f->reason.member == f->member &&
	    f->reason.cause != CELLULAR__END_CAUSE__END_MEMBER_LOST)
		snprintf(f->reason.cell, sizeof(f->reason.cell), "%s", f->config->cell);
}

static void take_report(struct fragment *f, const Cellular__FragReport *in)
{
	if (in->state < f->state || in->state > CELLULAR__FRAG_STATE__FRAG_STOPPED) {
		broke_protocol(f, "a state that cannot follow");
		return;
	}
	keep_stat(f, in->stat);
	if (in->state == f->state)
		return;
	if (f->state == CELLULAR__FRAG_STATE__FRAG_STARTING && f->phase == FRAGMENT_ALIVE)
		uv_timer_stop(&f->timer);
	f->state = in->state;
	if (in->address[0])
		snprintf(f->address, sizeof(f->address), "%s", in->address);
	if (in->state == CELLULAR__FRAG_STATE__FRAG_STOPPED)
		keep_reason(f, in->reason);
	f->config->ops->changed(f->config->context, f);
}

static void take_answer(struct fragment *f, const Cellular__FragAnswer *in)
{
	if (in->request == 0)
		keep_stat(f, in->stat);
	else
		f->config->ops->answer(f->config->context, f, in);
}

static void link_message(void *context, struct link *link, uint16_t type,
			 const ProtobufCMessage *message)
{
	struct fragment *f = context;
	const Cellular__FragConsole *console;

	(void)link;
	switch (type) {
	case CTL_TYPE_FRAG_REPORT:
		take_report(f, (const Cellular__FragReport *)message);
		break;
	case CTL_TYPE_FRAG_ANSWER:
		take_answer(f, (const Cellular__FragAnswer *)message);
		break;
	case CTL_TYPE_FRAG_CONSOLE:
		console = (const Cellular__FragConsole *)message;
		console_write(&f->console, console->data.data, console->data.len, NULL);
		break;
	default:
		broke_protocol(f, "a message that is not its to send");
	}
}

static void link_open(void *context, struct link *link)
{
	(void)context;
	(void)link;
}

static void link_closed(void *context, struct link *link, const struct err *why)
{
	struct fragment *f = context;

	(void)link;
	f->link = NULL;
	if (!f->reaped && f->phase == FRAGMENT_ALIVE) {
		if (why->code == ERR_PROTOCOL || why->code == ERR_TOOBIG ||
		    why->code == ERR_VERSION)
			broke_protocol(f, why->text);
		else
			leave(f);
	}
	end_if_over(f);
}

static const struct link_ops link_ops = {
	.open = link_open, .message = link_message, .closed = link_closed};

/* ---- the start
 * -------------------------------------------------------------------------------------------------------
 */

static int start_process(struct fragment *f, int *control, struct err *e)
{
	struct spawn_rights rights = {.keep = f->config->keep_rights};
	struct spawned child;
	int rc = vm_uids_take(f->config->uids, &f->uid, e);

	if (rc)
		return rc;
	rights.uid = f->uid;
	snprintf(f->log, sizeof(f->log), "%s/vm-%" PRIu64 ".log", f->config->run, f->vm_id);
	rc = spawn_vm(f->config->program, &rights, f->log, &child, e);
	if (rc) {
		vm_uids_give_back(f->config->uids, &f->uid);
		return rc;
	}
	f->pid = child.pid;
	f->flight = child.flight;
	*control = child.control;
	rc = guard_start(&f->guard, f->config->loop, child.uffd, e);
	if (!rc)
		return ERR_OK;
	kill(child.pid, SIGKILL);
	waitpid(child.pid, NULL, 0);
	vm_uids_give_back(f->config->uids, &f->uid);
	close(child.control);
	fd_close(&f->flight);
	unlink(f->log);
	return rc;
}

static int hand_over_order(struct fragment *f, int control, const Cellular__FragStart *order,
			   struct err *e)
{
	Cellular__FragStart own = *order; /* shallow: only packed */
	int rc;

	own.data_address = (char *)f->config->data;
	rc = link_adopt(f->config->loop, control, &link_ops, f, &f->link, e);
	if (rc) {
		close(control);
		return rc;
	}
	return link_send(f->link, CTL_TYPE_FRAG_START, &own.base, e);
}

int fragment_start(const struct fragment_config *config, const Cellular__FragStart *order,
		   struct fragment **out, struct err *e)
{
	struct fragment *f = calloc(1, sizeof(*f));
	struct err why;
	int control, rc;

	if (!f)
		return err_set(e, ERR_NOMEM, "no memory for a fragment");
	f->config = config;
	f->vm_id = order->vm_id;
	f->epoch = order->epoch;
	f->member = order->member;
	f->state = CELLULAR__FRAG_STATE__FRAG_STARTING;
	rc = start_process(f, &control, e);
	if (rc) {
		free(f);
		return rc;
	}
	uv_timer_init(config->loop, &f->timer);
	f->timer.data = f;
	f->handles = HANDLES;
	uv_timer_start(&f->timer, timer_fired, config->start_ms, 0);
	/* From here on there are handles: a failure takes the road of every other end. */
	if (hand_over_order(f, control, order, &why)) {
		OWN_REASON(f, CELLULAR__END_CAUSE__END_START_FAILED, "%s", why.text);
		f->reason.code = why.code;
		kill_process(f);
	}
	*out = f;
	return ERR_OK;
}

int fragment_send(struct fragment *f, uint16_t type, const ProtobufCMessage *message, struct err *e)
{
	if (!f->link || f->reaped)
		return err_set(e, ERR_STATE, "the fragment's process is gone");
	return link_send(f->link, type, message, e);
}

void fragment_report(const struct fragment *f, Cellular__FragReport *out,
		     Cellular__EndReason *reason)
{
	cellular__frag_report__init(out);
	out->vm_id = f->vm_id;
	out->epoch = f->epoch;
	out->member = f->member;
	out->state = f->state;
	out->address = (char *)f->address;
	out->pid = (uint32_t)f->pid;
	out->stat = f->stat;
	if (f->reason.cause == CELLULAR__END_CAUSE__END_NONE)
		return;
	reason_to_message(&f->reason, reason);
	out->reason = reason;
}

void fragment_free(struct fragment *f)
{
	if (!f)
		return;
	assert(f->phase == FRAGMENT_GONE && f->handles == 0);
	unlink(f->log);
	console_free(&f->console);
	if (f->stat)
		cellular__dsm_stat__free_unpacked(f->stat, NULL);
	free(f);
}
