/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/mutate/known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(const char *path, int number, const char *what)
{
	fprintf(stderr, "mutate: %s: line %d: %s\n", path, number, what);
	return -1;
}

static void add(struct known *k, const char *id, bool equivalent)
{
	k->v = realloc(k->v, (size_t)(k->n + 1) * sizeof(*k->v));
	if (!k->v)
		abort();
	k->v[k->n++] = (struct known_line){.id = strdup(id), .equivalent = equivalent};
}

static int read_lines(struct known *k, FILE *f, const char *path)
{
	char line[512];
	bool begun = false, equivalent = false;
	for (int number = 1; fgets(line, sizeof(line), f); number++) {
		line[strcspn(line, "\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (*line != '=') {
			if (!begun)
				return bad(path, number, "a mutant without a reason before it");
			add(k, line, equivalent);
			continue;
		}
		equivalent = !strncmp(line, "= equivalent: ", 14);
		begun = true;
		if (!equivalent && strncmp(line, "= unseen: ", 10) != 0)
			return bad(path, number, "neither '= equivalent: ' nor '= unseen: '");
	}
	return 0;
}

int known_read(struct known *out, const char *path)
{
	*out = (struct known){0};
	FILE *f = fopen(path, "r");
	if (!f) {
		fprintf(stderr, "mutate: %s cannot be read\n", path);
		return -1;
	}
	const int status = read_lines(out, f, path);
	fclose(f);
	return status;
}

void known_free(struct known *k)
{
	for (int i = 0; i < k->n; i++)
		free(k->v[i].id);
	free(k->v);
	*k = (struct known){0};
}

struct known_line *known_find(struct known *k, const char *id)
{
	for (int i = 0; i < k->n; i++)
		if (!strcmp(k->v[i].id, id))
			return &k->v[i];
	return NULL;
}
