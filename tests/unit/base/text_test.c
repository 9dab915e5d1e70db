/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "proto/base/size.h"
#include "proto/base/text.h"
#include "proto/ids.h"
#include "tests/unit/unit.h"

static void sizes_are_read(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0},
		    {"4096", 4096},
		    {"12B", 12},
		    {"256MiB", 256ull << 20},
		    {"2 GiB", 2ull << 30},
		    {"8TiB", 8ull << 40},
		    {"9223372036854775807", INT64_MAX}};
	static const char *const bad[] = {"",
					  "MiB",
					  "-1",
					  "+1",
					  " 1",
					  "1MB",
					  "1M",
					  "1.5GiB",
					  "1  MiB",
					  "1MiBx",
					  "1 MiB ",
					  "9223372036854775808",
					  "18446744073709551617",
					  "8388608TiB"};
	uint64_t bytes;
	struct err e;

	for (unsigned i = 0; i < UNIT_COUNT(good); i++) {
		CU_ASSERT_EQUAL(size_parse(good[i].text, &bytes, &e), ERR_OK);
		CU_ASSERT_EQUAL(bytes, good[i].bytes);
	}
	for (unsigned i = 0; i < UNIT_COUNT(bad); i++)
		CU_ASSERT_EQUAL(size_parse(bad[i], &bytes, &e), ERR_INVALID);
}

static void sizes_are_written(void)
{
	char out[SIZE_TEXT_MAX];

	CU_ASSERT_STRING_EQUAL(size_format(0, out), "0 B");
	CU_ASSERT_STRING_EQUAL(size_format(1023, out), "1023 B");
	CU_ASSERT_STRING_EQUAL(size_format(4096, out), "4 KiB");
	CU_ASSERT_STRING_EQUAL(size_format(256ull << 20, out), "256 MiB");
	CU_ASSERT_STRING_EQUAL(size_format(3ull << 29, out), "1.5 GiB");
	CU_ASSERT_STRING_EQUAL(size_format((1ull << 30) - 1, out), "1023 MiB");
	CU_ASSERT_STRING_EQUAL(size_format(UINT64_MAX, out), "16777215 TiB");
}

static void names_are_checked(void)
{
	char longest[CELL_NAME_MAX + 1];

	CU_ASSERT(name_valid("cell0"));
	CU_ASSERT(name_valid("A.b_c-9"));
	CU_ASSERT(!name_valid(NULL));
	CU_ASSERT(!name_valid(""));
	CU_ASSERT(!name_valid(".."));
	CU_ASSERT(!name_valid("-o"));
	CU_ASSERT(!name_valid("a/b"));
	CU_ASSERT(!name_valid("a b"));
	CU_ASSERT(!name_valid("\xc3\xa4"));
	memset(longest, 'x', sizeof(longest));
	longest[CELL_NAME_MAX - 1] = '\0';
	CU_ASSERT(name_valid(longest));
	longest[CELL_NAME_MAX - 1] = 'x';
	longest[CELL_NAME_MAX] = '\0';
	CU_ASSERT(!name_valid(longest));
}

static void terminal_commands_are_defused(void)
{
	char out[64];

	CU_ASSERT_STRING_EQUAL(text_escape("plain", out, sizeof(out)), "plain");
	CU_ASSERT_STRING_EQUAL(text_escape("gr\xc3\xbc\xc3\x9f dich", out, sizeof(out)),
			       "gr\xc3\xbc\xc3\x9f dich");
	CU_ASSERT_STRING_EQUAL(text_escape("\x1b[2J\n", out, sizeof(out)), "\\x1b[2J\\x0a");
	CU_ASSERT_STRING_EQUAL(text_escape("\x7f\xc2\x9b", out, sizeof(out)), "\\x7f\\xc2\\x9b");
	CU_ASSERT_STRING_EQUAL(text_escape("\xe2\x80\xae", out, sizeof(out)), "\\xe2\\x80\\xae");
	CU_ASSERT_STRING_EQUAL(text_escape("\xc0\xaf\xff", out, sizeof(out)), "\\xc0\\xaf\\xff");
	CU_ASSERT_STRING_EQUAL(text_escape("\xe2\x82", out, sizeof(out)), "\\xe2\\x82");
}

/* Every length of buffer, so that a cut never leaves half an escape nor writes past its end. */
static void long_text_is_cut(void)
{
	static const char text[] = "ab\x1b"
				   "cdefgh\xe2\x82\xac"
				   "end";
	char *whole = text_escape_dup(text);

	CU_ASSERT_STRING_EQUAL(whole, "ab\\x1b"
				      "cdefgh\xe2\x82\xac"
				      "end");
	for (size_t n = 1; n < 40; n++) {
		char *out = malloc(n);
		size_t got;

		text_escape(text, out, n);
		got = strlen(out);
		CU_ASSERT(got < n);
		if (n <= strlen(whole)) {
			size_t dots = got < 3 ? got : 3;

			CU_ASSERT_EQUAL(strncmp(out + got - dots, "...", dots), 0);
			CU_ASSERT_EQUAL(strncmp(out, whole, got - dots), 0);
		} else {
			CU_ASSERT_STRING_EQUAL(out, whole);
		}
		free(out);
	}
	free(whole);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(sizes_are_read),    UNIT_CASE(sizes_are_written),
		UNIT_CASE(names_are_checked), UNIT_CASE(terminal_commands_are_defused),
		UNIT_CASE(long_text_is_cut),
	};

	return unit_main("base-text", cases, UNIT_COUNT(cases));
}
