/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/mutate/source.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static int slurp(struct source *s, const char *path)
{
	FILE *f = fopen(path, "r");
	if (!f)
		return -1;
	fseek(f, 0, SEEK_END);
	const long bytes = ftell(f);
	rewind(f);
	s->text = bytes < 0 ? NULL : calloc(1, (size_t)bytes + 1);
	s->v = bytes < 0 ? NULL : calloc((size_t)bytes + 1, sizeof(*s->v));
	if (s->text)
		s->bytes = fread(s->text, 1, (size_t)bytes, f);
	fclose(f);
	return s->text && s->v && s->bytes == (size_t)bytes ? 0 : -1;
}

/* ---- tokens ---- */

static size_t after_line(const struct source *s, size_t at)
{
	while (at < s->bytes && s->text[at] != '\n')
		at += s->text[at] == '\\' ? 2 : 1;
	return at;
}

static size_t after_comment(const struct source *s, size_t at)
{
	const char *end = strstr(s->text + at + 2, "*/");
	return end ? (size_t)(end - s->text) + 2 : s->bytes;
}

static size_t after_text(const struct source *s, size_t at)
{
	const char quote = s->text[at++];
	while (at < s->bytes && s->text[at] != quote)
		at += s->text[at] == '\\' ? 2 : 1;
	return at + 1;
}

static size_t sign_length(const char *text)
{
	static const char *const signs[] = {
		"<<=", ">>=", "...", "&&", "||", "==", "!=", "<=", ">=", "+=", "-=", "|=",
		"&=",  "^=",  "*=",  "/=", "%=", "++", "--", "->", "<<", ">>", NULL};
	for (int i = 0; signs[i]; i++)
		if (!strncmp(text, signs[i], strlen(signs[i])))
			return strlen(signs[i]);
	return 1;
}

static size_t word_length(const char *text)
{
	size_t n = 0;
	while (isalnum((unsigned char)text[n]) || text[n] == '_')
		n++;
	return n;
}

static void add(struct source *s, enum token_kind kind, size_t at, size_t length)
{
	s->v[s->n++] = (struct token){
		.kind = kind, .at = at, .length = length, .function = -1, .match = -1};
}

static void cut_into_tokens(struct source *s)
{
	for (size_t at = 0; at < s->bytes;) {
		const char *t = s->text + at;
		size_t length;
		if (isspace((unsigned char)*t)) {
			at++;
		} else if (*t == '#') {
			at = after_line(s, at);
		} else if (t[0] == '/' && t[1] == '*') {
			at = after_comment(s, at);
		} else if (*t == '"' || *t == '\'') {
			length = after_text(s, at) - at;
			add(s, TOKEN_TEXT, at, length);
			at += length;
		} else {
			length = word_length(t);
			const bool word = length > 0;
			if (!word)
				length = sign_length(t);
			add(s,
			    !word			 ? TOKEN_SIGN
			    : isdigit((unsigned char)*t) ? TOKEN_NUMBER
							 : TOKEN_WORD,
			    at, length);
			at += length;
		}
	}
}

bool source_is(const struct source *s, int token, const char *text)
{
	return token >= 0 && token < s->n && s->v[token].length == strlen(text) &&
	       !strncmp(s->text + s->v[token].at, text, s->v[token].length);
}

static bool is_one_of(const struct source *s, int token, const char *chars)
{
	return s->v[token].kind == TOKEN_SIGN && s->v[token].length == 1 &&
	       strchr(chars, s->text[s->v[token].at]);
}

static int match_brackets(struct source *s)
{
	int open[256], depth = 0;
	for (int i = 0; i < s->n; i++) {
		if (is_one_of(s, i, "([{")) {
			if (depth == 256)
				return -1;
			open[depth++] = i;
		} else if (is_one_of(s, i, ")]}")) {
			if (!depth)
				return -1;
			s->v[i].match = open[--depth];
			s->v[open[depth]].match = i;
		}
	}
	return depth ? -1 : 0;
}

/* name ( ... ) { ... } outside of everything */
static void find_functions(struct source *s)
{
	for (int i = 0; i < s->n; i++) {
		if (!is_one_of(s, i, "{"))
			continue;
		const int end = s->v[i].match;
		const int name = i && is_one_of(s, i - 1, ")") ? s->v[i - 1].match - 1 : -1;
		for (int t = i; name >= 0 && t <= end; t++)
			s->v[t].function = name;
		i = end;
	}
}

/* ---- what is not to be changed ---- */

/* The token after the statement that begins at `at`. */
static int after_statement(const struct source *s, int at)
{
	if (is_one_of(s, at, "{"))
		return s->v[at].match + 1;
	while (at < s->n && !is_one_of(s, at, ";"))
		at = s->v[at].match > at ? s->v[at].match + 1 : at + 1;
	return at + 1;
}

static void skip(struct source *s, int from, int to)
{
	for (; from < to && from < s->n; from++)
		s->v[from].skip = true;
}

/* A condition that is false unless a bug is switched on. */
static bool planted(const struct source *s, int open)
{
	for (int i = open + 1; i < s->v[open].match; i++)
		if (source_is(s, i, "DSM_BUG") && (i == open + 1 || source_is(s, i - 1, "&&")))
			return true;
	return false;
}

static void find_skipped(struct source *s)
{
	for (int i = 0; i + 1 < s->n; i++) {
		if (source_is(s, i, "assert") || source_is(s, i, "DSM_INVARIANT"))
			skip(s, i, after_statement(s, i));
		else if (source_is(s, i, "if") && planted(s, i + 1))
			skip(s, i, after_statement(s, s->v[i + 1].match + 1));
		else if (source_is(s, i, "DSM_BUG") && source_is(s, i - 1, "(") &&
			 s->v[i - 2].kind == TOKEN_SIGN) /* (DSM_BUG(x) && ...) */
			skip(s, i - 3, s->v[i - 1].match + 1);
		else if (source_is(s, i, "DSM_BUG")) /* with its ! and && or || */
			skip(s, i - (source_is(s, i - 1, "!") ? 2 : 1), s->v[i + 1].match + 1);
	}
}

/* Is the function called, and only in what is not to be changed? Then it only asserts, too. */
static bool only_asserts(const struct source *s, int name)
{
	bool used = false;
	for (int i = 0; i < s->n; i++) {
		if (i == name || s->v[i].length != s->v[name].length ||
		    strncmp(s->text + s->v[i].at, s->text + s->v[name].at, s->v[i].length) != 0)
			continue;
		if (!s->v[i].skip)
			return false;
		used = true;
	}
	return used;
}

/* Once more for those that only these call. */
static void find_asserting(struct source *s)
{
	bool found = true;
	while (found) {
		found = false;
		for (int i = 0; i < s->n; i++) {
			const int name = s->v[i].function;
			if (name < 0 || s->v[i].skip || !is_one_of(s, i, "{") ||
			    s->v[i - 1].match - 1 != name || !only_asserts(s, name))
				continue;
			skip(s, i, s->v[i].match + 1);
			found = true;
		}
	}
}

int source_read(struct source *out, const char *path)
{
	*out = (struct source){0};
	if (!slurp(out, path)) {
		cut_into_tokens(out);
		if (!match_brackets(out)) {
			find_functions(out);
			find_skipped(out);
			find_asserting(out);
			return 0;
		}
	}
	source_free(out);
	return -1;
}

void source_free(struct source *s)
{
	free(s->text);
	free(s->v);
	*s = (struct source){0};
}

void source_line(const struct source *s, int token, char *out, size_t room)
{
	size_t from = s->v[token].at, to = from, n = 0;
	while (from && s->text[from - 1] != '\n')
		from--;
	while (to < s->bytes && s->text[to] != '\n')
		to++;
	while (from < to && isspace((unsigned char)s->text[from]))
		from++;
	while (from < to && n + 1 < room) {
		const char c = s->text[from++];
		out[n++] = c == '\t' ? ' ' : c;
	}
	out[n] = '\0';
}
