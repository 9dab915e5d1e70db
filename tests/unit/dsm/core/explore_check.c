/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In each state: one writer or many readers, who read the last write; no hold lasts too long. In
 * each state in which no letter is under way and nothing is held back: nobody waits, and the
 * directory agrees with the holders.
 */
#include "explore.h"

static void check_copies(void)
{
	unsigned readers = 0, writers = 0;

	for (uint8_t m = 0; m < explore_members; m++) {
		enum dsm_state s = explore_core[m]->holders[0].state;

		readers += explore_world.present[m] && !explore_world.writable[m];
		writers += explore_world.writable[m];
		if (explore_world.present[m] != (s != DSM_I) ||
		    explore_world.writable[m] != (s == DSM_M))
			explore_wrong("memory is not what the core thinks");
		if (explore_world.present[m] && explore_world.value[m] != explore_world.truth)
			explore_wrong("an old value can be read");
	}
	if (writers > 1 || (writers && readers))
		explore_wrong("a writer is not alone");
}

static void check_holds(void)
{
	for (uint8_t m = 0; m < explore_members; m++)
		if (explore_core[m]->deferred_count && !explore_fresh(m))
			explore_wrong("a request is held back after the hold is over");
}

static bool at_rest(void)
{
	for (uint8_t a = 0; a < explore_members; a++) {
		if (explore_core[a]->deferred_count)
			return false;
		for (uint8_t b = 0; b < explore_members; b++)
			if (explore_world.letters[a][b])
				return false;
	}
	return true;
}

static bool owns(enum dsm_state s)
{
	return s == DSM_O || s == DSM_E || s == DSM_M;
}

static void check_rest(void)
{
	const struct dsm_home *e = &explore_core[0]->homes[0];

	if (e->requester || e->queued)
		explore_wrong("home waits, and nothing is under way");
	for (uint8_t m = 0; m < explore_members; m++) {
		const struct dsm_holder *h = &explore_core[m]->holders[0];

		if (h->txn || dsm_core_pending(explore_core[m]))
			explore_wrong("a transaction waits, and nothing is under way");
		if (owns(h->state) != (e->owner == m + 1))
			explore_wrong("the directory names another owner");
		if ((h->state == DSM_S) != !!(e->sharers & dsm_bit(m)))
			explore_wrong("the directory names other sharers");
		if ((h->state == DSM_E || h->state == DSM_M) && e->sharers)
			explore_wrong("a sole copy has sharers");
		if (h->state != DSM_I && h->version != e->version)
			explore_wrong("a copy of another version");
	}
}

void explore_check(void)
{
	check_copies();
	check_holds();
	if (at_rest())
		check_rest();
}
