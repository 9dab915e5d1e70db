/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mutant: the changed source is compiled, linked before the library that holds the original
 * (the linker takes the first of two), and run. A run that fails, is killed or uses up its time has
 * caught it.
 */
#ifndef CELLULAR_MUTATE_TRIAL_H
#define CELLULAR_MUTATE_TRIAL_H

#include "tests/sim/mutate/site.h"

enum { STAGES_MAX = 32, WORDS_MAX = 64 };

/* What a stage is counted as. What is asked of the simulator's seeds, these alone have to do. */
enum group { GROUP_SEEDS, GROUP_EXPLORATION, GROUP_TESTS, GROUPS };

/* A program that is linked with the mutant and run. */
struct stage {
	char *name; /* who caught it, as the report says it */
	enum group group;
	char *objects[WORDS_MAX]; /* and libraries; NULL at the end */
	char *arguments[WORDS_MAX];
};

struct config {
	char *compiler;
	char *root;   /* of the tree */
	char *folder; /* whose sources are changed, from the root */
	char *work;   /* directory for what is built */
	char *known;  /* file that explains survivors; NULL: none */
	struct stage stages[STAGES_MAX];
	int n_stages;
};

enum verdict {
	MUTANT_CAUGHT,
	MUTANT_SURVIVED,
	MUTANT_INVALID, /* does not compile: no mutant */
};

struct outcome {
	enum verdict verdict;
	int stage;	/* CAUGHT: by which one */
	char text[200]; /* CAUGHT: the last line it wrote on stderr */
};

/* Reads what CMake wrote: "word value" lines. 0, or -1 after a sentence on stderr. */
int config_read(struct config *out, const char *path);

/* source: the text the site belongs to; number: for the names of files. */
struct outcome trial_run(const struct config *c, const struct source *source, const char *file,
			 const struct site *site, int number);

#endif
