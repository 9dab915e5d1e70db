/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of dsm/PROTOCOL.md one by one, letter by letter. Home of page P0 is member 0. */
#include "rack.h"

enum { P0 = 3, P1 = DSM_CHUNK_PAGES + 3, PAGES = 4 * DSM_CHUNK_PAGES };

static struct rack *r;

static void begin(uint8_t members)
{
	r = rack_new(members, PAGES, 0);
}
static void end(void)
{
	rack_delete(r);
}

/* The effects of the last step are exactly these, TIMER aside. */
static bool effects_are(const int *types, uint32_t n)
{
	uint32_t seen = 0;

	for (uint32_t i = 0; i < r->fx.n; i++) {
		if (r->fx.v[i].type == DSM_FX_TIMER)
			continue;
		if (seen == n || r->fx.v[i].type != types[seen++])
			return false;
	}
	return seen == n;
}

#define EFFECTS_ARE(...)                                                                           \
	effects_are((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

/* R5 */
static void first_reader_gets_zeros_alone(void)
{
	struct dsm_msg m;

	begin(3);
	rack_fault(r, 1, P0, false);
	rack_deliver(r, 1, 0, PAGE_GET_S);
	CU_ASSERT_FALSE(rack_dir(r, P0).busy);
	m = rack_deliver(r, 0, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(m.flags, PAGE_FLAG_ZERO | PAGE_FLAG_OWNER | PAGE_FLAG_LAST);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_MAP, DSM_FX_WAKE));
	ASSERT_STATE(r, 1, P0, DSM_E);
	CU_ASSERT_EQUAL(rack_dir(r, P0).owner.v, 1);
	CU_ASSERT_EQUAL(rack_stats(r, 1).read_remote, 1);
	end();
}

/* R5 */
static void first_writer_gets_zeros_to_write(void)
{
	begin(3);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 2, PAGE_GRANT).flags,
			PAGE_FLAG_ZERO | PAGE_FLAG_OWNER | PAGE_FLAG_WRITE | PAGE_FLAG_LAST);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_MAP, DSM_FX_WAKE));
	ASSERT_STATE(r, 2, P0, DSM_M);
	CU_ASSERT_TRUE(r->page[2][P0].writable);
	end();
}

/* R3: the same handlers, no letter, one step. */
static void home_serves_itself_within_the_step(void)
{
	begin(2);
	rack_fault(r, 0, P0, false);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_MAP, DSM_FX_WAKE));
	ASSERT_STATE(r, 0, P0, DSM_E);
	CU_ASSERT_FALSE(rack_dir(r, P0).busy);
	rack_fault(r, 0, P0 + 1, true);
	ASSERT_STATE(r, 0, P0 + 1, DSM_M);
	CU_ASSERT_EQUAL(rack_stats(r, 0).read_local, 1);
	CU_ASSERT_EQUAL(rack_stats(r, 0).write_local, 1);
	CU_ASSERT_EQUAL(dsm_core_pending(r->core[0]), 0);
	end();
}

/* R16 */
static void sole_reader_writes_without_a_message(void)
{
	begin(2);
	rack_read(r, 1, P0);
	rack_fault(r, 1, P0, true);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_UNPROTECT, DSM_FX_WAKE));
	ASSERT_STATE(r, 1, P0, DSM_M);
	CU_ASSERT_EQUAL(rack_stats(r, 1).upgrade_local, 1);
	end();
}

/* R6, R11 */
static void read_does_not_move_ownership(void)
{
	begin(3);
	rack_write(r, 1, P0, 77);
	rack_fault(r, 2, P0, false);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	rack_deliver(r, 0, 1, PAGE_FETCH_S);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_PROTECT, DSM_FX_READ_OUT, DSM_FX_SEND));
	ASSERT_STATE(r, 1, P0, DSM_O);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 2, PAGE_GRANT).flags, PAGE_FLAG_DATA);
	ASSERT_STATE(r, 2, P0, DSM_S);
	CU_ASSERT_EQUAL(r->page[2][P0].value, 77);
	CU_ASSERT_TRUE(rack_dir(r, P0).busy); /* home did not see that it was granted */
	rack_deliver(r, 2, 0, PAGE_UNBLOCK);
	CU_ASSERT_FALSE(rack_dir(r, P0).busy);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_dir(r, P0).owner.v, 1);
	CU_ASSERT_EQUAL(rack_dir(r, P0).sharers, dsm_bit(2));
	CU_ASSERT_EQUAL(rack_stats(r, 1).fetch_served, 1);
	end();
}

/* R11: a page nobody wrote travels without data. */
static void zero_page_travels_without_data(void)
{
	begin(3);
	rack_read(r, 1, P0);
	rack_fault(r, 2, P0, false);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	rack_deliver(r, 0, 1, PAGE_FETCH_S);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_SEND));
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 2, PAGE_GRANT).flags, PAGE_FLAG_ZERO);
	ASSERT_STATE(r, 1, P0, DSM_O);
	rack_settle(r);
	rack_write(r, 2, P0, 5);
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 5);
	end();
}

/* 1 owns P0 (value 9), 2 reads it. */
static void one_owner_one_sharer(uint8_t members)
{
	begin(members);
	rack_write(r, 1, P0, 9);
	rack_read(r, 2, P0);
}

/* R7, R12, R13, R14: three hops, invalidation in parallel, acks straight to the requester. */
static void writer_fetches_from_owner_and_waits_for_sharers(void)
{
	struct dsm_msg m;

	one_owner_one_sharer(4);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), PAGE_FETCH_X);
	CU_ASSERT_EQUAL(rack_next(r, 0, 2), PAGE_INVALIDATE);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_READ_OUT, DSM_FX_UNMAP, DSM_FX_SEND));
	ASSERT_STATE(r, 1, P0, DSM_I);
	m = rack_deliver(r, 1, 3, PAGE_GRANT);
	CU_ASSERT_EQUAL(m.acks, 1);
	CU_ASSERT_EQUAL(m.flags, PAGE_FLAG_DATA | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER);
	CU_ASSERT_TRUE(
		EFFECTS_ARE(DSM_FX_STASH)); /* count before the last ack: nothing is mapped */
	ASSERT_STATE(r, 3, P0, DSM_I);
	rack_deliver(r, 0, 2, PAGE_INVALIDATE);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_UNMAP, DSM_FX_SEND));
	rack_deliver(r, 2, 3, PAGE_ACK);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_MAP, DSM_FX_SEND, DSM_FX_WAKE));
	ASSERT_STATE(r, 3, P0, DSM_M);
	CU_ASSERT_EQUAL(r->page[3][P0].value, 9);
	CU_ASSERT_EQUAL(rack_stats(r, 2).invalidated, 1);
	end();
}

/* R12: from a writer the order is protect, read out, unmap, send. */
static void page_is_protected_before_it_is_read_out(void)
{
	begin(3);
	rack_write(r, 1, P0, 4);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_PROTECT, DSM_FX_READ_OUT, DSM_FX_UNMAP, DSM_FX_SEND));
	end();
}

/* R14: acks before their count. */
static void acks_may_come_before_the_grant(void)
{
	one_owner_one_sharer(4);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 0, 2, PAGE_INVALIDATE);
	rack_deliver(r, 2, 3, PAGE_ACK);
	CU_ASSERT_TRUE(r->fx.n == 0);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 3, PAGE_GRANT);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_MAP, DSM_FX_SEND, DSM_FX_WAKE));
	ASSERT_STATE(r, 3, P0, DSM_M);
	end();
}

/* R8: a sharer upgrades without data; the old owner is invalidated and acks like a sharer. */
static void sharer_upgrades_without_data(void)
{
	struct dsm_msg m;

	one_owner_one_sharer(3);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_UPGRADE);
	m = rack_deliver(r, 0, 2, PAGE_GRANT);
	CU_ASSERT_EQUAL(m.flags, PAGE_FLAG_WRITE | PAGE_FLAG_OWNER);
	CU_ASSERT_EQUAL(m.acks, 1);
	ASSERT_STATE(r, 2, P0, DSM_S);
	CU_ASSERT_FALSE(r->page[2][P0].writable);
	rack_deliver(r, 0, 1, PAGE_INVALIDATE);
	ASSERT_STATE(r, 1, P0, DSM_I);
	rack_deliver(r, 1, 2, PAGE_ACK);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_UNPROTECT, DSM_FX_SEND, DSM_FX_WAKE));
	ASSERT_STATE(r, 2, P0, DSM_M);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_dir(r, P0).owner.v, 2);
	CU_ASSERT_EQUAL(rack_dir(r, P0).sharers, 0);
	CU_ASSERT_EQUAL(rack_stats(r, 2).upgrade_remote, 1);
	end();
}

/* R8 */
static void owner_upgrades_against_its_sharers(void)
{
	one_owner_one_sharer(3);
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_UPGRADE);
	rack_settle(r);
	ASSERT_STATE(r, 1, P0, DSM_M);
	ASSERT_STATE(r, 2, P0, DSM_I);
	CU_ASSERT_EQUAL(rack_dir(r, P0).owner.v, 1);
	CU_ASSERT_EQUAL(rack_dir(r, P0).version, 2);
	end();
}

/* R9, R10 */
static void home_queues_what_collides_in_order(void)
{
	begin(5);
	rack_write(r, 4, P0, 9);
	rack_fault(r, 1, P0, true);
	rack_fault(r, 3, P0, true);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	CU_ASSERT_EQUAL(rack_dir(r, P0).queued, 2);
	CU_ASSERT_EQUAL(rack_stats(r, 0).queued, 2);
	rack_deliver(r, 0, 4, PAGE_FETCH_X);
	rack_deliver(r, 4, 1, PAGE_GRANT);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), 0); /* nobody chases the grant before UNBLOCK */
	rack_poke(r, 1, P0, 1);
	rack_deliver(r, 1, 0, PAGE_UNBLOCK);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 3, PAGE_GRANT);
	ASSERT_STATE(r, 3, P0, DSM_M);
	CU_ASSERT_EQUAL(rack_dir(r, P0).queued, 1);
	rack_settle(r);
	ASSERT_STATE(r, 2, P0, DSM_M);
	CU_ASSERT_EQUAL(r->page[2][P0].value, 1);
	CU_ASSERT_EQUAL(rack_dir(r, P0).queued, 0);
	end();
}

/* R18 */
static void faults_on_one_page_are_one_transaction(void)
{
	begin(2);
	rack_fault(r, 1, P0, false);
	rack_fault(r, 1, P0, false);
	rack_fault(r, 1, P0, true);
	CU_ASSERT_EQUAL(rack_count(r, 1, 0), 1);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->wakes[1], 1);
	rack_fault(r, 1, P0, false);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_WAKE));
	CU_ASSERT_EQUAL(rack_stats(r, 1).spurious, 1);
	end();
}

/* R19 */
static void faults_beyond_the_transactions_wait_here(void)
{
	enum { N = 3 * DSM_TXN_MAX };
	begin(2);

	for (int i = 0; i < N; i++)
		rack_fault(r, 1, (uint64_t)i, false);
	rack_fault(r, 1, N - 1, true); /* the one that waits longest now wants to write */
	CU_ASSERT_EQUAL(rack_count(r, 1, 0), DSM_TXN_MAX);
	CU_ASSERT_EQUAL(dsm_core_pending(r->core[1]), N);
	rack_settle(r);
	CU_ASSERT_EQUAL(dsm_core_pending(r->core[1]), 0);
	for (uint64_t i = 0; i < N - 1; i++)
		ASSERT_STATE(r, 1, i, DSM_E);
	ASSERT_STATE(r, 1, N - 1, DSM_M);
	CU_ASSERT_EQUAL(r->wakes[1], N);
	end();
}

/* R19: pages whose home is here free their transaction at once; a step stays small all the same. */
static void a_long_backlog_is_worked_off_in_small_steps(void)
{
	enum { N = 400 };
	begin(2);

	for (uint64_t i = 0; i < DSM_TXN_MAX; i++)
		rack_fault(r, 1, i, false);
	for (uint64_t i = 0; i < N; i++)
		rack_fault(r, 1, DSM_CHUNK_PAGES + i, true);
	CU_ASSERT_EQUAL(dsm_core_pending(r->core[1]), DSM_TXN_MAX + N);
	rack_deliver(r, 1, 0, PAGE_GET_S);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	CU_ASSERT_TRUE(r->fx.n < 300);
	CU_ASSERT_EQUAL(r->deadline[1], r->now); /* the rest comes with a timer that is due */
	rack_settle(r);
	for (uint64_t i = 0; i < N; i++)
		ASSERT_STATE(r, 1, DSM_CHUNK_PAGES + i, DSM_M);
	end();
}

/* R20 */
static void sharer_drops_its_copy(void)
{
	one_owner_one_sharer(3);
	rack_evict(r, 2, P0);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_UNMAP, DSM_FX_SEND));
	rack_deliver(r, 2, 0, PAGE_DROP);
	CU_ASSERT_EQUAL(rack_dir(r, P0).sharers, 0);
	CU_ASSERT_EQUAL(rack_stats(r, 2).evicted, 1);
	rack_fault(r, 1, P0, true); /* O without sharers: nothing to wait for */
	rack_settle(r);
	ASSERT_STATE(r, 1, P0, DSM_M);
	end();
}

/* R21, R22, R23 */
static void owner_puts_the_page_back(void)
{
	begin(2);
	rack_write(r, 1, P0, 31);
	rack_evict(r, 1, P0);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_PROTECT, DSM_FX_READ_OUT, DSM_FX_UNMAP, DSM_FX_SEND));
	CU_ASSERT_EQUAL(dsm_core_pending(r->core[1]), 1);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_PUT).flags, PAGE_FLAG_DATA | PAGE_FLAG_OWNER);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 1, PAGE_PUT_ACK).flags, 0);
	CU_ASSERT_EQUAL(dsm_core_pending(r->core[1]), 0);
	ASSERT_STATE(r, 0, P0, DSM_E);
	CU_ASSERT_EQUAL(rack_dir(r, P0).owner.v, 0);
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 31);
	ASSERT_STATE(r, 0, P0, DSM_O);
	end();
}

/* R43: nobody reads it out; zeros go back to nobody. */
static void discarded_page_is_zero(void)
{
	begin(3);
	rack_write(r, 1, P0, 31);
	rack_discard(r, 1, P0);
	CU_ASSERT_TRUE(EFFECTS_ARE(DSM_FX_PROTECT, DSM_FX_UNMAP, DSM_FX_SEND));
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_PUT).flags, PAGE_FLAG_ZERO | PAGE_FLAG_OWNER);
	rack_settle(r);
	CU_ASSERT_TRUE(member_eq(rack_dir(r, P0).owner, MEMBER_NONE));
	CU_ASSERT_EQUAL(rack_read(r, 2, P0), 0);
	rack_write(r, 0, P0, 7); /* and at its home */
	rack_discard(r, 0, P0);
	CU_ASSERT_TRUE(member_eq(rack_dir(r, P0).owner, MEMBER_NONE));
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 0);
	rack_write(r, 2, P0, 9);
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 9);
	CU_ASSERT_EQUAL(rack_stats(r, 0).discarded + rack_stats(r, 1).discarded, 2);
	end();
}

/* R43: a page that others have is evicted, no more: what they read goes on. */
static void discard_of_a_shared_page_keeps_it(void)
{
	one_owner_one_sharer(3);
	const uint64_t before = rack_read(r, 2, P0);
	rack_discard(r, 1, P0);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), before);
	CU_ASSERT_EQUAL(rack_read(r, 2, P0), before);
	CU_ASSERT_EQUAL(rack_stats(r, 1).discarded, 0);
	end();
}

/* R43 and C2: a fetch that crosses the discard gets zeros, and a later write stays. */
static void fetch_crossing_a_discard(void)
{
	begin(3);
	rack_write(r, 1, P0, 31);
	rack_fault(r, 2, P0, true);
	rack_discard(r, 1, P0);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 2, PAGE_GRANT).flags,
			PAGE_FLAG_ZERO | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER);
	rack_poke(r, 2, P0, 77);
	rack_deliver(r, 1, 0, PAGE_PUT); /* stale by now */
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), 77);
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 77);
	end();
}

/* R22: sharers stay; home, being one of them, keeps its own copy. */
static void home_takes_over_with_sharers(void)
{
	begin(3);
	rack_write(r, 1, P0, 8);
	rack_read(r, 2, P0);
	rack_read(r, 0, P0);
	ASSERT_STATE(r, 0, P0, DSM_S);
	rack_evict(r, 1, P0);
	rack_settle(r);
	ASSERT_STATE(r, 0, P0, DSM_O);
	CU_ASSERT_EQUAL(rack_dir(r, P0).sharers, dsm_bit(2));
	rack_evict(r, 0, P0); /* home's own page has nowhere to go */
	ASSERT_STATE(r, 0, P0, DSM_O);
	rack_write(r, 2, P0, 12);
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 12);
	end();
}

/* R22: a page that is still all zero goes back to nobody. */
static void untouched_page_goes_back_to_nobody(void)
{
	begin(2);
	rack_read(r, 1, P0);
	rack_evict(r, 1, P0);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_PUT).flags, PAGE_FLAG_ZERO | PAGE_FLAG_OWNER);
	rack_settle(r);
	CU_ASSERT_TRUE(member_eq(rack_dir(r, P0).owner, MEMBER_NONE));
	ASSERT_STATE(r, 0, P0, DSM_I);
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 0);
	end();
}

/* R22: zero, but shared. */
static void zero_page_with_sharers_goes_home_without_data(void)
{
	begin(3);
	rack_read(r, 1, P0);
	rack_read(r, 2, P0);
	rack_evict(r, 1, P0);
	rack_settle(r);
	ASSERT_STATE(r, 0, P0, DSM_O);
	rack_evict(r, 2, P0);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 0);
	rack_write(r, 2, P0, 3);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), 3);
	end();
}

/* R17 */
static void version_counts_rights_to_write(void)
{
	begin(3);
	CU_ASSERT_EQUAL(rack_dir(r, P0).version, 0);
	rack_write(r, 1, P0, 1);
	rack_read(r, 2, P0);
	CU_ASSERT_EQUAL(rack_dir(r, P0).version, 1);
	rack_write(r, 2, P0, 2);
	rack_write(r, 0, P0, 3);
	CU_ASSERT_EQUAL(rack_dir(r, P0).version, 3);
	end();
}

static void homes_go_round_by_chunks(void)
{
	begin(3);
	CU_ASSERT_EQUAL(dsm_core_home(r->core[2], (struct gpage){DSM_CHUNK_PAGES - 1}).v, 0);
	CU_ASSERT_EQUAL(dsm_core_home(r->core[2], (struct gpage){P1}).v, 1);
	CU_ASSERT_EQUAL(dsm_core_home(r->core[2], (struct gpage){3 * DSM_CHUNK_PAGES}).v, 0);
	rack_write(r, 0, 3 * DSM_CHUNK_PAGES + 3,
		   6); /* same entry number as P0 of chunk 0, plus 512 */
	CU_ASSERT_TRUE(member_eq(rack_dir(r, P0).owner, MEMBER_NONE));
	end();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(first_reader_gets_zeros_alone),
		UNIT_CASE(first_writer_gets_zeros_to_write),
		UNIT_CASE(home_serves_itself_within_the_step),
		UNIT_CASE(sole_reader_writes_without_a_message),
		UNIT_CASE(read_does_not_move_ownership),
		UNIT_CASE(zero_page_travels_without_data),
		UNIT_CASE(writer_fetches_from_owner_and_waits_for_sharers),
		UNIT_CASE(page_is_protected_before_it_is_read_out),
		UNIT_CASE(acks_may_come_before_the_grant),
		UNIT_CASE(sharer_upgrades_without_data),
		UNIT_CASE(owner_upgrades_against_its_sharers),
		UNIT_CASE(home_queues_what_collides_in_order),
		UNIT_CASE(faults_on_one_page_are_one_transaction),
		UNIT_CASE(faults_beyond_the_transactions_wait_here),
		UNIT_CASE(a_long_backlog_is_worked_off_in_small_steps),
		UNIT_CASE(sharer_drops_its_copy),
		UNIT_CASE(owner_puts_the_page_back),
		UNIT_CASE(discarded_page_is_zero),
		UNIT_CASE(discard_of_a_shared_page_keeps_it),
		UNIT_CASE(fetch_crossing_a_discard),
		UNIT_CASE(home_takes_over_with_sharers),
		UNIT_CASE(untouched_page_goes_back_to_nobody),
		UNIT_CASE(zero_page_with_sharers_goes_home_without_data),
		UNIT_CASE(version_counts_rights_to_write),
		UNIT_CASE(homes_go_round_by_chunks),
	};

	return unit_main("core-rules", cases, UNIT_COUNT(cases));
}
