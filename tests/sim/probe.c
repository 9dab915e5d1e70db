/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/probe.h"

#include <string.h>

#include "dsm/core/internal.h"
#include "tests/sim/world.h"

void probe_queries(struct world *w, unsigned m)
{
	const struct dsm_core *core = w->members[m].core;
	const struct gpage outside = {w->space_pages};
	struct dsm_dir dir;
	if (dsm_core_state(core, outside) != DSM_I || dsm_core_dir(core, outside, &dir) ||
	    !member_eq(dsm_core_home(core, outside), MEMBER_NONE))
		world_fail(w, "I7", -1, "m%u knows a page outside the space", m);
	for (unsigned p = 0; p < w->options->pages; p++)
		if (dsm_core_dir(core, (struct gpage){w->space_page[p]}, &dir) !=
		    (world_home(w, (uint16_t)p) == m))
			world_fail(w, "I7", (int)p, "m%u does not know whose page it is", m);
	if (strcmp(dsm_state_name(DSM_M), "M") != 0 ||
	    strcmp(dsm_state_name((enum dsm_state)(DSM_M + 1)), "?") != 0)
		world_fail(w, "I7", -1, "a state is misnamed");
}

static void expect(struct world *w, const struct dsm_core_config *c, bool good, const char *what)
{
	if (dsm_core_bytes(c) % 4096 || dsm_core_fixed_bytes(c) % 4096)
		world_fail(w, "I7", -1, "with %s, tables do not begin with a page", what);
	if ((dsm_core_bytes(c) != 0) != good)
		world_fail(w, "I7", -1, "a configuration with %s is %s", what,
			   good ? "refused" : "taken");
}

/* R49: who may begin with whom. Of 4 members the first 2 are founders; 0 left, and 2 came. */
static void probe_members(struct world *w)
{
	const struct dsm_core_config good = {.self = {2},
					     .members = 4,
					     .founders = 2,
					     .pages = 1,
					     .present = 1 << 1 | 1 << 2,
					     .heir = {[0] = 2}};
	struct dsm_core_config c = good;
	expect(w, &c, true, "a founder that left");
	c.founders = 5;
	expect(w, &c, false, "more founders than members");
	c = good;
	c.self.v = 3;
	expect(w, &c, false, "a member that is not there");
	c = good;
	c.heir[0] = 0;
	expect(w, &c, false, "a founder that is lost");
	c.heir[0] = 1;
	expect(w, &c, false, "an heir of itself");
	c.heir[0] = 4;
	expect(w, &c, false, "an heir that never came");
	c.present |= (dsm_set)1 << 3;
	expect(w, &c, true, "the last member for an heir");
	c.present &= ~((dsm_set)1 << 3);
	c.heir[0] = 5;
	expect(w, &c, false, "an heir that is no member");
	c = good;
	c.present |= (dsm_set)1 << 4;
	expect(w, &c, false, "a fifth member");
	c = good;
	c.heir[4] = 2;
	expect(w, &c, false, "a fifth member that left");
	c = good;
	c.heir[1] = 3;
	expect(w, &c, false, "an heir of one that is there");
	c = good;
	c.heir[3] = 1;
	expect(w, &c, true, "an heir that left");
	c.heir[0] = 4;
	expect(w, &c, false, "heirs of each other");
}

void probe_configs(struct world *w)
{
	const struct dsm_core_config good = {
		.self = {DSM_MEMBERS_MAX - 1},
		.members = DSM_MEMBERS_MAX,
		.pages = UINT32_MAX,
		.locals = DSM_LOCALS_MAX,
		.local = {[DSM_LOCALS_MAX - 1] = {.first = UINT32_MAX - 1, .pages = 1}}};
	struct dsm_core_config c = good;
	expect(w, &c, true, "all it may have");
	c.members++;
	expect(w, &c, false, "65 members");
	c = (struct dsm_core_config){.members = 1, .pages = 1};
	expect(w, &c, true, "one member and one page");
	c.pages = 0;
	expect(w, &c, false, "no page");
	c = (struct dsm_core_config){.pages = 1};
	expect(w, &c, false, "no member");
	c = (struct dsm_core_config){.founders = 1, .pages = 1, .present = 1};
	expect(w, &c, false, "a founder, but no member");
	c = good;
	c.self.v++;
	expect(w, &c, false, "a member that is none");
	c = good;
	c.pages++;
	expect(w, &c, false, "2^32 pages");
	c = good;
	c.locals++;
	expect(w, &c, false, "9 local ranges");
	c = good;
	c.local[DSM_LOCALS_MAX - 1].pages++;
	expect(w, &c, false, "a local range that ends outside");
	c.local[DSM_LOCALS_MAX - 1] = (struct dsm_range){.first = UINT32_MAX};
	expect(w, &c, false, "a local range that begins outside");
	probe_members(w);
}
