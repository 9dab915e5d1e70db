/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A C source file as tokens: enough of the language to find what can be changed in it, no more.
 * Comments and preprocessor lines are no tokens. Tokens outside functions' bodies are there but
 * belong to no function.
 */
#ifndef CELLULAR_MUTATE_SOURCE_H
#define CELLULAR_MUTATE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

enum token_kind { TOKEN_WORD, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_SIGN };

struct token {
	enum token_kind kind;
	size_t at; /* offset into the text */
	size_t length;
	int function; /* index of its name's token; -1: outside of all */
	int match;    /* of ( [ { and ) ] }: the other one's index; else -1 */
	bool skip;    /* asserted, or part of a planted bug: not to be changed */
};

struct source {
	char *text;
	size_t bytes;
	struct token *v;
	int n;
};

/* 0, or -1: the file cannot be read, or its brackets do not match. */
int source_read(struct source *out, const char *path);
void source_free(struct source *s);

bool source_is(const struct source *s, int token, const char *text);
/* The line the token stands on, without the white space round it. */
void source_line(const struct source *s, int token, char *out, size_t room);

#endif
