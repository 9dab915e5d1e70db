/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/hostile.h"

#include <inttypes.h>

#include "tests/sim/rules.h"
#include "tests/sim/world.h"

enum {
	TRIES = 300, /* per mille of the letters before which something is tried */
	DRAWS = 8,   /* messages drawn, until one is forbidden */
	PLAUSIBLE = 600,
	SECOND_CHANGE = 200,
};

struct hostile {
	struct world *w;
	struct rng *r;
	const struct dsm_core *core;
	struct dsm_msg m;
	unsigned from, to;
};

static struct member_id any_member(struct hostile *h)
{
	return (struct member_id){(uint8_t)rng_below(h->r, h->w->options->members)};
}

static uint64_t any_page(struct hostile *h)
{
	return h->w->space_page[rng_below(h->r, h->w->options->pages)];
}

static bool is_of_link(uint8_t type)
{
	return page_type_class(type) == PAGE_CLASS_LINK;
}

static uint8_t any_type(struct hostile *h)
{
	uint8_t type;
	do
		type = (uint8_t)rng_between(h->r, PAGE_GET_S, PAGE_TYPE_LAST);
	while (is_of_link(type));
	return type;
}

/* ---- one field wrong ---- */

static void change_page(struct hostile *h)
{
	const struct dsm_range *l = &h->w->local[rng_below(h->r, WORLD_LOCALS)];
	const uint64_t page = h->m.page.v;
	const uint64_t pages[] = {any_page(h),	    any_page(h),
				  l->first,	    l->first + l->pages - 1,
				  page ^ 1,	    page - page % DSM_CHUNK_PAGES,
				  h->w->space_pages};
	h->m.page.v = pages[rng_below(h->r, sizeof(pages) / sizeof(pages[0]))];
}

static uint32_t near(struct hostile *h, uint32_t n)
{
	return n + (rng_chance(h->r, 500) ? 1 : UINT32_MAX);
}

static void change(struct hostile *h)
{
	const uint8_t members = (uint8_t)h->w->options->members;
	switch (rng_below(h->r, 12)) {
	case 0:
		h->m.type = rng_chance(h->r, 900)   ? any_type(h)
			    : rng_chance(h->r, 500) ? 0
						    : PAGE_TYPE_LAST + 1;
		break;
	case 1:
		h->m.flags ^= (uint8_t)(1u << rng_below(h->r, 8));
		break;
	case 2:
		h->m.requester.v = (uint8_t)rng_between(h->r, 0, members);
		break;
	case 3:
		h->m.acks = (uint8_t)rng_pick(h->r, 0, 1, 2, members - 1, members);
		break;
	case 4:
		change_page(h);
		break;
	case 5:
		h->m.pages = rng_chance(h->r, 500) ? 0 : 2;
		break;
	case 6:
		h->m.version = near(h, h->m.version);
		break;
	case 7:
		h->m.txn = near(h, h->m.txn);
		break;
	case 8:
		h->m.map = near(h, h->m.map);
		break;
	case 9:
		h->m.member.v = rng_chance(h->r, 800) ? any_member(h).v
						      : (uint8_t)rng_pick(h->r, members, 0xff);
		break;
	case 10:
		h->m.sharers ^= (dsm_set)1
				<< rng_below(h->r, members < DSM_MEMBERS_MAX ? members + 1u
									     : DSM_MEMBERS_MAX);
		break;
	case 11:
		h->from = any_member(h).v;
		break;
	}
}

/* ---- a message from nothing ---- */

/* As a member would send it that knows what the receiver knows. */
static void plausible(struct hostile *h, uint64_t page)
{
	const struct dsm_core *core = h->core;
	const struct dsm_holder seen = dsm_holder_seen(core, (uint32_t)page), *holder = &seen;
	const struct dsm_txn *txn = holder->txn ? &core->txn[holder->txn - 1] : NULL;
	const struct member_id self = core->config.self;
	const struct member_id home = dsm_map_home(core, (uint32_t)page);
	const uint8_t type = any_type(h);
	const bool forward = page_type_class(type) == PAGE_CLASS_FORWARD;
	h->from = forward && !member_eq(home, self) ? home.v : any_member(h).v;
	h->m = (struct dsm_msg){.type = type,
				.epoch = core->config.epoch,
				.page = {page},
				.pages = 1,
				.requester = {(uint8_t)h->from},
				.version = holder->version +
					   (type == PAGE_FETCH_X || type == PAGE_INVALIDATE),
				.txn = txn ? txn->id : 1,
				.map = core->chunks[page / DSM_CHUNK_PAGES].version,
				.member = home};
	switch (type) {
	case PAGE_PUT:
		h->m.flags = PAGE_FLAG_OWNER | PAGE_FLAG_ZERO;
		break;
	case PAGE_UNBLOCK:
		h->m.txn = dsm_home_seen(core, (uint32_t)(page)).txn;
		break;
	case PAGE_GRANT:
		h->m.flags = (uint8_t)rng_below(h->r, 32);
		break;
	case PAGE_HAND:
	case PAGE_HANDED:
		h->m.map += rng_below(h->r, 2);
		h->m.member = any_member(h);
		h->m.sharers = rng_next(h->r);
		break;
	case PAGE_PUT_ACK:
		h->m.flags = rng_chance(h->r, 500) ? PAGE_FLAG_OWNER : 0;
		break;
	case PAGE_TELL:
	case PAGE_BYE:
		h->m.member = any_member(h);
		break;
	default:
		break;
	}
	if (forward)
		h->m.member.v = (uint8_t)h->from;
	if (page_type_class(type) == PAGE_CLASS_REPLY && type != PAGE_UNBLOCK && type < PAGE_GONE)
		h->m.requester = self;
	else if (forward)
		h->m.requester = any_member(h);
	if (type >= PAGE_HANDED)
		h->m.page.v -= page % DSM_CHUNK_PAGES;
}

/* False: what was drawn may be right, or is refused without an end of the space. */
static bool draw(struct hostile *h, unsigned from, const struct letter *letter)
{
	h->from = from;
	h->m = letter->msg;
	if (rng_chance(h->r, PLAUSIBLE))
		plausible(h, rng_chance(h->r, 500) ? letter->msg.page.v : any_page(h));
	else
		change(h);
	if (rng_chance(h->r, SECOND_CHANGE))
		change(h);
	if (h->from == h->to || h->core->gone & member_bit(h->from) ||
	    !(h->core->known & member_bit(h->from)) || is_of_link(h->m.type))
		return false;
	return rules_forbid(h->core, (struct member_id){(uint8_t)h->from}, &h->m);
}

/* ---- trying ---- */

/* All that a step can have changed that ends the space. */
struct before {
	struct dsm_core core;
	struct dsm_holder holder;
	struct dsm_home home;
	struct dsm_chunk chunk;
};

static void keep(struct before *b, const struct dsm_core *core, uint64_t page)
{
	b->core = *core;
	b->holder = core->holders[page];
	b->home = core->homes[page];
	b->chunk = core->chunks[page / DSM_CHUNK_PAGES];
}

static void set_back(const struct before *b, struct dsm_core *core, uint64_t page)
{
	*core = b->core;
	core->holders[page] = b->holder;
	core->homes[page] = b->home;
	core->chunks[page / DSM_CHUNK_PAGES] = b->chunk;
}

/* Devices that wait are told, then the end. */
static bool accuses(const struct dsm_effects *fx, unsigned who)
{
	for (uint32_t i = 0; i + 1 < fx->n; i++)
		if (fx->v[i].type != DSM_FX_ACQUIRED || fx->v[i].reason != ERR_LOST)
			return false;
	return fx->n && fx->v[fx->n - 1].type == DSM_FX_LOST && fx->v[fx->n - 1].to.v == who &&
	       fx->v[fx->n - 1].reason == ERR_PROTOCOL;
}

static void give(struct hostile *h)
{
	static struct before before;
	static struct dsm_effects fx;
	struct world *w = h->w;
	struct dsm_core *core = w->members[h->to].core;
	const uint64_t page = h->m.page.v < w->space_pages ? h->m.page.v : 0;
	const struct dsm_event ev = {
		.type = DSM_EV_MSG,
		.now = w->now,
		.msg = {.from = {(uint8_t)h->from}, .msg = h->m},
	};
	keep(&before, core, page);
	dsm_step(core, &ev, &fx);
	w->figures->hostile++;
	if (!accuses(&fx, h->from) || core->stats.refused != before.core.stats.refused + 1)
		world_fail(w, "I12",
			   world_page(w, h->m.page) == WORLD_NO_PAGE ? -1
								     : world_page(w, h->m.page),
			   "m%u takes what no rule allows from m%u: %s for m%u, flags %#x acks %u "
			   "page "
			   "%" PRIu64 " version %u txn %u map %u member %u",
			   h->to, h->from, page_type_name(h->m.type), h->m.requester.v, h->m.flags,
			   h->m.acks, h->m.page.v, h->m.version, h->m.txn, h->m.map, h->m.member.v);
	set_back(&before, core, page);
}

void hostile_try(struct world *w, unsigned from, unsigned to, const struct letter *letter)
{
	struct hostile h = {.w = w, .r = &w->enemy, .core = w->members[to].core, .to = to};
	if (!(w->options->faults & 1 << SIM_FORGE) || !rng_chance(h.r, TRIES) ||
	    w->members[to].ended || w->left & member_bit(to))
		return;
	for (unsigned i = 0; i < DRAWS; i++) {
		if (!draw(&h, from, letter))
			continue;
		give(&h);
		return;
	}
}
