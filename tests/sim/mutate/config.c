/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CMake wrote (CMakeLists.txt): lines "word value ...".
 *
 *	compiler PATH
 *	root DIR
 *	folder DIR
 *	stage GROUP NAME	begins a program; the next lines belong to it. GROUP is seeds,
 *				exploration or tests
 *	objects FILE ...
 *	arguments WORD ...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/mutate/trial.h"

static void add_words(char **out, char *text)
{
	int n = 0;
	char *rest = NULL;
	while (out[n])
		n++;
	for (char *w = strtok_r(text, " ", &rest); w && n < WORDS_MAX - 1;
	     w = strtok_r(NULL, " ", &rest))
		out[n++] = strdup(w);
	out[n] = NULL;
}

static bool new_stage(struct config *c, char *value)
{
	static const char *const groups[GROUPS] = {"seeds", "exploration", "tests"};
	char *name = value + strcspn(value, " ");
	if (c->n_stages == STAGES_MAX || !*name)
		return false;
	*name++ = '\0';
	for (int g = 0; g < GROUPS; g++) {
		if (strcmp(value, groups[g]) != 0)
			continue;
		c->stages[c->n_stages++] =
			(struct stage){.name = strdup(name), .group = (enum group)g};
		return true;
	}
	return false;
}

static bool stage_line(struct config *c, const char *word, char *value)
{
	if (!strcmp(word, "stage"))
		return new_stage(c, value);
	if (!c->n_stages)
		return false;
	struct stage *stage = &c->stages[c->n_stages - 1];
	if (!strcmp(word, "objects"))
		add_words(stage->objects, value);
	else if (!strcmp(word, "arguments"))
		add_words(stage->arguments, value);
	else
		return false;
	return true;
}

static bool take(struct config *c, const char *word, char *value)
{
	if (!strcmp(word, "compiler"))
		c->compiler = strdup(value);
	else if (!strcmp(word, "root"))
		c->root = strdup(value);
	else if (!strcmp(word, "folder"))
		c->folder = strdup(value);
	else
		return stage_line(c, word, value);
	return true;
}

int config_read(struct config *out, const char *path)
{
	static char line[16384];
	FILE *f = fopen(path, "r");
	bool good = f != NULL;
	*out = (struct config){0};
	while (good && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		char *value = line + strcspn(line, " ");
		if (*value)
			*value++ = '\0';
		good = !*line || take(out, line, value);
	}
	if (f)
		fclose(f);
	if (good && out->compiler && out->root && out->folder && out->n_stages)
		return 0;
	fprintf(stderr, "mutate: %s: cannot be read, or not complete\n", path);
	return -1;
}
