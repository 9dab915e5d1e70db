/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/path.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/build.h"
#include "tests/sim/step.h"
#include "tests/sim/world.h"

enum { PAGE = 0, HOP = 5000 /* ns */, WRITER = DSM_MEMBERS_MAX - 1 };

static void fault(struct world *w, unsigned m, bool write)
{
	struct dsm_event ev = {.type = DSM_EV_FAULT,
			       .fault = {.page = {w->space_page[PAGE]}, .write = write}};
	step_give(w, m, &ev, NULL);
}

static void settle(struct world *w)
{
	while (clock_due(&w->clock) != UINT64_MAX && world_turn(w))
		;
}

static void build(struct world *w, unsigned members)
{
	struct birth birth = {.seed = 1, .members = members, .steps = UINT32_MAX, .now = HOP};
	build_world(w, &birth);
	w->tuning.base = HOP;
	w->tuning.jitter = w->tuning.tail = 0;
	w->tuning.timer_delay = 1;
}

/* ns from the writer's fault to its right, with `sharers` others that hold the page. */
static uint64_t measure(struct world *w, unsigned sharers, bool upgrade)
{
	build(w, DSM_MEMBERS_MAX);
	for (unsigned i = 0; i < sharers; i++) {
		fault(w, (i + 1) % WRITER, i == 0); /* the first one owns it, home comes last */
		settle(w);
	}
	if (upgrade) {
		fault(w, WRITER, false);
		settle(w);
	}
	const uint64_t begin = w->now;
	fault(w, WRITER, true);
	while (!w->members[WRITER].memory.frames[PAGE].writable &&
	       clock_due(&w->clock) != UINT64_MAX && world_turn(w))
		;
	return w->now - begin;
}

static bool check(struct world *w, bool upgrade)
{
	static const unsigned sharers[] = {1, 2, 3, 7, 15, 31, 63};
	const uint64_t one = measure(w, 1, upgrade);
	bool same = true;
	for (unsigned i = 0; i < sizeof(sharers) / sizeof(sharers[0]); i++) {
		const uint64_t ns = measure(w, sharers[i], upgrade);
		const bool right = w->members[WRITER].memory.frames[PAGE].writable;
		printf("%-7s %2u sharers: %" PRIu64 " ns, %" PRIu64 " hops%s\n",
		       upgrade ? "upgrade" : "write", sharers[i], ns, ns / HOP,
		       !right	   ? ", NEVER"
		       : ns == one ? ""
				   : ", NOT THE SAME");
		same &= right && ns == one && !w->failure.set;
	}
	return same;
}

/* ---- messages ---- */

/* Who has the page when somebody faults on it. */
static const struct scene {
	const char *name;
	bool owned;   /* a member that is not home wrote it */
	bool shared;  /* ... and another one reads it */
	bool upgrade; /* the one that faults reads it */
	bool write;   /* what it wants */
} scenes[] = {
	{.name = "read, never touched"},
	{.name = "write, never touched", .write = true},
	{.name = "read, owned", .owned = true},
	{.name = "write, owned", .owned = true, .write = true},
	{.name = "write, owned, one sharer", .owned = true, .shared = true, .write = true},
	{.name = "upgrade, owned", .owned = true, .upgrade = true, .write = true},
};

/* Messages of a fault, until all are at rest; 0: the right never came. */
static uint64_t messages(struct world *w, const struct scene *s, unsigned members)
{
	const struct memory *memory;
	uint64_t before;
	unsigned home;

	build(w, members);
	home = world_home(w, PAGE);
	const unsigned owner = (home + 1) % members, sharer = (home + 2) % members,
		       wants = (home + 3) % members;
	const unsigned first[] = {owner, sharer, wants};
	const bool is_first[] = {s->owned, s->shared, s->upgrade};
	for (unsigned i = 0; i < 3; i++)
		if (is_first[i]) {
			fault(w, first[i], first[i] == owner);
			settle(w);
		}
	before = w->links.sent;
	fault(w, wants, s->write);
	settle(w);
	memory = &w->members[wants].memory;
	return memory->frames[PAGE].present && memory->frames[PAGE].writable >= s->write
		       ? w->links.sent - before
		       : 0;
}

static bool check_messages(struct world *w)
{
	static const unsigned members[] = {8, 16, 32, 64};
	bool same = true;

	for (unsigned i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		const uint64_t least = messages(w, &scenes[i], members[0]);

		printf("%-24s messages a fault:", scenes[i].name);
		for (unsigned k = 0; k < sizeof(members) / sizeof(members[0]); k++) {
			const uint64_t n = messages(w, &scenes[i], members[k]);

			printf(" %" PRIu64 " among %u%s", n, members[k],
			       !n	    ? " NEVER"
			       : n == least ? ""
					    : " NOT THE SAME");
			same &= n && n == least && !w->failure.set;
		}
		puts("");
	}
	return same;
}

bool path_check(void)
{
	static struct world w;
	static struct transcript transcript;
	static struct figures figures;
	const struct options options = {.members = DSM_MEMBERS_MAX, .pages = 1, .hold_us = 0};
	world_init(&w, &options, DSM_MEMBERS_MAX);
	w.transcript = &transcript;
	w.figures = &figures;
	const bool write = check(&w, false), upgrade = check(&w, true), few = check_messages(&w);
	world_free(&w);
	return write && upgrade && few;
}
