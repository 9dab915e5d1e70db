/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that holds a name: it has the turn from named_keep on. */
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "dsm/lib/named_state.h"
#include "proto/base/clock.h"

static enum named_state state_of(struct named *n)
{
	enum named_state state;

	pthread_mutex_lock(&n->lock);
	state = n->state;
	pthread_mutex_unlock(&n->lock);
	return state;
}

/* Until the time is over or the state changes. True: the link said what nobody asked for, its end.
 */
static bool rest(struct named *n, int ms)
{
	struct pollfd fds[] = {{.fd = n->wake, .events = POLLIN},
			       {.fd = n->link.fd, .events = POLLIN}};

	if (poll(fds, 2, ms) < 0) {
		usleep(1000); /* EINTR, or no memory: not in a tight loop */
		return false;
	}
	if (!fds[1].revents)
		return false;
	control_close(&n->link);
	return true;
}

static void await_turn(struct named *n)
{
	struct pollfd fd = {.fd = n->wake, .events = POLLIN};
	uint64_t count;

	while (state_of(n) == NAMED_IDLE)
		if (poll(&fd, 1, -1) < 0)
			usleep(1000);
	while (state_of(n) == NAMED_KEPT && read(n->wake, &count, sizeof(count)) < 0)
		usleep(1000);
}

/* Says that the name is held; how long until the next time. */
static int hold_once(struct named *n, int *redial_ms)
{
	bool answered = false;
	struct err e;
	int rc = control_open(&n->link, clock_ms() + NAMED_DIAL_MS, &e);

	if (!rc)
		named_claim(n, CELLULAR__CTL_OP__OP_SPACE_HOLD, clock_ms() + NAMED_ASK_MS,
			    &answered, &e);
	if (answered) {
		*redial_ms = NAMED_REDIAL_MIN_MS;
		return NAMED_HOLD_MS;
	}
	rc = *redial_ms;
	*redial_ms = 2 * rc < NAMED_REDIAL_MAX_MS ? 2 * rc : NAMED_REDIAL_MAX_MS;
	return rc;
}

/* So that the name is free when who leaves goes on; a link that just ends is noticed a moment
 * later.
 */
static void drop(struct named *n)
{
	Cellular__CtlReply *reply;
	struct err e;

	n->link.stop_fd = -1;
	if (n->link.fd >= 0 && !named_talk(n, CELLULAR__CTL_OP__OP_SPACE_DROP, NULL,
					   clock_ms() + NAMED_DROP_MS, &reply, &e))
		control_free(reply);
	control_close(&n->link);
}

static void *named_thread(void *context)
{
	struct named *n = context;
	int redial_ms = NAMED_REDIAL_MIN_MS, ms = NAMED_HOLD_MS;

	await_turn(n);
	while (state_of(n) == NAMED_KEPT)
		if (rest(n, ms))
			ms = redial_ms;
		else if (state_of(n) == NAMED_KEPT)
			ms = hold_once(n, &redial_ms);
	drop(n);
	pthread_mutex_lock(&n->lock);
	n->gone = true;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

int named_start_thread(struct named *n, struct err *e)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: signals are for others */
	rc = pthread_create(&n->thread, NULL, named_thread, n);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return err_sys(e, rc, "cannot start the thread that keeps the name");
	n->running = true;
	return ERR_OK;
}

void named_set_state(struct named *n, enum named_state state)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&n->lock);
	if (n->state < state) {
		n->state = state;
		while (write(n->wake, &one, sizeof(one)) < 0)
			usleep(1000); /* an eventfd has always room for this one */
	}
	pthread_mutex_unlock(&n->lock);
}

void named_keep(struct named *n)
{
	named_set_state(n, NAMED_KEPT);
}

void named_let_go(struct named *n, bool wait)
{
	if (!n)
		return;
	named_set_state(n, NAMED_OVER);
	if (!wait)
		return;
	pthread_mutex_lock(&n->lock);
	while (!n->gone)
		pthread_cond_wait(&n->changed, &n->lock);
	pthread_mutex_unlock(&n->lock);
}
