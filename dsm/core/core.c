/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core's memory, its beginning, and what it says about itself. The tables come
 * last: they are address space, and only entries that are used are ever touched.
 */
#include "dsm/core/internal.h"

enum { PAGE_ALIGN = 4096 };

/* ---- layout ---- */

struct layout {
	size_t waiting, deferred, heap, holders, homes, chunks, total;
};

static uint64_t chunks_of(const struct dsm_core_config *c)
{
	return (c->pages + DSM_CHUNK_PAGES - 1) / DSM_CHUNK_PAGES;
}

static bool config_good(const struct dsm_core_config *c)
{
	if (!dsm_members_good(c))
		return false;
	if (c->pages < 1 || c->pages > UINT32_MAX || c->locals > DSM_LOCALS_MAX)
		return false;
	for (int i = 0; i < c->locals; i++) {
		const struct dsm_range *l = &c->local[i];

		if (l->first >= c->pages || l->pages > c->pages - l->first)
			return false;
	}
	return true;
}

static size_t place(size_t *at, size_t bytes)
{
	size_t here = *at;

	*at = (here + bytes + PAGE_ALIGN - 1) & ~(size_t)(PAGE_ALIGN - 1);
	return here;
}

static struct layout layout_of(const struct dsm_core_config *c)
{
	size_t pool = (size_t)c->members * DSM_TXN_MAX;
	struct layout l;
	size_t at = 0;

	place(&at, sizeof(struct dsm_core));
	l.waiting = place(&at, pool * sizeof(struct dsm_waiting));
	l.deferred = place(&at, pool * sizeof(struct dsm_deferred));
	l.heap = place(&at, pool * sizeof(uint16_t));
	l.holders = place(&at, c->pages * sizeof(struct dsm_holder));
	l.homes = place(&at, c->pages * sizeof(struct dsm_home));
	l.chunks = place(&at, chunks_of(c) * sizeof(struct dsm_chunk));
	l.total = at;
	return l;
}

size_t dsm_core_bytes(const struct dsm_core_config *config)
{
	return config_good(config) ? layout_of(config).total : 0;
}

size_t dsm_core_fixed_bytes(const struct dsm_core_config *config)
{
	return config_good(config) ? layout_of(config).holders : 0;
}

struct dsm_core *dsm_core_attach(void *memory, const struct dsm_core_config *config)
{
	struct dsm_core *core = memory;
	uint8_t *base = memory;
	struct layout l = layout_of(config);

	core->config = *config;
	core->out = NULL;
	core->journal = NULL;
	core->waiting = (void *)(base + l.waiting);
	core->deferred = (void *)(base + l.deferred);
	core->heap = (void *)(base + l.heap);
	core->holders = (void *)(base + l.holders);
	core->homes = (void *)(base + l.homes);
	core->chunks = (void *)(base + l.chunks);
	return core;
}

struct dsm_core *dsm_core_init(void *memory, const struct dsm_core_config *config)
{
	struct dsm_core *core;

	if (!config_good(config))
		return NULL;
	core = dsm_core_attach(memory, config);
	core->armed = UINT64_MAX;
	core->pool = (uint32_t)config->members * DSM_TXN_MAX;
	for (uint32_t i = 0; i < core->pool; i++)
		core->heap[i] = (uint16_t)i;
	for (int i = 0; i < DSM_TXN_MAX; i++)
		core->txn_free[i] = (uint8_t)(DSM_TXN_MAX - 1 - i);
	core->txn_free_count = DSM_TXN_MAX;
	dsm_members_begin(core);
	return core;
}

bool dsm_is_local(const struct dsm_core *core, uint64_t page, uint64_t pages)
{
	for (int i = 0; i < core->config.locals; i++) {
		const struct dsm_range *l = &core->config.local[i];

		if (page < l->first + l->pages && l->first < page + pages)
			return true;
	}
	return false;
}

/* ---- queries ---- */

enum dsm_state dsm_core_state(const struct dsm_core *core, struct gpage page)
{
	return page.v < core->config.pages ? dsm_holder_seen(core, (uint32_t)page.v).state : DSM_I;
}

bool dsm_core_whole(const struct dsm_core *core, struct gpage page)
{
	return page.v < core->config.pages && core->chunks[page.v / DSM_CHUNK_PAGES].whole;
}

struct member_id dsm_core_home(const struct dsm_core *core, struct gpage page)
{
	return page.v < core->config.pages ? dsm_home_of(core, (uint32_t)page.v) : MEMBER_NONE;
}

bool dsm_core_leaving(const struct dsm_core *core)
{
	return dsm_is_leaving(core) && core->leave.state != LEAVE_LEFT;
}

dsm_set dsm_core_present(const struct dsm_core *core)
{
	return core->present;
}

struct member_id dsm_core_heir(const struct dsm_core *core, struct member_id member)
{
	uint8_t heir = member.v < DSM_MEMBERS_MAX ? core->heir[member.v] : 0;

	return heir ? (struct member_id){heir - 1} : MEMBER_NONE;
}

bool dsm_core_ended(const struct dsm_core *core)
{
	return core->ended;
}

void dsm_core_stats(const struct dsm_core *core, struct dsm_core_stats *out)
{
	*out = core->stats;
}

uint32_t dsm_core_pending(const struct dsm_core *core)
{
	return DSM_TXN_MAX - core->txn_free_count + core->backlog_count;
}

bool dsm_core_dir(const struct dsm_core *core, struct gpage page, struct dsm_dir *out)
{
	struct dsm_home e;
	uint8_t chunk_state;

	if (page.v >= core->config.pages || !dsm_home_is_here(core, (uint32_t)page.v))
		return false;
	chunk_state = dsm_chunk(core, (uint32_t)page.v)->state;
	e = dsm_home_seen(core, (uint32_t)page.v);
	*out = (struct dsm_dir){
		.busy = e.requester != 0,
		.stopped = dsm_move_stops(core, (uint32_t)page.v) || chunk_state == CHUNK_OPENING,
		.owner = e.owner ? (struct member_id){(uint8_t)(e.owner - 1)} : MEMBER_NONE,
		.sharers = e.sharers & core->present,
		.version = e.version,
		.queued = e.queued,
	};
	return true;
}

const char *dsm_state_name(enum dsm_state state)
{
	static const char *const names[] = {"I", "S", "O", "E", "M"};

	return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}
