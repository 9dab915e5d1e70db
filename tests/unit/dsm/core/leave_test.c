/* SPDX-License-Identifier: Apache-2.0 */
/* R46 to R48 and C17 to C20: a member leaves. At first home of P0 is member 0, of P1 member 1. */
#include "rack.h"

enum { P0 = 3, P1 = DSM_CHUNK_PAGES + 3, P2 = 2 * DSM_CHUNK_PAGES, PAGES = 8 * DSM_CHUNK_PAGES };

static struct rack *r;

static void begin(void)
{
	r = rack_new(4, PAGES, 0);
}

static void end(void)
{
	rack_end(r);
}

static void left(uint8_t member)
{
	rack_left(r, member);
}

/* Letter by letter, with nothing to hand over but homes. */
static void order_of_letters(void)
{
	r = rack_new(3, PAGES / 2, 0);
	rack_leave(r, 1);
	CU_ASSERT_TRUE(dsm_core_leaving(r->core[1]));
	rack_deliver(r, 1, 0, PAGE_LEAVE);
	rack_deliver(r, 1, 2, PAGE_LEAVE);
	rack_deliver(r, 0, 1, PAGE_LEAVE_ACK);
	CU_ASSERT_EQUAL(rack_count(r, 1, 2), 0);
	rack_deliver(r, 2, 1, PAGE_LEAVE_ACK);
	rack_deliver(r, 1, 2, PAGE_HANDED);
	rack_tick(r, 0);
	rack_tick(r, 0);
	rack_tick(r, 0);
	rack_tick(r, 0);
	rack_tick(r, 0);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 2, PAGE_BYE).member.v, 2);
	CU_ASSERT_EQUAL(rack_count(r, 1, 0), 0); /* the heir first */
	rack_deliver(r, 2, 1, PAGE_BYE_ACK);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_BYE).member.v, 2);
	CU_ASSERT_EQUAL(r->left[1], 0);
	rack_deliver(r, 0, 1, PAGE_BYE_ACK);
	CU_ASSERT_EQUAL(r->left[1], 1);
	rack_deliver(r, 1, 0, PAGE_GONE);
	rack_deliver(r, 1, 2, PAGE_GONE);
	CU_ASSERT_EQUAL(rack_home(r, P1).v, 2);
	CU_ASSERT_EQUAL(dsm_core_present(r->core[0]), dsm_bit(0) | dsm_bit(2));
	rack_write(r, 0, P1, 3); /* it asks the heir at once */
	CU_ASSERT_EQUAL(rack_stats(r, 0).redirected, 0);
	end();
}

/* What it owned, read and was home of is there for the others. */
static void pages_stay(void)
{
	begin();
	rack_write(r, 1, P0, 5);
	rack_write(r, 1, P1, 6);
	rack_write(r, 2, P1 + 1, 7);
	CU_ASSERT_EQUAL(rack_read(r, 1, P1 + 1), 7);
	left(1);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), 5);
	CU_ASSERT_EQUAL(rack_read(r, 3, P1), 6);
	rack_write(r, 0, P1 + 1, 8);
	CU_ASSERT_EQUAL(rack_read(r, 2, P1 + 1), 8);
	CU_ASSERT_EQUAL(rack_home(r, P1).v, 2);
	end();
}

/* All but one leave, one after the other; heirs of heirs are found. */
static void one_after_the_other(void)
{
	begin();
	for (uint8_t m = 0; m < 4; m++)
		rack_write(r, m, m * DSM_CHUNK_PAGES, m + 1u);
	left(1);
	left(2);
	left(3);
	for (uint8_t m = 0; m < 4; m++)
		CU_ASSERT_EQUAL(rack_read(r, 0, m * DSM_CHUNK_PAGES), m + 1u);
	rack_leave(r, 0); /* the last one stays */
	CU_ASSERT_EQUAL(rack_stats(r, 0).refused, 1);
	CU_ASSERT_FALSE(dsm_core_leaving(r->core[0]));
	end();
}

/* C17: who takes the leaver for a home it no longer was, finds it by the heir. */
static void old_map_after_it_left(void)
{
	begin();
	rack_move(r, 0, P0, 1);
	rack_settle(r);
	rack_write(r, 3, P0, 1); /* 3 knows: home is 1, version 1 */
	rack_move(r, 1, P0, 0);
	rack_settle(r);
	left(1);
	rack_write(r, 3, P0 + 1, 2); /* asks 2, which was told */
	CU_ASSERT_EQUAL(rack_stats(r, 3).redirected, 2);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	end();
}

/* R46: a home that was to move there stays, and serves what came meanwhile. */
static void move_to_leaver_is_void(void)
{
	begin();
	rack_write(r, 1, P0, 9);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_move(r, 0, P0, 1);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_leave(r, 1);
	rack_deliver(r, 1, 0, PAGE_LEAVE);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	ASSERT_STATE(r, 2, P0, DSM_M);
	rack_move(r, 0, P0, 1); /* ignored */
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 0);
	end();
}

/* An order that stands in line until the one it names has left. */
static void order_outlives_the_leaver(void)
{
	begin();
	rack_write(r, 1, P0, 9);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X); /* keeps P0's chunk busy */
	rack_move(r, 0, P0, 2);
	rack_move(r, 0, 4 * DSM_CHUNK_PAGES, 1);
	rack_leave(r, 1);
	rack_deliver(r, 1, 0, PAGE_LEAVE);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), PAGE_FETCH_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	for (int i = 0; i < 100 && !r->left[1]; i++) { /* all but the GRANT to 3 */
		for (uint8_t m = 0; m < 4; m++) {
			if (m != 3 && rack_next(r, 1, m))
				rack_deliver(r, 1, m, rack_next(r, 1, m));
			if (rack_next(r, m, 1))
				rack_deliver(r, m, 1, rack_next(r, m, 1));
		}
		while (rack_next(r, 1, 3) == PAGE_GRANT || rack_next(r, 1, 3))
			rack_deliver(r, 1, 3, rack_next(r, 1, 3));
		rack_tick(r, 0);
	}
	CU_ASSERT_EQUAL(r->left[1], 1);
	rack_deliver(r, 1, 0, PAGE_GONE);
	CU_ASSERT_EQUAL(rack_next(r, 3, 0), PAGE_UNBLOCK);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, P0).v, 2);
	CU_ASSERT_EQUAL(rack_home(r, 4 * DSM_CHUNK_PAGES).v, 0);
	CU_ASSERT_EQUAL(rack_count(r, 0, 1), 0);
	end();
}

/* R46: a home that is on its way there arrives before the answer. */
static void answer_waits_for_handover(void)
{
	enum { USED = 400 };

	r = rack_new(4, PAGES, 0);
	for (uint64_t p = 0; p < USED; p++)
		rack_write(r, 2, p, p);
	rack_move(r, 0, 0, 1);
	rack_fence(r, 0, 2);
	CU_ASSERT_TRUE(dsm_core_moving(r->core[0]));
	rack_leave(r, 1);
	rack_deliver(r, 1, 0, PAGE_LEAVE);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), PAGE_HAND);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	CU_ASSERT_EQUAL(rack_home(r, 0).v, 2);
	CU_ASSERT_EQUAL(rack_read(r, 3, 7), 7);
	end();
}

/* C18: two at a time: the lower number goes first. */
static void two_leave(void)
{
	begin();
	rack_write(r, 1, P0, 5);
	rack_write(r, 2, P1, 6);
	rack_leave(r, 2);
	rack_leave(r, 1);
	rack_deliver(r, 2, 1, PAGE_LEAVE);
	CU_ASSERT_EQUAL(rack_next(r, 1, 2), PAGE_LEAVE);
	CU_ASSERT_EQUAL(rack_count(r, 1, 2), 1); /* no answer */
	rack_deliver(r, 1, 2, PAGE_LEAVE);
	CU_ASSERT_EQUAL(rack_next(r, 2, 1), PAGE_LEAVE_ACK);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	CU_ASSERT_EQUAL(r->left[2], 1);
	CU_ASSERT_EQUAL(rack_home(r, P1).v, 3);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), 5);
	CU_ASSERT_EQUAL(rack_read(r, 0, P1), 6);
	end();
}

static void second_is_refused(void)
{
	begin();
	rack_leave(r, 2);
	rack_leave(r, 2);
	CU_ASSERT_EQUAL(rack_stats(r, 2).refused, 1);
	rack_deliver(r, 2, 1, PAGE_LEAVE);
	rack_leave(r, 1);
	CU_ASSERT_EQUAL(rack_stats(r, 1).refused, 1);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[2], 1);
	CU_ASSERT_EQUAL(r->left[1], 0);
	left(1);
	end();
}

/* Of two members both want to: one stays. */
static void both_of_two(void)
{
	r = rack_new(2, PAGES, 0);
	rack_leave(r, 0);
	rack_leave(r, 1);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[0], 1);
	CU_ASSERT_EQUAL(r->left[1], 0);
	CU_ASSERT_EQUAL(rack_stats(r, 1).refused, 1);
	rack_write(r, 1, P0, 1);
	end();
}

/* R46: it wants nothing any more; what it asked for before comes, and goes. */
static void no_faults_any_more(void)
{
	begin();
	rack_write(r, 0, P0, 4);
	rack_fault(r, 1, P0, true);
	rack_leave(r, 1);
	rack_fault(r, 1, P1, true);
	CU_ASSERT_EQUAL(rack_stats(r, 1).refused, 1);
	rack_acquire(r, 1, P1, 1, true, 1);
	CU_ASSERT_EQUAL(r->acquire_result[1], ERR_INVALID);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	CU_ASSERT_EQUAL(rack_read(r, 3, P0), 4);
	rack_fault(r, 1, P1, true); /* nothing follows LEFT */
	CU_ASSERT_EQUAL(r->fx.n, 0);
	end();
}

/* C19: a PUT that is not taken is said again. */
static void put_crosses_a_reader(void)
{
	begin();
	rack_write(r, 1, P0, 4);
	rack_fault(r, 3, P0, false);
	rack_deliver(r, 3, 0, PAGE_GET_S); /* FETCH_S is under way to 1 */
	rack_leave(r, 1);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	CU_ASSERT_EQUAL(rack_read(r, 2, P0), 4);
	end();
}

/* A held page: who waits for it gets it when its hold is over, from the leaver. */
static void hold_is_kept(void)
{
	r = rack_new(4, PAGES, RACK_HOLD_US);
	rack_write(r, 1, P0, 4);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_leave(r, 1);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	CU_ASSERT_EQUAL(r->page[3][P0].value, 4);
	end();
}

/* C20: an INVALIDATE on its way when BYE was said; the sharer set of home was too large. */
static void invalidate_after_bye(void)
{
	begin();
	rack_write(r, 3, P0, 1);
	rack_read(r, 1, P0);
	rack_move(r, 0, P0, 2);
	rack_fence(r, 0, 3);
	rack_evict(r, 1, P0); /* DROP goes to 0, which is home no longer */
	rack_settle(r);
	CU_ASSERT_TRUE(rack_dir(r, P0).sharers & dsm_bit(1));
	rack_leave(r, 1);
	while (rack_next(r, 1, 0) != PAGE_BYE && rack_next(r, 1, 3) != PAGE_BYE) {
		for (uint8_t m = 0; m < 4; m++) {
			if (rack_next(r, 1, m) && rack_next(r, 1, m) != PAGE_BYE)
				rack_deliver(r, 1, m, rack_next(r, 1, m));
			if (rack_next(r, m, 1))
				rack_deliver(r, m, 1, rack_next(r, m, 1));
		}
		rack_tick(r, 0);
		if (rack_next(r, 1, 2) == PAGE_BYE)
			break;
	}
	rack_fault(r, 3, P0, true);
	rack_fault(r, 0, P0, true);
	rack_deliver(r, 0, 2, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_next(r, 2, 1), PAGE_INVALIDATE);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[1], 1);
	end();
}

/* R48: losing who has gone is nothing; losing who only said BYE is the end. */
static void loss_afterwards(void)
{
	begin();
	left(1);
	rack_lose(r, 0, 1);
	CU_ASSERT_FALSE(dsm_core_ended(r->core[0]));
	rack_inject(r, 1, 0,
		    (struct dsm_msg){.type = PAGE_GET_S,
				     .requester = {1},
				     .epoch = {RACK_EPOCH},
				     .page = {P0},
				     .pages = 1});
	CU_ASSERT_FALSE(dsm_core_ended(r->core[0]));
	CU_ASSERT_EQUAL(rack_stats(r, 0).refused, 1);
	rack_write(r, 0, P1, 1);
	end();
}

static struct dsm_msg about(int type, uint8_t member)
{
	return (struct dsm_msg){.type = (uint8_t)type,
				.requester = {1},
				.epoch = {RACK_EPOCH},
				.pages = 1,
				.map = 1,
				.member = {member}};
}

static void refused_at_0(struct dsm_msg m)
{
	rack_inject(r, 1, 0, m);
	CU_ASSERT_TRUE(dsm_core_ended(r->core[0]));
	CU_ASSERT_EQUAL(r->culprit[0].v, 1);
	CU_ASSERT_EQUAL(r->reason[0], ERR_PROTOCOL);
	rack_delete(r);
}

/* 1 said LEAVE to 0, and nothing else. */
static void said_leave(void)
{
	begin();
	rack_inject(r, 1, 0, about(PAGE_LEAVE, 0));
}

static void hostile(void)
{
	static const uint8_t early[] = {PAGE_LEAVE_ACK, PAGE_TELL, PAGE_BYE, PAGE_BYE_ACK,
					PAGE_GONE};

	for (size_t i = 0; i < sizeof(early); i++) {
		begin(); /* of who did not say LEAVE, or to who did not */
		refused_at_0(about(early[i], 2));
	}
	said_leave();
	refused_at_0(about(PAGE_LEAVE, 0)); /* twice */
	said_leave();
	refused_at_0(about(PAGE_BYE, 1)); /* its own heir */
	said_leave();
	refused_at_0(about(PAGE_BYE, 9));
	said_leave();
	refused_at_0(about(PAGE_TELL, 9));
	said_leave();
	refused_at_0(about(PAGE_TELL, 1));
	said_leave();
	refused_at_0(about(PAGE_TELL, 2)); /* home is 0, and no other says so */
	said_leave();
	rack_inject(r, 1, 0, about(PAGE_BYE, 2));
	refused_at_0(about(PAGE_BYE, 2)); /* twice */
	said_leave();
	rack_inject(r, 1, 0, about(PAGE_BYE, 2));
	refused_at_0(about(PAGE_GET_S, 0)); /* wants something after BYE */
	begin();			    /* leaves with a page: found when somebody wants it */
	rack_write(r, 1, P0, 1);
	rack_inject(r, 1, 0, about(PAGE_LEAVE, 0));
	rack_inject(r, 1, 0, about(PAGE_BYE, 2));
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	CU_ASSERT_EQUAL(r->culprit[0].v, 1);
	rack_delete(r);
	begin(); /* leaves with a transaction under way */
	rack_write(r, 3, P0, 1);
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_inject(r, 1, 0, about(PAGE_LEAVE, 0));
	refused_at_0(about(PAGE_BYE, 2));
}

/* More pages than a step, or all transactions, can take. */
static void large(void)
{
	enum { USED = 700 };

	begin();
	for (uint64_t p = 0; p < USED; p++)
		rack_write(r, 1, p, p + 1);
	left(1);
	for (uint64_t p = 0; p < USED; p++)
		CU_ASSERT_EQUAL(rack_read(r, 3, p), p + 1);
	end();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(order_of_letters),
		UNIT_CASE(pages_stay),
		UNIT_CASE(one_after_the_other),
		UNIT_CASE(old_map_after_it_left),
		UNIT_CASE(move_to_leaver_is_void),
		UNIT_CASE(order_outlives_the_leaver),
		UNIT_CASE(answer_waits_for_handover),
		UNIT_CASE(two_leave),
		UNIT_CASE(second_is_refused),
		UNIT_CASE(both_of_two),
		UNIT_CASE(no_faults_any_more),
		UNIT_CASE(put_crosses_a_reader),
		UNIT_CASE(hold_is_kept),
		UNIT_CASE(invalidate_after_bye),
		UNIT_CASE(loss_afterwards),
		UNIT_CASE(hostile),
		UNIT_CASE(large),
	};

	return unit_main("core-leave", cases, UNIT_COUNT(cases));
}
