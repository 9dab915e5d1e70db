/* SPDX-License-Identifier: Apache-2.0 */
#include "explore.h"

#include <string.h>
#include <sys/mman.h>

enum { HOLD_TICK_NS = 1000000 };

uint8_t explore_members;
uint32_t explore_hold_us;
struct dsm_core *explore_core[EXPLORE_MEMBERS_MAX];
struct explore_world explore_world;

static struct dsm_effects fx;

void explore_wrong(const char *what)
{
	if (!explore_world.broken)
		explore_world.broken = what;
}

/* ---- the world ---- */

static void begin(void)
{
	struct dsm_core_config c = {
		.members = explore_members, .epoch = {1}, .pages = 1, .hold_us = explore_hold_us};

	memset(&explore_world, 0, sizeof(explore_world));
	for (uint8_t m = 0; m < explore_members; m++) {
		c.self.v = m;
		dsm_core_init(explore_core[m], &c);
		explore_world.now[m] = 1000000000;
	}
}

void explore_save(struct explore_image *i)
{
	i->world = explore_world;
	for (uint8_t m = 0; m < explore_members; m++) {
		i->member[m].core = *explore_core[m];
		i->member[m].holder = explore_core[m]->holders[0];
		i->member[m].home = explore_core[m]->homes[0];
		memcpy(i->member[m].waiting, explore_core[m]->waiting,
		       sizeof(i->member[m].waiting));
		i->member[m].deferred = explore_core[m]->deferred[0];
	}
}

void explore_restore(const struct explore_image *i)
{
	explore_world = i->world;
	for (uint8_t m = 0; m < explore_members; m++) {
		*explore_core[m] = i->member[m].core;
		explore_core[m]->holders[0] = i->member[m].holder;
		explore_core[m]->homes[0] = i->member[m].home;
		memcpy(explore_core[m]->waiting, i->member[m].waiting,
		       sizeof(i->member[m].waiting));
		explore_core[m]->deferred[0] = i->member[m].deferred;
	}
}

static unsigned slot_index(uint16_t slot)
{
	return slot == SLOT_READ_OUT;
}

static void fx_send(uint8_t m, const struct dsm_effect *e)
{
	uint8_t to = e->to.v;

	if (explore_world.letters[m][to] == EXPLORE_LETTERS_MAX) {
		explore_wrong("more letters than a page can have");
		return;
	}
	explore_world.letter[m][to][explore_world.letters[m][to]++] = (struct explore_letter){
		.msg = e->msg,
		.data = e->msg.flags & PAGE_FLAG_DATA ? explore_world.slot[m][slot_index(e->slot)]
						      : 0,
	};
}

static void fx_map(uint8_t m, const struct dsm_effect *e, uint64_t data)
{
	if (explore_world.present[m])
		explore_wrong("MAP of a present page");
	explore_world.present[m] = true;
	explore_world.writable[m] = e->writable;
	explore_world.value[m] = e->source == DSM_FROM_ZERO ? 0
				 : e->source == DSM_FROM_EVENT
					 ? data
					 : explore_world.slot[m][slot_index(e->slot)];
}

static void write_if_allowed(uint8_t m)
{
	if (explore_world.writable[m])
		explore_world.value[m] = ++explore_world.truth;
}

static void carry_out(uint8_t m, const struct dsm_effect *e, uint64_t data)
{
	switch (e->type) {
	case DSM_FX_SEND:
		fx_send(m, e);
		break;
	case DSM_FX_STASH:
		explore_world.slot[m][slot_index(e->slot)] = data;
		break;
	case DSM_FX_MAP:
		fx_map(m, e, data);
		break;
	case DSM_FX_READ_OUT:
		if (!explore_world.present[m] || explore_world.writable[m])
			explore_wrong("READ_OUT of a page that is absent or writable");
		explore_world.slot[m][slot_index(e->slot)] = explore_world.value[m];
		break;
	case DSM_FX_PROTECT:
	case DSM_FX_UNPROTECT:
		if (!explore_world.present[m] ||
		    explore_world.writable[m] != (e->type == DSM_FX_PROTECT))
			explore_wrong("PROTECT or UNPROTECT without need");
		write_if_allowed(m); /* at the last moment */
		explore_world.writable[m] = e->type == DSM_FX_UNPROTECT;
		break;
	case DSM_FX_UNMAP:
		if (!explore_world.present[m])
			explore_wrong("UNMAP of an absent page");
		explore_world.present[m] = explore_world.writable[m] = false;
		break;
	case DSM_FX_LOST:
		explore_wrong("the space ended");
		break;
	default:
		break;
	}
}

static void step(uint8_t m, struct dsm_event ev, uint64_t data)
{
	ev.now = explore_world.now[m];
	write_if_allowed(m);
	dsm_step(explore_core[m], &ev, &fx);
	for (uint32_t i = 0; i < fx.n; i++)
		carry_out(m, &fx.v[i], data);
	write_if_allowed(m);
}

static void deliver(uint8_t from, uint8_t to)
{
	struct explore_letter l = explore_world.letter[from][to][0];

	explore_world.letters[from][to]--;
	memmove(explore_world.letter[from][to], explore_world.letter[from][to] + 1,
		explore_world.letters[from][to] * sizeof(l));
	step(to, (struct dsm_event){.type = DSM_EV_MSG, .msg = {{from}, l.msg}}, l.data);
}

void explore_act(const struct explore_action *n)
{
	switch ((enum explore_kind)n->kind) {
	case EXPLORE_READ:
	case EXPLORE_WRITE:
		step(n->a,
		     (struct dsm_event){.type = DSM_EV_FAULT,
					.fault = {{0}, n->kind == EXPLORE_WRITE, 0}},
		     0);
		break;
	case EXPLORE_EVICT:
		step(n->a, (struct dsm_event){.type = DSM_EV_EVICT}, 0);
		break;
	case EXPLORE_TICK:
		explore_world.now[n->a] += HOLD_TICK_NS;
		step(n->a, (struct dsm_event){.type = DSM_EV_TIMER}, 0);
		break;
	case EXPLORE_DELIVER:
		deliver(n->a, n->b);
		break;
	}
}

/* ---- what may happen ---- */

bool explore_fresh(uint8_t m)
{
	return (uint32_t)(explore_world.now[m] / 1000) - explore_core[m]->holders[0].granted_us <
	       explore_hold_us;
}

static bool enabled(const struct explore_action *n)
{
	const struct dsm_holder *h = &explore_core[n->a]->holders[0];

	switch ((enum explore_kind)n->kind) {
	case EXPLORE_READ:
		return h->state == DSM_I && !h->txn;
	case EXPLORE_WRITE:
		return h->state != DSM_M && !h->txn;
	case EXPLORE_EVICT:
		return h->state != DSM_I && !h->txn && !h->deferred;
	case EXPLORE_TICK:
		return explore_fresh(n->a) && h->state != DSM_I;
	case EXPLORE_DELIVER:
		return explore_world.letters[n->a][n->b] != 0;
	}
	return false;
}

unsigned explore_possible(struct explore_action out[EXPLORE_ACTIONS_MAX])
{
	unsigned n = 0;

	for (uint8_t kind = EXPLORE_READ; kind <= EXPLORE_DELIVER; kind++)
		for (uint8_t a = 0; a < explore_members; a++)
			for (uint8_t b = 0; b < (kind == EXPLORE_DELIVER ? explore_members : 1);
			     b++) {
				out[n] = (struct explore_action){kind, a, b};
				n += enabled(&out[n]);
			}
	return n;
}

/* ---- life ---- */

static size_t core_bytes(void)
{
	return dsm_core_bytes(&(struct dsm_core_config){.members = explore_members, .pages = 1});
}

void explore_open(uint8_t members, uint32_t hold_us)
{
	explore_members = members;
	explore_hold_us = hold_us;
	for (uint8_t m = 0; m < members; m++)
		explore_core[m] = mmap(NULL, core_bytes(), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	begin();
}

void explore_close(void)
{
	for (uint8_t m = 0; m < explore_members; m++)
		munmap(explore_core[m], core_bytes());
}
