/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of a bench. Those of a pair are pages that no pair before used, so that each is as cold
 * as its bench says. Their first word says which page it is: whoever got a page checks it.
 */
#ifndef CELLULAR_BENCH_PAGES_H
#define CELLULAR_BENCH_PAGES_H

#include "tests/bench/bench.h"

/* Pages of a space: for all rounds of all pairs, whichever member is their home; for twice as many;
 * a chunk a member. */
uint64_t pages_all(const struct seat *s);
uint64_t pages_twice(const struct seat *s);
uint64_t pages_chunk_each(const struct seat *s);

/* The i-th page whose home is `home` (dsm/PROTOCOL.md: chunk number modulo members). */
struct gpage pages_of(const struct seat *s, unsigned home, uint64_t i);
/* Of the pair under way: in their order; and in one in which none follows its neighbour, so that
 * each is a fault of its own and no stream. */
struct gpage pages_fresh(const struct seat *s, unsigned home, unsigned round);
struct gpage pages_scattered(const struct seat *s, unsigned home, unsigned round);

/* The first word of a page, of the first space and of another one, and what it should be. */
volatile uint64_t *pages_word(const struct seat *s, struct gpage page);
volatile uint64_t *pages_word_in(const struct seat *s, unsigned space, struct gpage page);
uint64_t pages_content(struct gpage page);

/* Ends the run if a page reads wrong. */
void pages_check(struct seat *s, struct gpage page, uint64_t seen, uint64_t right);
/* Writes the first words of the pair's pages; reads and checks them. */
void pages_write(struct seat *s, unsigned home);
void pages_read(struct seat *s, unsigned home);

#endif
