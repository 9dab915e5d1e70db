/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random letters, faults and evictions over a few cores, checked after each step: one writer or
 * many readers, a reader sees the last write. Small and quick; the rack's simulator (tests/sim)
 * does the same at length, with virtual time and member loss.
 */
#include "rack.h"

static uint64_t seed_state;

static uint32_t draw(uint32_t n)
{
	seed_state = seed_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed_state >> 33) % n;
}

enum { USED = 4 };
static const uint64_t used[USED] = {0, 1, DSM_CHUNK_PAGES, 2 * DSM_CHUNK_PAGES + 5};
static uint64_t truth[USED];
static uint64_t stamp;

static bool consistent(const struct rack *r)
{
	for (int i = 0; i < USED; i++) {
		unsigned readers = 0, writers = 0;

		for (uint8_t m = 0; m < r->members; m++) {
			const struct rack_page *p = &r->page[m][used[i]];

			readers += p->present && !p->writable;
			writers += p->writable;
			if (p->present && p->value != truth[i])
				return false;
			if (p->present != (rack_state(r, m, used[i]) != DSM_I) ||
			    p->writable != (rack_state(r, m, used[i]) == DSM_M))
				return false;
		}
		if (writers > 1 || (writers && readers))
			return false;
	}
	return true;
}

static void deliver_some(struct rack *r)
{
	uint8_t a = (uint8_t)draw(r->members), b = (uint8_t)draw(r->members);

	if (rack_next(r, a, b))
		rack_deliver(r, a, b, rack_next(r, a, b));
}

static void act(struct rack *r)
{
	uint8_t m = (uint8_t)draw(r->members);
	int i = (int)draw(USED);
	uint32_t what = draw(100);

	if (what < 70) {
		deliver_some(r);
	} else if (what < 80) {
		rack_fault(r, m, used[i], draw(2));
	} else if (what < 83) {
		rack_evict(r, m, used[i]);
	} else if (what < 84) {
		rack_acquire(r, m, draw(2) ? 0 : DSM_CHUNK_PAGES, 1 + draw(2), draw(2), draw(4));
	} else if (what < 86) {
		rack_release(r, m, draw(4));
	} else if (what < 90) {
		rack_tick(r, draw(200));
	} else if (r->page[m][used[i]].writable) {
		truth[i] = ++stamp;
		rack_poke(r, m, used[i], truth[i]);
	}
}

static void soak(uint8_t members, uint32_t hold_us, unsigned seed, unsigned steps)
{
	struct rack *r = rack_new(members, 3 * DSM_CHUNK_PAGES, hold_us);
	bool good = true;

	seed_state = seed * 0x9e3779b97f4a7c15ull;
	stamp = 0;
	for (int i = 0; i < USED; i++)
		truth[i] = 0;
	for (unsigned s = 0; s < steps && good; s++) {
		act(r);
		good = consistent(r);
	}
	CU_ASSERT_TRUE(good);
	rack_settle(r);
	for (uint8_t m = 0; m < members; m++) {
		CU_ASSERT_FALSE(dsm_core_ended(r->core[m]));
		CU_ASSERT_EQUAL(dsm_core_pending(r->core[m]), 0);
		for (int i = 0; i < USED; i++)
			CU_ASSERT_EQUAL(rack_read(r, m, used[i]), truth[i]);
	}
	rack_delete(r);
}

static void soak_without_holds(void)
{
	for (unsigned seed = 1; seed <= 40; seed++)
		soak((uint8_t)(2 + seed % 4), 0, seed, 4000);
}

static void soak_with_holds(void)
{
	for (unsigned seed = 1; seed <= 40; seed++)
		soak((uint8_t)(1 + seed % 4), RACK_HOLD_US, seed, 4000);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(soak_without_holds),
		UNIT_CASE(soak_with_holds),
	};

	return unit_main("core-soak", cases, UNIT_COUNT(cases));
}
