/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/ahead.h"

enum { TURN = 16 }; /* pages of one stream, while others want some, too */

static uint64_t *word_of(struct ahead *a, uint64_t page)
{
	return &a->unused[page / 64];
}

static uint64_t bit_of(uint64_t page)
{
	return 1ULL << (page % 64);
}

static bool is_unused(struct ahead *a, uint64_t page)
{
	return *word_of(a, page) & bit_of(page);
}

/* The page n places on; beyond the space's ends: no page of it. */
static uint64_t place(const struct ahead_stream *s, uint64_t n)
{
	return s->way < 0 ? s->at - n : s->at + n;
}

/* Places from the stream's last fault to the page; more than asked + 1: it is not the stream's. */
static uint64_t distance(const struct ahead_stream *s, uint64_t page)
{
	return s->way < 0 ? s->at - page : page - s->at;
}

/* ---- faults ---- */

static bool carries_on(struct ahead_stream *s, uint64_t page)
{
	if (!s->heard)
		return false;
	if (!s->way && page + 1 == s->at)
		s->way = -1;
	else if (!s->way && page == s->at + 1)
		s->way = 1;
	return distance(s, page) <= (s->way ? s->asked + 1 : 0);
}

static struct ahead_stream *stream_of(struct ahead *a, uint64_t page)
{
	struct ahead_stream *oldest = &a->stream[0];

	for (unsigned i = 0; i < AHEAD_STREAMS; i++) {
		if (carries_on(&a->stream[i], page))
			return &a->stream[i];
		if (a->stream[i].heard < oldest->heard)
			oldest = &a->stream[i];
	}
	*oldest = (struct ahead_stream){.at = page, .row = 1};
	return oldest;
}

static void grow(struct ahead_stream *s, uint64_t passed)
{
	s->used += (uint32_t)passed;
	if (!s->window) {
		s->window = AHEAD_WINDOW_MIN;
	} else if (s->used >= s->window && s->window < AHEAD_WINDOW_MAX) {
		s->window *= 2;
		s->used = 0;
	}
	s->wanted = s->window;
}

/* All up to the page were used. */
static void pass(struct ahead *a, struct ahead_stream *s, uint64_t page)
{
	uint64_t passed = distance(s, page);

	for (uint64_t i = 1; i <= passed; i++)
		*word_of(a, place(s, i)) &= ~bit_of(place(s, i));
	s->at = page;
	s->asked -= passed < s->asked ? passed : s->asked;
	if (passed && s->row < AHEAD_ROW)
		s->row++;
	if (passed && s->row == AHEAD_ROW)
		grow(s, passed);
}

void ahead_fault(struct ahead *a, struct gpage page, bool asked)
{
	struct ahead_stream *s;
	bool vain;

	if (page.v >= a->pages)
		return;
	vain = asked && is_unused(a, page.v);
	*word_of(a, page.v) &= ~bit_of(page.v);
	s = stream_of(a, page.v);
	s->heard = ++a->now;
	s->sure |= vain;
	pass(a, s, page.v);
	if (asked)
		s->asked = 0;
}

/* ---- pages ---- */

/* The next one of the stream. */
static bool next_of(struct ahead *a, struct ahead_stream *s, uint64_t *page)
{
	if (s->asked >= s->wanted)
		return false;
	*page = place(s, s->asked + 1);
	if (*page >= a->pages || (is_unused(a, *page) && !s->sure)) {
		s->wanted = s->asked;
		return false;
	}
	s->asked++;
	*word_of(a, *page) |= bit_of(*page);
	return true;
}

bool ahead_next(struct ahead *a, struct gpage *page)
{
	for (unsigned i = 0; i < AHEAD_STREAMS; i++) {
		if (a->given < TURN && next_of(a, &a->stream[a->turn], &page->v)) {
			a->given++;
			return true;
		}
		a->turn = (a->turn + 1) % AHEAD_STREAMS;
		a->given = 0;
	}
	/* Its turn was over, and no other wants any. */
	return next_of(a, &a->stream[a->turn], &page->v);
}

void ahead_have(struct ahead *a, struct gpage page)
{
	*word_of(a, page.v) &= ~bit_of(page.v);
}
