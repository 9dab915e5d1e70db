/* SPDX-License-Identifier: Apache-2.0 */
/* R52 to R54: chunks that only their home uses. */
#include "rack.h"

/* Homes of the chunks are members 0, 1, 2, 0; the last one is short. */
enum { C1 = DSM_CHUNK_PAGES, C3 = 3 * DSM_CHUNK_PAGES, PAGES = C3 + 20, PAGE = 7 };

static struct rack *r;

static void begin_with(uint32_t hold_us, struct dsm_range local)
{
	struct dsm_core_config c = {
		.members = 3,
		.epoch = {RACK_EPOCH},
		.pages = PAGES,
		.hold_us = hold_us,
		.acquire_us = RACK_ACQUIRE_US,
		.whole = true,
		.locals = local.pages ? 1 : 0,
		.local = {local},
	};

	r = rack_new_config(&c);
}

static void begin(void)
{
	begin_with(0, (struct dsm_range){0});
}

static void end(void)
{
	rack_end(r);
}

static bool is_whole(uint8_t member, uint64_t page)
{
	CU_ASSERT_EQUAL(r->page[member][page].whole,
			dsm_core_whole(r->core[member], (struct gpage){page}));
	return r->page[member][page].whole;
}

static void split_once(uint8_t member)
{
	CU_ASSERT_EQUAL(rack_stats(r, member).split, 1);
	CU_ASSERT_FALSE(is_whole(member, PAGE));
}

/* ---- R52 ---- */

static void home_takes_all_of_it(void)
{
	begin();
	rack_fault(r, 0, PAGE, false);
	CU_ASSERT_TRUE(is_whole(0, PAGE));
	CU_ASSERT_EQUAL(r->fx.n, 2);
	CU_ASSERT_EQUAL(r->fx.v[0].type, DSM_FX_WHOLE);
	CU_ASSERT_EQUAL(r->fx.v[1].type, DSM_FX_WAKE);
	CU_ASSERT_EQUAL(rack_stats(r, 0).whole, 1);
	ASSERT_STATE(r, 0, 0, DSM_M);
	ASSERT_STATE(r, 0, C1 - 1, DSM_M);
	ASSERT_STATE(r, 0, C1, DSM_I);
	CU_ASSERT_EQUAL(rack_dir(r, PAGE).owner.v, 0);
	end();
}

static void a_late_fault_only_wakes(void)
{
	begin();
	rack_fault(r, 0, PAGE, false);
	rack_fault(r, 0, PAGE + 1, true);
	CU_ASSERT_EQUAL(r->fx.n, 1);
	CU_ASSERT_EQUAL(r->wakes[0], 2);
	CU_ASSERT_EQUAL(rack_stats(r, 0).spurious, 1);
	end();
}

static void others_do_not(void)
{
	begin();
	rack_write(r, 0, C1 + PAGE, 5);
	CU_ASSERT_FALSE(is_whole(0, C1 + PAGE));
	CU_ASSERT_FALSE(is_whole(1, C1 + PAGE));
	ASSERT_STATE(r, 0, C1 + PAGE + 1, DSM_I);
	end();
}

/* Somebody asked for it before: page by page from then on, also when it has come back as zeros. */
static void not_what_others_asked_for(void)
{
	begin();
	rack_write(r, 1, PAGE, 5);
	rack_fault(r, 0, PAGE + 1, true);
	CU_ASSERT_FALSE(is_whole(0, PAGE));
	ASSERT_STATE(r, 0, PAGE + 1, DSM_M);
	ASSERT_STATE(r, 0, PAGE + 2, DSM_I);
	rack_discard(r, 1, PAGE);
	rack_settle(r);
	rack_fault(r, 0, PAGE + 2, true);
	CU_ASSERT_EQUAL(rack_stats(r, 0).whole, 0);
	end();
}

static void not_where_a_local_range_is(void)
{
	begin_with(0, (struct dsm_range){C1 - 2, 1});
	rack_fault(r, 0, PAGE, true);
	CU_ASSERT_FALSE(is_whole(0, PAGE));
	rack_fault(r, 0, C3 + PAGE, true);
	CU_ASSERT_TRUE(is_whole(0, C3 + PAGE)); /* a chunk cut off by the end of the space may */
	end();
}

static void not_where_home_came_to(void)
{
	begin();
	rack_move(r, 1, C1, 0);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, C1).v, 0);
	rack_fault(r, 0, C1 + PAGE, true);
	CU_ASSERT_FALSE(is_whole(0, C1 + PAGE));
	end();
}

static void a_device_takes_it_too(void)
{
	begin();
	rack_acquire(r, 0, PAGE, 16, true, 3);
	CU_ASSERT_TRUE(is_whole(0, PAGE));
	CU_ASSERT_EQUAL(r->acquired[0], 1);
	rack_release(r, 0, 3);
	end();
}

static bool is_clear(const void *memory, size_t bytes)
{
	const uint8_t *at = memory;
	size_t i = 0;

	while (i < bytes && !at[i])
		i++;
	return i == bytes;
}

/* Nothing of a page was written, nor read, in the tables: bytes of a whole chunk are those of its
 * map entry. */
static void it_costs_one_entry(void)
{
	const struct dsm_core *core;

	begin();
	rack_fault(r, 0, PAGE, true);
	rack_fault(r, 0, PAGE + 1, true);
	rack_evict(r, 0, PAGE);
	core = r->core[0];
	CU_ASSERT(is_clear(core->holders, PAGES * sizeof(core->holders[0])));
	CU_ASSERT(is_clear(core->homes, PAGES * sizeof(core->homes[0])));
	CU_ASSERT(sizeof(struct dsm_chunk) <= 16);
	CU_ASSERT_EQUAL(core->threads, 0);
	end();
}

/* ---- R53 ---- */

static void split_before_it_is_served(void)
{
	static const enum dsm_fx_type order[] = {DSM_FX_SPLIT, DSM_FX_PROTECT, DSM_FX_READ_OUT,
						 DSM_FX_SEND};

	begin();
	rack_fault(r, 0, PAGE, true);
	rack_poke(r, 0, PAGE, 5);
	rack_poke(r, 0, PAGE + 1, 6);
	rack_fault(r, 2, PAGE, false);
	rack_deliver(r, 2, 0, PAGE_GET_S);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(r->fx.v[i].type, order[i]);
	CU_ASSERT_EQUAL(r->fx.v[0].page.v, 0);
	split_once(0);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_read(r, 2, PAGE), 5);
	CU_ASSERT_EQUAL(rack_read(r, 1, PAGE + 1), 6); /* of which no entry was written yet */
	CU_ASSERT_EQUAL(rack_read(r, 1, PAGE + 2), 0);
	ASSERT_STATE(r, 0, PAGE, DSM_O);
	ASSERT_STATE(r, 0, PAGE + 3, DSM_M);
	split_once(0);
	end();
}

static void a_writer_takes_one_page(void)
{
	begin();
	rack_write(r, 0, PAGE, 5);
	rack_write(r, 0, PAGE + 1, 6);
	rack_write(r, 1, PAGE, 7);
	ASSERT_STATE(r, 0, PAGE, DSM_I);
	ASSERT_STATE(r, 0, PAGE + 1, DSM_M);
	CU_ASSERT_EQUAL(rack_read(r, 2, PAGE), 7);
	CU_ASSERT_EQUAL(rack_read(r, 2, PAGE + 1), 6);
	CU_ASSERT_EQUAL(rack_read(r, 0, PAGE), 7);
	split_once(0);
	end();
}

static void it_stays_split(void)
{
	begin();
	rack_write(r, 0, PAGE, 5);
	rack_write(r, 1, PAGE, 7);
	rack_evict(r, 1, PAGE);
	rack_settle(r);
	rack_write(r, 0, PAGE, 8);
	rack_fault(r, 0, PAGE + 9, true);
	CU_ASSERT_EQUAL(rack_stats(r, 0).whole, 1);
	CU_ASSERT_FALSE(is_whole(0, PAGE));
	end();
}

/* What is acquired in a whole chunk is held as anywhere. */
static void an_acquire_holds_its_page(void)
{
	begin();
	rack_acquire(r, 0, PAGE, 2, true, 3);
	rack_fault(r, 1, PAGE + 1, true);
	rack_deliver(r, 1, 0, PAGE_GET_X);
	split_once(0);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), 0);
	rack_release(r, 0, 3);
	CU_ASSERT_EQUAL(rack_next(r, 0, 1), PAGE_GRANT);
	end();
}

static void an_eviction_leaves_it_whole(void)
{
	begin();
	rack_write(r, 0, PAGE, 5);
	rack_evict(r, 0, PAGE);
	CU_ASSERT_TRUE(is_whole(0, PAGE));
	end();
}

/* A page is to leave alone. */
static void a_discard_splits_it(void)
{
	begin();
	rack_write(r, 0, PAGE, 5);
	rack_write(r, 0, PAGE + 1, 6);
	rack_discard(r, 0, PAGE);
	split_once(0);
	ASSERT_STATE(r, 0, PAGE, DSM_I);
	CU_ASSERT_EQUAL(rack_read(r, 1, PAGE), 0);
	CU_ASSERT_EQUAL(rack_read(r, 1, PAGE + 1), 6);
	end();
}

/* ---- homes that move ---- */

static void it_is_split_before_it_moves(void)
{
	begin();
	rack_write(r, 0, PAGE, 5);
	rack_write(r, 0, PAGE + 1, 6);
	rack_move(r, 0, PAGE, 2);
	CU_ASSERT_EQUAL(r->fx.v[0].type, DSM_FX_SPLIT);
	rack_settle(r);
	split_once(0);
	CU_ASSERT_EQUAL(rack_home(r, PAGE).v, 2);
	CU_ASSERT_EQUAL(rack_dir(r, PAGE).owner.v, 0);
	CU_ASSERT_EQUAL(rack_dir(r, C1 - 1).owner.v, 0);
	ASSERT_STATE(r, 0, C1 - 1, DSM_M);
	CU_ASSERT_EQUAL(rack_read(r, 1, PAGE), 5);
	rack_write(r, 2, PAGE + 1, 7);
	CU_ASSERT_EQUAL(rack_read(r, 0, PAGE + 1), 7);
	end();
}

static void it_comes_back_as_any_other(void)
{
	begin();
	rack_write(r, 0, PAGE, 5);
	rack_move(r, 0, PAGE, 2);
	rack_settle(r);
	rack_write(r, 1, PAGE, 6);
	rack_move(r, 2, PAGE, 0);
	rack_settle(r);
	CU_ASSERT_EQUAL(rack_home(r, PAGE).v, 0);
	CU_ASSERT_EQUAL(rack_dir(r, PAGE).owner.v, 1);
	CU_ASSERT_EQUAL(rack_dir(r, PAGE + 1).owner.v, 0);
	ASSERT_STATE(r, 0, PAGE, DSM_I);
	CU_ASSERT_EQUAL(rack_read(r, 0, PAGE), 6);
	end();
}

/* A fault while the entries are on their way. */
static void it_is_used_while_it_moves(void)
{
	begin();
	rack_write(r, 0, PAGE, 5);
	rack_move(r, 0, PAGE, 2);
	rack_fault(r, 0, C1 - 1, true);
	ASSERT_STATE(r, 0, C1 - 1, DSM_M);
	rack_fault(r, 1, C1 - 1, true);
	rack_settle(r);
	ASSERT_STATE(r, 1, C1 - 1, DSM_M);
	ASSERT_STATE(r, 0, C1 - 1, DSM_I);
	CU_ASSERT_EQUAL(rack_dir(r, PAGE).owner.v, 0);
	end();
}

static void who_leaves_gives_it_back(void)
{
	begin();
	rack_write(r, 0, PAGE, 5);
	rack_write(r, 0, C3 + 1, 6);
	rack_left(r, 0);
	CU_ASSERT_EQUAL(rack_read(r, 1, PAGE), 5);
	CU_ASSERT_EQUAL(rack_read(r, 2, C3 + 1), 6);
	CU_ASSERT_EQUAL(rack_read(r, 2, PAGE + 1), 0);
	end();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(home_takes_all_of_it),
		UNIT_CASE(a_late_fault_only_wakes),
		UNIT_CASE(others_do_not),
		UNIT_CASE(not_what_others_asked_for),
		UNIT_CASE(not_where_a_local_range_is),
		UNIT_CASE(not_where_home_came_to),
		UNIT_CASE(a_device_takes_it_too),
		UNIT_CASE(it_costs_one_entry),
		UNIT_CASE(split_before_it_is_served),
		UNIT_CASE(a_writer_takes_one_page),
		UNIT_CASE(it_stays_split),
		UNIT_CASE(an_acquire_holds_its_page),
		UNIT_CASE(an_eviction_leaves_it_whole),
		UNIT_CASE(a_discard_splits_it),
		UNIT_CASE(it_is_split_before_it_moves),
		UNIT_CASE(it_comes_back_as_any_other),
		UNIT_CASE(it_is_used_while_it_moves),
		UNIT_CASE(who_leaves_gives_it_back),
	};

	return unit_main("dsm core whole", cases, UNIT_COUNT(cases));
}
