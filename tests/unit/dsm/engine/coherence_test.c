/* SPDX-License-Identifier: Apache-2.0 */
/* Memory behaves: real processes, real userfaultfd, real TCP. Every increment is counted twice, in
 * the space and beside it. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum {
	PAGES = 3 * DSM_CHUNK_PAGES + 100, /* a chunk homed at each member, and a bit */
	THREADS = 2,
	HOT_PAGES = 4,
	WORDS = 4, /* counters a page, at its start, end and between */
	RUN_MS = 1500,
};

struct worker {
	struct rack_member *m;
	unsigned index;
	pthread_t thread;
	uint64_t seen[HOT_PAGES][WORDS];
	uint64_t operations;
};

static _Atomic uint64_t *word(const struct rack_member *m, uint64_t page, unsigned i)
{
	static const unsigned at[WORDS] = {0, 1016, 2048, DSM_PAGE_SIZE - 8};

	return (_Atomic uint64_t *)((uint8_t *)rack_page(m, page) + at[i]);
}

/* The count beside the space: exact for the hot words, one a member for all others. */
static atomic_ullong *beside(const struct rack_member *m, uint64_t page, unsigned i)
{
	return &m->rack->counter[page < HOT_PAGES ? page * WORDS + i : 100 + i];
}

static void operate(struct worker *w, unsigned *seed)
{
	struct rack_member *m = w->m;
	bool hot = rand_r(seed) % 2;
	uint64_t page = (uint64_t)rand_r(seed) % (hot ? HOT_PAGES : PAGES), value;
	unsigned i = (unsigned)rand_r(seed) % WORDS;

	if (rand_r(seed) % 2) {
		atomic_fetch_add(word(m, page, i), 1);
		atomic_fetch_add(beside(m, page, i), 1);
		return;
	}
	value = atomic_load(word(m, page, i));
	if (page >= HOT_PAGES)
		return;
	EXPECT(m->rack, value >= w->seen[page][i]); /* a counter never goes back for one reader */
	w->seen[page][i] = value;
}

static void *work(void *context)
{
	struct worker *w = context;
	unsigned seed = w->m->self * 100u + w->index + 1;
	uint64_t end = clock_ms() + RUN_MS;

	for (; clock_ms() < end; w->operations++)
		operate(w, &seed);
	return NULL;
}

/* Homes go round while the others count. Every member gives orders; those for homes that are
 * elsewhere are ignored. */
static void *move_homes(void *context)
{
	struct rack_member *m = context;
	unsigned seed = m->self + 7u;
	uint64_t end = clock_ms() + RUN_MS;

	while (clock_ms() < end) {
		struct gpage page = {(unsigned)rand_r(&seed) % PAGES};
		struct member_id to = {(uint8_t)((unsigned)rand_r(&seed) % RACK_MEMBERS)};

		dsm_move_home(m->dsm, page, to);
		usleep(2000);
	}
	return NULL;
}

static void check_sums(struct rack_member *m)
{
	uint64_t others[WORDS] = {0};

	for (uint64_t p = 0; p < PAGES; p++)
		for (unsigned i = 0; i < WORDS; i++) {
			uint64_t value = atomic_load(word(m, p, i));

			if (p < HOT_PAGES)
				EXPECT(m->rack, value == atomic_load(beside(m, p, i)));
			else
				others[i] += value;
		}
	for (unsigned i = 0; i < WORDS; i++)
		EXPECT(m->rack, others[i] == atomic_load(beside(m, HOT_PAGES, i)));
}

static void check_figures(struct rack_member *m)
{
	static struct dsm_bucket map[64];
	uint64_t shared = 0, exclusive = 0, owned = 0;
	struct dsm_stats s;

	dsm_stats(m->dsm, &s);
	dsm_map(m->dsm, 64, map);
	for (int b = 0; b < 64; b++) {
		shared += map[b].shared;
		exclusive += map[b].exclusive;
		owned += map[b].owned;
	}
	EXPECT(m->rack, s.resident == shared + exclusive);
	EXPECT(m->rack, s.owned == owned);
	EXPECT(m->rack, s.core.read_remote + s.core.write_remote + s.core.upgrade_remote > 0);
	EXPECT(m->rack, s.faults_timed > 0 && s.fault_ns_max > 0);
	EXPECT(m->rack,
	       s.queue_ns_sum + s.reply_ns_sum + s.install_ns_sum >= s.fault_ns_sum / 10 * 9);
	EXPECT(m->rack, s.fault_ns_p50 <= s.fault_ns_p99);
	EXPECT(m->rack, s.transport.messages_in > 0 && s.transport.messages_out > 0);
	EXPECT(m->rack, s.core.refused == 0);
	atomic_fetch_add(&m->rack->counter[200], owned);
}

static void count(struct rack_member *m)
{
	static struct worker w[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		w[i].m = m;
		w[i].index = i;
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT(m->rack, w[i].operations > 0);
	}
	EXPECT(m->rack, rack_barrier(m));
	check_sums(m);
	EXPECT(m->rack, rack_barrier(m));
	check_figures(m);
	EXPECT(m->rack, rack_barrier(m));
	EXPECT(m->rack,
	       atomic_load(&m->rack->counter[200]) == PAGES); /* every page read has one owner */
}

static void random_increments(struct rack_member *m)
{
	count(m);
	rack_leave(m);
}

static void increments_while_homes_move(struct rack_member *m)
{
	struct dsm_stats s;
	pthread_t mover;

	pthread_create(&mover, NULL, move_homes, m);
	count(m);
	pthread_join(mover, NULL);
	dsm_stats(m->dsm, &s);
	atomic_fetch_add(&m->rack->counter[201], s.core.moved_in);
	atomic_fetch_add(&m->rack->counter[202], s.core.redirected);
	EXPECT(m->rack, s.core.moved_in > 0 && s.core.moved_out > 0);
	EXPECT(m->rack, rack_barrier(m));
	if (!m->self)
		printf("%llu moves, %llu requests redirected ",
		       (unsigned long long)atomic_load(&m->rack->counter[201]),
		       (unsigned long long)atomic_load(&m->rack->counter[202]));
	rack_leave(m);
}

static void homes_that_move_count_exactly(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, increments_while_homes_move);
}

static void three_members_count_exactly(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES}, random_increments);
}

static void without_holds_too(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES, .hold_us = 1}, random_increments);
}

/* Each member waits for its turn on one page, then passes it on: progress under the worst sharing
 * there is. */
static void take_turns(struct rack_member *m)
{
	_Atomic uint64_t *turn = rack_page(m, 1);
	uint64_t rounds = 200;

	while (rounds) {
		uint64_t now = atomic_load(turn);

		if (now % m->members == m->self) {
			atomic_store(turn, now + 1);
			rounds--;
		} else {
			sched_yield();
		}
		if (atomic_load(&m->rack->broken))
			break;
	}
	EXPECT(m->rack, rack_barrier(m));
	EXPECT(m->rack, atomic_load(turn) == 200u * m->members);
	rack_leave(m);
}

static void a_page_goes_round(void)
{
	rack_run(3, &(struct rack_config){.pages = 16}, take_turns);
}

/* Two words on two pages, written in one order and read in the other: x86-TSO must hold across
 * pages and members. */
static void message_passing(struct rack_member *m)
{
	_Atomic uint64_t *data = rack_page(m, 0), *flag = rack_page(m, DSM_CHUNK_PAGES);
	const uint64_t rounds = 400;

	for (uint64_t i = 1; i <= rounds && m->self == 0; i++) {
		atomic_store_explicit(data, i, memory_order_relaxed);
		atomic_store_explicit(flag, i, memory_order_release);
		if (i % 8 == 0)
			usleep(200);
	}
	for (uint64_t f = 0; f < rounds && m->self != 0;) {
		f = atomic_load_explicit(flag, memory_order_acquire);
		EXPECT(m->rack, atomic_load_explicit(data, memory_order_relaxed) >= f);
	}
	rack_leave(m);
}

static void what_was_written_first_is_seen_first(void)
{
	rack_run(3, &(struct rack_config){.pages = 2 * DSM_CHUNK_PAGES}, message_passing);
}

/* A local range has the same address everywhere and its own content. */
static void use_local_range(struct rack_member *m)
{
	volatile uint8_t *local = rack_page(m, 8), *coherent = rack_page(m, 7);
	uint32_t token = 0;

	*local = (uint8_t)(m->self + 1);
	if (m->self == 0)
		*coherent = 99;
	EXPECT(m->rack, rack_barrier(m));
	EXPECT(m->rack, *local == m->self + 1);
	EXPECT(m->rack, *coherent == 99);
	EXPECT(m->rack,
	       dsm_acquire(m->dsm, (struct gpage){8}, 1, true, &token, NULL) == ERR_INVALID);
	rack_leave(m);
}

static void local_ranges_stay_local(void)
{
	const struct rack_config config = {
		.pages = 32, .locals = 1, .local = {{.first = 8, .pages = 4}}};

	rack_run(3, &config, use_local_range);
}

struct pair {
	struct dsm *dsm;
	const char *const *peers;
	pthread_t thread;
	int result;
};

static void *pair_connect(void *context)
{
	struct pair *p = context;

	p->result = dsm_connect(p->dsm, p->peers, RACK_TIMEOUT_MS, -1, NULL);
	return NULL;
}

static bool pair_open(struct pair *p, char address[2][TRANSPORT_ADDRESS_MAX], uint8_t self)
{
	struct dsm_config config = {
		.space = {5}, .self = {self}, .members = 2, .pages = 64, .listen = "127.0.0.1:0"};
	struct err e = {0};
	int rc = dsm_open(&config, &p->dsm, &e);

	if (rc == ERR_DENIED || rc == ERR_UNSUPPORTED) {
		unit_skip("%s", e.text);
		return false;
	}
	CU_ASSERT_EQUAL_FATAL(rc, ERR_OK);
	dsm_address(p->dsm, address[self]);
	return true;
}

/* Two members in one process: nothing is global. */
static void two_members_in_one_process(void)
{
	char address[2][TRANSPORT_ADDRESS_MAX];
	const char *peers[2] = {address[0], address[1]};
	struct pair p[2] = {{.peers = peers}, {.peers = peers}};
	volatile uint64_t *a, *b;

	if (!pair_open(&p[0], address, 0) || !pair_open(&p[1], address, 1))
		return;
	for (int i = 0; i < 2; i++)
		pthread_create(&p[i].thread, NULL, pair_connect, &p[i]);
	for (int i = 0; i < 2; i++) {
		pthread_join(p[i].thread, NULL);
		CU_ASSERT_EQUAL_FATAL(p[i].result, ERR_OK);
	}
	a = dsm_base(p[0].dsm);
	b = dsm_base(p[1].dsm);
	CU_ASSERT_PTR_NOT_EQUAL(a, b);
	for (uint64_t i = 0; i < 200; i++) {
		a[i % 5 * 512] = i;
		CU_ASSERT_EQUAL(b[i % 5 * 512], i);
		b[i % 7 * 512 + 1] = i;
		CU_ASSERT_EQUAL(a[i % 7 * 512 + 1], i);
	}
	dsm_quiesce(p[0].dsm);
	dsm_quiesce(p[1].dsm);
	dsm_close(p[0].dsm);
	dsm_close(p[1].dsm);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(three_members_count_exactly),		 UNIT_CASE(without_holds_too),
		UNIT_CASE(homes_that_move_count_exactly),	 UNIT_CASE(a_page_goes_round),
		UNIT_CASE(what_was_written_first_is_seen_first), UNIT_CASE(local_ranges_stay_local),
		UNIT_CASE(two_members_in_one_process),
	};

	return unit_main("dsm coherence", cases, UNIT_COUNT(cases));
}
