/* SPDX-License-Identifier: Apache-2.0 */
/* The benches. */
#include "tests/bench/bench.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/bench/floor.h"
#include "tests/bench/local.h"
#include "tests/bench/pages.h"
#include "tests/bench/parts.h"
#include "tests/bench/spaces.h"
#include "tests/bench/team.h"

enum { THIRD = 2, RANDOM_THREADS = 2 };

/* ---- read, take, write, invalidate: faults of one page ---- */

static double timed_reads(struct seat *s, unsigned home)
{
	for (unsigned i = 0; i < s->rounds; i++) {
		struct gpage page = pages_scattered(s, home, i);
		uint64_t began = floor_now(), seen = *pages_word(s, page);

		s->ns[i] = floor_now() - began;
		pages_check(s, page, seen, pages_content(page));
	}
	return parts_median_us(s->ns, s->rounds);
}

/* Writes beside the first word; what that should be afterwards is checked. */
static double timed_writes(struct seat *s, unsigned home, bool had_content)
{
	for (unsigned i = 0; i < s->rounds; i++) {
		struct gpage page = pages_scattered(s, home, i);
		uint64_t began = floor_now();

		pages_word(s, page)[1] = i;
		s->ns[i] = floor_now() - began;
		pages_check(s, page, *pages_word(s, page), had_content ? pages_content(page) : 0);
	}
	return parts_median_us(s->ns, s->rounds);
}

static void other_holds(struct seat *s)
{
	if (s->self == OTHER)
		pages_write(s, OTHER);
}

static double read_value(struct seat *s)
{
	return s->self == MEASURER ? timed_reads(s, OTHER) : 0;
}

static double take_value(struct seat *s)
{
	return s->self == MEASURER ? timed_writes(s, OTHER, true) : 0;
}

/* Owner is one member, home another one. */
static void other_holds_of_third(struct seat *s)
{
	if (s->self == OTHER)
		pages_write(s, THIRD);
}

static double read_three_value(struct seat *s)
{
	return s->self == MEASURER ? timed_reads(s, THIRD) : 0;
}

static double take_three_value(struct seat *s)
{
	return s->self == MEASURER ? timed_writes(s, THIRD, true) : 0;
}

/* All others have copies. */
static void others_share(struct seat *s)
{
	other_holds(s);
	team_meet(s);
	if (s->self > OTHER)
		pages_read(s, OTHER);
}

static double write_value(struct seat *s)
{
	return s->self == MEASURER ? timed_writes(s, OTHER, false) : 0;
}

static void others_share_ours(struct seat *s)
{
	if (s->self == MEASURER)
		pages_write(s, OTHER);
	team_meet(s);
	if (s->self != MEASURER)
		pages_read(s, OTHER);
}

/* ---- rpc ---- */

/* A word of the measurer's process, for its two threads. */
static uint32_t rpc_done;
static unsigned rpc_round;
static uint64_t rpc_began;

static void rpc_post(void *seat, struct member_id from, const void *bytes, uint32_t n)
{
	struct seat *s = seat;

	if (s->self == MEASURER) {
		uint64_t now = floor_now();

		s->ns[rpc_round++] = now - rpc_began;
		rpc_began = now;
		if (rpc_round == s->rounds) {
			__atomic_store_n(&rpc_done, 1, __ATOMIC_RELEASE);
			syscall(SYS_futex, &rpc_done, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
			return;
		}
	}
	dsm_post(s->dsm, from, bytes, n);
}

static double rpc_value(struct seat *s)
{
	static const uint64_t question;

	if (s->self != MEASURER)
		return 0;
	rpc_done = 0;
	rpc_round = 0;
	rpc_began = floor_now();
	dsm_post(s->dsm, (struct member_id){OTHER}, &question, sizeof(question));
	while (!__atomic_load_n(&rpc_done, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &rpc_done, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return parts_median_us(s->ns, s->rounds);
}

/* ---- pingpong ---- */

/* Two members raise one word in turns. An exchange that fails wants the page for writing, too: so
 * who waits for its turn takes the page once, not for reading first. */
static double pingpong_value(struct seat *s)
{
	uint64_t *word = (uint64_t *)pages_word(s, pages_of(s, OTHER, 0));
	uint64_t turns = s->rounds / 2, first = (uint64_t)s->pair * turns * 2, began;

	team_meet(s);
	began = floor_now();
	if (s->self <= OTHER)
		for (uint64_t i = 0; i < turns; i++) {
			uint64_t mine = first + 2 * i + s->self, before = mine;

			while (!__atomic_compare_exchange_n(word, &before, mine + 1, false,
							    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				before = mine;
		}
	team_meet(s);
	if (s->self == MEASURER)
		pages_check(s, pages_of(s, OTHER, 0), *word, first + 2 * turns);
	return (double)(2 * turns) / (double)(floor_now() - began) * 1e9;
}

/* ---- stream ---- */

static uint64_t sum_of(const volatile uint64_t *words)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < FLOOR_PAGE / sizeof(*words); i++)
		sum += words[i];
	return sum;
}

static double mib_per_s(const struct seat *s, uint64_t ns)
{
	return (double)s->rounds * FLOOR_PAGE / (1 << 20) / ((double)ns / 1e9);
}

/* All pages of the pair, whoever is their home. */
static struct gpage in_row(const struct seat *s, unsigned round)
{
	return (struct gpage){(uint64_t)s->pair * s->rounds + round};
}

static void other_holds_row(struct seat *s)
{
	if (s->self != OTHER)
		return;
	for (unsigned i = 0; i < s->rounds; i++)
		*pages_word(s, in_row(s, i)) = pages_content(in_row(s, i));
}

/* Reads every byte of the pages in their order. */
static double stream_value(struct seat *s)
{
	uint64_t began = floor_now(), sum = 0, right = 0;

	if (s->self != MEASURER)
		return 0;
	for (unsigned i = 0; i < s->rounds; i++)
		sum += sum_of(pages_word(s, in_row(s, i)));
	began = floor_now() - began;
	for (unsigned i = 0; i < s->rounds; i++)
		right += pages_content(in_row(s, i));
	pages_check(s, in_row(s, 0), sum, right);
	return mib_per_s(s, began);
}

/* Writes a word of each page, beside the first one. */
static double stream_write_value(struct seat *s)
{
	uint64_t began = floor_now();

	if (s->self != MEASURER)
		return 0;
	for (unsigned i = 0; i < s->rounds; i++)
		pages_word(s, in_row(s, i))[1] = i + 1;
	began = floor_now() - began;
	for (unsigned i = 0; i < s->rounds; i++) {
		pages_check(s, in_row(s, i), *pages_word(s, in_row(s, i)),
			    pages_content(in_row(s, i)));
		pages_check(s, in_row(s, i), pages_word(s, in_row(s, i))[1], i + 1);
	}
	return mib_per_s(s, began);
}

static double stream_floor(struct seat *s)
{
	size_t bytes = (size_t)s->rounds * FLOOR_PAGE;
	uint64_t ns = 1;
	int rc = 0;

	team_meet(s);
	if (s->self == MEASURER)
		rc = floor_stream_take(s->link, bytes, &ns);
	else if (s->self == OTHER)
		rc = floor_stream_send(s->link, bytes);
	team_meet(s);
	if (rc)
		team_fail(s, "the stream of the floor failed: %m");
	return mib_per_s(s, ns);
}

/* ---- random ---- */

/* The i-th page in a scattered order, and which of the shards it is in. */
static volatile uint64_t *random_word(const struct seat *s, unsigned i)
{
	return pages_word_in(s, i % s->spaces, pages_scattered(s, OTHER, i));
}

static void random_holds(struct seat *s)
{
	for (unsigned i = 0; i < s->rounds && s->self == OTHER; i++)
		*random_word(s, i) = pages_content(pages_scattered(s, OTHER, i));
}

/* A thread of a random bench, and which of the pages it reads. */
struct reader {
	struct seat *seat;
	unsigned first, every;
	uint64_t seen, right;
};

/* As many threads as shards: each has one of its own, the best that shards can do. */
static void *read_scattered(void *context)
{
	struct reader *r = context;

	if (r->every > 1)
		team_pin(spaces_core(r->seat, r->first));
	for (unsigned i = r->first; i < r->seat->rounds; i += r->every) {
		r->seen += *random_word(r->seat, i);
		r->right += pages_content(pages_scattered(r->seat, OTHER, i));
	}
	return NULL;
}

/* Reads a word of each page, by so many threads at once; reads a second. */
static double random_reads(struct seat *s, unsigned threads)
{
	struct reader reader[RANDOM_THREADS];
	pthread_t thread[RANDOM_THREADS];
	uint64_t began = floor_now();

	if (s->self != MEASURER)
		return 0;
	for (unsigned i = 0; i < threads; i++) {
		reader[i] = (struct reader){.seat = s, .first = i, .every = threads};
		if (pthread_create(&thread[i], NULL, read_scattered, &reader[i]))
			team_fail(s, "no thread to read with");
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	began = floor_now() - began;
	for (unsigned i = 0; i < threads; i++)
		pages_check(s, pages_fresh(s, OTHER, i), reader[i].seen, reader[i].right);
	return (double)s->rounds / (double)began * 1e9;
}

static double random_value(struct seat *s)
{
	return random_reads(s, RANDOM_THREADS);
}

/* One thread, on the pages of a second half that the other writes now. */
static double random_floor(struct seat *s)
{
	double rate;

	s->pair += s->options->pairs;
	random_holds(s);
	team_meet(s);
	rate = random_reads(s, 1);
	team_meet(s);
	s->pair -= s->options->pairs;
	return rate;
}

/* ---- the table ---- */

#define PAGE_FLOOR                                                                                 \
	"fault with a handler thread on the same core, or in the faulting thread + 64 B for 4 "    \
	"KiB over TCP"
#define RIGHT_FLOOR "the same fault + 64 B for 64 B over TCP"

const struct bench benches[] = {
	{.name = "read",
	 .text = "first read of a page that another member owns and is home of; floor: " PAGE_FLOOR,
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 2,
	 .rounds = 1000,
	 .pages = pages_all,
	 .prepare = other_holds,
	 .value = read_value,
	 .floor = parts_page},
	{.name = "read-3hop",
	 .text = "the same, home is a third member; floor: " PAGE_FLOOR,
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 3,
	 .rounds = 1000,
	 .pages = pages_all,
	 .prepare = other_holds_of_third,
	 .value = read_three_value,
	 .floor = parts_page},
	{.name = "write",
	 .text = "first write to a page nobody ever touched, home is another member; "
		 "floor: " RIGHT_FLOOR,
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 2,
	 .rounds = 1000,
	 .pages = pages_all,
	 .value = write_value,
	 .floor = parts_right},
	{.name = "take",
	 .text = "write to a page that another member owns and is home of; floor: " PAGE_FLOOR,
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 2,
	 .rounds = 1000,
	 .pages = pages_all,
	 .prepare = other_holds,
	 .value = take_value,
	 .floor = parts_page},
	{.name = "take-3hop",
	 .text = "the same, home is a third member; floor: " PAGE_FLOOR,
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 3,
	 .rounds = 1000,
	 .pages = pages_all,
	 .prepare = other_holds_of_third,
	 .value = take_three_value,
	 .floor = parts_page},
	{.name = "take-shared",
	 .text = "write to a page that another member owns and all others read; floor: " PAGE_FLOOR,
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 3,
	 .rounds = 1000,
	 .pages = pages_all,
	 .prepare = others_share,
	 .value = take_value,
	 .floor = parts_page},
	{.name = "invalidate",
	 .text = "owner writes a page that all others read; floor: " RIGHT_FLOOR,
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 2,
	 .rounds = 1000,
	 .pages = pages_all,
	 .prepare = others_share_ours,
	 .value = take_value,
	 .floor = parts_right},
	{.name = "rpc",
	 .text = "smallest message there and back through the engines; floor: 64 B for 64 B over "
		 "TCP",
	 .kind = BENCH_TIME,
	 .unit = "us",
	 .members = 2,
	 .rounds = 2000,
	 .pages = pages_chunk_each,
	 .post = rpc_post,
	 .value = rpc_value,
	 .floor = parts_message},
	{.name = "pingpong",
	 .text = "two members raise a word in turns, shortest hold time; ratio: raises in one "
		 "floor, " PAGE_FLOOR,
	 .kind = BENCH_RHYTHM,
	 .unit = "1/s",
	 .members = 2,
	 .rounds = 2000,
	 .pages = pages_chunk_each,
	 .hold_us = 1,
	 .value = pingpong_value,
	 .floor = parts_page},
	{.name = "stream",
	 .text = "reads of adjacent pages that another member owns; floor: a TCP stream of as many "
		 "bytes",
	 .kind = BENCH_RATE,
	 .unit = "MiB/s",
	 .members = 2,
	 .rounds = 4096,
	 .pages = pages_all,
	 .prepare = other_holds_row,
	 .value = stream_value,
	 .floor = stream_floor},
	{.name = "stream-write",
	 .text = "writes to adjacent pages that another member owns; floor: a TCP stream of as "
		 "many "
		 "bytes",
	 .kind = BENCH_RATE,
	 .unit = "MiB/s",
	 .members = 2,
	 .rounds = 4096,
	 .pages = pages_all,
	 .prepare = other_holds_row,
	 .value = stream_write_value,
	 .floor = stream_floor},
	{.name = "random",
	 .text = "reads of 8 bytes in scattered pages that another member owns, by two threads; "
		 "floor: by one thread",
	 .kind = BENCH_RATE,
	 .unit = "1/s",
	 .members = 2,
	 .rounds = 1000,
	 .pages = pages_twice,
	 .sharded = true,
	 .prepare = random_holds,
	 .value = random_value,
	 .floor = random_floor},
	{.name = "local",
	 .text = "reads of 8 bytes at random in 256 MiB of chunks that only their home uses; "
		 "floor: ordinary memory with huge pages",
	 .kind = BENCH_TIME,
	 .unit = "ns",
	 .members = 2,
	 .rounds = 4000,
	 .pages = local_pages,
	 .prepare = local_prepare,
	 .value = local_value,
	 .floor = local_floor},
	{0},
};
