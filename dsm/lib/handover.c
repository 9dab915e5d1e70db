/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is the manager of a slot, while members come and go.
 *
 * A manager hands a slot on by sending what it knows of its locks and barriers, then HAND_SLOT;
 * from then on it passes messages about it on to the new one, which says MANAGER to all. Versions
 * rise with each handover, so that an old MANAGER that comes late is known. Nobody asks a manager
 * that has not said itself, or had said of it by the one before, that it has the slot; so what is
 * passed on always moves towards a higher version, and that ends.
 *
 * A newcomer hears MANAGER from each manager that sees it come, and is handed a share. It first has
 * all members answer a FENCE: they have seen it come then, and can answer what reaches them on
 * behalf of it by way of others.
 *
 * A leaver holds a lock of its own (SYNC_LEAVE_LOCK), so no two leave at once and a slot is never
 * handed to one that goes. It hands on its slots, waits until they are taken, says so to all, and
 * has them answer a FENCE: then nothing more comes to it (SYNC_GOES). What it was as a member - its
 * tokens, the lock of leavers too - falls to the managers when they see it gone (sync_left).
 *
 *	STAYS --> WANTS --turn--> HANDS --all taken--> FENCES --all answered--> GOES
 */
#include <endian.h>
#include <string.h>

#include "dsm/lib/space.h"

bool slot_is_mine(const struct cdsm *c, unsigned slot)
{
	return c->sync.slot[slot].manager == c->self + 1 && c->sync.slot[slot].taken;
}

static void say_manager(struct cdsm *c, uint8_t to, unsigned slot)
{
	const struct sync_slot *s = &c->sync.slot[slot];

	sync_send(c, to,
		  &(struct sync_msg){.type = SYNC_MANAGER,
				     .member = s->manager - 1,
				     .id = (uint16_t)slot,
				     .n = s->version},
		  NULL, 0);
}

static void say_to_all(struct cdsm *c, unsigned slot)
{
	for (dsm_set set = sync_others(c); set; set &= set - 1)
		say_manager(c, dsm_lowest(set).v, slot);
}

/* ---- handing on ---- */

static void hand_lock(struct cdsm *c, unsigned id, uint8_t to)
{
	struct sync_managed_lock *l = &c->sync.managed_lock[id];

	if (l->holder || l->waiting)
		sync_send(c, to,
			  &(struct sync_msg){
				  .type = SYNC_HAND_LOCK, .id = (uint16_t)id, .n = l->holder},
			  l->queue, l->waiting);
	memset(l, 0, sizeof(*l));
}

static void hand_barrier(struct cdsm *c, unsigned id, uint8_t to)
{
	struct sync_managed_barrier *b = &c->sync.managed_barrier[id];
	uint16_t of[DSM_MEMBERS_MAX];

	for (unsigned m = 0; m < DSM_MEMBERS_MAX; m++)
		of[m] = htole16(b->of[m]);
	if (b->arrived)
		sync_send(c, to,
			  &(struct sync_msg){
				  .type = SYNC_HAND_BARRIER, .id = (uint16_t)id, .n = b->parties},
			  of, sizeof(of));
	memset(b, 0, sizeof(*b));
}

static void hand_slot(struct cdsm *c, unsigned slot, uint8_t to)
{
	struct sync_slot *s = &c->sync.slot[slot];

	for (unsigned id = slot; id < SYNC_LOCKS; id += SYNC_SLOTS)
		hand_lock(c, id, to);
	for (unsigned id = slot; id < CDSM_BARRIERS; id += SYNC_SLOTS)
		hand_barrier(c, id, to);
	*s = (struct sync_slot){.manager = to + 1, .version = s->version + 1};
	sync_send(c, to,
		  &(struct sync_msg){.type = SYNC_HAND_SLOT, .id = (uint16_t)slot, .n = s->version},
		  NULL, 0);
}

static unsigned slots_mine(const struct cdsm *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SYNC_SLOTS; i++)
		n += slot_is_mine(c, i);
	return n;
}

/* Up to n of mine. */
static void hand_some(struct cdsm *c, unsigned n, uint8_t to)
{
	for (unsigned i = 0; i < SYNC_SLOTS && n; i++)
		if (slot_is_mine(c, i)) {
			hand_slot(c, i, to);
			n--;
		}
}

/* ---- taking over ---- */

static bool is_gone(const struct cdsm *c, uint8_t member)
{
	return c->sync.gone & dsm_bit(member);
}

void handover_lock(struct cdsm *c, const struct sync_msg *m, const uint8_t *bytes, uint32_t n)
{
	struct sync_managed_lock *l = &c->sync.managed_lock[m->id];

	if (slot_is_mine(c, sync_slot_of(m->id)) || n > DSM_MEMBERS_MAX || m->n > DSM_MEMBERS_MAX)
		return;
	l->holder = (uint8_t)m->n;
	l->waiting = 0;
	for (uint32_t i = 0; i < n; i++)
		if (bytes[i] < DSM_MEMBERS_MAX)
			l->queue[l->waiting++] = bytes[i];
}

void handover_barrier(struct cdsm *c, const struct sync_msg *m, const uint8_t *bytes, uint32_t n)
{
	struct sync_managed_barrier *b = &c->sync.managed_barrier[m->id];

	if (slot_is_mine(c, sync_slot_of(m->id)) || n != sizeof(b->of))
		return;
	memcpy(b->of, bytes, n);
	b->parties = m->n;
	b->arrived = 0;
	for (unsigned i = 0; i < DSM_MEMBERS_MAX; i++) {
		b->of[i] = le16toh(b->of[i]);
		b->arrived += b->of[i];
	}
}

static void ask_again(struct cdsm *c, unsigned slot)
{
	lock_ask_again(c, slot);
	barrier_arrive_again(c, slot);
}

void handover_slot(struct cdsm *c, const struct sync_msg *m)
{
	struct sync_slot *s = &c->sync.slot[m->id];

	if (!serial_after(m->n, s->version))
		return;
	*s = (struct sync_slot){.manager = c->self + 1, .taken = true, .version = m->n};
	for (uint8_t i = 0; i < DSM_MEMBERS_MAX; i++)
		if (is_gone(c, i)) /* the one before may not have seen it */
			manager_forget(c, m->id, i);
	say_to_all(c, m->id);
	ask_again(c, m->id);
}

void handover_manager(struct cdsm *c, uint8_t from, const struct sync_msg *m)
{
	struct sync_slot *s = &c->sync.slot[m->id];
	bool newer = serial_after(m->n, s->version);

	if (newer)
		*s = (struct sync_slot){.manager = m->member + 1, .version = m->n};
	if (from == m->member && m->n == s->version && s->manager == from + 1)
		s->taken = true;
	pthread_cond_broadcast(&c->sync.leaver);
	if (newer)
		ask_again(c, m->id);
}

/* ---- fences ---- */

static void fence(struct cdsm *c)
{
	const struct sync_msg m = {.type = SYNC_FENCE, .n = ++c->sync.fence};

	c->sync.fenced = sync_others(c);
	for (dsm_set set = c->sync.fenced; set; set &= set - 1)
		sync_send(c, dsm_lowest(set).v, &m, NULL, 0);
}

static void answered(struct cdsm *c, uint8_t member)
{
	c->sync.fenced &= ~dsm_bit(member);
	if (c->sync.fenced)
		return;
	pthread_cond_broadcast(&c->sync.leaver);
	for (unsigned i = 0; i < SYNC_SLOTS; i++)
		ask_again(c, i);
}

void handover_fence_ack(struct cdsm *c, uint8_t from, uint32_t n)
{
	if (n == c->sync.fence && c->sync.fenced & dsm_bit(from))
		answered(c, from);
}

/* ---- who comes and goes ---- */

void handover_begin(struct cdsm *c)
{
	fence(c);
}

void handover_joined(struct cdsm *c, uint8_t member)
{
	unsigned members = (unsigned)__builtin_popcountll(sync_others(c)) + 1;

	for (unsigned i = 0; i < SYNC_SLOTS; i++)
		if (slot_is_mine(c, i) && c->sync.leave < SYNC_HANDS)
			say_manager(c, member, i);
	/* Who leaves alone is alone no more. */
	hand_some(c, c->sync.leave < SYNC_HANDS ? slots_mine(c) / members : SYNC_SLOTS, member);
}

void handover_left(struct cdsm *c, uint8_t member)
{
	c->sync.gone |= dsm_bit(member);
	if (c->sync.fenced & dsm_bit(member))
		answered(c, member);
}

/* ---- leaving ---- */

static bool all_taken(const struct cdsm *c)
{
	for (unsigned i = 0; i < SYNC_SLOTS; i++)
		if (!c->sync.slot[i].taken && c->sync.slot[i].version)
			return false;
	return true;
}

static void hand_all(struct cdsm *c)
{
	dsm_set others = sync_others(c), next = others;

	for (unsigned i = 0; i < SYNC_SLOTS && others; i++) {
		if (!slot_is_mine(c, i))
			continue;
		hand_slot(c, i, dsm_lowest(next).v);
		next &= next - 1;
		next = next ? next : others;
	}
}

static void tell_all(struct cdsm *c)
{
	for (unsigned i = 0; i < SYNC_SLOTS; i++)
		if (c->sync.slot[i].manager)
			say_to_all(c, i);
}

/* One step further, if it can be done now. */
static bool step(struct cdsm *c)
{
	switch (c->sync.leave) {
	case SYNC_STAYS:
		c->sync.leave = SYNC_WANTS;
		lock_want(c, SYNC_LEAVE_LOCK);
		return true;
	case SYNC_WANTS:
		if (!c->sync.lock[SYNC_LEAVE_LOCK].token)
			return false;
		c->sync.leave = SYNC_HANDS;
		hand_all(c);
		return true;
	case SYNC_HANDS:
		if (!all_taken(c))
			return false;
		c->sync.leave = SYNC_FENCES;
		tell_all(c);
		fence(c);
		return true;
	case SYNC_FENCES:
		if (c->sync.fenced)
			return false;
		/* One that came late may have handed us a share before it saw us go. */
		c->sync.leave = slots_mine(c) && sync_others(c) ? SYNC_WANTS : SYNC_GOES;
		return true;
	case SYNC_GOES:
		break;
	}
	return false;
}

int handover_leave(struct cdsm *c, uint64_t deadline_ns)
{
	const struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
				       .tv_nsec = (long)(deadline_ns % 1000000000u)};

	while (c->state == SPACE_LEAVING && c->sync.leave != SYNC_GOES)
		if (!step(c) && pthread_cond_timedwait(&c->sync.leaver, &c->lock, &until))
			return CDSM_ETIMEOUT;
	return c->state == SPACE_LOST ? CDSM_ELOST : CDSM_OK;
}
