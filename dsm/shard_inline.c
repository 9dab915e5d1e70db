/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults served in the faulting thread: its SIGBUS handler (dsm/trap.h) puts the fault down, and if
 * nobody runs the shard it does so itself (dsm/pump.h): asks for the page, answers the other
 * members' messages meanwhile, installs, and goes on. No thread is woken on the way. If the answer
 * takes long, or something comes that is not for it, it leaves the shard to the shard's thread and
 * sleeps.
 *
 * The shard's thread sleeps in epoll meanwhile. It is not to wake for each message that another
 * thread waits for already, on the same core perhaps: so who runs the shard takes the channels out
 * of that set, and puts them back when it is done.
 */
#include "dsm/shard.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dsm/trap.h"
#include "proto/base/clock.h"

enum { SLEEP_NS = 20000000 }; /* between two looks for signals */

/* Does the shard's thread wake for messages? */
static void watch_messages(struct shard *s, bool on)
{
	struct epoll_event ev = {.events = on ? EPOLLIN : 0, .data.u32 = SHARD_MESSAGES};
	struct err e;

	if (!epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->transport_ops->fd(s->transport), &ev))
		return;
	err_set(&e, ERR_SYS, "messages can no longer be watched");
	shard_fail(s, &e);
}

/* Nothing there for the shard's thread alone. */
static bool may_go_on(const struct shard *s)
{
	return !shard_ended(s) && !s->left && s->kept.type == TRANSPORT_NONE &&
	       s->membership.host.step == HOST_IDLE && !pump_wanted(&s->pump);
}

static uint32_t look(struct shard *s, uint64_t now)
{
	return (s->transport_ops->look(s->transport) ? SHARD_MESSAGES : 0) |
	       (pump_asked(&s->pump) ? SHARD_FAULTS : 0) | (now >= s->deadline ? SHARD_TIMER : 0);
}

static void look_on(struct shard *s, unsigned slot)
{
	long displacements = shard_displacements();
	uint64_t now = clock_ns(), last;

	while (!pump_answered(&s->pump, slot) && may_go_on(s) &&
	       awake_stays(&s->awake, true, now)) {
		uint32_t ready = look(s, now);

		if (ready) {
			shard_serve(s, ready);
			shard_send(s);
		}
		last = now;
		now = clock_ns();
		if (!ready && awake_was_away(last, now) && shard_displacements() != displacements)
			awake_displaced(&s->awake, now);
	}
}

/* With the lock: until the slot's fault is answered, or another thread has to go on. */
static void run(struct shard *s, unsigned slot)
{
	shard_serve(s, SHARD_FAULTS);
	shard_send(s);
	if (!pump_answered(&s->pump, slot) && may_go_on(s)) {
		watch_messages(s, false);
		look_on(s, slot);
		watch_messages(s, true);
	}
	shard_arm(s);
	if (s->left || s->verdict.due)
		command_nudge(s->commands);
}

static void run_if_free(struct shard *s, unsigned slot)
{
	while (!shard_ended(s) && pump_asked(&s->pump) && pump_try(&s->pump)) {
		run(s, slot);
		pump_unlock(&s->pump);
	}
}

/* As if it had never faulted: it will again. */
static void withdraw(struct shard *s, unsigned slot)
{
	while (!pump_try(&s->pump))
		sched_yield();
	pump_withdraw(&s->pump, slot);
	pump_unlock(&s->pump);
	run_if_free(s, slot);
}

/* A signal that the thread would take if it were not here. */
static bool is_called(const sigset_t *before)
{
	sigset_t pending;

	sigpending(&pending);
	for (int i = 1; i <= SIGRTMAX; i++)
		if (sigismember(&pending, i) == 1 && sigismember(before, i) == 0)
			return true;
	return false;
}

static void on_fault(void *context, size_t offset, bool write, const sigset_t *before)
{
	struct shard *s = context;
	const struct mem_fault fault = {
		.page = {offset >> DSM_PAGE_SHIFT},
		.write = write,
		.thread = (uint32_t)syscall(SYS_gettid),
	};
	unsigned slot = pump_ask(&s->pump, &fault);

	run_if_free(s, slot);
	while (!pump_answered(&s->pump, slot)) {
		pump_sleep(&s->pump, slot, SLEEP_NS);
		if (pump_answered(&s->pump, slot) ||
		    (!atomic_load(&s->abandoned) && !is_called(before)))
			continue;
		withdraw(s, slot);
		return;
	}
	pump_free(&s->pump, slot);
}

int shard_catch_faults(struct shard *s, struct err *e)
{
	const struct trap t = {
		.base = s->mem_ops->base(s->mem),
		.bytes = s->config.pages << DSM_PAGE_SHIFT,
		.fault = on_fault,
		.context = s,
	};

	return trap_add(&t, e);
}

void shard_abandon(struct shard *s)
{
	if (!s->config.inline_faults)
		return;
	trap_remove(s->mem_ops->base(s->mem));
	atomic_store(&s->abandoned, true);
}
