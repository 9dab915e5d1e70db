/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/torture/internal.h"

enum { CLOCK_EVERY = 32, HOT_OBJECTS = 12 };

/* How often a worker does what in a round, of 100; the rest are pairs. */
struct mix {
	uint8_t hot; /* of the objects: those few that everybody wants */
	uint8_t read, write, counter, token;
};

/* Even, hot, scattered, readers, atomics, orders. */
static const struct mix mixes[] = {
	{30, 30, 30, 20, 10}, {95, 20, 50, 10, 10}, {0, 40, 50, 4, 2},
	{20, 80, 8, 6, 2},    {50, 8, 8, 50, 20},   {50, 4, 4, 4, 0},
};

enum { MIXES = sizeof(mixes) / sizeof(mixes[0]) };

size_t torture_bytes(unsigned pages)
{
	return OBJECT_START + (size_t)pages * PAGE;
}

size_t torture_object_start(void)
{
	return OBJECT_START;
}

/* One of four classes of size, each as likely as the others. */
static uint32_t draw_size(uint64_t r)
{
	switch (r & 3) {
	case 0:
		return 1 + (uint32_t)(r >> 8) % 16;
	case 1:
		return 17 + (uint32_t)(r >> 8) % 300;
	case 2:
		return 317 + (uint32_t)(r >> 8) % 3000;
	default:
		return 1 + (uint32_t)(r >> 8) % TORTURE_OBJECT_BYTES_MAX;
	}
}

/* Cuts the object pages into objects. When there are too many the last one ends where it ends. */
static void lay_out(struct torture *t)
{
	uint32_t end = t->config.pages * PAGE, at = 0;
	uint64_t r = t->config.seed;

	for (t->objects = 0; at < end && t->objects < TORTURE_OBJECTS_MAX; t->objects++) {
		uint32_t size = draw_size(torture_mix(r++));

		t->at[t->objects] = at;
		at += size < end - at ? size : end - at;
	}
	t->at[t->objects] = at;
}

bool torture_init(struct torture *t, const struct torture_config *config)
{
	if (!config->workers || config->workers > TORTURE_WORKERS_MAX ||
	    config->pages < TORTURE_PAGES_MIN || config->pages > TORTURE_PAGES_MAX)
		return false;
	t->config = *config;
	lay_out(t);
	return true;
}

void torture_report(struct torture_worker *w, size_t offset, struct torture_wrong *wrong)
{
	const struct torture_config *c = &w->t->config;

	w->wrong++;
	wrong->seed = c->seed;
	wrong->page = c->first_page + offset / PAGE;
	wrong->offset = offset % PAGE;
	wrong->worker = w->self;
	wrong->round = w->round;
	wrong->operation = w->operations;
	c->wrong(c->context, wrong);
}

/* Hot objects lie all over the area. */
static uint32_t draw_object(struct torture_worker *w, const struct mix *mix)
{
	uint32_t objects = w->t->objects;

	if (torture_random(w, 100) >= mix->hot)
		return torture_random(w, objects);
	return (uint32_t)(torture_mix(w->t->config.seed + w->round * 64u +
				      torture_random(w, HOT_OBJECTS)) %
			  objects);
}

static void operate(struct torture_worker *w, const struct mix *mix)
{
	uint32_t r = torture_random(w, 100), limit = mix->read;

	w->operations++;
	if (r < limit)
		torture_object_touch(w, draw_object(w, mix), false);
	else if (r < (limit += mix->write))
		torture_object_touch(w, draw_object(w, mix), true);
	else if (r < (limit += mix->counter))
		torture_counter_touch(w);
	else if (r < limit + mix->token)
		torture_token_swap(w);
	else
		torture_pair_touch(w);
}

/* Worker 0 has the clock; the others look at its word. */
static void work(struct torture_worker *w, uint64_t run_end)
{
	const struct torture_config *c = &w->t->config;
	struct control *control = torture_at(w->t, 0);
	const struct mix *mix = &mixes[(c->seed + w->round) % MIXES];
	uint64_t end = c->now_ns() + c->round_ns;

	w->random = torture_mix(c->seed ^ (uint64_t)w->round << 32 ^ w->self << 16);
	while (__atomic_load_n(&control->over, __ATOMIC_ACQUIRE) < w->round) {
		operate(w, mix);
		if (w->self || w->operations % CLOCK_EVERY || c->now_ns() < end)
			continue;
		if (c->now_ns() >= run_end)
			control->last = w->round;
		__atomic_store_n(&control->over, w->round, __ATOMIC_RELEASE);
	}
}

static void tell(const struct torture_worker *w)
{
	struct tally *mine = torture_tally(w->t, w->self);

	mine->operations = w->operations;
	mine->wrong = w->wrong;
	mine->did = w->did;
	mine->token = w->token;
	memcpy(mine->added, w->added, sizeof(mine->added));
	memcpy(mine->pair_written, w->pair_written, sizeof(mine->pair_written));
}

static uint64_t all_wrong(const struct torture *t)
{
	struct torture_did did;
	uint64_t operations, wrong;

	torture_sum(t, &did, &operations, &wrong);
	return wrong;
}

static void say_round(const struct torture_worker *w)
{
	const struct torture_config *c = &w->t->config;
	struct torture_did did;
	uint64_t operations, wrong;

	if (w->self || !c->round)
		return;
	torture_sum(w->t, &did, &operations, &wrong);
	c->round(c->context, w->round, operations);
}

bool torture_run(const struct torture *t, unsigned self, struct torture_worker *w)
{
	const struct torture_config *c = &t->config;
	const struct control *control = torture_at(t, 0);
	uint64_t run_end = c->now_ns() + c->run_ns;

	memset(w, 0, sizeof(*w));
	w->t = t;
	w->self = self;
	torture_words_start(w);
	for (w->round = 1;; w->round++) {
		if (!c->barrier(c->context))
			return false;
		work(w, run_end);
		tell(w);
		if (!c->barrier(c->context))
			return false;
		torture_objects_check(w);
		torture_words_check(w);
		say_round(w);
		if (control->last == w->round)
			break;
	}
	if (!c->barrier(c->context)) /* nobody reads tallies any more */
		return false;
	tell(w);
	return c->barrier(c->context) && all_wrong(t) == 0;
}

void torture_sum(const struct torture *t, struct torture_did *did, uint64_t *operations,
		 uint64_t *wrong)
{
	memset(did, 0, sizeof(*did));
	*operations = *wrong = 0;
	for (unsigned i = 0; i < t->config.workers; i++) {
		const struct tally *tally = torture_tally(t, i);

		*operations += tally->operations;
		*wrong += tally->wrong;
#define X(name, text) did->name += tally->did.name;
		TORTURE_DID(X)
#undef X
	}
}
