/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <string.h>

#include "dsm/lib/space.h"

static struct sync_msg swap(const struct sync_msg *m)
{
	return (struct sync_msg){
		.type = m->type,
		.member = m->member,
		.id = htole16(m->id),
		.n = htole32(m->n),
		.ticket = htole32(m->ticket),
	};
}

static void monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

void sync_begin(struct cdsm *c)
{
	monotonic(&c->sync.leaver);
}

void sync_settle(struct cdsm *c, bool founder)
{
	if (!founder)
		handover_begin(c);
	for (unsigned i = 0; founder && i < SYNC_SLOTS; i++)
		c->sync.slot[i] = (struct sync_slot){.manager = 1, .taken = true, .version = 1};
}

void sync_end(struct cdsm *c)
{
	pthread_cond_destroy(&c->sync.leaver);
}

dsm_set sync_others(const struct cdsm *c)
{
	struct dsm_shape shape;

	dsm_shape(c->dsm, &shape);
	return shape.present & ~dsm_bit(c->self);
}

/* ---- sending ---- */

static void handle(struct cdsm *c, uint8_t from, const struct sync_msg *m, const uint8_t *bytes,
		   uint32_t n);

/* A member that left, or a space that ended, needs no message; but one that is dropped for want of
 * room would be waited for. */
static void post(struct cdsm *c, uint8_t to, const void *bytes, uint32_t n)
{
	struct err why;

	if (dsm_post(c->dsm, (struct member_id){to}, bytes, n) != ERR_NOSPACE)
		return;
	err_set(&why, ERR_LOST, "the space has ended: no room for a message to member %u", to);
	space_lost(c, &why);
}

void sync_send(struct cdsm *c, uint8_t to, const struct sync_msg *m, const void *bytes, uint32_t n)
{
	uint8_t wire[POST_BYTES_MAX];
	struct sync_msg swapped = swap(m);

	if (to == c->self) {
		handle(c, to, m, bytes, n);
		return;
	}
	memcpy(wire, &swapped, sizeof(swapped));
	if (n)
		memcpy(wire + sizeof(swapped), bytes, n);
	post(c, to, wire, (uint32_t)sizeof(swapped) + n);
}

void sync_send_manager(struct cdsm *c, unsigned id, const struct sync_msg *m)
{
	uint8_t manager = c->sync.slot[sync_slot_of(id)].manager;

	if (manager)
		sync_send(c, manager - 1, m, NULL, 0);
}

bool sync_may_ask(const struct cdsm *c, unsigned id)
{
	bool comes = c->sync.fenced && c->sync.leave < SYNC_HANDS;

	return !comes && c->sync.slot[sync_slot_of(id)].manager;
}

/* ---- receiving ---- */

static bool is_for_manager(const struct sync_msg *m)
{
	return m->type == SYNC_LOCK_ASK || m->type == SYNC_LOCK_RETURN ||
	       m->type == SYNC_BARRIER_ARRIVE;
}

static bool in_range(const struct sync_msg *m)
{
	switch ((enum sync_type)m->type) {
	case SYNC_LOCK_ASK:
	case SYNC_LOCK_RETURN:
	case SYNC_LOCK_GIVE:
	case SYNC_LOCK_RECALL:
	case SYNC_HAND_LOCK:
		return m->id < SYNC_LOCKS && m->member < DSM_MEMBERS_MAX;
	case SYNC_BARRIER_ARRIVE:
	case SYNC_BARRIER_RELEASE:
	case SYNC_BARRIER_REFUSE:
	case SYNC_HAND_BARRIER:
		return m->id < CDSM_BARRIERS && m->member < DSM_MEMBERS_MAX;
	case SYNC_HAND_SLOT:
	case SYNC_MANAGER:
		return m->id < SYNC_SLOTS && m->member < DSM_MEMBERS_MAX;
	case SYNC_FENCE:
	case SYNC_FENCE_ACK:
		return true;
	case SYNC_TYPES:
		break;
	}
	return false;
}

static void handle_managed(struct cdsm *c, const struct sync_msg *m)
{
	if (!slot_is_mine(c, sync_slot_of(m->id)))
		sync_send_manager(c, m->id, m); /* it was, when this was sent */
	else if (m->type == SYNC_LOCK_ASK)
		manager_ask(c, m->id, m->member);
	else if (m->type == SYNC_LOCK_RETURN)
		manager_return(c, m->id, m->member);
	else
		manager_arrive(c, m);
}

static void handle(struct cdsm *c, uint8_t from, const struct sync_msg *m, const uint8_t *bytes,
		   uint32_t n)
{
	const struct sync_msg ack = {.type = SYNC_FENCE_ACK, .n = m->n};

	if (!in_range(m))
		return;
	if (is_for_manager(m))
		handle_managed(c, m);
	else if (m->type == SYNC_LOCK_GIVE)
		lock_given(c, m->id, m->n);
	else if (m->type == SYNC_LOCK_RECALL)
		lock_recalled(c, m->id);
	else if (m->type == SYNC_BARRIER_RELEASE)
		barrier_released(c, m->id, m->n);
	else if (m->type == SYNC_BARRIER_REFUSE)
		barrier_refused(c, m->id, m->ticket, m->n);
	else if (m->type == SYNC_HAND_LOCK)
		handover_lock(c, m, bytes, n);
	else if (m->type == SYNC_HAND_BARRIER)
		handover_barrier(c, m, bytes, n);
	else if (m->type == SYNC_HAND_SLOT)
		handover_slot(c, m);
	else if (m->type == SYNC_MANAGER)
		handover_manager(c, from, m);
	else if (m->type == SYNC_FENCE)
		sync_send(c, from, &ack, NULL, 0);
	else
		handover_fence_ack(c, from, m->n);
}

void sync_post(struct cdsm *c, uint8_t from, const void *bytes, uint32_t n)
{
	struct sync_msg wire, m;

	if (n < sizeof(wire))
		return;
	memcpy(&wire, bytes, sizeof(wire));
	m = swap(&wire);
	handle(c, from, &m, (const uint8_t *)bytes + sizeof(wire), n - (uint32_t)sizeof(wire));
}

void sync_joined(struct cdsm *c, uint8_t member)
{
	handover_joined(c, member);
}

void sync_left(struct cdsm *c, uint8_t member)
{
	for (unsigned i = 0; i < SYNC_SLOTS; i++)
		if (slot_is_mine(c, i))
			manager_forget(c, i, member);
	handover_left(c, member);
}

/* ---- waiting ---- */

void sync_enqueue(struct sync_list *list, struct sync_waiter *w)
{
	pthread_cond_init(&w->wake, NULL);
	w->next = NULL;
	if (list->last)
		list->last->next = w;
	else
		list->first = w;
	list->last = w;
}

void sync_remove(struct sync_list *list, struct sync_waiter *w)
{
	struct sync_waiter **at = &list->first, *before = NULL;

	while (*at && *at != w) {
		before = *at;
		at = &before->next;
	}
	if (!*at)
		return;
	*at = w->next;
	if (list->last == w)
		list->last = before;
}

static void wake(struct sync_waiter *w, int rc)
{
	w->rc = rc;
	w->woken = true;
	pthread_cond_signal(&w->wake);
}

void sync_wake_first(struct sync_list *list, int rc)
{
	struct sync_waiter *w = list->first;

	sync_remove(list, w);
	wake(w, rc);
}

void sync_wait(struct cdsm *c, struct sync_waiter *w)
{
	while (!w->woken)
		pthread_cond_wait(&w->wake, &c->lock);
	pthread_cond_destroy(&w->wake);
}

void sync_wake_all(struct cdsm *c, int rc)
{
	for (unsigned i = 0; i < CDSM_LOCKS; i++)
		while (c->sync.lock[i].waiting.first)
			sync_wake_first(&c->sync.lock[i].waiting, rc);
	for (unsigned i = 0; i < CDSM_BARRIERS; i++)
		while (c->sync.barrier[i].first)
			sync_wake_first(&c->sync.barrier[i], rc);
	pthread_cond_broadcast(&c->sync.leaver);
}
