/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole chunks (R52 .. R54). Home, wanting the first page of a chunk that nobody ever asked for,
 * takes all of it: the adapter makes it ordinary memory, with huge pages, and no page of it has any
 * state. When another member asks for one, the chunk is split: all its pages are home's, M, as if
 * home had taken them one by one. That is not written into 2 * 512 entries: an entry that was not
 * written since means just that, and is written when it is first looked at.
 */
#include "dsm/core/internal.h"

enum { FIRST_VERSION = 1 }; /* as if granted once (R5) */

/* At its first home, where nothing of it was ever granted: so nothing of it is under way either,
 * our own requests included, which are served within a step. */
static bool may_take(const struct dsm_core *core, uint32_t page)
{
	const struct dsm_chunk *c = dsm_chunk(core, page);
	uint32_t chunk = page / DSM_CHUNK_PAGES;

	return core->config.whole && !c->version && !c->taken && !c->entries && !c->waiting &&
	       c->state == CHUNK_SETTLED && dsm_is_self(core, dsm_map_home(core, page)) &&
	       !dsm_is_leaving(core) &&
	       !dsm_is_local(core, (uint64_t)chunk * DSM_CHUNK_PAGES, dsm_chunk_pages(core, chunk));
}

bool dsm_whole_take(struct dsm_core *core, uint32_t page)
{
	struct dsm_chunk *c = dsm_chunk(core, page);
	uint32_t chunk = page / DSM_CHUNK_PAGES;

	if (!may_take(core, page))
		return false;
	c->taken = 1;
	c->whole = 1;
	c->entries = DSM_BUG(whole_moves_as_nothing) ? 0 : dsm_chunk_pages(core, chunk);
	core->collections_dirty = true; /* others of its pages may be wanted */
	core->stats.whole++;
	dsm_fx(core, DSM_FX_WHOLE, chunk * DSM_CHUNK_PAGES);
	return true;
}

void dsm_whole_split(struct dsm_core *core, uint32_t page)
{
	struct dsm_chunk *c = dsm_chunk(core, page);

	if (!c->whole)
		return;
	c->whole = 0;
	core->stats.split++;
	dsm_fx(core, DSM_FX_SPLIT, page - page % DSM_CHUNK_PAGES);
}

void dsm_whole_write(const struct dsm_core *core, uint32_t page)
{
	struct dsm_holder *h = &core->holders[page];
	struct dsm_home *e = &core->homes[page];

	dsm_touch(core, h, sizeof(*h));
	dsm_touch(core, e, sizeof(*e));
	h->state = DSM_M;
	h->version = e->version = FIRST_VERSION;
	e->owner = DSM_BUG(whole_taken_for_fresh) ? 0 : core->config.self.v + 1;
	e->used = true;
	e->written = true;
}

struct dsm_holder dsm_holder_seen(const struct dsm_core *core, uint32_t page)
{
	struct dsm_holder h = core->holders[page];

	if (dsm_is_unwritten(core, page))
		h = (struct dsm_holder){.state = DSM_M, .version = FIRST_VERSION};
	return h;
}

struct dsm_home dsm_home_seen(const struct dsm_core *core, uint32_t page)
{
	struct dsm_home e = core->homes[page];

	if (dsm_is_unwritten(core, page)) {
		e.owner = core->config.self.v + 1;
		e.version = FIRST_VERSION;
		e.used = true;
	}
	return e;
}
