/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that explains survivors. A line "= WORD: reason" begins a group, the lines after it are
 * the ids of its mutants (site.h); WORD is "equivalent" (the program does the same) or "unseen" (it
 * does not, and why nothing here can tell). Lines that begin with # and empty ones say nothing.
 */
#ifndef CELLULAR_MUTATE_KNOWN_H
#define CELLULAR_MUTATE_KNOWN_H

#include <stdbool.h>

struct known_line {
	char *id;
	bool equivalent;
	bool met; /* such a mutant was tried */
};

struct known {
	struct known_line *v;
	int n;
};

/* 0, or -1 after a sentence on stderr. */
int known_read(struct known *out, const char *path);
void known_free(struct known *k);
struct known_line *known_find(struct known *k, const char *id); /* NULL: not explained */

#endif
