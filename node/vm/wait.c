/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/wait.h"

void wait_init(struct waiters *w)
{
	*w = (struct waiters){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void wait_enter(struct waiters *w, struct waiter *me, struct gpa address)
{
	*me = (struct waiter){.address = address, .cond = PTHREAD_COND_INITIALIZER};
	pthread_mutex_lock(&w->lock);
	me->next = w->first;
	w->first = me;
	pthread_mutex_unlock(&w->lock);
}

void wait_sleep(struct waiters *w, struct waiter *me)
{
	pthread_mutex_lock(&w->lock);
	while (!me->woken && !w->stopped)
		pthread_cond_wait(&me->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

void wait_leave(struct waiters *w, struct waiter *me)
{
	struct waiter **p;

	pthread_mutex_lock(&w->lock);
	for (p = &w->first; *p != me; p = &(*p)->next)
		;
	*p = me->next;
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&me->cond);
}

static void wake_some(struct waiters *w, bool all, struct gpa address)
{
	for (struct waiter *i = w->first; i; i = i->next) {
		if (!all && i->address.v != address.v)
			continue;
		i->woken = true;
		pthread_cond_signal(&i->cond);
	}
}

void wait_wake(struct waiters *w, struct gpa address)
{
	pthread_mutex_lock(&w->lock);
	wake_some(w, false, address);
	pthread_mutex_unlock(&w->lock);
}

void wait_stop(struct waiters *w)
{
	pthread_mutex_lock(&w->lock);
	w->stopped = true;
	wake_some(w, true, (struct gpa){0});
	pthread_mutex_unlock(&w->lock);
}
