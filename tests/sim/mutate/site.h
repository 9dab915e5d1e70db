/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutants: places in a source where one thing can be changed. "Mutation analysis" (DeMillo, Lipton,
 * Sayward, "Hints on test data selection", IEEE Computer 11(4), 1978); the operators are those that
 * suffice by Offutt et al., TOSEM 5(2), 1996, and the removal of statements.
 *
 *	negate  the condition of if, while, for, ?:
 *	logic   && becomes ||, || becomes &&
 *	compare < and <=, > and >=, == and != change places
 *	not     a ! goes
 *	sum     + and -, ++ and --, |= and &= change places
 *	const   a number becomes one more; true and false change places
 *	drop    an assignment, a call, a field of an initialiser goes
 */
#ifndef CELLULAR_MUTATE_SITE_H
#define CELLULAR_MUTATE_SITE_H

#include "tests/sim/mutate/source.h"

enum { SITE_ID = 240, SITE_TEXT = 1024 };

struct site {
	size_t at; /* bytes [at, at + length) of the source ... */
	size_t length;
	char text[SITE_TEXT]; /* ... become this */
	/* "file function operator: line", and " (n)" for the n-th such place in the function: stays
	 * the same when other lines change. */
	char id[SITE_ID];
};

struct sites {
	struct site *v;
	int n;
	int room;
};

/* Adds all sites of a source; file is its name. */
void sites_find(struct sites *out, const struct source *s, const char *file);
void sites_free(struct sites *s);

#endif
