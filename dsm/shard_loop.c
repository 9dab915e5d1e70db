/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shard's thread. A round: sleep until something is to be done -> messages (they answer those
 * who wait) -> faults -> the core's timer -> commands -> hand all that was sent to the system,
 * once. Each part has a budget, so that none starves the others; what is left keeps the next round
 * from sleeping. How long and how to sleep is decided in shard_wait and nowhere else.
 *
 * Nothing on the way of a fault allocates, takes a lock or waits.
 */
#include "dsm/shard.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/base/clock.h"

enum {
	READY_FAULTS = 1 << 0,
	READY_MESSAGES = 1 << 1,
	READY_COMMANDS = 1 << 2,
	READY_TIMER = 1 << 3,
	READY_MAP = 1 << 4, /* no descriptor: only ever left over */
	READY_SOURCES = 4,

	FAULT_BATCH = 32,
	FAULT_BATCHES = 4,    /* a round */
	MESSAGE_BUDGET = 256, /* a round */

	LOOKS = 8, /* for messages, before a look for anything else */
};

static int watch(struct shard *s, int fd, uint32_t ready, struct err *e)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = ready};

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) ? err_sys(e, errno, "epoll_ctl")
							   : ERR_OK;
}

int shard_watch(struct shard *s, struct err *e)
{
	int rc = watch(s, s->mem_ops->fd(s->mem), READY_FAULTS, e);

	if (!rc)
		rc = watch(s, s->transport_ops->fd(s->transport), READY_MESSAGES, e);
	if (!rc)
		rc = watch(s, command_fd(s->commands), READY_COMMANDS, e);
	if (!rc)
		rc = watch(s, s->timer, READY_TIMER, e);
	return rc;
}

/* What epoll knows, as a set. */
static uint32_t ask(struct shard *s, int timeout_ms)
{
	struct epoll_event ev[READY_SOURCES];
	uint32_t ready = 0;
	int n = epoll_wait(s->epoll, ev, READY_SOURCES, timeout_ms);

	if (n < 0 && errno != EINTR) {
		struct err e;

		err_sys(&e, errno, "epoll_wait");
		shard_fail(s, &e);
	}
	for (int i = 0; i < n; i++)
		ready |= ev[i].data.u32;
	return ready;
}

/* Mostly for messages: they are what is worth staying awake for. */
static uint32_t look_on(struct shard *s)
{
	uint64_t now = clock_ns();
	uint32_t ready = 0;

	for (unsigned i = 1; !ready && awake_stays(&s->awake, dsm_core_pending(s->core), now);
	     i++) {
		uint64_t last = now;

		if (s->transport_ops->look(s->transport))
			return READY_MESSAGES;
		if (i % LOOKS == 0)
			ready = ask(s, 0);
		sched_yield();
		now = clock_ns();
		awake_looked(&s->awake, last, now);
	}
	return ready;
}

/* Waits until there is work; what is ready, as a set. */
static uint32_t shard_wait(struct shard *s)
{
	uint32_t ready = s->left;

	s->left = 0;
	if (ready)
		return ready | ask(s, 0);
	ready = look_on(s);
	return ready ? ready : ask(s, -1);
}

/* A message of the link: not the core's business. */
static bool link_message(struct shard *s, const struct transport_event *ev)
{
	struct err why;

	switch (ev->msg.type) {
	case PAGE_POST:
		if (ev->msg.epoch.v == s->config.epoch.v)
			s->user.post(s->user.context, ev->from, ev->data, ev->bytes);
		return true;
	case PAGE_MEMBER_LOST:
		err_set(&why, ERR_LOST, "member %u was lost, says member %u", ev->msg.requester.v,
			ev->from.v);
		if (ev->msg.epoch.v == s->config.epoch.v)
			shard_member_lost(s, ev->msg.requester, &why);
		return true;
	case PAGE_PING:
		return true;
	default:
		return false;
	}
}

/* What is to be done beside the core when members come and go. */
static void member_message(struct shard *s, const struct transport_event *ev)
{
	dsm_set present = dsm_core_present(s->core);
	bool there = present & dsm_bit(ev->from.v);

	if (ev->msg.epoch.v != s->config.epoch.v)
		return;
	if (ev->msg.type == PAGE_HERE)
		shard_member_here(s, ev->from);
	atomic_store(&s->present, present & s->greeted);
	if (ev->msg.type == PAGE_GONE && !there)
		shard_member_gone(s, ev->from);
}

static void message(struct shard *s, const struct transport_event *ev)
{
	uint64_t now = clock_ns();

	awake_heard(&s->awake, now);
	if (link_message(s, ev))
		return;
	s->event = (struct dsm_event){
		.type = DSM_EV_MSG,
		.now = now,
		.msg = {.from = ev->from, .msg = ev->msg},
	};
	s->data = ev->data;
	s->data_bytes = ev->bytes;
	shard_step(s);
	s->data = NULL;
	if (ev->msg.type >= PAGE_LEAVE && !shard_ended(s))
		member_message(s, ev);
}

static void lost(struct shard *s, const struct transport_event *ev)
{
	struct err why = ev->why;

	err_wrap(&why, ERR_LOST, "member %u was lost", ev->from.v);
	shard_member_lost(s, ev->from, &why);
}

static void transport_event(struct shard *s, const struct transport_event *ev)
{
	bool member = s->channels & dsm_bit(ev->from.v);

	if (ev->type == TRANSPORT_ENDED)
		shard_channel_ended(s, ev->from);
	else if (s->part >= PART_PARTS)
		return; /* we are no member any more */
	else if (ev->type == TRANSPORT_UP)
		membership_up(s, ev->from);
	else if (ev->type == TRANSPORT_CALLER)
		membership_caller(s, ev->caller);
	else if (ev->type == TRANSPORT_LOST && !member)
		membership_channel_lost(s, ev->from, &ev->why);
	else if (ev->type == TRANSPORT_LOST)
		lost(s, ev);
	else if (ev->msg.type == PAGE_CHANGE)
		membership_notice(s, ev);
	else if (member)
		message(s, ev);
}

static void messages(struct shard *s)
{
	struct transport_event ev;

	for (int i = 0; i < MESSAGE_BUDGET; i++) {
		s->transport_ops->poll(s->transport, &ev);
		if (ev.type == TRANSPORT_NONE)
			return;
		if (shard_ended(s))
			continue; /* reads on, so that the others can send their reason */
		transport_event(s, &ev);
	}
	s->left |= READY_MESSAGES;
}

static void fault(struct shard *s, const struct mem_fault *f, uint64_t read)
{
	s->event = (struct dsm_event){
		.type = DSM_EV_FAULT,
		.now = read,
		.fault = {.page = f->page, .write = f->write, .thread = f->thread},
	};
	shard_step(s);
	if (s->answered)
		return;
	timing_fault(&s->timing, f->page, read);
	hot_fault(&s->hot, f->page, f->write);
}

static void faults(struct shard *s)
{
	struct mem_fault batch[FAULT_BATCH];

	for (int round = 0; round < FAULT_BATCHES; round++) {
		int n = s->mem_ops->faults(s->mem, batch, FAULT_BATCH);
		uint64_t now = clock_ns();

		awake_asked(&s->awake, now);
		if (n < 0) {
			struct err e;

			err_set(&e, -n, "faults can no longer be read");
			shard_fail(s, &e);
		}
		for (int i = 0; i < n && !shard_ended(s); i++)
			fault(s, &batch[i], now);
		if (n < FAULT_BATCH || shard_ended(s))
			return;
	}
	s->left |= READY_FAULTS;
}

static void timer(struct shard *s)
{
	uint64_t expirations;

	if (read(s->timer, &expirations, sizeof(expirations)) < 0)
		return; /* set anew meanwhile */
	s->armed = UINT64_MAX;
	if (shard_ended(s) || clock_ns() < s->deadline)
		return;
	s->deadline = UINT64_MAX;
	s->event = (struct dsm_event){.type = DSM_EV_TIMER, .now = clock_ns()};
	shard_step(s);
}

/* A timer that fires early costs one round, setting it costs a system call: so it is only ever
 * moved forward. */
static void arm(struct shard *s)
{
	const uint64_t second = 1000000000;
	struct itimerspec at = {.it_value = {.tv_sec = (time_t)(s->deadline / second),
					     .tv_nsec = (long)(s->deadline % second)}};

	if (s->deadline >= s->armed)
		return;
	if (!s->deadline)
		at.it_value.tv_nsec = 1; /* 0 would disarm */
	if (timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &at, NULL)) {
		struct err e;

		err_sys(&e, errno, "set the shard's timer");
		shard_fail(s, &e);
		return;
	}
	s->armed = s->deadline;
}

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
static void commands(struct shard *s, uint32_t n)
{
	struct command c;

	while (n-- && command_pop(s->commands, &c, s->post))
		command(s, &c);
	if (command_waiting(s->commands))
		s->left |= READY_COMMANDS;
}

static void map_on(struct shard *s)
{
	struct shard_map *map = s->map;

	if (!map)
		return;
	if (shard_map_slice(s, map)) {
		s->map = NULL;
		s->user.answered(s->user.context, map);
	} else {
		s->left |= READY_MAP;
	}
}

static void shard_round(struct shard *s)
{
	uint32_t ready = shard_wait(s);

	if (ready & READY_MESSAGES) {
		messages(s);
		membership_tick(s);
	}
	if ((ready & READY_FAULTS) && !shard_ended(s))
		faults(s);
	if (ready & READY_TIMER)
		timer(s);
	if (ready & READY_COMMANDS)
		commands(s, command_heard(s->commands));
	else if (command_waiting(s->commands))
		commands(s, command_waiting(s->commands)); /* of a callback in this round */
	map_on(s);
	s->transport_ops->flush(s->transport);
	if (s->timing.fresh_n)
		timing_sent(&s->timing, clock_ns());
	arm(s);
}

/*
 * Whoever waits for a page waits for this thread, and beside it vCPUs compute without a pause: so
 * it asks to go first (a short slice is a near deadline under EEVDF, Linux 6.12 and later). Without
 * the right to it, it works too.
 */
static void ask_to_go_first(void)
{
	const struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t slice_ns, deadline, period;
	} attr = {.size = sizeof(attr), .policy = SCHED_OTHER, .nice = -20, .slice_ns = 100000};

	syscall(SYS_sched_setattr, 0, &attr, 0);
}

static _Thread_local const struct shard *mine;

bool shard_is_mine(const struct shard *s)
{
	return mine == s;
}

/* Its core begins: it says HERE with its first step. What has arrived meanwhile shows at no
 * descriptor. */
static void begin(struct shard *s)
{
	s->left = READY_MESSAGES;
	s->event = (struct dsm_event){.type = DSM_EV_TIMER, .now = clock_ns()};
	shard_step(s);
	s->transport_ops->flush(s->transport);
}

void *shard_thread(void *shard)
{
	struct shard *s = shard;

	pthread_setname_np(pthread_self(), "dsm");
	ask_to_go_first();
	mine = s;
	if (s->newcomer)
		begin(s);
	while (!atomic_load(&s->stop))
		shard_round(s);
	commands(s, command_heard(s->commands));
	s->transport_ops->flush(s->transport);
	return NULL;
}
