/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/link.h"

#include <stdlib.h>

#include "tests/sim/loss.h"
#include "tests/sim/world.h"

void links_init(struct links *l, unsigned members)
{
	*l = (struct links){.members = members};
	l->v = calloc((size_t)members * members, sizeof(*l->v));
	if (!l->v)
		abort();
}

void links_clear(struct links *l)
{
	for (size_t i = 0; i < (size_t)l->members * l->members; i++)
		l->v[i] = (struct link){.ring = l->v[i].ring, .room = l->v[i].room};
	l->last = 0;
}

void links_free(struct links *l)
{
	for (size_t i = 0; i < (size_t)l->members * l->members; i++)
		free(l->v[i].ring);
	free(l->v);
}

struct link *links_at(struct links *l, unsigned from, unsigned to)
{
	return &l->v[(size_t)from * l->members + to];
}

static void grow(struct link *link)
{
	uint32_t room = link->room ? 2 * link->room : 8;
	struct letter *ring = malloc(room * sizeof(*ring));
	if (!ring)
		abort();
	for (uint32_t i = 0; i < link->n; i++)
		ring[i] = link->ring[(link->head + i) & (link->room - 1)];
	free(link->ring);
	link->ring = ring;
	link->room = room;
	link->head = 0;
}

static struct letter *letter_at(const struct link *link, uint32_t i)
{
	return &link->ring[(link->head + i) & (link->room - 1)];
}

static void schedule(struct world *w, unsigned from, unsigned to)
{
	const struct link *link = links_at(&w->links, from, to);
	const uint64_t arrival = link->n ? letter_at(link, 0)->arrival : 0;
	if (link->n)
		clock_push(&w->clock,
			   (struct clock_event){.time = arrival > w->now ? arrival : w->now,
						.kind = CLOCK_LETTER,
						.member = (uint8_t)to,
						.other = (uint8_t)from});
	else if (link->cut)
		clock_push(&w->clock,
			   (struct clock_event){.time = w->now +
							rng_below(&w->rng, (uint32_t)w->silence),
						.kind = CLOCK_LOST,
						.member = (uint8_t)to,
						.other = (uint8_t)from});
}

enum { FIRST_IS_LATE = 500 }; /* per mille: a channel just opened may be slow to begin */

static uint64_t draw_arrival(struct world *w, const struct link *link, int type)
{
	const struct tuning *t = &w->tuning;
	const bool first = type == PAGE_HERE && t->tail_delay;
	const uint32_t tail = first ? FIRST_IS_LATE : t->tail;
	uint64_t delay = t->base;
	if (t->jitter)
		delay += rng_below(&w->rng, (uint32_t)t->jitter);
	if (rng_chance(&w->rng, tail)) {
		delay += rng_below(&w->rng, (uint32_t)t->tail_delay);
		w->figures->done[SIM_DELAY]++;
	}
	uint64_t arrival = w->now + delay;
	if (arrival < link->last)
		arrival = link->last;
	if (arrival < w->links.last) {
		if (w->options->faults & 1 << SIM_REORDER)
			w->figures->done[SIM_REORDER]++;
		else
			arrival = w->links.last;
	}
	return arrival;
}

/* Whose copy, or whose being home, a letter about the page may be about to change. Who puts a page
 * may have become its home meanwhile. */
static dsm_set loosened(struct world *w, unsigned from, unsigned to, const struct dsm_msg *msg)
{
	const uint16_t page = world_page(w, msg->page);
	if (page == WORLD_NO_PAGE || msg->type > PAGE_HANDED)
		return 0;
	const unsigned home = world_home(w, page);
	const dsm_set both = member_bit(from) | member_bit(to);
	const bool put = msg->type == PAGE_PUT || msg->type == PAGE_PUT_ACK;
	return (home == WORLD_NO_HOME ? both : both & ~member_bit(home)) |
	       (put ? member_bit(msg->requester.v) : 0);
}

static void account_data(struct world *w, const struct letter *letter, int by)
{
	const uint16_t page = world_page(w, letter->msg.page);
	if (page == WORLD_NO_PAGE || !(letter->msg.flags & PAGE_FLAG_DATA))
		return;
	if (by > 0)
		book_keep(&w->books[page], letter->data, oracle_read(&w->oracle, page));
	else
		book_forget(&w->books[page], letter->data);
}

/* Who waits for an answer to a letter that is lost, or came to a member that has ended, stays loose
 * to the end. */
static void account_loose(struct world *w, const struct letter *letter, int by)
{
	const uint16_t page = world_page(w, letter->msg.page);
	if (page == WORLD_NO_PAGE)
		return;
	struct book *b = &w->books[page];
	for (dsm_set set = letter->loose; set; set &= set - 1) {
		const unsigned m = (unsigned)__builtin_ctzll(set);
		b->letters[m] = (uint16_t)(b->letters[m] + by);
		b->unsettled = b->letters[m] ? b->unsettled | member_bit(m)
					     : b->unsettled & ~member_bit(m);
	}
}

void link_send(struct world *w, unsigned from, unsigned to, const struct dsm_msg *msg,
	       uint64_t data)
{
	struct link *link = links_at(&w->links, from, to);
	struct letter letter = {.msg = *msg,
				.data = data,
				.arrival = draw_arrival(w, link, msg->type),
				.loose = loosened(w, from, to, msg)};
	link->farewell |= msg->type == PAGE_BYE;
	if (link->cut || w->dead & member_bit(to)) {
		account_loose(w, &letter, 1);
		loss_stray(w, from, to, &letter);
		return;
	}
	if (link->n == link->room)
		grow(link);
	*letter_at(link, link->n++) = letter;
	w->links.sent++;
	link->last = letter.arrival;
	if (letter.arrival > w->links.last)
		w->links.last = letter.arrival;
	if (link->n > w->links.longest)
		w->links.longest = link->n;
	link->sample = letter;
	link->used = true;
	account_data(w, &letter, 1);
	account_loose(w, &letter, 1);
	if (link->n == 1)
		schedule(w, from, to);
}

struct letter link_take(struct world *w, unsigned from, unsigned to)
{
	struct link *link = links_at(&w->links, from, to);
	struct letter letter = *letter_at(link, 0);
	link->head = (link->head + 1) & (link->room - 1);
	link->n--;
	account_data(w, &letter, -1);
	if (!(w->ended & member_bit(to)))
		account_loose(w, &letter, -1);
	schedule(w, from, to);
	return letter;
}

void link_cut(struct world *w, unsigned from, unsigned to)
{
	struct link *link = links_at(&w->links, from, to);
	uint32_t keep = link->n ? rng_below(&w->rng, link->n + 1) : 0;
	if (link->cut)
		return;
	for (uint32_t i = keep; i < link->n; i++) {
		account_data(w, letter_at(link, i), -1);
		loss_stray(w, from, to, letter_at(link, i));
	}
	link->n = keep;
	link->cut = true;
	if (!keep)
		schedule(w, from, to);
}

void link_drain(struct world *w, unsigned from, unsigned to)
{
	struct link *link = links_at(&w->links, from, to);
	for (uint32_t i = 0; i < link->n; i++)
		account_data(w, letter_at(link, i), -1);
	link->n = 0;
}
