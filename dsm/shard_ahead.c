/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing ahead: what dsm/ahead.h says is about to be wanted is given to the core as a
 * fault of no thread. To the core that is a fault like any other - a hint (R18) -, so the protocol
 * need not know of it: the page comes, is mapped, and wakes nobody.
 *
 * It never keeps a real fault waiting: pages ahead use a part of the transactions only, so that a
 * fault always finds a free one and its request leaves at once; what comes before its answer is
 * what was under way. Pages are asked for in batches, when so many fewer are under way: home
 * answers a batch together.
 */
#include "dsm/shard.h"

#include "proto/base/clock.h"

enum {
	MOST = DSM_TXN_MAX * 3 / 4, /* transactions under way while pages are asked for ahead */
	BATCH = MOST / 3,
};

static bool is_here(const struct shard *s, struct gpage page, bool write)
{
	enum dsm_state state = dsm_core_state(s->core, page);

	return write ? state == DSM_E || state == DSM_M : state != DSM_I;
}

static bool is_local(const struct shard *s, struct gpage page)
{
	for (unsigned i = 0; i < s->config.locals; i++)
		if (page.v - s->config.local[i].first < s->config.local[i].pages)
			return true;
	return false;
}

static void ask(struct shard *s, struct gpage page, bool write)
{
	s->event = (struct dsm_event){
		.type = DSM_EV_FAULT, .now = clock_ns(), .fault = {.page = page, .write = write}};
	shard_step(s);
	s->asked_ahead++;
}

static void ask_ahead(struct shard *s, bool write)
{
	struct ahead *a = &s->ahead[write];
	struct gpage page;

	while (!shard_ended(s) && dsm_core_pending(s->core) < MOST && ahead_next(a, &page)) {
		if (is_here(s, page, write) || is_local(s, page))
			ahead_have(a, page);
		else
			ask(s, page, write);
		awake_asked(&s->awake, s->event.now);
	}
}

void shard_ahead(struct shard *s)
{
	if (s->part != PART_STAYS || dsm_core_pending(s->core) > MOST - BATCH)
		return;
	ask_ahead(s, false);
	ask_ahead(s, true);
}
