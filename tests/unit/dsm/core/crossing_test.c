/* SPDX-License-Identifier: Apache-2.0 */
/* The crossings of dsm/PROTOCOL.md: messages that meet on their way. Home of P0 is member 0. */
#include "rack.h"

enum { P0 = 3, PAGES = 4 * DSM_CHUNK_PAGES };

static struct rack *r;

/* 1 owns P0 (value 9), 2 reads it. */
static void one_owner_one_sharer(void)
{
	r = rack_new(4, PAGES, 0);
	rack_write(r, 1, P0, 9);
	rack_read(r, 2, P0);
}

static void end(void)
{
	rack_end(r);
}

/* C1: the copy is gone before the UPGRADE is served; it is served as a GET_X, with data. */
static void upgrade_overtaken_by_get_x(void)
{
	struct dsm_msg m;

	one_owner_one_sharer();
	rack_fault(r, 2, P0, true);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 2, 0, PAGE_UPGRADE);
	rack_deliver(r, 0, 2, PAGE_INVALIDATE);
	ASSERT_STATE(r, 2, P0, DSM_I);
	rack_deliver(r, 2, 3, PAGE_ACK);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_deliver(r, 1, 3, PAGE_GRANT);
	rack_poke(r, 3, P0, 10);
	rack_deliver(r, 3, 0, PAGE_UNBLOCK);
	rack_deliver(r, 0, 3, PAGE_FETCH_X);
	m = rack_deliver(r, 3, 2, PAGE_GRANT);
	CU_ASSERT_TRUE(m.flags & PAGE_FLAG_DATA);
	ASSERT_STATE(r, 2, P0, DSM_M);
	CU_ASSERT_EQUAL(r->page[2][P0].value, 10);
	end();
}

/* C1: the same for an owner with sharers. */
static void owners_upgrade_overtaken_by_get_x(void)
{
	one_owner_one_sharer();
	rack_fault(r, 1, P0, true);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 1, 0, PAGE_UPGRADE);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	ASSERT_STATE(r, 1, P0, DSM_I);
	rack_settle(r);
	ASSERT_STATE(r, 1, P0, DSM_M);
	CU_ASSERT_EQUAL(r->page[1][P0].value, 9);
	end();
}

/* C1: overtaken by another sharer's UPGRADE. */
static void upgrade_overtaken_by_upgrade(void)
{
	one_owner_one_sharer();
	rack_read(r, 3, P0);
	rack_fault(r, 2, P0, true);
	rack_fault(r, 3, P0, true);
	rack_deliver(r, 3, 0, PAGE_UPGRADE);
	rack_deliver(r, 2, 0, PAGE_UPGRADE);
	rack_settle(r);
	ASSERT_STATE(r, 2, P0, DSM_M);
	ASSERT_STATE(r, 3, P0, DSM_I);
	CU_ASSERT_EQUAL(r->page[2][P0].value, 9);
	end();
}

/* C2: the page is served from the slot; home, busy, refuses the PUT; the page comes back. */
static void put_crossing_fetch_s(void)
{
	struct dsm_msg m;

	r = rack_new(3, PAGES, 0);
	rack_write(r, 1, P0, 41);
	rack_fault(r, 2, P0, false);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	rack_evict(r, 1, P0);
	rack_deliver(r, 0, 1, PAGE_FETCH_S);
	CU_ASSERT_EQUAL(rack_deliver(r, 1, 0, PAGE_PUT).type, PAGE_PUT);
	CU_ASSERT_EQUAL(rack_stats(r, 0).stale_version, 1);
	m = rack_deliver(r, 1, 2, PAGE_GRANT);
	CU_ASSERT_TRUE(m.flags & PAGE_FLAG_DATA);
	CU_ASSERT_EQUAL(r->page[2][P0].value, 41);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 1, PAGE_PUT_ACK).flags, PAGE_FLAG_OWNER);
	ASSERT_STATE(r, 1, P0, DSM_O);
	CU_ASSERT_EQUAL(r->page[1][P0].value, 41);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_dir(r, P0).owner.v, 1);
	end();
}

/* C2: the reader was done before the PUT arrived: it is taken. */
static void put_crossing_fetch_s_that_is_over(void)
{
	r = rack_new(3, PAGES, 0);
	rack_write(r, 1, P0, 42);
	rack_fault(r, 2, P0, false);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	rack_evict(r, 1, P0);
	rack_deliver(r, 0, 1, PAGE_FETCH_S);
	rack_deliver(r, 1, 2, PAGE_GRANT);
	rack_deliver(r, 2, 0, PAGE_UNBLOCK);
	rack_deliver(r, 1, 0, PAGE_PUT);
	ASSERT_STATE(r, 0, P0, DSM_O);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 1, PAGE_PUT_ACK).flags, 0);
	ASSERT_STATE(r, 1, P0, DSM_I);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), 42);
	end();
}

/* C2: a writer took the page from the slot; the PUT is stale, whenever it arrives. */
static void put_crossing_fetch_x(bool late)
{
	r = rack_new(3, PAGES, 0);
	rack_write(r, 1, P0, 43);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_evict(r, 1, P0);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	if (!late)
		rack_deliver(r, 1, 0, PAGE_PUT);
	rack_deliver(r, 1, 2, PAGE_GRANT);
	rack_poke(r, 2, P0, 44);
	rack_deliver(r, 2, 0, PAGE_UNBLOCK);
	if (late)
		rack_deliver(r, 1, 0, PAGE_PUT);
	CU_ASSERT_EQUAL(rack_dir(r, P0).owner.v, 2);
	CU_ASSERT_EQUAL(rack_deliver(r, 0, 1, PAGE_PUT_ACK).flags, PAGE_FLAG_OWNER);
	ASSERT_STATE(r, 1, P0, DSM_I);
	CU_ASSERT_FALSE(r->page[1][P0].present);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), 44);
	end();
}

static void put_crossing_fetch_x_early(void)
{
	put_crossing_fetch_x(false);
}
static void put_crossing_fetch_x_late(void)
{
	put_crossing_fetch_x(true);
}

/* C2: a sharer's UPGRADE invalidates the owner whose PUT is on its way. */
static void put_crossing_invalidate(void)
{
	one_owner_one_sharer();
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_UPGRADE);
	rack_evict(r, 1, P0);
	rack_deliver(r, 0, 1, PAGE_INVALIDATE);
	CU_ASSERT_EQUAL(rack_next(r, 1, 2), PAGE_ACK);
	rack_settle(r);
	ASSERT_STATE(r, 2, P0, DSM_M);
	ASSERT_STATE(r, 1, P0, DSM_I);
	CU_ASSERT_EQUAL(rack_dir(r, P0).owner.v, 2);
	end();
}

/* C2: who faults while the page is on its way home asks again when home has spoken. */
static void fault_while_put_is_under_way(void)
{
	r = rack_new(2, PAGES, 0);
	rack_write(r, 1, P0, 45);
	rack_evict(r, 1, P0);
	rack_fault(r, 1, P0, true);
	CU_ASSERT_EQUAL(rack_count(r, 1, 0), 1);
	r->wakes[1] = 0;
	rack_settle(r);
	CU_ASSERT_EQUAL(r->wakes[1], 1);
	rack_write(r, 1, P0, 46);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), 46);
	end();
}

/* C2: a PUT of an older version, however it came about, changes nothing. */
static void stale_put_is_dropped_by_version(void)
{
	struct dsm_msg put = {.type = PAGE_PUT,
			      .flags = PAGE_FLAG_DATA | PAGE_FLAG_OWNER,
			      .requester = {1},
			      .epoch = {RACK_EPOCH},
			      .page = {P0},
			      .pages = 1};

	r = rack_new(2, PAGES, 0);
	rack_write(r, 1, P0, 50);
	put.version = rack_dir(r, P0).version - 1;
	rack_inject(r, 1, 0, put);
	CU_ASSERT_EQUAL(rack_dir(r, P0).owner.v, 1);
	ASSERT_STATE(r, 0, P0, DSM_I);
	CU_ASSERT_EQUAL(rack_stats(r, 0).stale_version, 1);
	CU_ASSERT_FALSE(dsm_core_ended(r->core[0]));
	rack_delete(r);
}

/* C3: sharers are a superset; who dropped its copy acks all the same, even while it asks again. */
static void drop_crossing_invalidate(void)
{
	one_owner_one_sharer();
	rack_fault(r, 3, P0, true);
	rack_evict(r, 2, P0);
	rack_fault(r, 2, P0, false);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 2, 0, PAGE_DROP);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	rack_deliver(r, 0, 2, PAGE_INVALIDATE);
	CU_ASSERT_EQUAL(rack_next(r, 2, 3), PAGE_ACK);
	rack_settle(r);
	ASSERT_STATE(r, 2, P0, DSM_S);
	ASSERT_STATE(r, 3, P0, DSM_O);
	CU_ASSERT_EQUAL(rack_dir(r, P0).sharers, dsm_bit(2));
	end();
}

/* C7 */
static void late_grant_of_a_dead_epoch(void)
{
	struct dsm_msg m;

	r = rack_new(2, PAGES, 0);
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	m = r->head[0][1]->msg;
	m.epoch.v--;
	rack_inject(r, 0, 1, m);
	CU_ASSERT_TRUE(r->fx.n == 0);
	ASSERT_STATE(r, 1, P0, DSM_I);
	CU_ASSERT_EQUAL(rack_stats(r, 1).stale_epoch, 1);
	CU_ASSERT_FALSE(dsm_core_ended(r->core[1]));
	rack_deliver(r, 0, 1, PAGE_GRANT);
	ASSERT_STATE(r, 1, P0, DSM_M);
	end();
}

/* C8 */
static void epoch_wraps(void)
{
	struct dsm_core_config c = {.members = 2, .epoch = {0}, .pages = PAGES};
	struct dsm_msg old = {.type = PAGE_GET_X,
			      .requester = {1},
			      .epoch = {UINT32_MAX},
			      .page = {P0},
			      .pages = 1};

	r = rack_new_config(&c);
	rack_inject(r, 1, 0, old);
	CU_ASSERT_EQUAL(rack_stats(r, 0).stale_epoch, 1);
	CU_ASSERT_FALSE(rack_dir(r, P0).busy);
	rack_write(r, 1, P0, 1);
	end();
}

/* C8: every crossing above once more, over the wrap of the version. */
static void version_wraps(void)
{
	r = rack_new(3, PAGES, 0);
	rack_write(r, 1, P0, 60);
	rack_set_version(r, P0, UINT32_MAX);
	rack_read(r, 2, P0);
	rack_write(r, 2, P0, 61);
	CU_ASSERT_EQUAL(rack_dir(r, P0).version, 0);
	CU_ASSERT_EQUAL(rack_read(r, 1, P0), 61);
	rack_set_version(r, P0, UINT32_MAX);
	rack_write(r, 0, P0, 62);
	rack_write(r, 1, P0, 63);
	rack_evict(r, 1, P0);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_read(r, 0, P0), 63);
	end();
}

/* C8 */
static void transaction_number_wraps(void)
{
	r = rack_new(2, PAGES, 0);
	r->core[1]->txn_next_id = UINT32_MAX - 1;
	for (uint64_t i = 0; i < 4; i++)
		rack_write(r, 1, i, i);
	CU_ASSERT_EQUAL(r->core[1]->txn_next_id, 2);
	end();
}

/* C8: the age of a grant is kept in 32 bits of microseconds. */
static void grant_time_wraps(void)
{
	r = rack_new(3, PAGES, RACK_HOLD_US);
	r->now = (uint64_t)UINT32_MAX * 1000 - 10000; /* 10 us before the wrap */
	rack_fault(r, 1, P0, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_GRANT);
	rack_tick(r, 50);
	rack_fault(r, 2, P0, true);
	rack_deliver(r, 2, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	ASSERT_STATE(r, 1, P0, DSM_M);
	rack_tick(r, 49);
	ASSERT_STATE(r, 1, P0, DSM_M);
	rack_tick(r, 1);
	ASSERT_STATE(r, 1, P0, DSM_I);
	end();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(upgrade_overtaken_by_get_x),
		UNIT_CASE(owners_upgrade_overtaken_by_get_x),
		UNIT_CASE(upgrade_overtaken_by_upgrade),
		UNIT_CASE(put_crossing_fetch_s),
		UNIT_CASE(put_crossing_fetch_s_that_is_over),
		UNIT_CASE(put_crossing_fetch_x_early),
		UNIT_CASE(put_crossing_fetch_x_late),
		UNIT_CASE(put_crossing_invalidate),
		UNIT_CASE(fault_while_put_is_under_way),
		UNIT_CASE(stale_put_is_dropped_by_version),
		UNIT_CASE(drop_crossing_invalidate),
		UNIT_CASE(late_grant_of_a_dead_epoch),
		UNIT_CASE(epoch_wraps),
		UNIT_CASE(version_wraps),
		UNIT_CASE(transaction_number_wraps),
		UNIT_CASE(grant_time_wraps),
	};

	return unit_main("core-crossing", cases, UNIT_COUNT(cases));
}
