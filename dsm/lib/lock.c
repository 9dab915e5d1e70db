/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks as a member sees them. A token that is here and that nobody holds is taken without asking
 * anybody. When it is recalled, the threads here that waited before that go first, then the token:
 * no member is passed over more often than it has threads.
 */
#include "dsm/lib/space.h"

/* An address that no other living thread has. */
static uintptr_t this_thread(void)
{
	static _Thread_local char here;

	return (uintptr_t)&here;
}

void lock_want(struct cdsm *c, unsigned id)
{
	const struct sync_msg ask = {.type = SYNC_LOCK_ASK, .member = c->self, .id = (uint16_t)id};
	struct sync_lock *l = &c->sync.lock[id];

	if (l->token || l->asked || !sync_may_ask(c, id))
		return;
	l->asked = true;
	c->sync.locks_asked++;
	sync_send_manager(c, id, &ask);
}

void lock_ask_again(struct cdsm *c, unsigned slot)
{
	for (unsigned id = slot; id < SYNC_LOCKS; id += SYNC_SLOTS)
		if (c->sync.lock[id].waiting.first ||
		    (id == SYNC_LEAVE_LOCK && c->sync.leave == SYNC_WANTS))
			lock_want(c, id);
}

static uint32_t count(const struct sync_list *list)
{
	uint32_t n = 0;

	for (const struct sync_waiter *w = list->first; w; w = w->next)
		n++;
	return n;
}

static void give_back(struct cdsm *c, unsigned id)
{
	const struct sync_msg back = {
		.type = SYNC_LOCK_RETURN, .member = c->self, .id = (uint16_t)id};
	struct sync_lock *l = &c->sync.lock[id];

	l->token = l->recalled = false;
	sync_send_manager(c, id, &back);
	if (l->waiting.first)
		lock_want(c, id);
}

/* The token is here and nobody holds it: whose turn is it? */
static void pass_on(struct cdsm *c, unsigned id)
{
	struct sync_lock *l = &c->sync.lock[id];

	if (l->recalled && !l->batch) {
		give_back(c, id);
	} else if (l->waiting.first) {
		l->batch -= l->recalled;
		l->holder = l->waiting.first->thread;
		sync_wake_first(&l->waiting, CDSM_OK);
	}
}

void lock_given(struct cdsm *c, unsigned id, bool others_wait)
{
	struct sync_lock *l = &c->sync.lock[id];

	if (!l->asked)
		return;
	l->asked = false;
	l->token = true;
	l->recalled |= others_wait;
	c->sync.locks_recalled += others_wait;
	l->batch = count(&l->waiting);
	if (id == SYNC_LEAVE_LOCK && c->sync.leave == SYNC_WANTS)
		pthread_cond_broadcast(&c->sync.leaver); /* it is never given back */
	else
		pass_on(c, id);
}

void lock_recalled(struct cdsm *c, unsigned id)
{
	struct sync_lock *l = &c->sync.lock[id];

	if (l->recalled || (!l->token && !l->asked))
		return;
	l->recalled = true;
	c->sync.locks_recalled++;
	l->batch = count(&l->waiting);
	if (l->token && !l->holder && id != SYNC_LEAVE_LOCK)
		pass_on(c, id);
}

unsigned lock_held_here(const struct cdsm *c)
{
	unsigned id = 0;

	while (id < CDSM_LOCKS && !c->sync.lock[id].holder)
		id++;
	return id < CDSM_LOCKS ? id : SYNC_LOCKS;
}

/* ---- cellular/dsm.h ---- */

static int wait_for_lock(struct cdsm *c, unsigned id, struct cdsm_error *why)
{
	struct sync_lock *l = &c->sync.lock[id];
	struct sync_waiter w = {.thread = this_thread()};

	sync_enqueue(&l->waiting, &w);
	c->sync.locks_waited++;
	lock_want(c, id);
	sync_wait(c, &w);
	return w.rc ? space_check(c, why) : CDSM_OK;
}

static int take(struct cdsm *c, unsigned id, struct cdsm_error *why)
{
	struct sync_lock *l = &c->sync.lock[id];
	int rc = space_check(c, why);

	if (rc)
		return rc;
	if (l->holder == this_thread())
		return space_refuse(why, CDSM_ESTATE, "this thread holds lock %u already", id);
	if (!l->token || l->holder || l->waiting.first)
		return wait_for_lock(c, id, why);
	l->holder = this_thread();
	c->sync.locks_cached++;
	return CDSM_OK;
}

static int check_id(unsigned id, struct cdsm_error *why)
{
	return id < CDSM_LOCKS
		       ? CDSM_OK
		       : space_refuse(why, CDSM_EINVAL, "lock %u: there are %d", id, CDSM_LOCKS);
}

int cdsm_lock(struct cdsm *c, unsigned id, struct cdsm_error *why)
{
	int rc = check_id(id, why);

	if (rc)
		return rc;
	pthread_mutex_lock(&c->lock);
	rc = take(c, id, why);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

static int put(struct cdsm *c, unsigned id, struct cdsm_error *why)
{
	struct sync_lock *l = &c->sync.lock[id];
	int rc = space_check(c, why);

	if (rc)
		return rc;
	if (l->holder != this_thread())
		return space_refuse(why, CDSM_ESTATE, "this thread does not hold lock %u", id);
	l->holder = 0;
	pass_on(c, id);
	return CDSM_OK;
}

int cdsm_unlock(struct cdsm *c, unsigned id, struct cdsm_error *why)
{
	int rc = check_id(id, why);

	if (rc)
		return rc;
	pthread_mutex_lock(&c->lock);
	rc = put(c, id, why);
	pthread_mutex_unlock(&c->lock);
	return rc;
}
