/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acquires: a device wants several pages here at once, and to keep them for a while.
 *
 * All pages are asked for together, but only the *prefix* that is here - from the first page to the
 * one before the first missing - is held against others; then the page after the prefix is asked
 * for again if it left (R26). Every acquire of every member so takes hold of its pages in rising
 * order, and no two can wait for each other. A prefix is held for a bounded window (R27): when it
 * closes, pages may leave and the collection goes on with a window twice as long (up to 64 times).
 * When all pages are here, ACQUIRED is said and the last window opens: acquire_us, or until RELEASE
 * (R28). An acquire whose window closed stays known until RELEASE, and holds nothing.
 */
#include "dsm/core/internal.h"

static bool covers(const struct dsm_acquire *a, uint32_t page, uint32_t pages)
{
	return a->used && page >= a->first && page - a->first < pages;
}

uint64_t dsm_acquire_until(struct dsm_core *core, uint32_t page)
{
	struct dsm_holder *h = dsm_holder(core, page);
	uint64_t until = 0;
	bool any = false;

	if (!h->acquired)
		return 0;
	for (int i = 0; i < DSM_ACQUIRES_MAX; i++) {
		const struct dsm_acquire *a = &core->acquire[i];

		any |= covers(a, page, a->pages);
		if (covers(a, page, a->prefix) && a->until > until)
			until = a->until;
	}
	h->acquired = any;
	return until;
}

static void say(struct dsm_core *core, uint32_t token, uint32_t result)
{
	struct dsm_effect *fx = dsm_fx(core, DSM_FX_ACQUIRED, 0);

	fx->token = token;
	fx->reason = result;
}

/* ---- collecting ---- */

/* Is page number i of the acquire here, with the right that is wanted? */
static bool has_page(struct dsm_core *core, const struct dsm_acquire *a, uint8_t i)
{
	uint32_t page = a->first + i;

	if (a->write && dsm_holder(core, page)->state == DSM_E)
		dsm_holder_write_silently(core, page);
	return dsm_may(dsm_holder(core, page), a->write);
}

/* R25: who waits for the page since before it joined the prefix is served first. */
static bool may_join(struct dsm_core *core, const struct dsm_acquire *a, uint8_t i)
{
	return i < a->prefix || !dsm_holder(core, a->first + i)->deferred;
}

static void ask_for(struct dsm_core *core, const struct dsm_acquire *a, uint8_t i)
{
	if (!has_page(core, a, i))
		dsm_want(core, a->first + i, a->write);
}

static void open_window(struct dsm_core *core, struct dsm_acquire *a)
{
	uint64_t us = core->config.acquire_us ? core->config.acquire_us : 1;

	if (a->until > core->now)
		return;
	if (a->until && a->tries < ACQUIRE_GROWTH_MAX)
		a->tries++;
	a->until = core->now + ((us * 1000) << a->tries);
}

/* R28: what waits for the pages since they joined waits until this window is over. */
static void hold(struct dsm_core *core, struct dsm_acquire *a)
{
	a->held = true;
	a->until = core->now + (uint64_t)core->config.acquire_us * 1000;
	for (uint8_t i = 0; i < a->pages; i++)
		dsm_hold_prolong(core, a->first + i, a->until);
	say(core, a->token, ERR_OK);
}

static void collect(struct dsm_core *core, struct dsm_acquire *a)
{
	uint8_t here = 0;

	while (here < a->pages && has_page(core, a, here) && may_join(core, a, here))
		here++;
	a->prefix = here;
	if (here == a->pages) {
		hold(core, a);
		return;
	}
	if (here)
		open_window(core, a);
	for (uint8_t i = here; i < a->pages && (i == here || !a->asked); i++)
		ask_for(core, a, i);
	a->asked = true;
}

void dsm_acquires_run(struct dsm_core *core)
{
	if (!core->acquires_dirty)
		return;
	core->acquires_dirty = false;
	for (int i = 0; i < DSM_ACQUIRES_MAX && !core->ending; i++) {
		struct dsm_acquire *a = &core->acquire[i];

		if (!a->used || a->held)
			continue;
		if (!dsm_has_budget(core)) {
			core->acquires_dirty = true;
			return;
		}
		collect(core, a);
	}
}

/* ---- events ---- */

static bool token_used(const struct dsm_core *core, uint32_t token)
{
	for (int i = 0; i < DSM_ACQUIRES_MAX; i++)
		if (core->acquire[i].used && core->acquire[i].token == token)
			return true;
	return false;
}

static bool range_good(const struct dsm_core *core, uint64_t page, uint32_t pages)
{
	return pages >= 1 && pages <= DSM_ACQUIRE_PAGES_MAX && page < core->config.pages &&
	       pages <= core->config.pages - page && !dsm_is_local(core, page, pages);
}

static struct dsm_acquire *free_record(struct dsm_core *core)
{
	for (int i = 0; i < DSM_ACQUIRES_MAX; i++)
		if (!core->acquire[i].used)
			return &core->acquire[i];
	return NULL;
}

void dsm_acquire_event(struct dsm_core *core, const struct dsm_event *ev)
{
	uint32_t token = ev->acquire.token;
	struct dsm_acquire *a = free_record(core);

	if (!range_good(core, ev->acquire.page.v, ev->acquire.pages) || token_used(core, token)) {
		core->stats.refused++;
		say(core, token, ERR_INVALID); /* R31 */
		return;
	}
	if (!a) {
		say(core, token, ERR_NOSPACE);
		return;
	}
	*a = (struct dsm_acquire){
		.used = true,
		.write = ev->acquire.write,
		.pages = (uint8_t)ev->acquire.pages,
		.first = (uint32_t)ev->acquire.page.v,
		.token = token,
	};
	for (uint8_t i = 0; i < a->pages; i++)
		dsm_holder(core, a->first + i)->acquired = 1;
	core->acquires_dirty = true;
}

/* R28 */
void dsm_release_event(struct dsm_core *core, const struct dsm_event *ev)
{
	for (int i = 0; i < DSM_ACQUIRES_MAX; i++) {
		struct dsm_acquire *a = &core->acquire[i];

		if (!a->used || a->token != ev->release.token)
			continue;
		a->used = false;
		for (uint8_t p = 0; p < a->pages; p++)
			dsm_hold_shorten(core, a->first + p);
		return;
	}
	core->stats.refused++;
}

void dsm_acquires_fail(struct dsm_core *core)
{
	for (int i = 0; i < DSM_ACQUIRES_MAX; i++)
		if (core->acquire[i].used && !core->acquire[i].held)
			say(core, core->acquire[i].token, ERR_LOST);
}
