/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rack of the simulator without its engine of chance: nobody draws events from the clock; the
 * search says what happens next. The rack can be taken down into an image, and an image set up.
 */
#include "tests/sim/exhaust/model.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/build.h"

/* An acquire lasts as long as a hold: the fewer different lengths of time, the fewer states. */
enum { ACQUIRE_US = 50 };

/* ---- life ---- */

/* Pages 0, 1 and 2 lie side by side over the edge of two chunks, for acquires of runs. With one
 * home only: on one side of it. */
/* A member that leaves hands over all chunks of the space: then it has none but the used ones, and
 * ends behind the local range. */
enum { SPACE_OF_ONE = 12, SPACE_OF_TWO = DSM_CHUNK_PAGES + 5 };

static struct tuning tuning_for(const struct options *o)
{
	return (struct tuning){
		.group = o->pages == 1			  ? 1
			 : o->pages == 2 && !o->same_home ? 2
							  : 4,
		.devices = o->acquires ? 1 : 0,
		.device_gap = 1,
		.device_use = 1,
		.think = 1,
		.base = 1,
		.wake_delay = 1,
		.timer_delay = 1,
		.pause_time = 1,
		.hold_us = o->hold_us > 0 ? (uint32_t)o->hold_us : 0,
		.acquire_us = o->hold_us > 0 ? (uint32_t)o->hold_us : ACQUIRE_US,
		.epoch = 1,
		.rests = 1,
		.join_gap = o->joins,
		.founders = o->members - o->joins,
		.whole = o->whole,
		.compact = o->whole,
	};
}

/* The memory of each core as it was born, for model_leaks. */
static uint8_t *born[EXHAUST_MEMBERS_MAX];
static uint8_t *scratch;

void model_open(struct exhaust *x, const struct options *options, struct world *w)
{
	static struct transcript silent;
	static struct figures figures; /* of the simulator; not looked at */
	const struct tuning tuning = tuning_for(options);
	const struct birth birth = {.members = options->members, .tuning = &tuning};
	*x = (struct exhaust){
		.options = options, .w = w, .members = options->members, .pages = options->pages};
	world_init(w, options, options->members);
	if (members_change(x))
		w->space_pages = options->pages == 1 ? SPACE_OF_ONE : SPACE_OF_TWO;
	w->transcript = &silent;
	w->figures = &figures;
	build_world(w, &birth);
	const dsm_set absent = w->absent;
	for (unsigned m = 0; m < x->members; m++) /* memory to set it up in */
		if (absent & member_bit(m))
			build_newcomer(w, m, 0);
	w->absent = absent;
	for (unsigned m = 0; m < x->members; m++) {
		x->now[m] = EXHAUST_NOW;
		born[m] = malloc(w->members[m].core_bytes);
		if (!scratch) /* all cores are of one size */
			scratch = malloc(w->members[m].core_bytes);
		if (!born[m] || !scratch)
			abort();
		memcpy(born[m], w->members[m].core_memory, w->members[m].core_bytes);
	}
	symmetries_find(x);
	pack_open(x);
}

void model_close(struct exhaust *x)
{
	for (unsigned m = 0; m < x->members; m++) {
		free(born[m]);
		born[m] = NULL;
	}
	free(scratch);
	scratch = NULL;
	world_free(x->w);
}

uint64_t model_patience(const struct exhaust *x)
{
	return dsm_patience(x->w->members[0].core);
}

uint8_t model_page(const struct exhaust *x, uint64_t space_page)
{
	const uint16_t page = world_page(x->w, (struct gpage){space_page});
	return page == WORLD_NO_PAGE ? 0 : (uint8_t)page;
}

/* ---- taking it down ---- */

static void capture_core(const struct exhaust *x, unsigned m, struct exhaust_member *out)
{
	const struct dsm_core *core = x->w->members[m].core;
	pack_core(x, &out->core, core);
	memcpy(out->waiting, core->waiting,
	       (size_t)x->members * x->pages * sizeof(out->waiting[0]));
	memcpy(out->deferred, core->deferred, x->pages * sizeof(out->deferred[0]));
	memcpy(out->heap, core->heap, x->pages * sizeof(out->heap[0]));
	for (unsigned p = 0; p < x->pages; p++) {
		const uint32_t page = (uint32_t)x->w->space_page[p];
		out->holder[p] = core->holders[page];
		out->home[p] = core->homes[page];
		out->chunk[p] = core->chunks[page / DSM_CHUNK_PAGES];
	}
}

static uint8_t change_of(const struct world *w, unsigned m)
{
	return (w->leaving & member_bit(m) ? CHANGE_LEAVES : 0) |
	       (w->left & member_bit(m) ? CHANGE_LEFT : 0) |
	       (w->absent & member_bit(m) ? CHANGE_ABSENT : 0) |
	       (w->newcomer == m + 1 ? CHANGE_COMES : 0);
}

static void capture_member(const struct exhaust *x, unsigned m, struct exhaust_member *out)
{
	const struct member *mb = &x->w->members[m];
	if (x->w->absent & member_bit(m)) {
		memset(out, 0, sizeof(*out));
		out->deadline = UINT64_MAX;
		out->now = x->now[m];
		out->dead = x->w->dead & member_bit(m);
		out->change = change_of(x->w, m);
		return;
	}
	out->change = change_of(x->w, m);
	capture_core(x, m, out);
	memcpy(out->frame, mb->memory.frames, x->pages * sizeof(out->frame[0]));
	memcpy(out->slot, mb->memory.slots, x->pages * sizeof(out->slot[0]));
	memcpy(out->need, x->need[m], x->pages);
	memcpy(out->proof, mb->proof, sizeof(out->proof));
	out->proofs = mb->proofs;
	out->device = mb->devices[0];
	out->now = x->now[m];
	out->runs_at = x->runs_at[m];
	out->deadline = mb->deadline;
	out->dead = x->w->dead & member_bit(m);
	out->ended = mb->ended;
}

static void capture_letters(const struct exhaust *x, unsigned from, unsigned to,
			    struct exhaust_image *out)
{
	const struct link *link = links_at(&x->w->links, from, to);
	out->letters[from][to] = (uint8_t)link->n;
	for (uint32_t i = 0; i < link->n; i++) {
		out->letter[from][to][i] = link->ring[(link->head + i) & (link->room - 1)];
		out->letter[from][to][i].arrival = 0;
		out->letter[from][to][i].loose = 0; /* link_send sets it again */
	}
}

void model_capture(const struct exhaust *x, struct exhaust_image *out)
{
	for (unsigned m = 0; m < x->members; m++) {
		capture_member(x, m, &out->member[m]);
		for (unsigned to = 0; to < x->members; to++)
			capture_letters(x, m, to, out);
	}
	for (unsigned p = 0; p < x->pages; p++)
		out->page[p] = (struct exhaust_page){
			.last_write = oracle_read(&x->w->oracle, p),
			.version = x->w->books[p].version,
			.version_known = x->w->books[p].version_known,
		};
}

/* ---- setting it up ---- */

static void install_core(struct exhaust *x, unsigned m, const struct exhaust_member *from)
{
	struct dsm_core *core = x->w->members[m].core;
	pack_core(x, core, &from->core);
	core->stats = (struct dsm_core_stats){0};
	memcpy(core->waiting, from->waiting,
	       (size_t)x->members * x->pages * sizeof(from->waiting[0]));
	memcpy(core->deferred, from->deferred, x->pages * sizeof(from->deferred[0]));
	memcpy(core->heap, from->heap, x->pages * sizeof(from->heap[0]));
	for (unsigned p = 0; p < x->pages; p++) {
		const uint32_t page = (uint32_t)x->w->space_page[p];
		core->holders[page] = from->holder[p];
		core->homes[page] = from->home[p];
		core->chunks[page / DSM_CHUNK_PAGES] = from->chunk[p];
	}
}

static void install_rights(struct exhaust *x, unsigned m, const struct exhaust_member *from)
{
	for (unsigned p = 0; p < x->pages; p++) {
		struct book *b = &x->w->books[p];
		const struct slot *slot = &from->slot[p];
		if (from->frame[p].present)
			b->present |= member_bit(m);
		if (from->frame[p].writable)
			b->writable |= member_bit(m);
		if (slot->filled)
			book_keep(&x->w->books[slot->page], slot->value,
				  oracle_read(&x->w->oracle, slot->page));
	}
}

static void install_member(struct exhaust *x, unsigned m, const struct exhaust_member *from)
{
	struct member *mb = &x->w->members[m];
	if (!(from->change & CHANGE_ABSENT))
		install_core(x, m, from);
	memcpy(mb->memory.frames, from->frame, x->pages * sizeof(from->frame[0]));
	/* Transaction i is of page i, or of the next that is free: no other slot is filled. */
	memcpy(mb->memory.slots, from->slot, x->pages * sizeof(from->slot[0]));
	mb->memory.slots[SLOT_READ_OUT] = (struct slot){0};
	memcpy(x->need[m], from->need, x->pages);
	memcpy(mb->proof, from->proof, sizeof(mb->proof));
	mb->proofs = from->proofs;
	mb->devices[0] = from->device;
	mb->deadline = from->deadline;
	mb->ended = from->ended;
	mb->fx->n = 0;
	x->now[m] = from->now;
	x->runs_at[m] = from->runs_at;
}

/* That a member leaves or comes, is dead, or has ended. */
static void install_end(struct exhaust *x, unsigned m, const struct exhaust_member *from)
{
	struct world *w = x->w;
	if (from->change & CHANGE_LEAVES)
		w->leaving |= member_bit(m);
	if (from->change & CHANGE_LEFT)
		w->left |= member_bit(m);
	if (from->change & CHANGE_ABSENT)
		w->absent |= member_bit(m);
	if (from->change & CHANGE_COMES)
		w->newcomer = (uint8_t)(m + 1);
	if (from->dead) {
		w->dead |= member_bit(m);
		w->suspects |= member_bit(m);
		w->doomed |= !(from->change & CHANGE_LEFT);
	}
	if (from->ended) {
		w->ended |= member_bit(m);
		w->doomed = true;
	}
}

static void install_letters(struct exhaust *x, const struct exhaust_image *image, unsigned from,
			    unsigned to)
{
	struct link *link = links_at(&x->w->links, from, to);
	*link = (struct link){.ring = link->ring, .room = link->room};
	for (unsigned i = 0; i < image->letters[from][to]; i++) {
		const struct letter *l = &image->letter[from][to][i];
		link_send(x->w, from, to, &l->msg, l->data);
	}
}

/* A letter that was lost leaves whoever waits for its answer between two states, to the end
 * (link.c). No image says which letters those were: so that is said of all that wait. */
static void install_loose(struct exhaust *x)
{
	for (unsigned p = 0; p < x->pages; p++)
		for (unsigned m = 0; m < x->members; m++) {
			struct book *b = &x->w->books[p];
			if (!x->w->members[m].core->holders[x->w->space_page[p]].txn)
				continue;
			b->letters[m]++;
			b->unsettled |= member_bit(m);
		}
}

static void install_page(struct exhaust *x, unsigned p, const struct exhaust_page *from)
{
	struct book *b = &x->w->books[p];
	uint16_t *letters = b->letters;
	memset(letters, 0, x->members * sizeof(*letters));
	*b = (struct book){.letters = letters,
			   .home = b->home,
			   .version = from->version,
			   .version_known = from->version_known};
	x->w->oracle.value[p] = from->last_write;
	if (x->w->oracle.writes < from->last_write) /* an image as it is */
		x->w->oracle.writes = from->last_write;
}

void model_install(struct exhaust *x, const struct exhaust_image *image)
{
	struct world *w = x->w;
	w->dead = w->ended = w->suspects = 0;
	w->leaving = w->left = w->absent = 0;
	w->newcomer = 0;
	w->doomed = false;
	w->failure.set = false;
	w->now = EXHAUST_NOW;
	w->links.last = 0;
	w->oracle.writes = CONTENT_LAST; /* the next one is neither old nor last */
	for (unsigned p = 0; p < x->pages; p++)
		install_page(x, p, &image->page[p]);
	for (unsigned m = 0; m < x->members; m++) {
		install_member(x, m, &image->member[m]);
		install_end(x, m, &image->member[m]);
		install_rights(x, m, &image->member[m]);
	}
	for (unsigned from = 0; from < x->members; from++)
		for (unsigned to = 0; to < x->members; to++)
			install_letters(x, image, from, to);
	if (w->doomed && homes_move(x))
		install_loose(x);
	clock_clear(&w->clock);
}

/* ---- there and back ----
 *
 * A move changes the member that makes it, the links that it is an end of, and what the world
 * counts. Only that is put back. */

static void mark_link(struct exhaust *x, unsigned from, unsigned to)
{
	const struct link *link = links_at(&x->w->links, from, to);
	x->mark.link[from][to] = *link;
	for (uint32_t i = 0; i < link->n; i++)
		x->mark.letter[from][to][i] = link->ring[(link->head + i) & (link->room - 1)];
}

static void link_back(struct exhaust *x, unsigned from, unsigned to)
{
	struct link *link = links_at(&x->w->links, from, to);
	const struct link *was = &x->mark.link[from][to];
	link->head = 0;
	link->n = was->n;
	link->last = was->last;
	if (link->n)
		memcpy(link->ring, x->mark.letter[from][to], link->n * sizeof(struct letter));
}

static void mark_page(struct exhaust *x, unsigned p)
{
	x->mark.book[p] = x->w->books[p];
	memcpy(x->mark.book_letters[p], x->w->books[p].letters, x->members * sizeof(uint16_t));
	x->mark.last_write[p] = x->w->oracle.value[p];
}

static void page_back(struct exhaust *x, unsigned p)
{
	x->w->books[p] = x->mark.book[p];
	memcpy(x->w->books[p].letters, x->mark.book_letters[p], x->members * sizeof(uint16_t));
	x->w->oracle.value[p] = x->mark.last_write[p];
}

static void mark_all(struct exhaust *x)
{
	struct mark *mark = &x->mark;
	mark->writes = x->w->oracle.writes;
	mark->dead = x->w->dead;
	mark->ended = x->w->ended;
	mark->suspects = x->w->suspects;
	mark->leaving = x->w->leaving;
	mark->left = x->w->left;
	mark->absent = x->w->absent;
	mark->newcomer = x->w->newcomer;
	mark->doomed = x->w->doomed;
	for (unsigned p = 0; p < x->pages; p++)
		mark_page(x, p);
	for (unsigned from = 0; from < x->members; from++)
		for (unsigned to = 0; to < x->members; to++)
			mark_link(x, from, to);
}

void model_stay(struct exhaust *x, const struct exhaust_image *image)
{
	model_install(x, image);
	mark_all(x);
}

void model_back(struct exhaust *x, const struct exhaust_image *image, unsigned member)
{
	struct world *w = x->w;
	w->failure.set = false;
	w->now = EXHAUST_NOW;
	w->links.last = 0;
	w->oracle.writes = x->mark.writes;
	w->dead = x->mark.dead;
	w->ended = x->mark.ended;
	w->suspects = x->mark.suspects;
	w->leaving = x->mark.leaving;
	w->left = x->mark.left;
	w->absent = x->mark.absent;
	w->newcomer = x->mark.newcomer;
	w->doomed = x->mark.doomed;
	for (unsigned p = 0; p < x->pages; p++)
		page_back(x, p);
	install_member(x, member, &image->member[member]);
	for (unsigned m = 0; m < x->members; m++)
		x->now[m] = image->member[m].now; /* time may have passed for all */
	for (unsigned m = 0; m < x->members; m++) {
		link_back(x, m, member);
		link_back(x, member, m);
	}
}

static bool same_links(const struct exhaust *x, const struct mark *a, const struct mark *b)
{
	for (unsigned from = 0; from < x->members; from++)
		for (unsigned to = 0; to < x->members; to++)
			for (uint32_t i = 0; i < a->link[from][to].n; i++)
				if (b->link[from][to].n != a->link[from][to].n ||
				    a->letter[from][to][i].loose != b->letter[from][to][i].loose)
					return false;
	return true;
}

static bool same_marks(const struct exhaust *x, const struct mark *a, const struct mark *b)
{
	return !memcmp(a->book, b->book, x->pages * sizeof(a->book[0])) &&
	       !memcmp(a->book_letters, b->book_letters, sizeof(a->book_letters)) &&
	       !memcmp(a->last_write, b->last_write, sizeof(a->last_write)) &&
	       a->writes == b->writes && a->dead == b->dead && a->ended == b->ended &&
	       a->suspects == b->suspects && a->doomed == b->doomed && a->left == b->left &&
	       a->leaving == b->leaving && a->absent == b->absent && a->newcomer == b->newcomer &&
	       same_links(x, a, b);
}

bool model_is_back(struct exhaust *x, struct exhaust_image *image)
{
	static struct exhaust_image now;
	static struct mark was;
	static struct packed a, b;
	if (!a.part[0]) {
		packed_init(&a);
		packed_init(&b);
	}
	was = x->mark;
	mark_all(x);
	model_capture(x, &now);
	pack(x, &now, &a);
	pack(x, image, &b);
	const bool same = same_marks(x, &was, &x->mark) && !packed_compare(&a, &b);
	x->mark = was;
	return same;
}

/* ---- what images may not lack ---- */

/* Makes what images hold of member m's core the same in both. */
static void forget_parts(const struct exhaust *x, unsigned m, uint8_t *memory)
{
	const struct dsm_core *core = x->w->members[m].core;
	const uint8_t *base = x->w->members[m].core_memory;
	uint8_t *waiting = memory + ((const uint8_t *)core->waiting - base);
	uint8_t *deferred = memory + ((const uint8_t *)core->deferred - base);
	uint8_t *heap = memory + ((const uint8_t *)core->heap - base);
	struct dsm_core_config *config = &((struct dsm_core *)memory)->config;
	pack_core_blank(x, (struct dsm_core *)memory);
	config->present = 0; /* read once, when it began */
	memset(config->heir, 0, sizeof(config->heir));
	memset(waiting, 0, (size_t)x->members * x->pages * sizeof(struct dsm_waiting));
	memset(deferred, 0, x->pages * sizeof(struct dsm_deferred));
	memset(heap, 0, x->pages * sizeof(uint16_t));
	for (unsigned p = 0; p < x->pages; p++) {
		const uint32_t page = (uint32_t)x->w->space_page[p];
		memset(memory + ((const uint8_t *)&core->holders[page] - base), 0,
		       sizeof(struct dsm_holder));
		memset(memory + ((const uint8_t *)&core->homes[page] - base), 0,
		       sizeof(struct dsm_home));
		memset(memory + ((const uint8_t *)&core->chunks[page / DSM_CHUNK_PAGES] - base), 0,
		       sizeof(struct dsm_chunk));
	}
}

bool model_leaks(const struct exhaust *x)
{
	for (unsigned m = 0; m < x->members; m++) {
		const struct member *mb = &x->w->members[m];
		if (x->w->absent & member_bit(m))
			continue;
		memcpy(scratch, mb->core_memory, mb->core_bytes);
		forget_parts(x, m, scratch);
		forget_parts(x, m, born[m]);
		if (memcmp(scratch, born[m], mb->core_bytes))
			return true;
	}
	return false;
}
