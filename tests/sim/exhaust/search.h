/* SPDX-License-Identifier: Apache-2.0 */
/* One exploration: what search.c, rest.c and show.c share. */
#ifndef CELLULAR_SIM_EXHAUST_SEARCH_H
#define CELLULAR_SIM_EXHAUST_SEARCH_H

#include "tests/sim/exhaust/model.h"
#include "tests/sim/exhaust/store.h"

/* How the rack comes to rest when nobody wants anything new. */
struct rest {
	bool known;	  /* all states were there to look at */
	bool circles;	  /* the rack's own moves can go in a circle: fairness is needed */
	uint32_t circle;  /* a state on one */
	uint32_t longest; /* moves until rest, at most; no circles */
	uint32_t stuck;	  /* a state from which rest cannot be reached; STORE_NONE: there is none */
};

struct search {
	struct exhaust x;
	struct store store;
	struct exhaust_image start; /* the empty rack, as it is */
	struct exhaust_image here;  /* the state that is being expanded */
	struct packed key;
	struct origin made; /* the transition that is being made */
	bool making;	    /* ... else `made.parent` itself is looked at */
	bool astray;	    /* the rack is neither `here` nor one move from it */
	uint64_t transitions;
	uint64_t probes;
	uint32_t rests; /* states of rest */
	uint32_t depth;
	struct rest rest;
	double seconds;
};

/* Every state, or until the first violation (x.w->failure), or until the store is full. */
void search_run(struct search *s);

/* From every state rest is reached? All states were expanded. Notes a violation if not. */
void rest_check(struct search *s);

/* The shortest run to a state, and one move more if `last` is not NULL, on stderr. */
void show_run(struct search *s, uint32_t state, const struct move *last);
/* Moves of that run. */
uint32_t show_length(const struct search *s, uint32_t state);
void show_figures(const struct search *s);

#endif
