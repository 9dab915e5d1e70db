/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph of the rack's own moves. States are taken off from its ends (Kahn, CACM 5(11) 1962): a
 * state goes when all its successors went. If all go there is no circle, and every schedule ends in
 * a state without successors; the search has seen that these are states of rest. If some stay,
 * fairness is asked for: each must at least have one path to rest, found backwards from there.
 */
#include "tests/sim/exhaust/search.h"

#include <stdlib.h>
#include <string.h>

struct graph {
	uint32_t n;
	size_t edges;
	const uint32_t *begin; /* of each state's successors */
	const uint32_t *to;
	uint32_t *back_begin; /* n + 1; of each state's predecessors */
	uint32_t *back;
	uint32_t *left;	 /* successors that did not go yet */
	uint32_t *queue; /* states in the order they go */
	uint32_t *level; /* most moves until rest */
};

static size_t end_of(const struct graph *g, uint32_t state)
{
	return state + 1 < g->n ? g->begin[state + 1] : g->edges;
}

static uint32_t *numbers(size_t n)
{
	uint32_t *v = calloc(n ? n : 1, sizeof(*v));
	if (!v)
		abort();
	return v;
}

static void turn_round(struct graph *g)
{
	for (size_t e = 0; e < g->edges; e++)
		g->back_begin[g->to[e] + 1]++;
	for (uint32_t i = 0; i < g->n; i++)
		g->back_begin[i + 1] += g->back_begin[i];
	memcpy(g->left, g->back_begin, g->n * sizeof(*g->left)); /* where to put the next */
	for (uint32_t i = 0; i < g->n; i++)
		for (size_t e = g->begin[i]; e < end_of(g, i); e++)
			g->back[g->left[g->to[e]]++] = i;
}

static void graph_open(struct graph *g, const struct store *s)
{
	*g = (struct graph){
		.n = s->n,
		.edges = s->edges.used / sizeof(uint32_t),
		.begin = (const uint32_t *)(const void *)s->begins.base,
		.to = (const uint32_t *)(const void *)s->edges.base,
	};
	g->back_begin = numbers((size_t)g->n + 1);
	g->back = numbers(g->edges);
	g->left = numbers(g->n);
	g->queue = numbers(g->n);
	g->level = numbers(g->n);
	turn_round(g);
}

static void graph_close(struct graph *g)
{
	free(g->back_begin);
	free(g->back);
	free(g->left);
	free(g->queue);
	free(g->level);
}

/* How many states go. */
static uint32_t take_off(struct graph *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n; i++) {
		g->left[i] = (uint32_t)(end_of(g, i) - g->begin[i]);
		if (!g->left[i])
			g->queue[n++] = i;
	}
	for (uint32_t at = 0; at < n; at++) {
		const uint32_t state = g->queue[at];
		for (uint32_t e = g->back_begin[state]; e < g->back_begin[state + 1]; e++) {
			const uint32_t before = g->back[e];
			if (g->level[before] < g->level[state] + 1)
				g->level[before] = g->level[state] + 1;
			if (!--g->left[before])
				g->queue[n++] = before;
		}
	}
	return n;
}

/* The first state that has no path to a state without successors; STORE_NONE: all have. */
static uint32_t find_stuck(struct graph *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n; i++) {
		g->left[i] = end_of(g, i) == g->begin[i]; /* now: can reach rest */
		if (g->left[i])
			g->queue[n++] = i;
	}
	for (uint32_t at = 0; at < n; at++)
		for (uint32_t e = g->back_begin[g->queue[at]]; e < g->back_begin[g->queue[at] + 1];
		     e++)
			if (!g->left[g->back[e]]) {
				g->left[g->back[e]] = 1;
				g->queue[n++] = g->back[e];
			}
	for (uint32_t i = 0; i < g->n; i++)
		if (!g->left[i])
			return i;
	return STORE_NONE;
}

/* A state on a circle: of those that did not go each has a successor that did not. */
static uint32_t find_circle(struct graph *g)
{
	uint32_t state = 0;
	while (!g->left[state])
		state++;
	while (g->level[state] != STORE_NONE) {
		g->level[state] = STORE_NONE; /* now: was passed */
		size_t e = g->begin[state];
		while (!g->left[g->to[e]])
			e++;
		state = g->to[e];
	}
	return state;
}

static void fail_at(struct search *s, uint32_t state, const char *text)
{
	s->making = false;
	s->made.parent = state;
	world_fail(s->x.w, "I5", -1, "%s", text);
}

void rest_check(struct search *s)
{
	struct graph g;
	s->rest.stuck = STORE_NONE;
	graph_open(&g, &s->store);
	if (take_off(&g) == g.n) {
		for (uint32_t i = 0; i < g.n; i++)
			if (g.level[i] > s->rest.longest)
				s->rest.longest = g.level[i];
	} else {
		s->rest.circles = true;
		s->rest.circle = find_circle(&g);
		s->rest.stuck = find_stuck(&g);
	}
	graph_close(&g);
	if (s->rest.stuck != STORE_NONE)
		fail_at(s, s->rest.stuck, "from here the rack never comes to rest");
	else if (s->rest.circles && s->x.options->sets)
		fail_at(s, s->rest.circle, "from here the rack can come back to here, for ever");
}
