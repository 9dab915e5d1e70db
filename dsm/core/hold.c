/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds: a request of home's for a page that was just granted, or that is being collected, is put
 * off for a bounded time, so that the stalled thread can use what it got (R24). Home has one
 * transaction a page under way, so a page has at most one such request; all pages together at most
 * one for each transaction of the other members: the pool cannot overflow (R25).
 *
 * Deadlines differ (collections), so they are kept in a binary heap of pool indices: heap[0 ..
 * count) is ordered, the rest names the free entries. A deadline is fixed when the request arrives:
 * no hold that begins later prolongs it, only the collection it waits for may set it anew (R28).
 */
#include "dsm/core/internal.h"

/* ---- the heap ---- */

static uint64_t deadline_at(const struct dsm_core *core, uint32_t place)
{
	return core->deferred[core->heap[place]].deadline;
}

static void exchange(struct dsm_core *core, uint32_t a, uint32_t b)
{
	uint16_t index = core->heap[a];

	core->heap[a] = core->heap[b];
	core->heap[b] = index;
	core->deferred[core->heap[a]].place = (uint16_t)a;
	core->deferred[core->heap[b]].place = (uint16_t)b;
}

static void sift_up(struct dsm_core *core, uint32_t at)
{
	while (at && deadline_at(core, at) < deadline_at(core, (at - 1) / 2)) {
		exchange(core, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
}

static void sift_down(struct dsm_core *core, uint32_t at)
{
	for (;;) {
		uint32_t least = at;

		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++)
			if (child < core->deferred_count &&
			    deadline_at(core, child) < deadline_at(core, least))
				least = child;
		if (least == at)
			return;
		exchange(core, at, least);
		at = least;
	}
}

static void heap_remove(struct dsm_core *core, uint32_t at)
{
	core->deferred_count--;
	exchange(core, at, core->deferred_count);
	if (at < core->deferred_count) {
		sift_up(core, at);
		sift_down(core, at);
	}
}

/* ---- holds ---- */

/* ns until which requests for the page are put off; not after now: not at all. */
static uint64_t held_until(struct dsm_core *core, uint32_t page)
{
	uint32_t age = (uint32_t)(core->now / 1000) - dsm_holder(core, page)->granted_us;
	uint64_t until = dsm_collections_until(core, page);
	uint64_t fresh = core->now;

	if (age < core->config.hold_us)
		fresh += (uint64_t)(core->config.hold_us - age) * 1000;
	return fresh > until ? fresh : until;
}

enum dsm_deferral dsm_hold_defer(struct dsm_core *core, uint32_t page, const struct dsm_msg *msg)
{
	uint64_t until = held_until(core, page);
	struct dsm_deferred *d;
	uint32_t at;

	if (until <= core->now || DSM_BUG(hold_ignored))
		return DEFER_NO;
	if (core->deferred_count == core->pool)
		return DEFER_REFUSED;
	at = core->deferred_count++;
	d = &core->deferred[core->heap[at]];
	*d = (struct dsm_deferred){.deadline = until, .msg = *msg, .place = (uint16_t)at};
	if (DSM_BUG(endless_hold))
		d->deadline = UINT64_MAX;
	dsm_holder(core, page)->deferred = core->heap[at] + 1;
	sift_up(core, at);
	core->stats.deferred++;
	return DEFER_YES;
}

static void set_deadline(struct dsm_core *core, struct dsm_deferred *d, uint64_t deadline)
{
	if (DSM_BUG(endless_hold))
		return;
	d->deadline = deadline;
	sift_up(core, d->place);
	sift_down(core, d->place);
}

void dsm_hold_shorten(struct dsm_core *core, uint32_t page)
{
	uint16_t index = dsm_holder(core, page)->deferred;

	if (index && held_until(core, page) < core->deferred[index - 1].deadline)
		set_deadline(core, &core->deferred[index - 1], held_until(core, page));
}

void dsm_hold_anew(struct dsm_core *core, uint32_t page)
{
	uint16_t index = dsm_holder(core, page)->deferred;

	if (index)
		set_deadline(core, &core->deferred[index - 1], held_until(core, page));
}

void dsm_hold_expire(struct dsm_core *core)
{
	while (dsm_hold_next(core) <= core->now && dsm_has_budget(core) && !core->ending) {
		struct dsm_msg msg = core->deferred[core->heap[0]].msg;

		dsm_holder(core, (uint32_t)msg.page.v)->deferred = 0;
		heap_remove(core, 0);
		dsm_serve(core, &msg);
		dsm_drain(core);
	}
}

uint64_t dsm_hold_next(const struct dsm_core *core)
{
	return core->deferred_count ? deadline_at(core, 0) : UINT64_MAX;
}
