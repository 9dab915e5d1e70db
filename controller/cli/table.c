/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cli/table.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "proto/base/text.h"

struct table {
	struct libscols_table *scols;
	struct libscols_line *line;
	size_t column; /* next */
	bool failed;
};

static void add_columns(struct table *t, char *headings)
{
	char *rest = headings;

	for (char *h = strsep(&rest, ","); h; h = strsep(&rest, ",")) {
		int flags = *h == '>' ? SCOLS_FL_RIGHT : 0;

		if (!scols_table_new_column(t->scols, flags ? h + 1 : h, 0, flags))
			t->failed = true;
	}
}

struct table *table_new(const char *headings)
{
	struct table *t = calloc(1, sizeof(*t));
	char *copy = strdup(headings);

	if (t && copy)
		t->scols = scols_new_table();
	if (t && t->scols)
		add_columns(t, copy);
	free(copy);
	return t;
}

void table_row(struct table *t)
{
	if (!t || !t->scols)
		return;
	t->line = scols_table_new_line(t->scols, NULL);
	t->column = 0;
	t->failed |= !t->line;
}

/* Whether the C library knows how wide this text is. */
static bool has_width(const char *text)
{
	size_t n = mbstowcs(NULL, text, 0);
	wchar_t *wide;
	bool known;

	if (n == SIZE_MAX)
		return false;
	wide = calloc(n + 1, sizeof(*wide));
	known = wide && mbstowcs(wide, text, n + 1) == n && wcswidth(wide, n) >= 0;
	free(wide);
	return known;
}

static char *ascii_dup(const char *text)
{
	char *out = malloc(strlen(text) * 4 + 1), *to = out;

	for (; out && *text; text++)
		to += sprintf(to, *text & 0x80 ? "\\x%02x" : "%c", (unsigned char)*text);
	if (out)
		*to = '\0';
	return out;
}

/* libsmartcols 2.38 does not come back from text that the locale cannot read. */
static char *cell_text(const char *text)
{
	char *safe = text_escape_dup(text), *ascii;

	if (!safe || has_width(safe))
		return safe;
	ascii = ascii_dup(safe);
	free(safe);
	return ascii;
}

void table_put(struct table *t, const char *fmt, ...)
{
	char *text = NULL, *safe;
	va_list ap;
	int n;

	if (!t || !t->line)
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	safe = n >= 0 ? cell_text(text) : NULL;
	if (n >= 0)
		free(text);
	if (!safe || scols_line_refer_data(t->line, t->column++, safe) != 0) {
		free(safe);
		t->failed = true;
	}
} /* NOLINT(clang-analyzer-unix.Malloc): the line owns `safe` now */

/* libsmartcols prints nothing for a table without rows. */
static void print_headings(const struct table *t, FILE *out)
{
	size_t n = scols_table_get_ncols(t->scols);

	for (size_t i = 0; i < n; i++) {
		struct libscols_column *column = scols_table_get_column(t->scols, i);

		fprintf(out, "%s%s", i ? " " : "",
			scols_cell_get_data(scols_column_get_header(column)));
	}
	fputc('\n', out);
}

int table_print(struct table *t, FILE *out, struct err *e)
{
	bool failed = !t || !t->scols || t->failed;
	char *text = NULL;

	if (!failed) {
		scols_table_enable_noencoding(t->scols, 1); /* it is safe already */
		failed = scols_print_table_to_string(t->scols, &text) != 0;
	}
	if (!failed && !t->line)
		print_headings(t, out);
	else if (!failed && text)
		fputs(text, out);
	if (!failed && text && text[0] && text[strlen(text) - 1] != '\n')
		fputc('\n', out);
	free(text);
	if (t && t->scols)
		scols_unref_table(t->scols);
	free(t);
	if (failed)
		return err_set(e, ERR_NOMEM, "no memory for a table");
	return ERR_OK;
}
