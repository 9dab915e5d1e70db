/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flight recorder: what a core did is done again by a fresh core from its recording, effect for
 * effect, also when the recording's beginning is long overwritten. Recordings here are as short as
 * they may be, so that their halves change often.
 */
#include "dsm/core/journal.h"

#include <stdlib.h>
#include <string.h>

#include "rack.h"

enum { MEMBERS = 3, USED = 5, EVENTS = DSM_JOURNAL_EVENTS_MIN };

static const uint64_t used[USED] = {0, 1, 2, DSM_CHUNK_PAGES, 2 * DSM_CHUNK_PAGES + 5};
static uint64_t seed_state;

static uint32_t draw(uint32_t n)
{
	seed_state = seed_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed_state >> 33) % n;
}

struct recorded {
	struct rack *rack;
	void *block[MEMBERS];
	size_t bytes;
};

static void record(struct recorded *r, unsigned seed)
{
	struct dsm_core_config config = {
		.members = MEMBERS,
		.epoch = {RACK_EPOCH},
		.pages = 3 * DSM_CHUNK_PAGES,
		.hold_us = RACK_HOLD_US,
		.acquire_us = RACK_ACQUIRE_US,
		.whole = seed % 2,
	};

	r->rack = rack_new_config(&config);
	r->bytes = dsm_journal_bytes(&r->rack->core[0]->config, EVENTS);
	CU_ASSERT_FATAL(r->bytes > 0);
	for (int m = 0; m < MEMBERS; m++) {
		r->block[m] = aligned_alloc(64, r->bytes);
		if (!r->block[m])
			abort();
		memset(r->block[m], 0, r->bytes);
		dsm_core_record(r->rack->core[m], r->block[m], EVENTS);
	}
	seed_state = seed * 0x9e3779b97f4a7c15ull;
}

static void forget(struct recorded *r)
{
	for (int m = 0; m < MEMBERS; m++)
		free(r->block[m]);
	rack_delete(r->rack);
}

static void act(struct rack *r)
{
	uint8_t m = (uint8_t)draw(MEMBERS), to = (uint8_t)draw(MEMBERS);
	uint64_t page = used[draw(USED)];
	uint32_t what = draw(100);

	if (what < 70 && rack_next(r, m, to))
		rack_deliver(r, m, to, rack_next(r, m, to));
	else if (what < 82)
		rack_fault(r, m, page, draw(2));
	else if (what < 86)
		rack_evict(r, m, page);
	else if (what < 88)
		rack_acquire(r, m, 0, 1 + draw(3), draw(2), draw(4));
	else if (what < 91)
		rack_release(r, m, draw(4));
	else
		rack_tick(r, draw(200));
}

/* A core built from a recording, after all its events. */
struct replayed {
	struct dsm_core *core;
	uint32_t differ; /* entries whose effects came out otherwise */
};

static struct replayed replay(const struct dsm_journal *j)
{
	static struct dsm_effects fx;
	struct replayed r = {
		.core = dsm_journal_restore(j, calloc(1, dsm_core_bytes(dsm_journal_config(j))))};

	for (uint32_t i = 0; i < dsm_journal_count(j); i++) {
		const struct dsm_journal_entry *e = dsm_journal_at(j, i);

		dsm_step(r.core, &e->event, &fx);
		r.differ += fx.n != e->effects || dsm_effects_digest(&fx) != e->digest;
	}
	return r;
}

static uint32_t differing(const struct dsm_journal *j)
{
	struct replayed r = replay(j);

	free(r.core);
	return r.differ;
}

static const struct dsm_journal *opened(const struct recorded *r, int m)
{
	const char *why;
	const struct dsm_journal *j = dsm_journal_open(r->block[m], r->bytes, &why);

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	return j;
}

static bool same_entry(const struct dsm_core *a, const struct dsm_core *b, struct gpage page)
{
	struct dsm_dir x = {0}, y = {0};

	if (dsm_core_state(a, page) != dsm_core_state(b, page) ||
	    dsm_core_dir(a, page, &x) != dsm_core_dir(b, page, &y))
		return false;
	return x.busy == y.busy && member_eq(x.owner, y.owner) && x.sharers == y.sharers &&
	       x.version == y.version && x.queued == y.queued;
}

static bool same_state(const struct recorded *r, int m, const struct dsm_core *copy)
{
	const struct dsm_core *core = r->rack->core[m];
	const struct dsm_journal *j = opened(r, m);
	struct dsm_core_stats a, b;

	if (!dsm_journal_before(j)) { /* it has seen all: the counters must agree, too */
		dsm_core_stats(core, &a);
		dsm_core_stats(copy, &b);
		if (memcmp(&a, &b, sizeof(a)) != 0)
			return false;
	}
	for (int i = 0; i < USED; i++)
		if (!same_entry(core, copy, (struct gpage){used[i]}))
			return false;
	return dsm_core_pending(core) == dsm_core_pending(copy);
}

static void a_recording_replays(void)
{
	for (unsigned seed = 1; seed <= 60; seed++) {
		struct recorded r;

		record(&r, seed);
		for (unsigned s = 0; s < seed * 50; s++)
			act(r.rack);
		for (int m = 0; m < MEMBERS; m++) {
			struct replayed copy = replay(opened(&r, m));

			CU_ASSERT_EQUAL(copy.differ, 0);
			CU_ASSERT(same_state(&r, m, copy.core));
			free(copy.core);
		}
		forget(&r);
	}
}

static void old_events_are_overwritten(void)
{
	struct recorded r;
	const struct dsm_journal *j;

	record(&r, 7);
	for (unsigned s = 0; s < 4000; s++)
		act(r.rack);
	j = opened(&r, 0);
	CU_ASSERT(dsm_journal_before(j) > 10 * EVENTS);
	CU_ASSERT(dsm_journal_count(j) > EVENTS && dsm_journal_count(j) <= 2 * EVENTS);
	forget(&r);
}

/* Killed in the middle of a step: the tables are half changed, the step has no effects. */
static void an_unfinished_step_is_seen(void)
{
	struct recorded r;
	const struct dsm_journal *j;
	struct dsm_event fault = {.type = DSM_EV_FAULT, .fault = {.page = {9}, .write = true}};

	record(&r, 3);
	for (unsigned s = 0; s < 1000; s++)
		act(r.rack);
	dsm_journal_event(r.rack->core[1], &fault);
	dsm_holder(r.rack->core[1], 1)->version += 99;
	j = opened(&r, 1);
	CU_ASSERT_EQUAL(dsm_journal_at(j, dsm_journal_count(j) - 1)->effects, UINT32_MAX);
	CU_ASSERT_EQUAL(differing(j), 1); /* that step, and no other */
	forget(&r);
}

/* What the recording is for: a core that does something else than was recorded is caught. */
static void another_event_is_seen(void)
{
	struct recorded r;
	const struct dsm_journal *j;
	uint32_t changed = 0;

	record(&r, 11);
	for (unsigned s = 0; s < 90; s++)
		act(r.rack);
	j = opened(&r, 0);
	for (uint32_t i = 0; i < dsm_journal_count(j); i++) {
		struct dsm_event *ev = (struct dsm_event *)&dsm_journal_at(j, i)->event;

		if (ev->type == DSM_EV_FAULT && !changed++)
			ev->fault.page.v += 3;
	}
	CU_ASSERT(changed > 0);
	CU_ASSERT(differing(j) > 0);
	forget(&r);
}

static bool refused(const void *block, size_t bytes, const char *word)
{
	const char *why = NULL;

	return !dsm_journal_open(block, bytes, &why) && why && strstr(why, word);
}

static void damage_is_refused(void)
{
	struct recorded r;
	uint64_t *words;
	uint64_t read = 0;

	record(&r, 5);
	for (unsigned s = 0; s < 500; s++)
		act(r.rack);
	words = r.block[0];
	CU_ASSERT(refused(words, 16, "no flight recording"));
	CU_ASSERT(refused(words, r.bytes - 1, "damaged"));
	words[1] ^= 8;
	CU_ASSERT(refused(words, r.bytes, "another version"));
	words[1] ^= 8;
	words[0] ^= 1;
	CU_ASSERT(refused(words, r.bytes, "no flight recording"));
	words[0] ^= 1;
	/* Any number anywhere: it is refused, or all it says is there can be read (the address
	 * sanitizer looks). */
	for (size_t i = 0; i < 64; i++) {
		const uint64_t was = words[i];
		const struct dsm_journal *j;
		const char *why;

		words[i] = ~was;
		j = dsm_journal_open(words, r.bytes, &why);
		for (uint32_t k = 0; j && k < dsm_journal_count(j); k++)
			read += dsm_journal_at(j, k)->event.type <= UINT8_MAX;
		words[i] = was;
	}
	CU_ASSERT(read > 0);
	CU_ASSERT_EQUAL(dsm_journal_bytes(&r.rack->core[0]->config, EVENTS - 1), 0);
	forget(&r);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_recording_replays),	       UNIT_CASE(old_events_are_overwritten),
		UNIT_CASE(an_unfinished_step_is_seen), UNIT_CASE(another_event_is_seen),
		UNIT_CASE(damage_is_refused),
	};

	return unit_main("core-journal", cases, UNIT_COUNT(cases));
}
