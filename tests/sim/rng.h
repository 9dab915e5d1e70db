/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's only source of chance: SplitMix64 (Steele, Lea, Flood, "Fast splittable
 * pseudorandom number generators", OOPSLA 2014). One generator a seed; the same seed yields the
 * same numbers on every machine.
 */
#ifndef CELLULAR_SIM_RNG_H
#define CELLULAR_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* The finaliser of SplitMix64: a bijection that spreads every bit of x. Also what digests are made
 * with. */
uint64_t rng_mix(uint64_t x);

uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);			  /* 0 .. n-1; n > 0 */
uint64_t rng_between(struct rng *r, uint64_t low, uint64_t high); /* low .. high, both included */
bool rng_chance(struct rng *r, uint32_t per_mille); /* true in per_mille of 1000 cases */

/* One of the numbers given. */
#define rng_pick(r, ...)                                                                           \
	(((const uint64_t[]){__VA_ARGS__})[rng_below(                                              \
		(r), sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))])

#endif
