/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collections: somebody here - a device (acquire.c), or a stalled thread (thread.c) - wants several
 * pages at the same time.
 *
 * Only the *prefix* that is here - from the first page to the one before the first missing - is
 * held against others; the page after it is asked for, and again if it left (R26). Every collection
 * of every member so takes hold of its pages in rising order, and no two wait for each other. A
 * prefix is held for a bounded window (R27): when it closes, pages may leave, and the collection
 * goes on with a window twice as long. When all pages are here, who wanted them is told, and the
 * last window opens (R28). After it a collection holds nothing.
 */
#include "dsm/core/internal.h"

enum { GROWTH_MAX = 12 };

uint8_t dsm_collection_find(const struct dsm_collection *c, uint32_t page)
{
	uint8_t i = 0;

	while (i < c->pages && c->page[i] != page)
		i++;
	return i;
}

static bool holds_or_will(const struct dsm_core *core, const struct dsm_collection *c)
{
	return c->state == COLLECTION_WANTS ||
	       (c->state == COLLECTION_COMPLETE && c->until > core->now);
}

uint64_t dsm_collections_until(struct dsm_core *core, uint32_t page)
{
	struct dsm_holder *h = dsm_holder(core, page);
	uint64_t until = 0;
	bool any = false;

	if (!h->collected)
		return 0;
	for (int i = 0; i < COLLECTIONS_MAX; i++) {
		const struct dsm_collection *c = &core->collection[i];
		uint8_t at;

		if (!holds_or_will(core, c))
			continue;
		at = dsm_collection_find(c, page);
		any |= at < c->pages;
		if (at < c->prefix && c->until > until)
			until = c->until;
	}
	h->collected = any;
	return until;
}

bool dsm_core_collects(const struct dsm_core *core, struct gpage page)
{
	for (int i = DSM_ACQUIRES_MAX; i < COLLECTIONS_MAX; i++) {
		const struct dsm_collection *c = &core->collection[i];

		if (holds_or_will(core, c) && dsm_collection_find(c, (uint32_t)page.v) < c->pages)
			return true;
	}
	return false;
}

/* ---- collecting ---- */

static bool to_write(const struct dsm_collection *c, uint8_t i)
{
	return c->write >> i & 1;
}

/* Is page number i here, with the right that is wanted? */
static bool has_page(struct dsm_core *core, const struct dsm_collection *c, uint8_t i)
{
	if (to_write(c, i) && dsm_holder(core, c->page[i])->state == DSM_E)
		dsm_holder_write_silently(core, c->page[i]);
	return dsm_may(dsm_holder(core, c->page[i]), to_write(c, i));
}

/* R25: who waits for the page since before it joined the prefix is served first. */
static bool may_join(struct dsm_core *core, const struct dsm_collection *c, uint8_t i)
{
	return (i < c->prefix && c->until > core->now) || !dsm_holder(core, c->page[i])->deferred;
}

/* R27 */
static void open_window(struct dsm_core *core, struct dsm_collection *c)
{
	if (c->until > core->now)
		return;
	if (c->until && c->tries < GROWTH_MAX && !DSM_BUG(window_never_grows))
		c->tries++;
	c->until = core->now + (c->window << c->tries);
}

void dsm_collection_shrink(struct dsm_core *core, struct dsm_collection *c, uint8_t prefix)
{
	uint8_t before = c->prefix;

	if (prefix >= before)
		return;
	c->prefix = prefix;
	for (uint8_t i = prefix; i < before; i++)
		dsm_hold_shorten(core, c->page[i]);
}

/* R26: the longest prefix that is here is held. */
static void hold_prefix(struct dsm_core *core, struct dsm_collection *c)
{
	uint8_t here = 0;

	while (here < c->pages && has_page(core, c, here) && may_join(core, c, here))
		here++;
	dsm_collection_shrink(core, c, here);
	c->prefix = here;
	if (here)
		open_window(core, c);
}

/* R28: what waits for the pages since they joined waits until this window is over. */
static void complete(struct dsm_core *core, struct dsm_collection *c)
{
	unsigned index = (unsigned)(c - core->collection);

	c->state = COLLECTION_COMPLETE;
	c->until = core->now + c->last;
	for (uint8_t i = 0; i < c->pages; i++)
		dsm_hold_anew(core, c->page[i]);
	if (index < DSM_ACQUIRES_MAX)
		dsm_acquire_done(core, index, ERR_OK);
	else
		dsm_thread_ready(core, index - DSM_ACQUIRES_MAX);
}

static void collect(struct dsm_core *core, struct dsm_collection *c)
{
	hold_prefix(core, c);
	if (c->prefix == c->pages) {
		complete(core, c);
		return;
	}
	for (uint8_t i = c->prefix; i < c->pages && (i == c->prefix || !c->asked); i++)
		if (!has_page(core, c, i))
			dsm_want(core, c->page[i], to_write(c, i));
	c->asked = true;
}

void dsm_collections_join(struct dsm_core *core, uint32_t page)
{
	for (int i = 0; i < COLLECTIONS_MAX; i++) {
		struct dsm_collection *c = &core->collection[i];

		if (c->state == COLLECTION_WANTS && dsm_collection_find(c, page) < c->pages)
			hold_prefix(core, c);
	}
}

void dsm_collections_run(struct dsm_core *core)
{
	if (!core->collections_dirty)
		return;
	core->collections_dirty = false;
	for (int i = 0; i < COLLECTIONS_MAX && !core->ending; i++) {
		struct dsm_collection *c = &core->collection[i];

		if (c->state != COLLECTION_WANTS)
			continue;
		if (!dsm_has_budget(core)) {
			core->collections_dirty = true;
			return;
		}
		collect(core, c);
	}
}

/* ---- beginning and end ---- */

void dsm_collection_start(struct dsm_core *core, struct dsm_collection *c)
{
	c->state = COLLECTION_WANTS;
	for (uint8_t i = 0; i < c->pages; i++)
		dsm_holder(core, c->page[i])->collected = 1;
	core->collections_dirty = true;
}

void dsm_collection_end(struct dsm_core *core, struct dsm_collection *c)
{
	if (c->state == COLLECTION_IDLE)
		return;
	c->state = COLLECTION_IDLE;
	if (DSM_BUG(release_serves_nobody))
		return;
	for (uint8_t i = 0; i < c->pages; i++)
		dsm_hold_shorten(core, c->page[i]);
}
