/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/mutate/site.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct finder {
	struct sites *out;
	const struct source *s;
	const char *file;
};

/* ---- noting a site ---- */

static int same_before(const struct sites *v, const char *id)
{
	int n = 0;
	const size_t length = strlen(id);
	for (int i = 0; i < v->n; i++)
		if (!strncmp(v->v[i].id, id, length) &&
		    (!v->v[i].id[length] || !strncmp(v->v[i].id + length, " (", 2)))
			n++;
	return n;
}

static void name(const struct finder *f, struct site *site, int token, const char *operator)
{
	const struct token *function = &f->s->v[f->s->v[token].function];
	char line[160];
	source_line(f->s, token, line, sizeof(line));
	int n = snprintf(site->id, SITE_ID - 8, "%s %.*s %s: %s", f->file, (int)function->length,
			 f->s->text + function->at, operator, line);
	if (n >= SITE_ID - 8)
		n = SITE_ID - 9;
	const int before = same_before(f->out, site->id);
	if (before)
		snprintf(site->id + n, 8, " (%d)", (before + 1) % 1000);
}

/* Tokens [from, to) become the text. */
__attribute__((format(printf, 5, 6))) static void add(struct finder *f, const char *operator,
						      int from, int to, const char *fmt, ...)
{
	struct sites *out = f->out;
	if (out->n == out->room) {
		out->room = out->room ? 2 * out->room : 256;
		out->v = realloc(out->v, (size_t)out->room * sizeof(*out->v));
		if (!out->v)
			abort();
	}
	struct site *site = &out->v[out->n];
	*site = (struct site){.at = f->s->v[from].at};
	site->length = f->s->v[to - 1].at + f->s->v[to - 1].length - site->at;
	va_list args;
	va_start(args, fmt);
	const int n = vsnprintf(site->text, SITE_TEXT, fmt, args);
	va_end(args);
	if (n >= SITE_TEXT)
		return; /* a condition of half a page: there is none */
	name(f, site, from, operator);
	out->n++;
}

/* ---- conditions ---- */

static bool has_sign(const struct source *s, int from, int to, const char *const *signs)
{
	for (; from < to; from++)
		for (int i = 0; signs[i]; i++)
			if (source_is(s, from, signs[i]))
				return true;
	return false;
}

static void negate(struct finder *f, int from, int to)
{
	const struct source *s = f->s;
	if (from >= to || s->v[from].skip)
		return;
	const size_t at = s->v[from].at;
	const size_t end = s->v[to - 1].at + s->v[to - 1].length;
	add(f, "negate", from, to, "!(%.*s)", (int)(end - at), s->text + at);
}

/* The condition between ( and ), or between the semicolons of a for. */
static void bracketed(struct finder *f, int keyword)
{
	const struct source *s = f->s;
	int from = keyword + 2, to = s->v[keyword + 1].match;
	if (source_is(s, keyword, "for")) {
		for (; from < to && !source_is(s, from, ";"); from++)
			;
		from++;
		for (to = from; !source_is(s, to, ";"); to++)
			;
	}
	negate(f, from, to);
}

/* Where the operand before a ? begins. */
static int begin_of_condition(const struct source *s, int question)
{
	static const char *const ends[] = {"(", "[",  "{",  ",",  ";",	    "?", ":",
					   "=", "|=", "&=", "+=", "return", NULL};
	int i = question;
	while (i > 0 && !has_sign(s, i - 1, i, ends))
		i = s->v[i - 1].match >= 0 && s->v[i - 1].match < i - 1 ? s->v[i - 1].match : i - 1;
	return i;
}

/* Is the token all there is to the condition of an if or while? Then it is changed as a whole. */
static bool whole_condition(const struct source *s, int token)
{
	static const char *const more[] = {"&&", "||", "?", NULL};
	int open = token;
	while (open > 0 && !source_is(s, open, "("))
		open = s->v[open].match >= 0 && s->v[open].match < open ? s->v[open].match - 1
									: open - 1;
	return (source_is(s, open - 1, "if") || source_is(s, open - 1, "while")) &&
	       !has_sign(s, open, s->v[open].match, more);
}

/* ---- operators ---- */

static bool ends_operand(const struct source *s, int token)
{
	if (s->v[token].kind == TOKEN_SIGN)
		return source_is(s, token, ")") || source_is(s, token, "]");
	return !source_is(s, token, "return") && !source_is(s, token, "case");
}

static void exchange(struct finder *f, int i)
{
	static const struct {
		const char *from, *to, *operator;
	} pairs[] = {
		{"&&", "||", "logic"},	    {"||", "&&", "logic"},   {"<", "<=", "compare"},
		{"<=", "<", "compare"},	    {">", ">=", "compare"},  {">=", ">", "compare"},
		{"==", "!=", "compare"},    {"!=", "==", "compare"}, {"++", "--", "sum"},
		{"--", "++", "sum"},	    {"|=", "&=", "sum"},     {"&=", "|=", "sum"},
		{"+", "-", "sum"},	    {"-", "+", "sum"},	     {"true", "false", "const"},
		{"false", "true", "const"},
	};
	const struct source *s = f->s;
	for (size_t p = 0; p < sizeof(pairs) / sizeof(pairs[0]); p++) {
		if (!source_is(s, i, pairs[p].from))
			continue;
		const bool equality = pairs[p].from[1] == '=' && strchr("=!", pairs[p].from[0]);
		if (equality && whole_condition(s, i))
			return; /* the same as negate */
		if (strchr("+-", pairs[p].from[0]) && !pairs[p].from[1] && !ends_operand(s, i - 1))
			return; /* a sign, no sum */
		add(f, pairs[p].operator, i, i + 1, "%s", pairs[p].to);
		return;
	}
}

static void number(struct finder *f, int i)
{
	const struct source *s = f->s;
	const unsigned long long value = strtoull(s->text + s->v[i].at, NULL, 0);
	if (source_is(s, i - 1, "{") && source_is(s, i + 1, "}"))
		return; /* {0} */
	add(f, "const", i, i + 1, "%llu", value + 1);
}

/* ---- statements ---- */

static bool keyword(const struct source *s, int i)
{
	static const char *const words[] = {"if",      "for",	   "while",    "do",	"switch",
					    "return",  "break",	   "continue", "goto",	"case",
					    "else",    "struct",   "enum",     "const", "static",
					    "default", "unsigned", "sizeof",   NULL};
	return has_sign(s, i, i + 1, words);
}

static bool begins_statement(const struct source *s, int i)
{
	static const char *const ends[] = {";", "{", "}", "else", NULL};
	if (has_sign(s, i - 1, i, ends))
		return true;
	if (source_is(s, i - 1, ":")) /* a label's */
		return source_is(s, i - 2, "default") || source_is(s, i - 3, "case");
	if (!source_is(s, i - 1, ")"))
		return false;
	const int word = s->v[i - 1].match - 1;
	return source_is(s, word, "if") || source_is(s, word, "for") || source_is(s, word, "while");
}

static bool declares(const struct source *s, int i)
{
	return s->v[i + 1].kind == TOKEN_WORD ||
	       (source_is(s, i + 1, "*") && s->v[i].kind == TOKEN_WORD);
}

static int end_of_statement(const struct source *s, int i)
{
	while (i < s->n && !source_is(s, i, ";"))
		i = s->v[i].match > i ? s->v[i].match + 1 : i + 1;
	return i;
}

/* Inside an initialiser a { begins no statement. */
static bool in_block(const struct source *s, int i)
{
	for (int open = i - 1; open >= 0; open--) {
		if (s->v[open].match >= 0 && s->v[open].match < open)
			open = s->v[open].match;
		else if (source_is(s, open, "{"))
			return source_is(s, open - 1, ")")
				       ? s->v[open - 1].match > 0 &&
						 s->v[s->v[open - 1].match - 1].kind == TOKEN_WORD
				       : !source_is(s, open - 1, "=");
		else if (source_is(s, open, "("))
			return false;
	}
	return false;
}

static void drop_statement(struct finder *f, int i)
{
	const struct source *s = f->s;
	const bool first = s->v[i].kind == TOKEN_WORD || source_is(s, i, "*") ||
			   source_is(s, i, "++") || source_is(s, i, "--");
	if (!first || keyword(s, i) || !begins_statement(s, i) || !in_block(s, i) ||
	    declares(s, i) || source_is(s, i + 1, ":"))
		return;
	add(f, "drop", i, end_of_statement(s, i), " ");
}

/* .field = value, */
static void drop_field(struct finder *f, int i)
{
	const struct source *s = f->s;
	if (!source_is(s, i, ".") || s->v[i + 1].kind != TOKEN_WORD || !source_is(s, i + 2, "="))
		return;
	if (!source_is(s, i - 1, "{") && !source_is(s, i - 1, ","))
		return;
	int end = i;
	while (!source_is(s, end, ",") && !source_is(s, end, "}"))
		end = s->v[end].match > end ? s->v[end].match + 1 : end + 1;
	if (source_is(s, end, "}") && source_is(s, i - 1, "{"))
		add(f, "drop", i, end, "0");
	else
		add(f, "drop", i, source_is(s, end, ",") ? end + 1 : end, " ");
}

/* ---- all ---- */

static void look(struct finder *f, int i)
{
	const struct source *s = f->s;
	if (source_is(s, i, "if") || source_is(s, i, "while") || source_is(s, i, "for"))
		bracketed(f, i);
	else if (source_is(s, i, "?"))
		negate(f, begin_of_condition(s, i), i);
	else if (source_is(s, i, "!")) {
		if (!whole_condition(s, i) && !source_is(s, i + 1, "!") &&
		    !source_is(s, i - 1, "!"))
			add(f, "not", i, i + 1, " ");
	} else if (s->v[i].kind == TOKEN_NUMBER)
		number(f, i);
	else
		exchange(f, i);
	drop_statement(f, i);
	drop_field(f, i);
}

void sites_find(struct sites *out, const struct source *s, const char *file)
{
	struct finder f = {.out = out, .s = s, .file = file};
	for (int i = 0; i < s->n; i++)
		if (s->v[i].function >= 0 && !s->v[i].skip)
			look(&f, i);
}

void sites_free(struct sites *s)
{
	free(s->v);
	*s = (struct sites){0};
}
