/* SPDX-License-Identifier: Apache-2.0 */
/* Pins, prefetches, discards: what is charged, what is here, what is refused. */
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "tests/unit/unit.h"

enum { PAGES = 1100, PAGE = CDSM_PAGE_BYTES, MEMBERS = 2 };

static const struct crew_config space = {.bytes = (uint64_t)PAGES * PAGE};

static volatile uint64_t *word(const struct hand *h, unsigned page)
{
	return (volatile uint64_t *)(h->base + (size_t)page * PAGE);
}

static struct cdsm_stats stats_of(struct cdsm *space_of)
{
	struct cdsm_stats s = CDSM_STATS;

	CU_ASSERT_EQUAL(cdsm_stats(space_of, &s, NULL), CDSM_OK);
	return s;
}

static uint64_t remote_faults(struct hand *h)
{
	struct cdsm_stats s = stats_of(h->space);

	return s.faults_read + s.faults_write;
}

static void fill(struct hand *h)
{
	for (unsigned p = 0; p < PAGES && h->self == 0; p++)
		*word(h, p) = p + 1;
	crew_meet(h, MEMBERS);
}

/* ---- prefetch ---- */

/* The second half to be written, the first to be read. */
static void fetch(struct hand *h)
{
	uint64_t half = PAGES / 2, before;

	fill(h);
	if (h->self == 1) {
		HOLDS(h->crew, cdsm_prefetch(h->space, h->base, half * PAGE, 0, NULL) == CDSM_OK);
		HOLDS(h->crew, cdsm_prefetch(h->space, h->base + half * PAGE, half * PAGE, 1,
					     NULL) == CDSM_OK);
		HOLDS(h->crew, stats_of(h->space).resident_bytes == space.bytes);
		HOLDS(h->crew, stats_of(h->space).owned_bytes == half * PAGE);
		before = remote_faults(h);
		for (unsigned p = 0; p < PAGES; p++) {
			HOLDS(h->crew, *word(h, p) == p + 1);
			if (p >= half)
				*word(h, p) = 2 * p;
		}
		HOLDS(h->crew, remote_faults(h) == before);
	}
	crew_meet(h, MEMBERS);
	HOLDS(h->crew, *word(h, PAGES - 1) == 2 * (PAGES - 1));
	HOLDS(h->crew, *word(h, 0) == 1);
	crew_meet(h, MEMBERS);
	crew_leave(h);
}

static void what_is_fetched_needs_no_fault(void)
{
	crew_run(MEMBERS, &space, fetch);
}

/* ---- pins ---- */

static void pin(struct hand *h)
{
	uint64_t before;

	fill(h);
	if (h->self == 1) {
		HOLDS(h->crew, cdsm_pin(h->space, h->base + 5, 20 * PAGE, NULL) == CDSM_OK);
		HOLDS(h->crew, stats_of(h->space).pinned_bytes == 21 * PAGE);
		before = remote_faults(h);
		for (unsigned p = 0; p < 21; p++)
			HOLDS(h->crew, *word(h, p) == p + 1);
		HOLDS(h->crew, remote_faults(h) == before);
		HOLDS(h->crew, cdsm_discard(h->space, h->base, 8 * PAGE, NULL) == CDSM_ESTATE);
		HOLDS(h->crew, *word(h, 3) == 4);
	}
	crew_meet(h, MEMBERS);
	if (h->self == 0)
		*word(h, 3) = 77; /* a pin keeps nobody from writing */
	crew_meet(h, MEMBERS);
	HOLDS(h->crew, *word(h, 3) == 77);
	crew_meet(h, MEMBERS);
	crew_leave(h);
}

static void what_is_pinned_is_here_and_stays_coherent(void)
{
	crew_run(MEMBERS, &space, pin);
}

static void a_limit_refuses_with_the_figure(void)
{
	struct cdsm_options o = CDSM_OPTIONS;
	struct cdsm_error why = {0};
	struct cdsm *c;
	char *base;

	if (!crew_can())
		return;
	o.key = crew_key;
	o.pin_limit = 10 * PAGE;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, space.bytes, &c, NULL), CDSM_OK);
	base = cdsm_map(c, NULL);
	CU_ASSERT_EQUAL(cdsm_pin(c, base, 11 * PAGE, &why), CDSM_ENOSPACE);
	CU_ASSERT_EQUAL(why.bytes, 10 * PAGE);
	CU_ASSERT_EQUAL(stats_of(c).pinned_bytes, 0); /* nothing was done */
	CU_ASSERT_EQUAL(cdsm_pin(c, base, 6 * PAGE, NULL), CDSM_OK);
	CU_ASSERT_EQUAL(cdsm_pin(c, base + 4 * PAGE, 4 * PAGE, NULL), CDSM_OK); /* two are new */
	CU_ASSERT_EQUAL(stats_of(c).pinned_bytes, 8 * PAGE);
	CU_ASSERT_EQUAL(cdsm_pin(c, base + 100 * PAGE, 3 * PAGE, &why), CDSM_ENOSPACE);
	CU_ASSERT_EQUAL(why.bytes, 2 * PAGE);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(why.text, "12288 bytes more cannot be pinned: 32768 of 40960"));
	CU_ASSERT_EQUAL(cdsm_pin(c, base + 100 * PAGE, 3 * PAGE, NULL), CDSM_ENOSPACE);
	CU_ASSERT_EQUAL(cdsm_unpin(c, base + 2 * PAGE, 20 * PAGE, NULL), CDSM_OK);
	CU_ASSERT_EQUAL(stats_of(c).pinned_bytes, 2 * PAGE);
	CU_ASSERT_EQUAL(cdsm_pin(c, base + 100 * PAGE, 8 * PAGE, NULL), CDSM_OK);
	CU_ASSERT_EQUAL(stats_of(c).pin_limit, 10 * PAGE);
	cdsm_close(c);
}

/* ---- discards ---- */

static void discards(void)
{
	const unsigned pages = 20000; /* more than the engine takes at once */
	struct cdsm_options o = CDSM_OPTIONS;
	volatile unsigned char *base;
	struct cdsm *c;

	if (!crew_can())
		return;
	o.key = crew_key;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, (uint64_t)pages * PAGE, &c, NULL), CDSM_OK);
	base = cdsm_map(c, NULL);
	for (size_t p = 0; p < pages; p++)
		base[p * PAGE] = 1;
	CU_ASSERT_EQUAL(stats_of(c).resident_bytes, (uint64_t)pages * PAGE);
	CU_ASSERT_EQUAL(cdsm_discard(c, (void *)(base + 1), 3 * PAGE, NULL), CDSM_OK);
	CU_ASSERT_EQUAL(stats_of(c).resident_bytes, (uint64_t)(pages - 2) * PAGE); /* whole ones */
	CU_ASSERT(base[0] == 1 && base[3 * PAGE] == 1);
	CU_ASSERT_EQUAL(base[PAGE], 0);
	CU_ASSERT_EQUAL(cdsm_discard(c, (void *)base, (uint64_t)pages * PAGE, NULL), CDSM_OK);
	CU_ASSERT_EQUAL(stats_of(c).resident_bytes, 0);
	base[5 * PAGE] = 9;
	CU_ASSERT(base[5 * PAGE] == 9 && base[6 * PAGE] == 0);
	cdsm_close(c);
}

/* ---- refusals ---- */

static void ranges(void)
{
	struct cdsm_options o = CDSM_OPTIONS;
	struct cdsm *c;
	char *base;

	if (!crew_can())
		return;
	o.key = crew_key;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 4 * PAGE, &c, NULL), CDSM_OK);
	base = cdsm_map(c, NULL);
	CU_ASSERT_EQUAL(cdsm_pin(c, base, 4 * PAGE + 1, NULL), CDSM_EINVAL);
	CU_ASSERT_EQUAL(cdsm_pin(c, base - 1, 1, NULL), CDSM_EINVAL);
	CU_ASSERT_EQUAL(cdsm_unpin(c, base + 4 * PAGE, 1, NULL), CDSM_EINVAL);
	CU_ASSERT_EQUAL(cdsm_prefetch(c, base + PAGE, UINT64_MAX, 0, NULL), CDSM_EINVAL);
	CU_ASSERT_EQUAL(cdsm_discard(c, NULL, PAGE, NULL), CDSM_EINVAL);
	CU_ASSERT_EQUAL(cdsm_pin(c, base + 4 * PAGE, 0, NULL), CDSM_OK);
	CU_ASSERT_EQUAL(cdsm_unpin(c, base, 4 * PAGE, NULL), CDSM_OK); /* none is pinned */
	CU_ASSERT_EQUAL(cdsm_discard(c, base + 1, 0, NULL), CDSM_OK);
	CU_ASSERT_EQUAL(cdsm_leave(c, 1000, NULL), CDSM_OK);
	CU_ASSERT_EQUAL(cdsm_pin(c, base, PAGE, NULL), CDSM_ESTATE);
	CU_ASSERT_EQUAL(cdsm_unpin(c, base, PAGE, NULL), CDSM_ESTATE);
	CU_ASSERT_EQUAL(cdsm_prefetch(c, base, PAGE, 0, NULL), CDSM_ESTATE);
	CU_ASSERT_EQUAL(cdsm_discard(c, base, PAGE, NULL), CDSM_ESTATE);
	cdsm_close(c);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(what_is_fetched_needs_no_fault),
		UNIT_CASE(what_is_pinned_is_here_and_stays_coherent),
		UNIT_CASE(a_limit_refuses_with_the_figure),
		UNIT_CASE(discards),
		UNIT_CASE(ranges),
	};

	return unit_main("cdsm pages", cases, UNIT_COUNT(cases));
}
