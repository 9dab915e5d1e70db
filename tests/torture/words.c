/* SPDX-License-Identifier: Apache-2.0 */
/* Words without locks: counters, tokens, pairs. All are changed by processor instructions alone, so
 * what is checked is that a page has one writer at any time. */
#include "tests/torture/internal.h"

enum {
	CMPXCHG_TRIES = 3,
	SWAPS = 3,
	LAST_IN_PAGE = COUNTERS_A_PAGE - 1,
	BURST_MAX = 40000, /* increments: longer than it takes to take a page away */
	PAIRS_MAX = 200,   /* writes of a pair at once */
};

/* ---- counters: 1, 2, 4 and 8 bytes, the last of a page at its very end ---- */

static uint32_t width_of(uint32_t i)
{
	return 1u << i % 4;
}

static size_t counter_offset(uint32_t i)
{
	uint32_t k = i % COUNTERS_A_PAGE;
	size_t page = COUNTER_START + (size_t)(i / COUNTERS_A_PAGE) * PAGE;

	return page + (k == LAST_IN_PAGE ? PAGE - width_of(i) : k * 264u);
}

static uint64_t low_bits(uint64_t v, uint32_t width)
{
	return width == 8 ? v : v & ((1ull << width * 8) - 1);
}

static uint64_t counter_load(const struct torture *t, uint32_t i)
{
	void *p = torture_at(t, counter_offset(i));

	switch (width_of(i)) {
	case 1:
		return __atomic_load_n((uint8_t *)p, __ATOMIC_SEQ_CST);
	case 2:
		return __atomic_load_n((uint16_t *)p, __ATOMIC_SEQ_CST);
	case 4:
		return __atomic_load_n((uint32_t *)p, __ATOMIC_SEQ_CST);
	default:
		return __atomic_load_n((uint64_t *)p, __ATOMIC_SEQ_CST);
	}
}

static void counter_xadd(const struct torture *t, uint32_t i, uint64_t n)
{
	void *p = torture_at(t, counter_offset(i));

	switch (width_of(i)) {
	case 1:
		__atomic_fetch_add((uint8_t *)p, (uint8_t)n, __ATOMIC_SEQ_CST);
		break;
	case 2:
		__atomic_fetch_add((uint16_t *)p, (uint16_t)n, __ATOMIC_SEQ_CST);
		break;
	case 4:
		__atomic_fetch_add((uint32_t *)p, (uint32_t)n, __ATOMIC_SEQ_CST);
		break;
	default:
		__atomic_fetch_add((uint64_t *)p, n, __ATOMIC_SEQ_CST);
	}
}

/* A 64-bit one. False: others were faster each time. */
static bool counter_cmpxchg(const struct torture *t, uint32_t i, uint64_t n)
{
	uint64_t *p = torture_at(t, counter_offset(i));
	uint64_t now = __atomic_load_n(p, __ATOMIC_SEQ_CST);

	for (int tries = 0; tries < CMPXCHG_TRIES; tries++)
		if (__atomic_compare_exchange_n(p, &now, now + n, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
	return false;
}

static void report_counter(struct torture_worker *w, uint32_t i, uint64_t expected, uint64_t got)
{
	struct torture_wrong wrong = {.what = "counter",
				      .index = i,
				      .expected = expected,
				      .got = got,
				      .writer = TORTURE_NOBODY,
				      .holds = TORTURE_NOBODY};

	torture_report(w, counter_offset(i), &wrong);
}

/* A 64-bit counter cannot wrap: it never falls. */
static void counter_read(struct torture_worker *w, uint32_t i)
{
	uint64_t now = counter_load(w->t, i);

	if (width_of(i) < 8)
		return;
	if (now < w->counter_seen[i])
		report_counter(w, i, w->counter_seen[i], now);
	w->counter_seen[i] = now;
}

/* Writes without a pause, so that the page is taken away in the middle. */
static void counter_burst(struct torture_worker *w, uint32_t i)
{
	uint32_t n = 1 + torture_random(w, BURST_MAX);

	for (uint32_t k = 0; k < n; k++)
		counter_xadd(w->t, i, 1);
	w->added[i] += n;
}

void torture_counter_touch(struct torture_worker *w)
{
	uint32_t i = torture_random(w, TORTURE_COUNTERS), n = 1 + torture_random(w, 1000);

	switch (torture_random(w, 8)) {
	case 0:
		counter_read(w, i);
		return;
	case 1:
		if (width_of(i) == 8) {
			w->added[i] += counter_cmpxchg(w->t, i, n) ? n : 0;
			break;
		} /* fall through */
	case 2:
	case 3:
		counter_burst(w, i);
		break;
	default:
		counter_xadd(w->t, i, n);
		w->added[i] += n;
	}
	w->did.atomics++;
}

static void check_counters(struct torture_worker *w)
{
	for (uint32_t i = 0; i < TORTURE_COUNTERS; i++) {
		uint64_t sum = 0, now = counter_load(w->t, i);

		for (unsigned worker = 0; worker < w->t->config.workers; worker++)
			sum += torture_tally(w->t, worker)->added[i];
		if (now != low_bits(sum, width_of(i)))
			report_counter(w, i, low_bits(sum, width_of(i)), now);
		counter_read(w, i);
		w->did.checked++;
	}
}

/* ---- tokens: 1 .. TORTURE_TOKENS lie in the slots at first, each worker holds one more ---- */

static size_t slot_offset(uint32_t i)
{
	return TOKEN_START + (size_t)(i / TOKENS_A_PAGE) * PAGE + (i % TOKENS_A_PAGE) * 520u;
}

static uint64_t *slot(const struct torture *t, uint32_t i)
{
	return torture_at(t, slot_offset(i));
}

void torture_token_swap(struct torture_worker *w)
{
	for (int i = 0; i < SWAPS; i++)
		w->token = __atomic_exchange_n(slot(w->t, torture_random(w, TORTURE_TOKENS)),
					       w->token, __ATOMIC_SEQ_CST);
	w->did.atomics += SWAPS;
}

static void see_token(struct torture_worker *w, size_t offset, uint32_t index, uint64_t token,
		      uint64_t *missing)
{
	struct torture_wrong wrong = {.what = "token",
				      .index = index,
				      .expected = *missing,
				      .got = token,
				      .writer = TORTURE_NOBODY,
				      .holds = TORTURE_NOBODY};

	if (token && token < 64 && *missing >> token & 1)
		*missing &= ~(1ull << token);
	else
		torture_report(w, offset, &wrong);
}

/* As many places as tokens: if none is there twice, none is gone. */
static void check_tokens(struct torture_worker *w)
{
	unsigned workers = w->t->config.workers;
	uint64_t missing = ((1ull << (TORTURE_TOKENS + workers)) - 1) << 1;

	for (uint32_t i = 0; i < TORTURE_TOKENS; i++)
		see_token(w, slot_offset(i), i, *slot(w->t, i), &missing);
	for (unsigned i = 0; i < workers; i++)
		see_token(w, TALLY_START + (size_t)i * PAGE, TORTURE_TOKENS + i,
			  torture_tally(w->t, i)->token, &missing);
	w->did.checked += TORTURE_TOKENS;
}

_Static_assert(TORTURE_TOKENS + TORTURE_WORKERS_MAX < 63, "tokens fit a word");

/* ---- pairs ---- */

static size_t pair_offset(unsigned worker, uint32_t pair, uint32_t word)
{
	return PAIR_START + (size_t)(2 * pair + word) * PAGE +
	       worker * (PAGE / TORTURE_WORKERS_MAX);
}

static uint64_t *pair_word(const struct torture *t, unsigned worker, uint32_t pair, uint32_t word)
{
	return torture_at(t, pair_offset(worker, pair, word));
}

static void write_pair(struct torture_worker *w, uint32_t pair)
{
	uint64_t v = ++w->pair_written[pair];

	__atomic_store_n(pair_word(w->t, w->self, pair, 0), v, __ATOMIC_RELAXED);
	__atomic_store_n(pair_word(w->t, w->self, pair, 1), v, __ATOMIC_RELEASE);
}

/* got >= expected, or it is said. */
static void check_pair(struct torture_worker *w, unsigned worker, uint32_t pair, uint32_t word,
		       uint64_t expected, uint64_t got)
{
	struct torture_wrong wrong = {.what = "pair",
				      .index = pair,
				      .expected = expected,
				      .got = got,
				      .writer = worker,
				      .holds = TORTURE_NOBODY};

	if (got < expected)
		torture_report(w, pair_offset(worker, pair, word), &wrong);
}

static void read_pair(struct torture_worker *w, unsigned worker, uint32_t pair)
{
	uint64_t *seen = w->pair_seen[worker][pair];
	uint64_t second = __atomic_load_n(pair_word(w->t, worker, pair, 1), __ATOMIC_ACQUIRE);
	uint64_t first = __atomic_load_n(pair_word(w->t, worker, pair, 0), __ATOMIC_RELAXED);

	check_pair(w, worker, pair, 0, second > seen[0] ? second : seen[0], first);
	check_pair(w, worker, pair, 1, seen[1], second);
	seen[0] = first;
	seen[1] = second;
}

void torture_pair_touch(struct torture_worker *w)
{
	uint32_t pair = torture_random(w, TORTURE_PAIRS), n = 1 + torture_random(w, PAIRS_MAX);
	unsigned worker = torture_random(w, w->t->config.workers);
	bool write = torture_random(w, 3) == 0;

	for (uint32_t i = 0; i < n; i++)
		if (write)
			write_pair(w, pair);
		else
			read_pair(w, worker, pair);
	w->did.orders += n;
}

static void check_pairs(struct torture_worker *w)
{
	for (unsigned worker = 0; worker < w->t->config.workers; worker++)
		for (uint32_t pair = 0; pair < TORTURE_PAIRS; pair++) {
			uint64_t written = torture_tally(w->t, worker)->pair_written[pair];

			read_pair(w, worker, pair);
			for (uint32_t word = 0; word < 2; word++) {
				uint64_t now = *pair_word(w->t, worker, pair, word);

				check_pair(w, worker, pair, word, written, now);
				check_pair(w, worker, pair, word, now, written);
			}
			w->did.checked++;
		}
}

/* ---- all of them ---- */

void torture_words_start(struct torture_worker *w)
{
	w->token = TORTURE_TOKENS + 1 + w->self;
	for (uint32_t i = 0; i < TORTURE_TOKENS && w->self == 0; i++)
		*slot(w->t, i) = i + 1;
}

void torture_words_check(struct torture_worker *w)
{
	check_counters(w);
	check_tokens(w);
	check_pairs(w);
}
