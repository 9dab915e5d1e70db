/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/size.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned shift;
} units[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};

enum { UNITS = sizeof(units) / sizeof(units[0]), UNIT_BYTE = 1 };

static int bad_size(struct err *e, const char *text)
{
	return err_set(
		e, ERR_INVALID,
		"'%.40s' is no size; write a whole number with KiB, MiB, GiB or TiB, e.g. 256MiB",
		text);
}

int size_parse(const char *text, uint64_t *bytes, struct err *e)
{
	const char *p = text;
	uint64_t n = 0;

	if (!isdigit((unsigned char)*p))
		return bad_size(e, text);
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return bad_size(e, text);
	if (*p == ' ')
		p++;
	for (unsigned u = 0; u < UNITS; u++) {
		if (strcmp(p, units[u].name) != 0)
			continue;
		if (n > (uint64_t)INT64_MAX >> units[u].shift)
			return bad_size(e, text);
		*bytes = n << units[u].shift;
		return ERR_OK;
	}
	return bad_size(e, text);
}

const char *size_format(uint64_t bytes, char out[SIZE_TEXT_MAX])
{
	unsigned u = UNITS - 1;
	uint64_t whole, tenth;

	while (u > UNIT_BYTE && bytes >> units[u].shift == 0)
		u--;
	whole = bytes >> units[u].shift;
	tenth = (bytes & ((1ull << units[u].shift) - 1)) * 10 >> units[u].shift;
	if (tenth && whole < 1000)
		snprintf(out, SIZE_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %s", whole, tenth,
			 units[u].name);
	else
		snprintf(out, SIZE_TEXT_MAX, "%" PRIu64 " %s", whole, units[u].name);
	return out;
}
