/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that need many pages at once retire, whatever other members do (R40 to R42). */
#include "rack.h"

enum { PAGES = DSM_CHUNK_PAGES, LOW = 3, THREAD = 77 };

static struct rack *r;

static void end(void)
{
	rack_end(r);
}

/* R26: a page whose home is here does not pass through to the next in home's queue, though nothing
 * is held after its grant. */
static void a_page_does_not_pass_through_its_home(void)
{
	r = rack_new(3, PAGES, 0);
	rack_write(r, 1, LOW, 1);
	rack_acquire(r, 0, LOW, 1, true, 1);
	rack_fault(r, 2, LOW, true);
	rack_deliver(r, 2, 0, PAGE_GET_X); /* waits in home's queue */
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 0, PAGE_GRANT);
	ASSERT_STATE(r, 0, LOW, DSM_M);
	CU_ASSERT_EQUAL(r->acquired[0], 1);
	end();
}

/* One instruction of each member needs all the pages at once, from a different one on each. */
static bool try_instruction(uint8_t member, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++) {
		uint64_t page = LOW + (i + member) % pages;

		if (!r->page[member][page].writable) {
			rack_step(r, member,
				  (struct dsm_event){.type = DSM_EV_FAULT,
						     .fault = {{page}, true, THREAD}});
			return false;
		}
	}
	return true;
}

/* Messages take their time, threads run only now and then: nothing is ever together by chance. */
static unsigned rounds_until_all_retire(uint8_t members, unsigned pages)
{
	uint64_t done = 0, all = (1ull << members) - 1;
	unsigned round = 0;

	for (; done != all && round < 100000; round++) {
		uint8_t a = (uint8_t)(round % members), b = (uint8_t)(round / members % members);

		rack_tick(r, 7);
		if (rack_next(r, a, b))
			rack_deliver(r, a, b, rack_next(r, a, b));
		if (round % (5 * members) < members && try_instruction(a, pages))
			done |= 1ull << a;
	}
	return round;
}

static void instructions_of_many_pages_retire(void)
{
	static const uint32_t holds[] = {0, RACK_HOLD_US, 2000};

	for (unsigned i = 0; i < 3; i++) {
		for (uint8_t members = 2; members <= 4; members++) {
			r = rack_new(members, PAGES, holds[i]);
			CU_ASSERT_TRUE(rounds_until_all_retire(members, DSM_ACQUIRE_PAGES_MAX) <
				       100000);
			end();
		}
	}
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_page_does_not_pass_through_its_home),
		UNIT_CASE(instructions_of_many_pages_retire),
	};

	return unit_main("core-retire", cases, UNIT_COUNT(cases));
}
