/* SPDX-License-Identifier: Apache-2.0 */
/* R32 to R34: what nobody honest says of homes that move. */
#include "move.h"

static struct rack *r;

static void begin(void)
{
	r = move_rack();
}

static void moved(uint8_t from, uint8_t to)
{
	move_home(r, from, to);
}

static struct dsm_msg message(int type, uint8_t requester, uint64_t page, uint32_t map)
{
	return WITH(rack_message(type, requester, page), m_.map = map, m_.member.v = 1,
		    m_.version = 2, m_.txn = 2 /* as members 2 and 3 will ask next */);
}

static void ends(uint8_t from, uint8_t to, struct dsm_msg m)
{
	rack_ends(r, from, to, m);
}

static void handovers_nobody_honest_makes(void)
{
	begin(); /* of a version that is not new */
	ends(0, 3, message(PAGE_HAND, 0, P0, 0));
	begin();
	ends(0, 3, message(PAGE_HANDED, 0, 0, 0));
	begin(); /* to the home itself */
	ends(3, 0, message(PAGE_HAND, 3, P0, 1));
	begin(); /* in another's name */
	ends(0, 3, message(PAGE_HAND, 2, P0, 1));
	begin(); /* of one chunk by two */
	rack_inject(r, 0, 3, message(PAGE_HAND, 0, P0, 1));
	ends(2, 3, message(PAGE_HAND, 2, Q0, 1));
	begin();
	rack_inject(r, 0, 3, message(PAGE_HAND, 0, P0, 1));
	ends(2, 3, message(PAGE_HANDED, 2, 0, 1));
	begin(); /* of one page twice */
	rack_inject(r, 0, 3, message(PAGE_HAND, 0, P0, 1));
	ends(0, 3, message(PAGE_HAND, 0, P0, 1));
	begin(); /* of one chunk by two versions */
	rack_inject(r, 0, 3, message(PAGE_HAND, 0, P0, 1));
	ends(0, 3, message(PAGE_HAND, 0, Q0, 2));
	begin(); /* after the end */
	moved(0, 3);
	ends(0, 3, message(PAGE_HAND, 0, Q0, 1));
	begin(); /* of no chunk */
	ends(0, 3, message(PAGE_HANDED, 0, P0, 1));
}

static void entries_nobody_honest_sends(void)
{
	begin(); /* an owner that is nobody's number */
	ends(0, 3, WITH(message(PAGE_HAND, 0, P0, 1), m_.member.v = 4));
	begin(); /* sharers of nobody's number */
	ends(0, 3, WITH(message(PAGE_HAND, 0, P0, 1), m_.sharers = dsm_bit(4)));
	begin(); /* an owner who shares */
	ends(0, 3, WITH(message(PAGE_HAND, 0, P0, 1), m_.sharers = dsm_bit(1)));
	begin(); /* sharers without an owner */
	ends(0, 3,
	     WITH(message(PAGE_HAND, 0, P0, 1), m_.sharers = dsm_bit(1); m_.member = MEMBER_NONE));
	begin(); /* we own a page, and the entry denies it */
	ends(0, 1, message(PAGE_HANDED, 0, 0, 1));
	begin();
	rack_inject(r, 0, 1, WITH(message(PAGE_HAND, 0, P0, 1), m_.member.v = 2));
	ends(0, 1, message(PAGE_HANDED, 0, 0, 1));
	begin(); /* a request in another's name, from one who hands nothing over */
	rack_inject(r, 0, 3, message(PAGE_HAND, 0, P0, 1));
	ends(1, 3, message(PAGE_GET_X, 2, P0, 1));
	begin(); /* more than wait anywhere */
	for (uint64_t p = 0; p < DSM_TXN_MAX; p++)
		rack_inject(r, 0, 3, message(PAGE_GET_X, 2, 100 + p, 1));
	CU_ASSERT_EQUAL(r->lost[3], 0);
	ends(0, 3, message(PAGE_GET_X, 2, 300, 1));
}

/* Home comes back without an entry it went with: nothing of it is remembered. */
static void entries_that_are_kept_back(void)
{
	static const uint64_t pages[] = {0, P0, DSM_CHUNK_PAGES - 1};
	struct dsm_dir dir;

	begin();
	moved(0, 3);
	rack_inject(r, 3, 0, message(PAGE_HANDED, 3, 0, 2));
	CU_ASSERT_TRUE_FATAL(dsm_core_dir(r->core[0], (struct gpage){P0}, &dir));
	CU_ASSERT_EQUAL(dir.owner.v, MEMBER_NONE.v);
	CU_ASSERT_EQUAL(dir.sharers, 0);
	CU_ASSERT_EQUAL(dir.version, 0);
	rack_delete(r);
	for (unsigned i = 0; i < 3; i++) { /* we own the page */
		r = rack_new(4, PAGES, 0);
		rack_write(r, 0, pages[i], 9);
		moved(0, 3);
		ends(3, 0, message(PAGE_HANDED, 3, 0, 2));
	}
}

static void maps_nobody_honest_has(void)
{
	begin(); /* a request that knows more of home than home */
	ends(3, 0, message(PAGE_GET_X, 3, P0, 1));
	begin(); /* one that says home is here, by the version by which it is elsewhere */
	ends(2, 3, message(PAGE_GET_X, 2, P0, 0));
	begin();
	ends(2, 3, message(PAGE_DROP, 2, P0, 0));
	begin();
	ends(2, 3, WITH(message(PAGE_PUT, 2, P0, 0), m_.flags = PAGE_FLAG_OWNER | PAGE_FLAG_ZERO));
	begin(); /* a forward of an old version */
	moved(0, 3);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 1, PAGE_FETCH_X);
	ends(0, 1, WITH(message(PAGE_FETCH_S, 2, P0, 0), m_.member.v = 0));
	begin(); /* a forward of a new one, to home */
	ends(3, 0, WITH(message(PAGE_FETCH_S, 2, P0, 1), m_.member.v = 3));
	begin(); /* UNBLOCK to who is not home any more */
	moved(0, 3);
	ends(2, 0, message(PAGE_UNBLOCK, 2, P0, 1));
}

/* Home goes to 3, whose INVALIDATE tells 2 of it; the answer to what 2 asked is under way. */
static void moved_unheard(void)
{
	rack_move(r, 0, P0, 3);
	rack_deliver(r, 0, 3, PAGE_HAND);
	rack_deliver(r, 0, 3, PAGE_HANDED);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 2, PAGE_INVALIDATE);
	CU_ASSERT_EQUAL(dsm_core_home(r->core[2], (struct gpage){P0}).v, 3);
}

static void redirects_nobody_honest_sends(void)
{
	begin(); /* nobody asked */
	ends(0, 3, message(PAGE_REDIRECT, 3, P0, 1));
	begin(); /* another one was asked */
	rack_fault(r, 3, P0, true);
	ends(2, 3, message(PAGE_REDIRECT, 3, P0, 1));
	begin(); /* home says that it is not home, and not who is */
	rack_fault(r, 3, P0, true);
	ends(0, 3, message(PAGE_REDIRECT, 3, P0, 0));
	begin(); /* to nobody */
	rack_fault(r, 3, P0, true);
	ends(0, 3, WITH(message(PAGE_REDIRECT, 3, P0, 1), m_.member.v = 4));
	begin();
	rack_fault(r, 3, P0, true);
	ends(0, 3, WITH(message(PAGE_REDIRECT, 3, P0, 1), m_.txn = 3));
	begin(); /* to nobody, when more is known already */
	rack_fault(r, 2, Q0, true);
	moved_unheard();
	ends(0, 2, WITH(message(PAGE_REDIRECT, 2, Q0, 1), m_.member.v = 4));
	begin(); /* away from us, by another one than us */
	rack_fault(r, 3, Q0, true);
	rack_move(r, 0, P0, 3);
	rack_deliver(r, 0, 3, PAGE_HAND);
	rack_deliver(r, 0, 3, PAGE_HANDED);
	ends(0, 3, message(PAGE_REDIRECT, 3, Q0, 5));
}

static void grants_nobody_honest_sends(void)
{
	enum { GOOD = PAGE_FLAG_DATA | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER };

	begin(); /* began by one who was not home */
	rack_fault(r, 3, P0, true);
	ends(1, 3, WITH(message(PAGE_GRANT, 3, P0, 0), m_.flags = GOOD));
	begin(); /* began by us */
	rack_fault(r, 3, P0, true);
	ends(1, 3, WITH(message(PAGE_GRANT, 3, P0, 1), m_.flags = GOOD; m_.member.v = 3));
	begin(); /* by an old home */
	moved(0, 1);
	rack_fault(r, 3, P0, true);
	rack_settle(r);
	rack_evict(r, 3, P0);
	rack_settle(r);
	rack_fault(r, 3, P0, true);
	ends(1, 3,
	     WITH(message(PAGE_GRANT, 3, P0, 0), m_.flags = GOOD; m_.member.v = 0;
		  m_.txn = r->core[3]->txn_next_id));
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(handovers_nobody_honest_makes), UNIT_CASE(entries_nobody_honest_sends),
		UNIT_CASE(entries_that_are_kept_back),	  UNIT_CASE(maps_nobody_honest_has),
		UNIT_CASE(redirects_nobody_honest_sends), UNIT_CASE(grants_nobody_honest_sends),
	};

	return unit_main("core-handover", cases, UNIT_COUNT(cases));
}
