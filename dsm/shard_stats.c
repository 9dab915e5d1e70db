/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/shard.h"

/* One slice of a map: well under a millisecond. */
enum {
	SLICE_WORDS = 1 << 14, /* words of `here` it looks at */
	SLICE_PAGES = 1 << 13, /* pages it counts */
};

void shard_stats(struct shard *s, struct dsm_stats *out)
{
	const struct timing *t = &s->timing;

	*out = (struct dsm_stats){
		.faults_timed = t->faults,
		.fault_ns_sum = t->total_sum,
		.fault_ns_max = t->total_max,
		.fault_ns_p50 = timing_percentile(t, 50),
		.fault_ns_p99 = timing_percentile(t, 99),
		.queue_ns_sum = t->queue_sum,
		.reply_ns_sum = t->reply_sum,
		.install_ns_sum = t->install_sum,
		.resident = s->resident,
		.owned = s->owned,
		.asked_ahead = s->asked_ahead,
	};
	out->hot_n = hot_top(&s->hot, out->hot);
	out->notices_refused = s->membership.refused;
	dsm_core_stats(s->core, &out->core);
	s->transport_ops->stats(s->transport, &out->transport);
}

static void count(const struct shard *s, struct gpage page, struct dsm_bucket *b)
{
	switch (dsm_core_state(s->core, page)) {
	case DSM_I:
		return;
	case DSM_S:
		b->shared++;
		return;
	case DSM_O:
		b->shared++;
		b->owned++;
		return;
	case DSM_E:
	case DSM_M:
		b->exclusive++;
		b->owned++;
		return;
	}
}

/* Of 64 pages from `page` on, those that are here. */
static uint64_t pages_here(const struct shard *s, uint64_t page)
{
	uint64_t left = s->config.pages - page;

	if (!dsm_core_whole(s->core, (struct gpage){page}))
		return s->here[page / 64];
	return left < 64 ? (1ULL << left) - 1 : UINT64_MAX;
}

bool shard_map_slice(struct shard *s, struct shard_map *map)
{
	const uint64_t pages = s->config.pages;
	unsigned counted = 0;

	for (unsigned words = 0; words < SLICE_WORDS && counted < SLICE_PAGES; words++) {
		uint64_t here;

		if (map->next >= pages)
			return true;
		for (here = pages_here(s, map->next); here; here &= here - 1, counted++) {
			uint64_t page = map->next + (unsigned)__builtin_ctzll(here);

			count(s, (struct gpage){page}, &map->out[page / map->run]);
		}
		map->next += 64;
	}
	return map->next >= pages;
}
