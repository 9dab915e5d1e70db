/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exhaustive exploration: every order in which letters, faults, evictions and ends of holds can
 * follow each other, for a few members and one page. A state is kept as its parent and the action
 * that led to it, and made again by replaying the actions from the start: memory stays small, and
 * what is explored is the code itself.
 */
#include <stdio.h>
#include <stdlib.h>

#include "explore.h"
#include "tests/unit/unit.h"

enum { HOLD_US = 100, DEPTH_MAX = 4096 };

struct node {
	uint32_t parent;
	struct explore_action action;
};

struct search {
	struct node *node;
	explore_key *seen; /* hash set, open addressing; 0: empty */
	size_t room, n;
};

static bool first_visit(struct search *s, explore_key key)
{
	size_t at = (size_t)key & (2 * s->room - 1);

	while (s->seen[at] && s->seen[at] != key)
		at = (at + 1) & (2 * s->room - 1);
	if (s->seen[at])
		return false;
	s->seen[at] = key;
	return true;
}

static void replay(const struct search *s, const struct explore_image *start, size_t index)
{
	static uint32_t path[DEPTH_MAX];
	unsigned depth = 0;

	for (uint32_t i = (uint32_t)index; i && depth < DEPTH_MAX; i = s->node[i].parent)
		path[depth++] = i;
	explore_restore(start);
	while (depth)
		explore_act(&s->node[path[--depth]].action);
}

static void report(const struct search *s, const struct node *n)
{
	static const char *const kinds[] = {"read", "write", "evict", "tick", "deliver"};

	fprintf(stderr, "\n%s, after (backwards)", explore_world.broken);
	for (;; n = &s->node[n->parent]) {
		fprintf(stderr, " %s %u %u", kinds[n->action.kind], n->action.a, n->action.b);
		if (!n->parent)
			break;
	}
	fprintf(stderr, "\n");
}

/* One action from the state `here`. True: the search may go on. */
static bool try(struct search *s, const struct explore_image *here, struct node n)
{
	explore_restore(here);
	explore_act(&n.action);
	explore_check();
	if (explore_world.broken) {
		report(s, &n);
		return false;
	}
	if (!first_visit(s, explore_key_of()))
		return true;
	s->node[s->n++] = n;
	return s->n < s->room;
}

static bool expand(struct search *s, const struct explore_image *start, size_t index)
{
	static struct explore_image here;
	struct explore_action next[EXPLORE_ACTIONS_MAX];
	unsigned n;

	replay(s, start, index);
	explore_save(&here);
	n = explore_possible(next);
	for (unsigned i = 0; i < n; i++)
		if (!try(s, &here, (struct node){(uint32_t)index, next[i]}))
			return false;
	return true;
}

/* room: a power of two above the number of states. */
static void explore(uint8_t members, uint32_t hold_us, size_t room)
{
	static struct explore_image start;
	struct search s = {.room = room, .n = 1};
	size_t done = 0;

	s.node = calloc(room, sizeof(*s.node));
	s.seen = calloc(2 * room, sizeof(*s.seen));
	CU_ASSERT_FATAL(s.node && s.seen);
	explore_open(members, hold_us);
	explore_save(&start);
	first_visit(&s, explore_key_of());
	while (done < s.n && expand(&s, &start, done))
		done++;
	CU_ASSERT_EQUAL(done, s.n); /* all of them, and none broken */
	printf("%u members, hold %u us: %zu states ", members, hold_us, s.n);
	explore_close();
	free(s.node);
	free(s.seen);
}

static void two_members(void)
{
	explore(2, 0, 1 << 14);
}
static void two_members_with_holds(void)
{
	explore(2, HOLD_US, 1 << 16);
}
static void three_members(void)
{
	explore(3, 0, 1 << 20);
}

static void three_members_with_holds(void)
{
	explore(3, HOLD_US, 1 << 22);
}

static void four_members(void)
{
	explore(4, 0, 1 << 23);
}

/* With an argument: four members, two million states. */
int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(two_members),	  UNIT_CASE(two_members_with_holds),
		UNIT_CASE(three_members), UNIT_CASE(three_members_with_holds),
		UNIT_CASE(four_members),
	};
	unsigned n = UNIT_COUNT(cases);

	(void)argv;
	return unit_main("core-explore", cases, argc > 1 ? n : n - 1);
}
