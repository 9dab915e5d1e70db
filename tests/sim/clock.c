/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/clock.h"

#include <stdlib.h>

static bool before(const struct clock_event *a, const struct clock_event *b)
{
	return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void clock_push(struct clock *c, struct clock_event event)
{
	if (c->n == c->room) {
		c->room = c->room ? 2 * c->room : 1024;
		c->heap = realloc(c->heap, c->room * sizeof(*c->heap));
		if (!c->heap)
			abort();
	}
	event.order = c->order++;
	size_t i = c->n++;
	while (i && before(&event, &c->heap[(i - 1) / 2])) {
		c->heap[i] = c->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	c->heap[i] = event;
}

bool clock_pop(struct clock *c, struct clock_event *out)
{
	if (!c->n)
		return false;
	*out = c->heap[0];
	const struct clock_event last = c->heap[--c->n];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= c->n)
			break;
		if (child + 1 < c->n && before(&c->heap[child + 1], &c->heap[child]))
			child++;
		if (!before(&c->heap[child], &last))
			break;
		c->heap[i] = c->heap[child];
		i = child;
	}
	c->heap[i] = last;
	return true;
}

uint64_t clock_due(const struct clock *c)
{
	return c->n ? c->heap[0].time : UINT64_MAX;
}

void clock_clear(struct clock *c)
{
	c->n = 0;
	c->order = 0;
}

void clock_free(struct clock *c)
{
	free(c->heap);
	*c = (struct clock){0};
}
