/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acquires: a device wants a run of pages here at once, and to keep them for a while: acquire_us,
 * or until RELEASE (R28). All pages are asked for together at first; collect.c does the rest. An
 * acquire whose window closed stays known until RELEASE, and holds nothing.
 */
#include "dsm/core/internal.h"

static void say(struct dsm_core *core, uint32_t token, uint32_t result)
{
	struct dsm_effect *fx = dsm_fx(core, DSM_FX_ACQUIRED, 0);

	fx->token = token;
	fx->reason = result;
}

/* What is written from now on need not be the work of a thread (R42). */
static void lend(struct dsm_core *core, const struct dsm_collection *c)
{
	for (uint8_t i = 0; i < c->pages && c->write; i++)
		dsm_holder(core, c->page[i])->lent = 1;
}

void dsm_acquire_done(struct dsm_core *core, unsigned index, uint32_t result)
{
	if (result == ERR_OK)
		lend(core, &core->collection[index]);
	say(core, core->token[index], result);
}

/* Index of the acquire with this token; DSM_ACQUIRES_MAX: there is none. */
static unsigned find(const struct dsm_core *core, uint32_t token)
{
	unsigned i = 0;

	while (i < DSM_ACQUIRES_MAX &&
	       (core->collection[i].state == COLLECTION_IDLE || core->token[i] != token))
		i++;
	return i;
}

static unsigned find_free(const struct dsm_core *core)
{
	unsigned i = 0;

	while (i < DSM_ACQUIRES_MAX && core->collection[i].state != COLLECTION_IDLE)
		i++;
	return i;
}

static bool range_good(const struct dsm_core *core, uint64_t page, uint32_t pages)
{
	return pages >= 1 && pages <= DSM_ACQUIRE_PAGES_MAX && page < core->config.pages &&
	       pages <= core->config.pages - page && !dsm_is_local(core, page, pages);
}

static void begin(struct dsm_core *core, struct dsm_collection *c, uint32_t first, uint8_t pages,
		  bool write)
{
	uint64_t last = (uint64_t)core->config.acquire_us * 1000;
	uint64_t others = dsm_patience(core) * pages;

	*c = (struct dsm_collection){
		.pages = pages,
		.write = write ? (uint16_t)((1u << pages) - 1) : 0,
		.window = last > others ? last : others,
		.last = last,
	};
	for (uint8_t i = 0; i < pages; i++)
		c->page[i] = first + i;
	dsm_collection_start(core, c);
}

void dsm_acquire_event(struct dsm_core *core, const struct dsm_event *ev)
{
	uint32_t token = ev->acquire.token;
	unsigned index = find_free(core);

	if (!range_good(core, ev->acquire.page.v, ev->acquire.pages) ||
	    find(core, token) < DSM_ACQUIRES_MAX || dsm_is_leaving(core)) {
		core->stats.refused++;
		say(core, token, ERR_INVALID); /* R31, R46 */
		return;
	}
	if (index == DSM_ACQUIRES_MAX) {
		say(core, token, ERR_NOSPACE);
		return;
	}
	core->token[index] = token;
	begin(core, &core->collection[index], (uint32_t)ev->acquire.page.v,
	      (uint8_t)ev->acquire.pages, ev->acquire.write);
}

/* R28 */
void dsm_release_event(struct dsm_core *core, const struct dsm_event *ev)
{
	unsigned index = find(core, ev->release.token);

	if (index < DSM_ACQUIRES_MAX)
		dsm_collection_end(core, &core->collection[index]);
	else
		core->stats.refused++;
}

void dsm_acquires_fail(struct dsm_core *core)
{
	if (DSM_BUG(loss_tells_no_device))
		return;
	for (unsigned i = 0; i < DSM_ACQUIRES_MAX; i++)
		if (core->collection[i].state == COLLECTION_WANTS)
			dsm_acquire_done(core, i, ERR_LOST);
}
