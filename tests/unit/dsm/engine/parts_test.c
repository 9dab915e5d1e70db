/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's small parts by themselves: the command queue, the fault timing, the hot pages, what
 * was written. */
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "dsm/command.h"
#include "dsm/core/core.h"
#include "dsm/hot.h"
#include "dsm/timing.h"
#include "dsm/written.h"
#include "tests/unit/unit.h"

static struct command_queue *queue(void)
{
	struct command_queue *q = NULL;

	CU_ASSERT_EQUAL_FATAL(command_open(&q, NULL), ERR_OK);
	return q;
}

static bool readable(const struct command_queue *q)
{
	struct pollfd p = {.fd = command_fd(q), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void commands_keep_their_order_and_payload(void)
{
	static uint8_t in[POST_BYTES_MAX], out[POST_BYTES_MAX];
	struct command_queue *q = queue();
	struct command c;

	/* several times round the ring, with sizes that never line up */
	for (uint32_t i = 0; i < 3 * (COMMAND_QUEUE_BYTES / 2000); i++) {
		uint32_t n = i * 7919 % (POST_BYTES_MAX + 1);

		memset(in, (int)(i & 0xff), n);
		CU_ASSERT_EQUAL_FATAL(
			command_push(
				q, &(struct command){.type = COMMAND_POST, .bytes = n, .token = i},
				in),
			ERR_OK);
		if (i < 10)
			continue;
		CU_ASSERT_FATAL(command_pop(q, &c, out));
		CU_ASSERT_EQUAL_FATAL(c.token, i - 10);
		CU_ASSERT_EQUAL_FATAL(c.bytes, (i - 10) * 7919 % (POST_BYTES_MAX + 1));
		CU_ASSERT_FATAL(c.bytes == 0 ||
				(out[0] == ((i - 10) & 0xff) && out[c.bytes - 1] == out[0]));
	}
	CU_ASSERT_EQUAL(command_heard(q), 10);
	command_close(q);
}

static void a_full_queue_refuses_posts_but_never_a_release(void)
{
	static uint8_t bytes[POST_BYTES_MAX];
	struct command_queue *q = queue();
	struct command c = {.type = COMMAND_POST, .bytes = POST_BYTES_MAX};
	uint32_t posts = 0;

	while (command_push(q, &c, bytes) == ERR_OK)
		posts++;
	CU_ASSERT(posts > COMMAND_QUEUE_BYTES / (POST_BYTES_MAX + 100));
	c.bytes = 0;
	while (command_push(q, &c, NULL) == ERR_OK)
		posts++;
	CU_ASSERT_EQUAL(command_push(q, &(struct command){.type = COMMAND_EVICT}, NULL),
			ERR_NOSPACE);
	CU_ASSERT_EQUAL(command_push(q, &(struct command){.type = COMMAND_ACQUIRE}, NULL),
			ERR_NOSPACE);
	for (int i = 0; i < DSM_ACQUIRES_MAX; i++)
		CU_ASSERT_EQUAL(command_push(q, &(struct command){.type = COMMAND_RELEASE}, NULL),
				ERR_OK);
	CU_ASSERT_EQUAL(command_push(q, &(struct command){.type = COMMAND_STATS}, NULL), ERR_OK);
	while (posts--)
		CU_ASSERT_FATAL(command_pop(q, &c, bytes) && c.type == COMMAND_POST);
	for (int i = 0; i < DSM_ACQUIRES_MAX; i++)
		CU_ASSERT(command_pop(q, &c, bytes) && c.type == COMMAND_RELEASE);
	CU_ASSERT(command_pop(q, &c, bytes) && c.type == COMMAND_STATS);
	CU_ASSERT_FALSE(command_pop(q, &c, bytes));
	command_close(q);
}

static void the_descriptor_says_that_something_came(void)
{
	static uint8_t bytes[POST_BYTES_MAX];
	struct command_queue *q = queue();
	struct command c = {.type = COMMAND_EVICT};

	CU_ASSERT_FALSE(readable(q));
	command_push(q, &c, NULL);
	CU_ASSERT(readable(q));
	CU_ASSERT_EQUAL(command_heard(q), 1);
	CU_ASSERT_FALSE(readable(q));
	command_push(q, &c,
		     NULL); /* behind one that was heard of: whoever pops asks command_waiting */
	CU_ASSERT(command_pop(q, &c, bytes));
	CU_ASSERT(command_waiting(q));
	CU_ASSERT(command_pop(q, &c, bytes));
	CU_ASSERT_FALSE(command_waiting(q));
	command_push(q, &c, NULL);
	CU_ASSERT(readable(q));
	command_close(q);
	command_close(NULL);
}

static void timing_adds_up(void)
{
	static struct timing t;
	struct gpage a = {5}, same_place = {5 + TIMING_PLACES};

	timing_fault(&t, a, 1000);
	timing_fault(&t, same_place, 1100); /* its place is taken: not timed */
	timing_sent(&t, 1500);
	timing_sent(&t, 9000); /* of a later round */
	timing_wake(&t, same_place, 2000, 2000);
	CU_ASSERT_EQUAL(t.faults, 0);
	timing_wake(&t, a, 4000, 4700);
	timing_wake(&t, a, 5000, 5000); /* once */
	CU_ASSERT_EQUAL(t.faults, 1);
	CU_ASSERT_EQUAL(t.queue_sum, 500);
	CU_ASSERT_EQUAL(t.reply_sum, 2500);
	CU_ASSERT_EQUAL(t.install_sum, 700);
	CU_ASSERT_EQUAL(t.total_sum, 3700);
	CU_ASSERT_EQUAL(t.total_max, 3700);
}

static void timing_percentiles_are_close(void)
{
	static struct timing t;

	CU_ASSERT_EQUAL(timing_percentile(&t, 50), 0);
	for (uint64_t i = 1; i <= 10000; i++) {
		timing_fault(&t, (struct gpage){i}, 0);
		timing_sent(&t, 1);
		timing_wake(&t, (struct gpage){i}, i * 10, i * 10); /* 10 ns .. 100 us, even */
	}
	CU_ASSERT(timing_percentile(&t, 50) >= 50000 && timing_percentile(&t, 50) <= 56500);
	CU_ASSERT(timing_percentile(&t, 99) >= 99000 && timing_percentile(&t, 99) <= 112000);
	CU_ASSERT(timing_percentile(&t, 0) <= timing_percentile(&t, 100));
	timing_fault(&t, (struct gpage){1}, 0);
	timing_wake(&t, (struct gpage){1}, UINT64_MAX, UINT64_MAX); /* beyond the last bucket */
	CU_ASSERT_EQUAL(t.total_max, UINT64_MAX);
}

/* Two pages among many that come once each: what stands at the top is right, and honest about how
 * much too high it may be. */
static void the_hottest_pages_stand_at_the_top(void)
{
	static struct hot h;
	struct dsm_hot top[DSM_HOT_MAX];
	uint64_t rare = 100;

	for (unsigned i = 0; i < 3000; i++)
		hot_fault(&h, (struct gpage){i % 3 == 0 ? 7 : i % 3 == 1 ? 9 : rare++}, i % 3 == 0);
	for (unsigned i = 0; i < 500; i++)
		hot_fault(&h, (struct gpage){9}, false);
	CU_ASSERT_EQUAL(hot_top(&h, top), DSM_HOT_MAX);
	CU_ASSERT(top[0].page.v == 9 && top[0].faults - top[0].over <= 1500 &&
		  top[0].faults >= 1500);
	CU_ASSERT(top[1].page.v == 7 && top[1].faults >= 1000 && top[1].writes == 1000);
	CU_ASSERT_EQUAL(top[0].writes, 0);
	CU_ASSERT_EQUAL(top[1].over, 0);
	for (unsigned i = 2; i < DSM_HOT_MAX; i++) {
		CU_ASSERT(top[i].faults <= top[i - 1].faults);
		CU_ASSERT(top[i].faults - top[i].over <= 1);
	}
}

static bool tells(struct written *w, uint64_t page, bool written)
{
	struct dsm_event ev = {.type = DSM_EV_TIMER};

	written_tell(w, &ev);
	return ev.proofs == 1 && ev.proof[0].page.v == page && ev.proof[0].written == written;
}

static bool tells_nothing(struct written *w)
{
	struct dsm_event ev = {.type = DSM_EV_TIMER};

	written_tell(w, &ev);
	return !ev.proofs;
}

static void a_page_leaves_written_or_as_it_came(void)
{
	static uint8_t page[DSM_PAGE_SIZE];
	static struct written w;

	written_begin(&w, (struct gpage){5}, NULL);
	written_end(&w, (struct gpage){5}, page);
	CU_ASSERT(tells(&w, 5, false));
	for (unsigned i = 0; i < DSM_PAGE_SIZE; i += 61) {
		written_begin(&w, (struct gpage){5}, page);
		page[i]++;
		written_end(&w, (struct gpage){5}, page);
		CU_ASSERT(tells(&w, 5, true));
	}
	written_begin(&w, (struct gpage){5}, page);
	written_end(&w, (struct gpage){5}, page);
	CU_ASSERT(tells(&w, 5, false));
	CU_ASSERT(tells_nothing(&w));
}

static void what_is_not_known_is_not_told(void)
{
	static uint8_t page[DSM_PAGE_SIZE];
	static struct written w;
	struct dsm_event ev;

	written_end(&w, (struct gpage){0}, page); /* never came to be written */
	CU_ASSERT(tells_nothing(&w));
	written_begin(&w, (struct gpage){7}, page);
	written_begin(&w, (struct gpage){7 + WRITTEN_PLACES}, page); /* takes its place */
	written_end(&w, (struct gpage){7}, page);
	CU_ASSERT(tells_nothing(&w));
	written_end(&w, (struct gpage){7 + WRITTEN_PLACES}, page);
	written_end(&w, (struct gpage){7 + WRITTEN_PLACES}, page); /* read out twice: told once */
	CU_ASSERT(tells(&w, 7 + WRITTEN_PLACES, false));
	for (uint64_t p = 0; p < 2 * DSM_PROOFS_MAX; p++) {
		written_begin(&w, (struct gpage){p}, page);
		written_end(&w, (struct gpage){p}, page);
	}
	written_tell(&w, &ev);
	CU_ASSERT_EQUAL(ev.proofs, DSM_PROOFS_MAX);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(commands_keep_their_order_and_payload),
		UNIT_CASE(a_full_queue_refuses_posts_but_never_a_release),
		UNIT_CASE(the_descriptor_says_that_something_came),
		UNIT_CASE(timing_adds_up),
		UNIT_CASE(the_hottest_pages_stand_at_the_top),
		UNIT_CASE(timing_percentiles_are_close),
		UNIT_CASE(a_page_leaves_written_or_as_it_came),
		UNIT_CASE(what_is_not_known_is_not_told),
	};

	return unit_main("dsm parts", cases, UNIT_COUNT(cases));
}
