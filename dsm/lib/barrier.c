/* SPDX-License-Identifier: Apache-2.0 */
/* Barriers as a member sees them. Which of its threads came is not the manager's business: it says
 * how many may go on, and the first to come are those. */
#include "dsm/lib/space.h"

static void arrive(struct cdsm *c, unsigned id, struct sync_waiter *w)
{
	const struct sync_msg m = {
		.type = SYNC_BARRIER_ARRIVE,
		.member = c->self,
		.id = (uint16_t)id,
		.n = w->parties,
		.ticket = w->ticket,
	};

	if (w->sent || !sync_may_ask(c, id))
		return;
	w->sent = true;
	sync_send_manager(c, id, &m);
}

void barrier_arrive_again(struct cdsm *c, unsigned slot)
{
	struct sync_waiter *w, *next;

	for (unsigned id = slot; id < CDSM_BARRIERS; id += SYNC_SLOTS)
		for (w = c->sync.barrier[id].first; w; w = next) {
			next = w->next;
			arrive(c, id, w);
		}
}

void barrier_released(struct cdsm *c, unsigned id, uint32_t n)
{
	struct sync_list *list = &c->sync.barrier[id];

	while (n-- && list->first)
		sync_wake_first(list, CDSM_OK);
}

void barrier_refused(struct cdsm *c, unsigned id, uint32_t ticket, uint32_t parties)
{
	struct sync_list *list = &c->sync.barrier[id];
	struct sync_waiter *w = list->first;

	while (w && w->ticket != ticket)
		w = w->next;
	if (!w)
		return;
	sync_remove(list, w);
	w->parties = parties;
	w->rc = CDSM_EINVAL;
	w->woken = true;
	pthread_cond_signal(&w->wake);
}

/* ---- cellular/dsm.h ---- */

static int meet(struct cdsm *c, unsigned id, unsigned parties, struct cdsm_error *why)
{
	struct sync_waiter w = {.parties = parties, .ticket = c->sync.tickets++};
	int rc = space_check(c, why);

	if (rc)
		return rc;
	sync_enqueue(&c->sync.barrier[id], &w);
	arrive(c, id, &w);
	sync_wait(c, &w);
	if (w.rc == CDSM_EINVAL)
		return space_refuse(why, CDSM_EINVAL,
				    "barrier %u: %u parties, but the first one said %u", id,
				    parties, w.parties);
	if (w.rc)
		return space_check(c, why);
	c->sync.barriers++;
	return CDSM_OK;
}

int cdsm_barrier(struct cdsm *c, unsigned id, unsigned parties, struct cdsm_error *why)
{
	int rc;

	if (id >= CDSM_BARRIERS || !parties || parties > CDSM_PARTIES_MAX)
		return space_refuse(why, CDSM_EINVAL,
				    "barrier %u of %u parties: there are %d, of 1 to %d", id,
				    parties, CDSM_BARRIERS, CDSM_PARTIES_MAX);
	pthread_mutex_lock(&c->lock);
	rc = meet(c, id, parties, why);
	pthread_mutex_unlock(&c->lock);
	return rc;
}
