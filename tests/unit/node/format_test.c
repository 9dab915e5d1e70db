/* SPDX-License-Identifier: Apache-2.0 */
/* The guests' printf against the C library's, where both promise the same. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node/guest/g.h"
#include "tests/unit/unit.h"

static size_t ours(char *out, size_t room, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = g_format(out, room, fmt, ap);
	va_end(ap);
	return n;
}

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char a[256], b[256];                                                               \
		size_t n = ours(a, sizeof(a), __VA_ARGS__);                                        \
		int m = snprintf(b, sizeof(b), __VA_ARGS__);                                       \
		CU_ASSERT_STRING_EQUAL(a, b);                                                      \
		CU_ASSERT_EQUAL((int)n, m);                                                        \
	} while (0)

static void integers(void)
{
	SAME("%d %d %d", 0, -1, 2147483647);
	SAME("%d|%5d|%-5d|%05d", (int)-2147483648ll, -42, -42, -42);
	SAME("%u %x %08x %-8x|", 4294967295u, 0xbeefu, 0xbeefu, 0xbeefu);
	SAME("%zu %016zx %ld", (size_t)-1, (size_t)0x1234, (long)-5);
	SAME("%lld %llu", -9223372036854775807ll - 1, 18446744073709551615ull);
	SAME("%*d|%-*d|", 7, 3, 7, 3);
}

static void texts(void)
{
	SAME("%s|%8s|%-8s|%.2s|%.*s", "abc", "abc", "abc", "abc", 1, "abc");
	SAME("%c%%%s", 'x', "");
}

static void doubles(void)
{
	SAME("%.1f %.1f %.3f %f", 25.0, 99.96, -0.125, 3.25);
	SAME("%.0f %.9f %8.2f %-8.2f|", 7.0, 0.5, 2.5, 2.5);
	SAME("%.6e %.2e %e", 0.25, 12500.0, 1.0);
	SAME("%.1f %e", INFINITY, -INFINITY);
}

static void room_is_respected(void)
{
	char small[8] = "xxxxxxx";

	CU_ASSERT_EQUAL(ours(small, 4, "%s", "abcdefgh"), 8);
	CU_ASSERT_STRING_EQUAL(small, "abc");
	CU_ASSERT_EQUAL(small[4], 'x');
	CU_ASSERT_EQUAL(ours(NULL, 0, "%d", 12345), 5);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(integers),
		UNIT_CASE(texts),
		UNIT_CASE(doubles),
		UNIT_CASE(room_is_respected),
	};
	return unit_main("format", cases, UNIT_COUNT(cases));
}
