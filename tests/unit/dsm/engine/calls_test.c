/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of dsm.h beside plain memory: acquire and release, evict, post, map. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum { ROUNDS = 200, SPAN = 4, HELD_MS = 9 /* the core's bound is 10 */ };

static _Atomic uint64_t *word(const struct rack_member *m, uint64_t page)
{
	return rack_page(m, page);
}

/*
 * A device: reads all pages of a span, waits, adds one to each. Nobody else may change one
 * meanwhile, as long as the hold lasts: it began after this call did. True if it did last.
 */
static bool device_round(struct rack_member *m)
{
	uint64_t before[SPAN], start = clock_ms();
	uint32_t token = 0;
	bool same = true, lasted;

	EXPECT(m->rack, dsm_acquire(m->dsm, (struct gpage){2}, SPAN, true, &token, NULL) == ERR_OK);
	for (uint64_t i = 0; i < SPAN; i++)
		before[i] = atomic_load(word(m, 2 + i));
	usleep(300);
	for (uint64_t i = 0; i < SPAN; i++)
		same &= atomic_fetch_add(word(m, 2 + i), 1) == before[i];
	lasted = clock_ms() - start < HELD_MS;
	EXPECT(m->rack, same || !lasted);
	dsm_release(m->dsm, token);
	dsm_release(m->dsm, token); /* again: an old token means nothing */
	return lasted;
}

static void device_and_writers(struct rack_member *m)
{
	unsigned checked = 0;

	for (int i = 0; i < ROUNDS && m->self == 0; i++)
		checked += device_round(m);
	EXPECT(m->rack, m->self != 0 || checked > 0);
	if (m->self == 0)
		atomic_store(&m->rack->step, 1);
	while (m->self != 0 && atomic_load(&m->rack->step) == 0) {
		for (uint64_t i = 0; i < SPAN; i++)
			atomic_fetch_add(word(m, 2 + i), 1);
		atomic_fetch_add(&m->rack->counter[0], 1);
	}
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t i = 0; i < SPAN; i++)
		EXPECT(m->rack,
		       atomic_load(word(m, 2 + i)) == ROUNDS + atomic_load(&m->rack->counter[0]));
	rack_leave(m);
}

static void an_acquired_span_is_left_alone(void)
{
	rack_run(3, &(struct rack_config){.pages = 16}, device_and_writers);
}

static void *acquire_and_release(void *context)
{
	struct rack_member *m = context;

	for (uint32_t i = 0; i < 300; i++) {
		uint32_t token, pages = 1 + i % DSM_ACQUIRE_PAGES_MAX;
		int rc = dsm_acquire(m->dsm, (struct gpage){i % 8}, pages, i % 2, &token, NULL);

		EXPECT(m->rack, rc == ERR_OK);
		if (!rc)
			dsm_release(m->dsm, token);
	}
	return NULL;
}

static void many_devices(struct rack_member *m)
{
	pthread_t thread[3];
	uint32_t token[DSM_ACQUIRES_MAX + 1];
	unsigned held = 0;

	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, acquire_and_release, m);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	EXPECT(m->rack, rack_barrier(m));
	while (m->self == 0 && held <= DSM_ACQUIRES_MAX &&
	       dsm_acquire(m->dsm, (struct gpage){1}, 1, false, &token[held], NULL) == ERR_OK)
		held++;
	EXPECT(m->rack, held == (m->self == 0 ? DSM_ACQUIRES_MAX : 0)); /* then NOSPACE */
	while (held)
		dsm_release(m->dsm, token[--held]);
	EXPECT(m->rack, dsm_acquire(m->dsm, (struct gpage){1}, 1, true, &token[0], NULL) == ERR_OK);
	dsm_release(m->dsm, token[0]);
	EXPECT(m->rack,
	       dsm_acquire(m->dsm, (struct gpage){30}, 3, true, &token[0], NULL) == ERR_INVALID);
	EXPECT(m->rack,
	       dsm_acquire(m->dsm, (struct gpage){0}, 0, true, &token[0], NULL) == ERR_INVALID);
	EXPECT(m->rack, dsm_acquire(m->dsm, (struct gpage){0}, DSM_ACQUIRE_PAGES_MAX + 1, true,
				    &token[0], NULL) == ERR_INVALID);
	rack_leave(m);
}

static void acquires_of_many_threads_all_end(void)
{
	rack_run(3, &(struct rack_config){.pages = 32}, many_devices);
}

static uint64_t resident(struct rack_member *m)
{
	struct dsm_stats s;

	dsm_stats(m->dsm, &s);
	return s.resident;
}

/* Pages of every home are given back by a member that owns them and by one that has copies; the
 * data stays. */
static void give_back(struct rack_member *m)
{
	enum { PAGES = 3 * DSM_CHUNK_PAGES, STRIDE = 64 };
	uint64_t end = clock_ms() + RACK_TIMEOUT_MS;
	/* of its own chunk: all, if it took it whole */
	uint64_t own = m->self == 1 ? DSM_CHUNK_PAGES : PAGES / STRIDE / 3;

	for (uint64_t p = 0; p < PAGES && m->self == 1; p += STRIDE)
		atomic_store(word(m, p), p + 1);
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = 0; p < PAGES && m->self == 2; p += STRIDE)
		EXPECT(m->rack, atomic_load(word(m, p)) == p + 1);
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = 0; p < PAGES && m->self != 0; p++)
		dsm_evict(m->dsm, (struct gpage){p}); /* a hint, also for pages that are not here */
	/* what is homed elsewhere goes */
	while (m->self != 0 && resident(m) > own && clock_ms() < end)
		usleep(1000);
	EXPECT(m->rack, m->self == 0 || resident(m) <= own);
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = 0; p < PAGES; p += STRIDE)
		EXPECT(m->rack, atomic_load(word(m, p)) == p + 1);
	rack_leave(m);
}

static void evicted_pages_keep_their_data(void)
{
	rack_run(3, &(struct rack_config){.pages = 3 * DSM_CHUNK_PAGES}, give_back);
}

struct letter {
	uint32_t number;
	bool answer_wanted;
	bool answer;
};

enum { LETTERS = 900 }; /* all of them fit into the queue: a callback cannot wait for room */

/* All sizes there are, in no order. */
static uint32_t letter_bytes(uint32_t number)
{
	return sizeof(struct letter) + number * 2731 % (POST_BYTES_MAX - sizeof(struct letter) + 1);
}

/* On the engine thread. */
static void on_letter(void *context, struct member_id from, const void *bytes, uint32_t n)
{
	static uint32_t next[RACK_MEMBERS];
	struct rack_member *m = context;
	struct letter letter;

	if (n < sizeof(letter)) {
		rack_failed(m->rack, __FILE__, __LINE__, "a short letter");
		return;
	}
	memcpy(&letter, bytes, sizeof(letter));
	if (letter.answer) {
		atomic_fetch_add(&m->rack->counter[10 + m->self], 1);
		return;
	}
	EXPECT(m->rack, letter.number == next[from.v]++);
	EXPECT(m->rack, n == letter_bytes(letter.number));
	EXPECT(m->rack,
	       n == sizeof(letter) || ((const uint8_t *)bytes)[n - 1] == (letter.number & 0xff));
	letter.answer = true;
	if (letter.answer_wanted)
		EXPECT(m->rack, dsm_post(m->dsm, from, &letter, sizeof(letter)) == ERR_OK);
	atomic_fetch_add(&m->rack->member[m->self].mark, 1);
}

static void post_patiently(struct rack_member *m, uint8_t to, const void *bytes, uint32_t n)
{
	int rc;

	while ((rc = dsm_post(m->dsm, (struct member_id){to}, bytes, n)) == ERR_NOSPACE)
		usleep(100);
	EXPECT(m->rack, rc == ERR_OK);
}

static void write_letters(struct rack_member *m)
{
	static uint8_t bytes[POST_BYTES_MAX + 1];
	struct letter letter = {0};
	uint32_t wanted = 0;

	for (letter.number = 0; letter.number < LETTERS; letter.number++) {
		uint32_t n = letter_bytes(letter.number);

		letter.answer_wanted = letter.number % 5 == 0;
		wanted += letter.answer_wanted;
		memset(bytes, (int)(letter.number & 0xff), sizeof(bytes));
		memcpy(bytes, &letter, sizeof(letter));
		for (uint8_t to = 0; to < m->members; to++) /* to itself too */
			post_patiently(m, to, bytes, n);
	}
	EXPECT(m->rack,
	       dsm_post(m->dsm, (struct member_id){0}, bytes, sizeof(bytes)) == ERR_TOOBIG);
	EXPECT(m->rack, dsm_post(m->dsm, (struct member_id){m->members}, bytes, 1) == ERR_INVALID);
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->member[m->self].mark, LETTERS * m->members));
	EXPECT(m->rack, rack_barrier(m));
	for (int ms = 0; ms < RACK_TIMEOUT_MS; ms++) {
		if (atomic_load(&m->rack->counter[10 + m->self]) == (uint64_t)wanted * m->members)
			break;
		usleep(1000);
	}
	EXPECT(m->rack,
	       atomic_load(&m->rack->counter[10 + m->self]) == (uint64_t)wanted * m->members);
	rack_leave(m);
}

static void posts_come_once_whole_and_in_order(void)
{
	rack_run(3, &(struct rack_config){.pages = 8, .post = on_letter}, write_letters);
}

/* A map shows what each member did, bucket by bucket; it works before the space is connected and
 * after members left. */
static void look_at_the_map(struct rack_member *m)
{
	enum { PAGES = 1000, BUCKETS = 7, RUN = 143 };
	struct dsm_bucket b[BUCKETS + 1];

	for (uint64_t p = 0; p < PAGES && m->self == 0; p++)
		atomic_store(word(m, p), 1);
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t i = 0; i < RUN && m->self == 1; i++) /* no stream */
		EXPECT(m->rack, atomic_load(word(m, i * 59 % RUN)) == 1);
	EXPECT(m->rack, rack_barrier(m));
	b[BUCKETS].shared = 4711;
	dsm_map(m->dsm, BUCKETS, b);
	EXPECT(m->rack, b[BUCKETS].shared == 4711);
	EXPECT(m->rack, b[0].shared == (m->self == 2 ? 0 : RUN));
	EXPECT(m->rack, b[0].owned == (m->self == 0 ? RUN : 0));
	EXPECT(m->rack, b[1].exclusive == (m->self == 0 ? RUN : 0));
	EXPECT(m->rack, b[BUCKETS - 1].exclusive == (m->self == 0 ? PAGES - 6 * RUN : 0));
	EXPECT(m->rack, rack_barrier(m));
	dsm_quiesce(m->dsm);
	EXPECT(m->rack, rack_barrier(m));
	if (m->self != 0)
		dsm_close(m->dsm); /* an agreed end: no loss */
	EXPECT(m->rack, rack_barrier(m));
	if (m->self != 0)
		return;
	usleep(50000);
	dsm_map(m->dsm, BUCKETS, b);
	EXPECT(m->rack, b[1].exclusive == RUN);
	EXPECT(m->rack, atomic_load(&m->rack->member[0].lost) == 0);
	EXPECT(m->rack, atomic_load(word(m, 999)) == 1); /* what is here is still here */
	dsm_close(m->dsm);
}

static void a_map_shows_who_has_what(void)
{
	rack_run(3, &(struct rack_config){.pages = 1000}, look_at_the_map);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(an_acquired_span_is_left_alone),
		UNIT_CASE(acquires_of_many_threads_all_end),
		UNIT_CASE(evicted_pages_keep_their_data),
		UNIT_CASE(posts_come_once_whole_and_in_order),
		UNIT_CASE(a_map_shows_who_has_what),
	};

	return unit_main("dsm calls", cases, UNIT_COUNT(cases));
}
