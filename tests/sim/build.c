/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages used are spread over the space so that they have different homes: groups of `group`
 * pages astride the edge of two chunks. Behind them lies a
 * local range, and before them; the space ends soon after, within a chunk. Where chunks are taken
 * whole, both local ranges lie in a chunk of their own: others would not be. Where homes move
 * then, the used pages are all there are: every page of a chunk that was whole goes along.
 */
#include "tests/sim/build.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/sim/world.h"

enum { LOCAL_PAGES = 4, TAIL_PAGES = 3 };

static uint64_t space_page(const struct world *w, unsigned used)
{
	const unsigned group = w->tuning.group;
	if (w->tuning.compact)
		return used;
	if (group == 1)
		return (uint64_t)used * DSM_CHUNK_PAGES + 7;
	return (uint64_t)(used / group) * 2 * DSM_CHUNK_PAGES + DSM_CHUNK_PAGES - group / 2 +
	       used % group;
}

/* A newcomer begins with what `teller` knows. */
static struct dsm_core_config core_config(const struct world *w, unsigned m,
					  const struct dsm_core *teller)
{
	struct dsm_core_config config = {
		.self = {(uint8_t)m},
		.members = (uint8_t)w->options->members,
		.founders = (uint8_t)w->founders,
		.epoch = {w->tuning.epoch},
		.pages = w->space_pages,
		.hold_us = w->tuning.hold_us,
		.acquire_us = w->tuning.acquire_us,
		.locals = w->tuning.compact ? 0 : WORLD_LOCALS,
		.whole = w->tuning.whole,
	};
	if (w->founders == w->options->members && w->tuning.epoch % 2)
		config.founders = 0; /* all */
	if (config.locals)
		memcpy(config.local, w->local, sizeof(w->local));
	if (!teller)
		return config;
	config.present = dsm_core_present(teller) | member_bit(m);
	for (uint8_t other = 0; other < w->options->members; other++) {
		const struct member_id heir = dsm_core_heir(teller, (struct member_id){other});
		config.heir[other] = member_eq(heir, MEMBER_NONE) ? 0 : heir.v + 1;
	}
	return config;
}

static void build_core(struct world *w, unsigned m, const struct dsm_core *teller)
{
	struct member *mb = &w->members[m];
	const struct dsm_core_config config = core_config(w, m, teller);
	const size_t bytes = dsm_core_bytes(&config);
	if (mb->core_memory && mb->core_bytes != bytes)
		munmap(mb->core_memory, mb->core_bytes);
	if (!mb->core_memory || mb->core_bytes != bytes)
		mb->core_memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	else
		madvise(mb->core_memory, bytes, MADV_DONTNEED); /* zeros again */
	if (!bytes || mb->core_memory == MAP_FAILED)
		abort();
	mb->core_bytes = bytes;
	mb->core = dsm_core_init(mb->core_memory, &config);
	if (!mb->core)
		abort();
}

static void build_member(struct world *w, unsigned m)
{
	struct member *mb = &w->members[m];
	mb->core = NULL;
	if (!(w->absent & member_bit(m)))
		build_core(w, m, NULL);
	memory_clear(&mb->memory, w->options->pages);
	memset(mb->threads, 0, sizeof(mb->threads));
	memset(mb->devices, 0, sizeof(mb->devices));
	for (unsigned i = 0; i < DEVICES_MAX; i++)
		mb->devices[i].token = i;
	mb->ended = false;
	mb->deadline = UINT64_MAX;
	mb->timer = 0;
	mb->timers = 0;
	mb->paused = false;
	mb->fx->n = 0;
	mb->fx_next = 0;
	mb->proofs = 0;
	mb->n_touched = 0;
	mb->n_blocked = 0;
	mb->stale_given = 0;
	mb->odd_given = 0;
	mb->counts = (struct counts){0};
	mb->accuses = 0;
}

void build_newcomer(struct world *w, unsigned m, unsigned teller)
{
	build_core(w, m, w->members[teller].core);
	w->absent &= ~member_bit(m);
}

/* Pages that are to be refused as those of a local range are: outside. */
static void build_no_locals(struct world *w)
{
	w->space_pages = w->options->pages;
	for (unsigned i = 0; i < WORLD_LOCALS; i++)
		w->local[i] = (struct dsm_range){w->space_pages, LOCAL_PAGES};
}

static void build_locals(struct world *w)
{
	const uint64_t end = space_page(w, w->options->pages - 1) + 1;
	const uint64_t next = (end + DSM_CHUNK_PAGES - 1) / DSM_CHUNK_PAGES * DSM_CHUNK_PAGES;
	const bool whole = w->tuning.whole;
	w->local[0] = (struct dsm_range){whole ? next : end, LOCAL_PAGES};
	w->local[1] = (struct dsm_range){
		whole ? next + 2 * LOCAL_PAGES : space_page(w, 0) - LOCAL_PAGES, LOCAL_PAGES};
	w->space_pages = w->local[whole].first + LOCAL_PAGES + TAIL_PAGES;
}

static void build_page(struct world *w, unsigned page)
{
	struct book *b = &w->books[page];
	uint16_t *letters = b->letters;
	memset(letters, 0, w->options->members * sizeof(*letters));
	w->space_page[page] = space_page(w, page);
	*b = (struct book){
		.letters = letters,
		.home = dsm_core_home(w->members[0].core, (struct gpage){w->space_page[page]}).v,
	};
}

static void forget(struct world *w)
{
	w->paused = w->dead = w->ended = w->suspects = 0;
	w->stopping = w->leaving = w->left = 0;
	w->newcomer = 0;
	w->taken = 0;
	w->doomed = w->draining = w->done = w->lonely = false;
	w->silence = 0;
	w->rests = 0;
	w->n_strays = w->strays_sent = 0;
	w->before = w->after = NULL;
	w->digest = 0;
	w->failure = (struct failure){0};
	clock_clear(&w->clock);
	links_clear(&w->links);
	oracle_clear(&w->oracle, w->options->pages);
}

static void draw_character(struct world *w, const struct birth *b)
{
	w->rng.state =
		rng_mix(b->seed + 1 + ((uint64_t)b->space << 48) + ((uint64_t)b->life << 56));
	w->enemy.state = rng_mix(w->rng.state ^ 0x656e656d79);
	if (b->tuning)
		w->tuning = *b->tuning;
	else
		tuning_draw(&w->tuning, w->options, &w->rng);
	if (b->life)
		w->tuning.epoch = b->epoch;
	if (b->space)
		w->tuning.leave_gap = w->tuning.join_gap = 0;
	const bool all = !w->tuning.join_gap || !w->tuning.founders;
	w->founders = all ? b->members : w->tuning.founders;
	w->absent = 0;
	for (unsigned m = w->founders; m < b->members; m++)
		w->absent |= member_bit(m);
}

void build_world(struct world *w, const struct birth *b)
{
	w->seed = b->seed;
	w->name[0] = (char)('a' + b->space);
	w->name[1] = (char)('1' + b->life);
	w->shape.members = b->members;
	w->shape.steps = b->steps;
	memcpy(w->cell, b->cell, sizeof(w->cell));
	w->now = b->now ? b->now : 1000;
	w->steps = 0;
	forget(w);
	/* No number of an earlier life is ever written again. */
	w->oracle.writes = (uint64_t)b->life << 32;
	draw_character(w, b);
	if (w->tuning.compact)
		build_no_locals(w);
	else
		build_locals(w);
	for (unsigned m = 0; m < b->members; m++)
		build_member(w, m);
	for (unsigned p = 0; p < w->options->pages; p++)
		build_page(w, p);
}

void world_init(struct world *w, const struct options *o, unsigned room)
{
	*w = (struct world){.options = &w->shape, .shape = *o, .room = room};
	w->members = calloc(room, sizeof(*w->members));
	w->books = calloc(o->pages, sizeof(*w->books));
	w->space_page = calloc(o->pages, sizeof(*w->space_page));
	if (!w->members || !w->books || !w->space_page)
		abort();
	for (unsigned m = 0; m < room; m++) {
		memory_init(&w->members[m].memory, o->pages);
		w->members[m].fx = calloc(1, sizeof(struct dsm_effects));
		if (!w->members[m].fx)
			abort();
	}
	for (unsigned p = 0; p < o->pages; p++) {
		w->books[p].letters = calloc(room, sizeof(uint16_t));
		if (!w->books[p].letters)
			abort();
	}
	oracle_init(&w->oracle, o->pages);
	links_init(&w->links, room);
}

void world_free(struct world *w)
{
	for (unsigned m = 0; m < w->room; m++) {
		struct member *mb = &w->members[m];
		memory_free(&mb->memory);
		free(mb->fx);
		free(mb->blocked);
		if (mb->core_memory)
			munmap(mb->core_memory, mb->core_bytes);
	}
	for (unsigned p = 0; p < w->options->pages; p++)
		free(w->books[p].letters);
	free(w->books);
	free(w->space_page);
	free(w->members);
	oracle_free(&w->oracle);
	links_free(&w->links);
	clock_free(&w->clock);
}
