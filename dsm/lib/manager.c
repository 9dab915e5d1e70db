/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks and barriers as the manager of their slot sees them. Who has a token knows that others wait
 * for it exactly when the queue is not empty: it was told by GIVE, or by RECALL when the first one
 * came.
 */
#include <string.h>

#include "dsm/lib/space.h"

static void send(struct cdsm *c, uint8_t to, enum sync_type type, unsigned id, uint32_t n)
{
	sync_send(c, to, &(struct sync_msg){.type = (uint8_t)type, .id = (uint16_t)id, .n = n},
		  NULL, 0);
}

/* ---- locks ---- */

static void unqueue(struct sync_managed_lock *l, unsigned at)
{
	memmove(l->queue + at, l->queue + at + 1, l->waiting - at - 1u);
	l->waiting--;
}

static unsigned place(const struct sync_managed_lock *l, uint8_t member)
{
	unsigned at = 0;

	while (at < l->waiting && l->queue[at] != member)
		at++;
	return at;
}

/* The token is here. */
static void give_next(struct cdsm *c, unsigned id)
{
	struct sync_managed_lock *l = &c->sync.managed_lock[id];
	uint8_t to = l->queue[0];

	if (!l->waiting)
		return;
	unqueue(l, 0);
	l->holder = to + 1;
	send(c, to, SYNC_LOCK_GIVE, id, l->waiting > 0);
}

void manager_ask(struct cdsm *c, unsigned id, uint8_t member)
{
	struct sync_managed_lock *l = &c->sync.managed_lock[id];

	if (c->sync.gone & dsm_bit(member) || place(l, member) < l->waiting)
		return;
	l->queue[l->waiting++] = member;
	if (!l->holder)
		give_next(c, id);
	else if (l->waiting == 1)
		send(c, l->holder - 1, SYNC_LOCK_RECALL, id, 0);
}

void manager_return(struct cdsm *c, unsigned id, uint8_t member)
{
	struct sync_managed_lock *l = &c->sync.managed_lock[id];

	if (l->holder != member + 1)
		return;
	l->holder = 0;
	give_next(c, id);
}

/* ---- barriers ---- */

static void release(struct cdsm *c, unsigned id)
{
	const struct sync_managed_barrier b = c->sync.managed_barrier[id];

	c->sync.managed_barrier[id] = (struct sync_managed_barrier){0};
	for (uint8_t m = 0; m < DSM_MEMBERS_MAX; m++)
		if (b.of[m])
			send(c, m, SYNC_BARRIER_RELEASE, id, b.of[m]);
}

static void refuse(struct cdsm *c, const struct sync_msg *m, uint32_t parties)
{
	sync_send(c, m->member,
		  &(struct sync_msg){.type = SYNC_BARRIER_REFUSE,
				     .id = m->id,
				     .n = parties,
				     .ticket = m->ticket},
		  NULL, 0);
}

void manager_arrive(struct cdsm *c, const struct sync_msg *m)
{
	struct sync_managed_barrier *b = &c->sync.managed_barrier[m->id];

	if (!m->n || m->n > CDSM_PARTIES_MAX || c->sync.gone & dsm_bit(m->member))
		return;
	if (!b->arrived)
		b->parties = m->n;
	if (b->parties != m->n) {
		refuse(c, m, b->parties);
		return;
	}
	b->of[m->member]++;
	if (++b->arrived == b->parties)
		release(c, m->id);
}

/* ---- a member that left ---- */

static void forget_lock(struct cdsm *c, unsigned id, uint8_t member)
{
	struct sync_managed_lock *l = &c->sync.managed_lock[id];
	unsigned at = place(l, member);

	if (at < l->waiting)
		unqueue(l, at);
	if (l->holder == member + 1) {
		l->holder = 0; /* it held none when it left: the token is nobody's */
		give_next(c, id);
	}
}

void manager_forget(struct cdsm *c, unsigned slot, uint8_t member)
{
	for (unsigned id = slot; id < SYNC_LOCKS; id += SYNC_SLOTS)
		forget_lock(c, id, member);
	for (unsigned id = slot; id < CDSM_BARRIERS; id += SYNC_SLOTS) {
		struct sync_managed_barrier *b = &c->sync.managed_barrier[id];

		b->arrived -= b->of[member];
		b->of[member] = 0;
	}
}
