/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/console.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static void empty_has_nothing(void)
{
	struct console c = {0};
	uint64_t offset = 7;
	uint8_t out[4];

	CU_ASSERT_EQUAL(console_begin(&c), 0);
	CU_ASSERT_EQUAL(console_read(&c, &offset, out, sizeof(out)), 0);
	CU_ASSERT_EQUAL(offset, 0); /* behind the end: brought back to it */
	CU_ASSERT_EQUAL(console_write(&c, NULL, 0, NULL), ERR_OK);
	CU_ASSERT_PTR_NULL(c.ring);
	console_free(&c);
}

static void bytes_are_found_by_offset(void)
{
	struct console c = {0};
	uint64_t offset = 2;
	uint8_t out[16];

	console_write(&c, (const uint8_t *)"hello ", 6, NULL);
	console_write(&c, (const uint8_t *)"world", 5, NULL);
	CU_ASSERT_EQUAL(console_read(&c, &offset, out, 6), 6);
	CU_ASSERT_EQUAL(offset, 2);
	CU_ASSERT_EQUAL(memcmp(out, "llo wo", 6), 0);
	offset = 11;
	CU_ASSERT_EQUAL(console_read(&c, &offset, out, 6), 0);
	console_free(&c);
	CU_ASSERT_EQUAL(c.end, 0);
}

/* What byte i of an endless text is. */
static uint8_t letter(uint64_t i)
{
	return (uint8_t)(i * 131 >> 3);
}

/* Against the whole text kept aside: pieces of all sizes, some larger than the ring. */
static void ring_is_the_end_of_the_text(void)
{
	static const size_t pieces[] = {
		1, 4095, CONSOLE_BYTES - 1, 2, CONSOLE_BYTES, 3 * CONSOLE_BYTES + 17, 100, 1};
	struct console c = {0};
	uint8_t *text = malloc(4 * CONSOLE_BYTES), *out = malloc(CONSOLE_BYTES);
	uint64_t written = 0;

	for (unsigned k = 0; k < UNIT_COUNT(pieces); k++) {
		uint64_t offset = 0;
		bool same = true;
		size_t n;

		for (size_t i = 0; i < pieces[k]; i++)
			text[i] = letter(written + i);
		CU_ASSERT_EQUAL(console_write(&c, text, pieces[k], NULL), ERR_OK);
		written += pieces[k];
		n = console_read(&c, &offset, out, CONSOLE_BYTES);
		CU_ASSERT_EQUAL(offset, console_begin(&c));
		CU_ASSERT_EQUAL(offset + n, written);
		CU_ASSERT_EQUAL(n, written < CONSOLE_BYTES ? written : CONSOLE_BYTES);
		for (size_t i = 0; i < n; i++)
			same &= out[i] == letter(offset + i);
		CU_ASSERT(same);
	}
	free(text);
	free(out);
	console_free(&c);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(empty_has_nothing),
		UNIT_CASE(bytes_are_found_by_offset),
		UNIT_CASE(ring_is_the_end_of_the_text),
	};

	return unit_main("celld-console", cases, UNIT_COUNT(cases));
}
