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
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/base/clock.h"

enum {
	SOURCES = 4,

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
	int rc = watch(s, s->mem_ops->fd(s->mem), SHARD_FAULTS, e);

	if (!rc)
		rc = watch(s, s->transport_ops->fd(s->transport), SHARD_MESSAGES, e);
	if (!rc)
		rc = watch(s, command_fd(s->commands), SHARD_COMMANDS, e);
	if (!rc)
		rc = watch(s, s->timer, SHARD_TIMER, e);
	return rc;
}

/* What epoll knows, as a set; errnum: 0, or what it failed with. */
static uint32_t watched(const struct shard *s, int timeout_ms, int *errnum)
{
	struct epoll_event ev[SOURCES];
	uint32_t ready = 0;
	int n = epoll_wait(s->epoll, ev, SOURCES, timeout_ms);

	*errnum = n < 0 && errno != EINTR ? errno : 0;
	for (int i = 0; i < n; i++)
		ready |= ev[i].data.u32;
	return ready;
}

static void check_watch(struct shard *s, int errnum)
{
	struct err e;

	if (!errnum)
		return;
	err_sys(&e, errnum, "epoll_wait");
	shard_fail(s, &e);
}

static uint32_t ask(struct shard *s, int timeout_ms)
{
	int errnum;
	uint32_t ready = watched(s, timeout_ms, &errnum);

	check_watch(s, errnum);
	return ready;
}

/* What the shard's thread finds with the lock that it did not have for a while. */
static uint32_t left_by_others(struct shard *s)
{
	uint32_t left = s->left;

	s->left = 0;
	return left | (pump_asked(&s->pump) ? SHARD_FAULTS : 0);
}

/* Sleeps, without the lock, and then takes it. */
static uint32_t sleep_without(struct shard *s)
{
	uint32_t ready;
	int errnum;

	if (pump_asked(&s->pump) && !shard_ended(s) && pump_try(&s->pump))
		return left_by_others(s);
	ready = watched(s, -1, &errnum);
	pump_lock(&s->pump);
	check_watch(s, errnum);
	return ready | left_by_others(s);
}

static uint32_t sleep_on(struct shard *s)
{
	if (!s->config.inline_faults)
		return ask(s, -1);
	pump_unlock(&s->pump);
	return sleep_without(s);
}

/* For whoever wants this core, or to run the shard itself: then it does so, and the shard's thread
 * sleeps. */
static uint32_t step_aside(struct shard *s)
{
	if (!s->config.inline_faults) {
		sched_yield();
		return 0;
	}
	pump_unlock(&s->pump);
	sched_yield();
	return pump_try(&s->pump) ? left_by_others(s) : sleep_without(s);
}

long shard_displacements(void)
{
	struct rusage use;

	return getrusage(RUSAGE_THREAD, &use) ? 0 : use.ru_nivcsw;
}

/* Mostly for messages: they are what is worth staying awake for. */
static uint32_t look_on(struct shard *s)
{
	uint64_t now = clock_ns();
	long displacements = 0;
	uint32_t ready = 0;

	for (unsigned i = 1; !ready && awake_stays(&s->awake, dsm_core_pending(s->core), now);
	     i++) {
		uint64_t last = now;

		if (s->transport_ops->look(s->transport))
			return SHARD_MESSAGES;
		if (i == 1)
			displacements = shard_displacements();
		if (i % LOOKS == 0)
			ready = ask(s, 0);
		ready |= step_aside(s);
		now = clock_ns();
		if (awake_was_away(last, now) && shard_displacements() != displacements)
			awake_displaced(&s->awake, now);
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
	return ready ? ready : sleep_on(s);
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
	if (ev->msg.pages > 1 && ev->data) {
		shard_run_message(s, ev->from, &ev->msg, ev->data, now);
		return;
	}
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

/* A thread that faults leaves to the shard's thread what may call the program, or takes long. */
static bool is_for_anybody(const struct shard *s, const struct transport_event *ev)
{
	bool core = ev->type == TRANSPORT_MSG &&
		    (ev->msg.type < PAGE_PING || ev->msg.type == PAGE_REDIRECT);

	return core || !s->config.inline_faults || shard_is_mine(s);
}

static void messages(struct shard *s)
{
	struct transport_event *ev = &s->kept;

	for (int i = 0; i < MESSAGE_BUDGET; i++) {
		if (ev->type == TRANSPORT_NONE)
			s->transport_ops->poll(s->transport, ev);
		if (ev->type == TRANSPORT_NONE) {
			shard_run_end(s);
			return;
		}
		if (!is_for_anybody(s, ev))
			break;
		if (!shard_ended(s)) /* else reads on, so that the others can send their reason */
			transport_event(s, ev);
		ev->type = TRANSPORT_NONE;
		if (!s->transport_ops->more(s->transport))
			shard_run_end(s);
	}
	shard_run_end(s);
	s->left |= SHARD_MESSAGES;
}

static void fault(struct shard *s, const struct mem_fault *f, uint64_t read)
{
	uint32_t pending = dsm_core_pending(s->core);

	s->event = (struct dsm_event){
		.type = DSM_EV_FAULT,
		.now = read,
		.fault = {.page = f->page, .write = f->write, .thread = f->thread},
	};
	shard_step(s);
	ahead_fault(&s->ahead[f->write], f->page, dsm_core_pending(s->core) > pending);
	if (s->answered)
		return;
	timing_fault(&s->timing, f->page, read);
	hot_fault(&s->hot, f->page, f->write);
}

static void faults(struct shard *s)
{
	struct mem_fault batch[FAULT_BATCH];

	for (int round = 0; round < FAULT_BATCHES; round++) {
		int n = s->config.inline_faults ? pump_take(&s->pump, batch, FAULT_BATCH)
						: s->mem_ops->faults(s->mem, batch, FAULT_BATCH);
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
	s->left |= SHARD_FAULTS;
}

static void timer(struct shard *s)
{
	if (shard_ended(s) || clock_ns() < s->deadline)
		return;
	s->deadline = UINT64_MAX;
	s->event = (struct dsm_event){.type = DSM_EV_TIMER, .now = clock_ns()};
	shard_step(s);
}

/* A timer that fires early costs one round, setting it costs a system call: so it is only ever
 * moved forward. */
void shard_arm(struct shard *s)
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

void shard_serve(struct shard *s, uint32_t ready)
{
	if (ready & SHARD_MESSAGES)
		messages(s);
	if ((ready & SHARD_FAULTS) && !shard_ended(s))
		faults(s);
	if (ready & SHARD_TIMER)
		timer(s);
	shard_ahead(s);
}

void shard_send(struct shard *s)
{
	s->transport_ops->flush(s->transport);
	if (s->timing.fresh_n)
		timing_sent(&s->timing, clock_ns());
}

/* False: it was set anew meanwhile. */
static bool timer_fired(struct shard *s)
{
	uint64_t expirations;

	if (read(s->timer, &expirations, sizeof(expirations)) < 0)
		return false;
	s->armed = UINT64_MAX;
	return true;
}

static void shard_round(struct shard *s)
{
	uint32_t ready = shard_wait(s);

	if ((ready & SHARD_TIMER) && !timer_fired(s))
		ready &= ~(uint32_t)SHARD_TIMER;
	shard_serve(s, ready);
	if (ready & SHARD_MESSAGES)
		membership_tick(s);
	if (ready & SHARD_COMMANDS)
		shard_commands(s, command_heard(s->commands));
	else if (command_waiting(s->commands))
		shard_commands(s, command_waiting(s->commands)); /* of a callback in this round */
	shard_map_on(s);
	shard_tell_end(s);
	shard_send(s);
	shard_arm(s);
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
	s->left = SHARD_MESSAGES;
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
	if (s->config.inline_faults)
		pump_lock(&s->pump);
	if (s->newcomer)
		begin(s);
	while (!atomic_load(&s->stop))
		shard_round(s);
	shard_commands(s, command_heard(s->commands));
	s->transport_ops->flush(s->transport);
	return NULL;
}
