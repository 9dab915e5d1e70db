/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/harmless.h"

#include <inttypes.h>
#include <string.h>

#include "dsm/core/internal.h"
#include "tests/sim/world.h"

enum { TRIES = 50 }; /* per mille of the letters before which something is tried */

enum kind {
	PING,
	LINK_MESSAGE,
	NEWS_OF_THE_GONE,
	ODD_EVENT,
	NOBODY,
	THE_GONE,
	OTHER_EPOCH,
	LATE_FAULT,
	LATE_EVICT,
	KINDS
};

static const struct {
	const char *says;
	bool refused; /* ... and counted */
} kinds[KINDS] = {
	[PING] = {"a PING", false},
	[LINK_MESSAGE] = {"a message of the link", true},
	[NEWS_OF_THE_GONE] = {"the loss of a member that left", false},
	[ODD_EVENT] = {"an event that is none", true},
	[NOBODY] = {"a message from nobody", true},
	[THE_GONE] = {"a message from a member that left", true},
	[OTHER_EPOCH] = {"a message of another epoch", false},
	[LATE_FAULT] = {"a fault after it was told to leave", true},
	[LATE_EVICT] = {"an eviction after it was told to leave", false},
};

/* One of the set, or -1. */
static int any_of(struct world *w, dsm_set set)
{
	for (unsigned n = rng_below(&w->enemy, DSM_MEMBERS_MAX), i = 0; i < DSM_MEMBERS_MAX; i++)
		if (set >> (n + i) % DSM_MEMBERS_MAX & 1)
			return (int)((n + i) % DSM_MEMBERS_MAX);
	return -1;
}

/* Who sends it, or of whom it is; -1: there is nobody. */
static int any_member(struct world *w, const struct dsm_core *core, enum kind kind)
{
	const dsm_set self = dsm_bit(core->config.self.v);
	switch (kind) {
	case NEWS_OF_THE_GONE:
	case THE_GONE:
		return any_of(w, core->gone);
	case NOBODY:
		return rng_chance(&w->enemy, 100) ? MEMBER_NONE.v : any_of(w, ~core->known | self);
	default:
		return any_of(w, core->known & ~self & ~core->gone);
	}
}

static struct dsm_event draw(struct world *w, const struct dsm_core *core, enum kind kind,
			     struct member_id from)
{
	static const uint8_t of_link[] = {PAGE_POST, PAGE_CHANGE};
	const uint64_t page = w->space_page[rng_below(&w->enemy, w->options->pages)];
	struct dsm_event ev = {
		.type = DSM_EV_MSG,
		.now = core->now,
		.msg = {.from = from,
			.msg = {.type = (uint8_t)rng_between(&w->enemy, PAGE_GET_S, PAGE_TYPE_LAST),
				.epoch = core->config.epoch,
				.requester = from,
				.page = {page},
				.pages = 1}}};
	if (kind == PING)
		ev.msg.msg.type = PAGE_PING;
	else if (kind == LINK_MESSAGE)
		ev.msg.msg.type = of_link[rng_below(&w->enemy, 2)];
	else if (kind == OTHER_EPOCH)
		ev.msg.msg.epoch.v += rng_chance(&w->enemy, 500) ? 1 : UINT32_MAX;
	else if (kind == NEWS_OF_THE_GONE)
		ev = (struct dsm_event){.type = DSM_EV_LOST,
					.now = core->now,
					.lost = {.member = from, .reason = ERR_LOST}};
	else if (kind == LATE_FAULT)
		ev = (struct dsm_event){
			.type = DSM_EV_FAULT,
			.now = core->now,
			.fault = {.page = {page}, .write = rng_chance(&w->enemy, 500)}};
	else if (kind == LATE_EVICT)
		ev = (struct dsm_event){
			.type = DSM_EV_EVICT,
			.now = core->now,
			.evict = {.page = {page}, .discard = rng_chance(&w->enemy, 500)}};
	else if (kind == ODD_EVENT)
		ev = (struct dsm_event){.type = DSM_EV_JOIN + 1 + rng_below(&w->enemy, 2),
					.now = core->now};
	return ev;
}

/* The only counters that may have changed are set back. */
static void give(struct world *w, unsigned m, const struct dsm_event *ev, enum kind kind)
{
	static struct dsm_core before;
	static struct dsm_effects fx;
	struct dsm_core *core = w->members[m].core;
	const bool over = core->ended || core->leave.state == LEAVE_LEFT;
	const bool refused = !over && kinds[kind].refused;
	const bool stale = !over && kind == OTHER_EPOCH;
	before = *core;
	dsm_step(core, ev, &fx);
	const struct dsm_core_stats after = core->stats;
	core->stats.refused -= refused;
	core->stats.stale_epoch -= stale;
	core->blame = before.blame;
	if (fx.n || memcmp(core, &before, sizeof(before)) != 0)
		world_fail(w, "I12", -1,
			   "m%u heeds %s: %u effects, refused %" PRIu64 " of other epochs %" PRIu64,
			   m, kinds[kind].says, fx.n, after.refused - before.stats.refused,
			   after.stale_epoch - before.stats.stale_epoch);
	*core = before;
	w->figures->hostile++;
}

/* Time stands still for it; so there must be nothing that is due, and no home that freezes with the
 * next step, whichever that is. */
static bool has_work(const struct dsm_core *core)
{
	const uint32_t first = core->moving.head;
	return core->greet || core->ending || core->armed <= core->now ||
	       (first && core->chunks[first - 1].state == CHUNK_MOVING);
}

void harmless_try(struct world *w, unsigned m)
{
	const struct dsm_core *core = w->members[m].core;
	if (!(w->options->faults & 1 << SIM_FORGE) || !rng_chance(&w->enemy, TRIES))
		return;
	const enum kind kind = (enum kind)rng_below(&w->enemy, KINDS);
	const int from = any_member(w, core, kind);
	if (from < 0 || (!core->ended && has_work(core)))
		return;
	if ((kind == LATE_FAULT || kind == LATE_EVICT) && !core->ended && !dsm_is_leaving(core))
		return;
	const struct dsm_event ev = draw(w, core, kind, (struct member_id){(uint8_t)from});
	give(w, m, &ev, kind);
}
