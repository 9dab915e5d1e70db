/* SPDX-License-Identifier: Apache-2.0 */
/* R10, R32, C5 and C26: home ends at once what it grants by itself, and asks those it granted to
 * before it moves. At first home of P0 and Q0 is member 0, of P1 member 1. */
#include "move.h"

enum { R0 = 20 * DSM_CHUNK_PAGES /* a second chunk of home 0 */, LARGE = R0 + DSM_CHUNK_PAGES };

static struct rack *r;

static void begin(uint8_t members)
{
	r = rack_new(members, LARGE, 0);
}

static void end(void)
{
	rack_end(r);
}

/* ---- what it costs ---- */

static bool deliver_one(void)
{
	for (uint8_t a = 0; a < r->members; a++)
		for (uint8_t b = 0; b < r->members; b++)
			if (rack_next(r, a, b)) {
				rack_deliver(r, a, b, rack_next(r, a, b));
				return true;
			}
	return false;
}

/* Messages from the fault to the end of its transaction. */
static unsigned messages(uint8_t member, bool write)
{
	unsigned n = 0;

	rack_fault(r, member, P0, write);
	while (deliver_one())
		n++;
	CU_ASSERT_FALSE(rack_dir(r, P0).busy);
	CU_ASSERT_TRUE(r->page[member][P0].present);
	CU_ASSERT_TRUE(r->page[member][P0].writable || !write);
	return n;
}

static void a_page_nobody_had_costs_two_messages(void)
{
	begin(3);
	CU_ASSERT_EQUAL(messages(1, false), 2);
	end();
	begin(3);
	CU_ASSERT_EQUAL(messages(1, true), 2);
	end();
}

static void a_page_of_homes_costs_two_messages(void)
{
	begin(3);
	rack_write(r, 0, P0, 5);
	CU_ASSERT_EQUAL(messages(1, false), 2);
	CU_ASSERT_EQUAL(messages(2, false), 2);
	CU_ASSERT_EQUAL(rack_dir(r, P0).sharers, dsm_bit(1) | dsm_bit(2));
	CU_ASSERT_EQUAL(r->page[2][P0].value, 5);
	end();
	begin(3);
	rack_write(r, 0, P0, 5);
	CU_ASSERT_EQUAL(messages(1, true), 2);
	CU_ASSERT_EQUAL(r->page[1][P0].value, 5);
	ASSERT_STATE(r, 0, P0, DSM_I);
	end();
}

static void an_upgrade_against_nobody_costs_two_messages(void)
{
	begin(3);
	rack_write(r, 1, P0, 5);
	rack_read(r, 2, P0);
	rack_evict(r, 2, P0);
	rack_settle(r);
	ASSERT_STATE(r, 1, P0, DSM_O);
	CU_ASSERT_EQUAL(messages(1, true), 2);
	end();
}

/* What home does not see the end of costs an UNBLOCK as ever. */
static void what_others_answer_is_unblocked(void)
{
	begin(4);
	rack_write(r, 1, P0, 5);
	CU_ASSERT_EQUAL(messages(2, false), 4); /* GET_S, FETCH_S, GRANT, UNBLOCK */
	CU_ASSERT_EQUAL(messages(2, true), 5);	/* UPGRADE, GRANT, INVALIDATE, ACK, UNBLOCK */
	end();
	begin(4);
	rack_write(r, 0, P0, 5); /* home's own copy is no exception where acks are due */
	rack_read(r, 1, P0);
	CU_ASSERT_EQUAL(messages(1, true), 4); /* UPGRADE, GRANT, ACK, UNBLOCK */
	end();
	begin(4);
	rack_write(r, 0, P0, 5);
	rack_read(r, 1, P0);
	CU_ASSERT_EQUAL(messages(2, true), 5); /* GET_X, GRANT, INVALIDATE, ACK, UNBLOCK */
	end();
}

/* ---- C5: what follows a last grant ---- */

static void fetch_right_behind_the_grant(void)
{
	begin(4);
	rack_fault(r, 1, P0, true);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_dir(r, P0).queued, 0);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 2);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	rack_poke(r, 1, P0, 5);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	ASSERT_STATE(r, 1, P0, DSM_I);
	rack_deliver(r, 1, 2, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->page[2][P0].value, 5);
	end();
}

static void invalidate_right_behind_the_grant(void)
{
	begin(4);
	rack_write(r, 0, P0, 5);
	rack_fault(r, 1, P0, false);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_S);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 2, PAGE_GRANT);
	ASSERT_STATE(r, 2, P0, DSM_I);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->page[1][P0].value, 5);
	rack_deliver(r, 0, 1, PAGE_INVALIDATE);
	ASSERT_STATE(r, 1, P0, DSM_I);
	rack_deliver(r, 1, 2, PAGE_ACK);
	ASSERT_STATE(r, 2, P0, DSM_M);
	end();
}

/* The next request may also be the requester's own, or give back what it got. */
static void put_and_request_right_behind_the_grant(void)
{
	begin(2);
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	rack_poke(r, 1, P0, 5);
	rack_evict(r, 1, P0);
	rack_deliver(r, 1, 0, PAGE_PUT);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 1, PAGE_PUT_ACK).flags, 0);
	rack_fault(r, 1, P0, false);
	rack_deliver(r, 1, 0, PAGE_GET_S);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->page[1][P0].value, 5);
	rack_evict(r, 1, P0);
	rack_deliver(r, 1, 0, PAGE_DROP);
	CU_ASSERT_EQUAL(rack_dir(r, P0).sharers, 0);
	end();
}

/* The queue behind home's own transaction is served when home has the page, reader by reader. */
static void home_serves_its_queue_in_one_step(void)
{
	begin(4);
	rack_write(r, 3, P0, 5);
	rack_fault(r, 0, P0, true);
	rack_fault(r, 1, P0, false);
	rack_fault(r, 2, P0, false);
	rack_deliver(r, 1, 0, PAGE_GET_S);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	rack_deliver(r, 0, 3, PAGE_FETCH_X);
	rack_deliver(r, 3, 0, PAGE_GRANT);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), PAGE_GRANT);
	CU_ASSERT_EQUAL(rack_next(r, 0, 2), PAGE_GRANT);
	CU_ASSERT_FALSE(rack_dir(r, P0).busy);
	ASSERT_STATE(r, 0, P0, DSM_O);
	end();
}

/* ---- R32: home asks before it moves ---- */

/* Home granted to 1, and the GRANT is under way; then its chunk is to move to 3. */
static void moving_behind_a_grant(void)
{
	begin(4);
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_move(r, 0, P0, 3);
	CU_ASSERT_TRUE(dsm_core_moving(r->core[0]));
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	CU_ASSERT_EQUAL(rack_count(r, 0, 3), 0);
	CU_ASSERT_EQUAL(r->deadline[0], UINT64_MAX); /* it waits for nothing but the answer */
}

/* C26: or the new home's FETCH could be there first. */
static void the_grant_is_there_before_home_moves(void)
{
	moving_behind_a_grant();
	rack_fault(r, 3, P0, true); /* it will be home, and want the page at once */
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(rack_count(r, 0, 3), 0);
	rack_deliver(r, 0, 1, PAGE_FENCE);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	rack_deliver(r, 1, 0, PAGE_FENCE_ACK);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 3, PAGE_HAND).member.v, 1);
	rack_deliver(r, 0, 3, PAGE_GET_X);
	rack_deliver(r, 0, 3, PAGE_HANDED);
	rack_poke(r, 1, P0, 5);
	rack_deliver(r, 3, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 3, PAGE_GRANT);
	ASSERT_STATE(r, 3, P0, DSM_M);
	CU_ASSERT_EQUAL(r->page[3][P0].value, 5);
	end();
}

/* All are asked at once, each once, and the slowest is waited for. */
static void all_it_granted_to_are_asked(void)
{
	begin(5);
	rack_write(r, 1, P0, 1);
	rack_write(r, 1, P0 + 1, 1);
	rack_write(r, 0, Q0, 1);
	rack_read(r, 2, Q0);	 /* a copy of home's own */
	rack_write(r, 4, R0, 1); /* of another chunk: no difference is made */
	rack_move(r, 0, P0, 3);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 1);
	CU_ASSERT_EQUAL(rack_count(r, 0, 2), 1);
	CU_ASSERT_EQUAL(rack_count(r, 0, 4), 1);
	rack_fence(r, 0, 4);
	rack_fence(r, 0, 1);
	CU_ASSERT_EQUAL(rack_count(r, 0, 3), 0);
	rack_fence(r, 0, 2);
	CU_ASSERT_EQUAL(rack_next(r, 0, 3), PAGE_HAND);
	end();
}

/* Not asked: home itself, the new home, whom another member granted to, who answered before. */
static void nobody_else_is_asked(void)
{
	begin(4);
	rack_write(r, 0, Q0, 1);
	rack_write(r, 3, P0, 1);
	rack_write(r, 1, P0, 2); /* 3 grants */
	rack_read(r, 2, P0);	 /* 1 grants */
	rack_move(r, 0, P0, 3);
	CU_ASSERT_EQUAL(rack_next(r, 0, 3), PAGE_HAND);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1) + rack_count(r, 0, 2), 0);
	rack_settle(r);
	rack_move(r, 0, R0, 1); /* 3 was not asked, and now it is not the new home */
	rack_fence(r, 0, 3);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), PAGE_HANDED);
	rack_settle(r);
	rack_move(r, 3, P0, 0);
	rack_move(r, 1, R0, 0); /* neither ever granted */
	CU_ASSERT_EQUAL(rack_next(r, 1, 0), PAGE_HANDED);
	rack_settle(r);
	rack_move(r, 0, R0, 2); /* 3 answered */
	CU_ASSERT_EQUAL(rack_next(r, 0, 2), PAGE_HANDED);
	end();
}

/* R34: 1 granted to 3, and gives home to 3, which hears of it from 0 before the grant is there. */
static void the_new_home_is_told_by_another(void)
{
	begin(4);
	rack_move(r, 0, P0, 1);
	rack_deliver(r, 0, 1, PAGE_HANDED);
	rack_fault(r, 3, P0, true);
	rack_fault(r, 3, P0 + 1, true); /* 0 gets this one late */
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 0, 3, PAGE_REDIRECT);
	rack_deliver(r, 3, 1, PAGE_GET_X);
	rack_move(r, 1, P0, 3);
	rack_fault(r, 0, P0 + 2, true);
	rack_deliver(r, 0, 1, PAGE_GET_X);
	rack_deliver(r, 1, 0, PAGE_REDIRECT);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 0, 3, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 3, PAGE_REDIRECT).map, 2);
	rack_deliver(r, 1, 3, PAGE_GRANT);
	CU_ASSERT_FALSE(dsm_core_ended(r->core[3]));
	ASSERT_STATE(r, 3, P0, DSM_M);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 3);
	ASSERT_STATE(r, 3, P0 + 1, DSM_M);
	ASSERT_STATE(r, 0, P0 + 2, DSM_M);
	end();
}

/* Home goes on granting pages of other chunks meanwhile: the next move asks again. */
static void grants_meanwhile_count_for_the_next_move(void)
{
	moving_behind_a_grant();
	rack_move(r, 0, R0, 3);
	rack_fault(r, 2, R0 + 1, false);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	rack_fence(r, 0, 1);
	rack_deliver(r, 0, 3, PAGE_HAND);
	rack_deliver(r, 0, 3, PAGE_HANDED);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 3);
	CU_ASSERT_EQUAL(rack_home(r, R0).v, 0);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 0);
	rack_deliver(r, 0, 2, PAGE_GRANT);
	rack_fence(r, 0, 2);
	rack_deliver(r, 0, 3, PAGE_HAND);
	rack_deliver(r, 0, 3, PAGE_HANDED);
	CU_ASSERT_EQUAL(rack_home(r, R0).v, 3);
	end();
}

/* ---- members leave meanwhile ---- */

/* R46: the one it was to move to leaves. Home stays, and goes on; the answer comes late. */
static void order_void_while_fencing(void)
{
	moving_behind_a_grant();
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_dir(r, P0).queued, 1);
	rack_leave(r, 3);
	rack_deliver(r, 3, 0, PAGE_LEAVE);
	CU_ASSERT_FALSE(dsm_core_moving(r->core[0]));
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 3); /* GRANT, FENCE, FETCH_X */
	rack_move(r, 0, P0, 2);			 /* waits for the answer all the same */
	rack_deliver(r, 0, 1, PAGE_GRANT);
	rack_poke(r, 1, P0, 5);
	rack_deliver(r, 0, 1, PAGE_FENCE);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 2, PAGE_GRANT);
	rack_deliver(r, 2, 0, PAGE_UNBLOCK);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	rack_deliver(r, 1, 0, PAGE_FENCE_ACK);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 2, PAGE_HAND).member.v, 2);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[3], 1);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 2);
	CU_ASSERT_EQUAL(r->page[2][P0].value, 5);
	end();
}

/* C26: who is asked says BYE before it has heard the question; its answer comes before its GONE. */
static void fence_crossing_bye(void)
{
	begin(3);
	rack_write(r, 1, P0, 5);
	rack_leave(r, 1);
	while (rack_next(r, 1, 0) != PAGE_BYE) {
		if (!deliver_one())
			rack_tick(r, 0);
	}
	rack_move(r, 0, P0, 2);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), PAGE_FENCE);
	rack_deliver(r, 1, 0, PAGE_BYE);
	CU_ASSERT_EQUAL(rack_count(r, 0, 2), 0); /* it left, and is waited for */
	rack_deliver(r, 0, 1, PAGE_FENCE);
	rack_deliver(r, 0, 1, PAGE_BYE_ACK);
	rack_deliver(r, 1, 0, PAGE_FENCE_ACK);
	CU_ASSERT_NOT_EQUAL(rack_count(r, 0, 2), 0);
	rack_deliver(r, 1, 0, PAGE_GONE);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 2);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), 5);
	end();
}

static void who_left_is_not_asked(void)
{
	begin(3);
	rack_write(r, 1, P0, 5);
	rack_leave(r, 1);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	rack_move(r, 0, P0, 2);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 0);
	CU_ASSERT_EQUAL(rack_next(r, 0, 2), PAGE_HAND);
	end();
}

/* R47: a leaver asks as everybody does, and answers while it does. */
static void a_leaver_asks_too(void)
{
	begin(3);
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_leave(r, 0);
	rack_deliver(r, 0, 2, PAGE_LEAVE);
	rack_deliver(r, 2, 0, PAGE_LEAVE_ACK);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	rack_deliver(r, 0, 1, PAGE_LEAVE);
	rack_deliver(r, 1, 0, PAGE_LEAVE_ACK); /* 1 is the heir: it need not be asked */
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), PAGE_HAND);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[0], 1);
	end();
	begin(3);
	rack_write(r, 2, P0, 5);
	rack_leave(r, 0);
	rack_deliver(r, 0, 2, PAGE_LEAVE);
	rack_deliver(r, 2, 0, PAGE_LEAVE_ACK);
	rack_deliver(r, 0, 1, PAGE_LEAVE);
	rack_deliver(r, 1, 0, PAGE_LEAVE_ACK);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 0);
	rack_fence(r, 0, 2);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), PAGE_HAND);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[0], 1);
	end();
}

/* ---- what nobody honest says ---- */

static struct dsm_msg message(int type, uint8_t requester)
{
	return rack_message(type, requester, 0);
}

static void ends(uint8_t from, uint8_t to, struct dsm_msg m)
{
	rack_ends(r, from, to, m);
}

static void fences_nobody_honest_sends(void)
{
	struct dsm_msg m = message(PAGE_FENCE, 0);

	begin(4); /* in another's name */
	ends(1, 2, m);
	begin(4); /* with what it does not have */
	m.acks = 1;
	ends(0, 2, m);
	begin(4);
	m = message(PAGE_FENCE, 0);
	m.flags = PAGE_FLAG_LAST;
	ends(0, 2, m);
	begin(4); /* of one who said BYE, and wants nothing */
	rack_inject(r, 1, 0, message(PAGE_LEAVE, 1));
	m = message(PAGE_BYE, 1);
	m.member.v = 2;
	rack_inject(r, 1, 0, m);
	CU_ASSERT_EQUAL(r->lost[0], 0);
	ends(1, 0, message(PAGE_FENCE, 1));
}

static void answers_nobody_asked_for(void)
{
	begin(4);
	ends(1, 0, message(PAGE_FENCE_ACK, 0));
	moving_behind_a_grant(); /* of another one */
	ends(2, 0, message(PAGE_FENCE_ACK, 0));
	moving_behind_a_grant(); /* for another */
	ends(1, 0, message(PAGE_FENCE_ACK, 2));
	begin(4); /* twice */
	rack_write(r, 1, P0, 1);
	rack_write(r, 2, Q0, 1);
	rack_move(r, 0, P0, 3);
	rack_inject(r, 1, 0, message(PAGE_FENCE_ACK, 0));
	CU_ASSERT_EQUAL(r->lost[0], 0);
	ends(1, 0, message(PAGE_FENCE_ACK, 0));
}

/* Anybody may ask anything of the kind at any time: it is answered, and changes nothing. */
static void a_fence_for_nothing(void)
{
	begin(2);
	rack_inject(r, 0, 1, message(PAGE_FENCE, 0));
	CU_ASSERT_EQUAL(r->fx.n, 1);
	CU_ASSERT_EQUAL(rack_next(r, 1, 0), PAGE_FENCE_ACK);
	rack_delete(r);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_page_nobody_had_costs_two_messages),
		UNIT_CASE(a_page_of_homes_costs_two_messages),
		UNIT_CASE(an_upgrade_against_nobody_costs_two_messages),
		UNIT_CASE(what_others_answer_is_unblocked),
		UNIT_CASE(fetch_right_behind_the_grant),
		UNIT_CASE(invalidate_right_behind_the_grant),
		UNIT_CASE(put_and_request_right_behind_the_grant),
		UNIT_CASE(home_serves_its_queue_in_one_step),
		UNIT_CASE(the_grant_is_there_before_home_moves),
		UNIT_CASE(all_it_granted_to_are_asked),
		UNIT_CASE(nobody_else_is_asked),
		UNIT_CASE(the_new_home_is_told_by_another),
		UNIT_CASE(grants_meanwhile_count_for_the_next_move),
		UNIT_CASE(order_void_while_fencing),
		UNIT_CASE(fence_crossing_bye),
		UNIT_CASE(who_left_is_not_asked),
		UNIT_CASE(a_leaver_asks_too),
		UNIT_CASE(fences_nobody_honest_sends),
		UNIT_CASE(answers_nobody_asked_for),
		UNIT_CASE(a_fence_for_nothing),
	};

	return unit_main("core-fence", cases, UNIT_COUNT(cases));
}
