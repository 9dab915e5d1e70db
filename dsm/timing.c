/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/timing.h"

#include <assert.h>

static struct timing_place *place_of(struct timing *t, struct gpage page)
{
	return &t->place[page.v % TIMING_PLACES];
}

void timing_fault(struct timing *t, struct gpage page, uint64_t read)
{
	struct timing_place *p = place_of(t, page);

	if (p->page || t->fresh_n == TIMING_PLACES)
		return;
	*p = (struct timing_place){.page = page.v + 1, .read = read};
	t->fresh[t->fresh_n++] = (uint16_t)(p - t->place);
}

void timing_sent(struct timing *t, uint64_t now)
{
	for (uint32_t i = 0; i < t->fresh_n; i++)
		if (!t->place[t->fresh[i]].sent)
			t->place[t->fresh[i]].sent = now;
	t->fresh_n = 0;
}

/* Octave and eighth of it: bucket b covers [limit(b-1), limit(b)). */
static unsigned bucket_of(uint64_t ns)
{
	unsigned octave, b;

	if (ns < TIMING_STEPS)
		return (unsigned)ns;
	octave = 63 - (unsigned)__builtin_clzll(ns);
	b = (octave - 2) * TIMING_STEPS + (unsigned)(ns >> (octave - 3)) % TIMING_STEPS;
	return b < TIMING_BUCKETS ? b : TIMING_BUCKETS - 1;
}

static uint64_t bucket_limit(unsigned b)
{
	if (b < TIMING_STEPS)
		return b + 1;
	return (uint64_t)(TIMING_STEPS + b % TIMING_STEPS + 1) << (b / TIMING_STEPS - 1);
}

static uint64_t since(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

void timing_wake(struct timing *t, struct gpage page, uint64_t arrived, uint64_t now)
{
	struct timing_place *p = place_of(t, page);
	uint64_t total;

	if (p->page != page.v + 1)
		return;
	if (!p->sent) /* answered in the round that asked */
		p->sent = p->read;
	total = since(p->read, now);
	t->faults++;
	t->total_sum += total;
	t->total_max = total > t->total_max ? total : t->total_max;
	t->queue_sum += since(p->read, p->sent);
	t->reply_sum += since(p->sent, arrived);
	t->install_sum += since(arrived, now);
	t->bucket[bucket_of(total)]++;
	p->page = 0;
}

uint64_t timing_percentile(const struct timing *t, unsigned percent)
{
	uint64_t want = (t->faults * percent + 99) / 100, seen = 0;

	assert(percent <= 100);
	if (!t->faults)
		return 0;
	for (unsigned b = 0; b < TIMING_BUCKETS; b++) {
		seen += t->bucket[b];
		if (seen >= want)
			return bucket_limit(b);
	}
	return t->total_max;
}
