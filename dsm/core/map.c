/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the home of a page is: a table of chunks, which each member keeps for itself. At first home
 * is chunk number modulo founders, with version 0. Each move raises the chunk's version by one, so
 * of two things said about a home the one with the higher version is newer (R32). A member that
 * knows an old home is told by it, or by the next forward or grant. An old home that has left is
 * answered for by its heir, which knows more of all its chunks (R48).
 */
#include "dsm/core/internal.h"

struct member_id dsm_map_home(const struct dsm_core *core, uint32_t page)
{
	uint32_t chunk = page / DSM_CHUNK_PAGES;
	uint8_t home = dsm_chunk(core, page)->home;

	return (struct member_id){home ? home - 1 : (uint8_t)(chunk % core->config.founders)};
}

/* R48: an heir was present when it became one, so the chain ends. */
struct member_id dsm_home_of(const struct dsm_core *core, uint32_t page)
{
	struct member_id m = dsm_map_home(core, page);

	while (core->heir[m.v])
		m.v = core->heir[m.v] - 1;
	return m;
}

bool dsm_home_is_here(const struct dsm_core *core, uint32_t page)
{
	return dsm_is_self(core, dsm_map_home(core, page)) &&
	       dsm_chunk(core, page)->state != CHUNK_COMING;
}

/*
 * Who asks us with a version that we do not know yet was told of a move to us that is still under
 * way. Who asks us with an older one than we know has an old map. The same version cannot name two
 * homes, and nobody knows more of a home than that home.
 */
enum dsm_address dsm_address_of(const struct dsm_core *core, uint32_t page, uint32_t map)
{
	const struct dsm_chunk *c = dsm_chunk(core, page);

	if (!dsm_is_self(core, dsm_map_home(core, page)))
		return map > c->version	  ? ADDRESS_SOON
		       : map < c->version ? ADDRESS_ELSEWHERE
					  : ADDRESS_WRONG;
	if (map > c->version)
		return ADDRESS_WRONG;
	return c->state == CHUNK_COMING ? ADDRESS_SOON : ADDRESS_HERE;
}

bool dsm_map_learn(struct dsm_core *core, uint32_t page, struct member_id home, uint32_t map)
{
	struct dsm_chunk *c = dsm_chunk(core, page);

	if (!dsm_is_in(core->known, home))
		return false;
	if (map <= c->version)
		return true; /* we know that, or better */
	if (dsm_is_self(core, dsm_map_home(core, page)))
		return false; /* it moves on from here by us alone */
	c->home = home.v + 1;
	c->version = map;
	c->state = dsm_is_self(core, home) ? CHUNK_COMING : CHUNK_SETTLED;
	return true;
}

/* Transactions end before their home moves: what belongs to one never has an old version. */
bool dsm_map_confirm(struct dsm_core *core, uint32_t page, struct member_id home, uint32_t map)
{
	uint32_t known = dsm_chunk(core, page)->version;

	if (map > known)
		return !dsm_is_self(core, home) && dsm_map_learn(core, page, home, map);
	return map == known && member_eq(home, dsm_map_home(core, page));
}
