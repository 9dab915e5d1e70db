/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ids.h"

bool name_valid(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = name ? strlen(name) : 0;

	return n > 0 && n < CELL_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	       strspn(name, allowed) == n;
}

static bool steers_terminal(uint32_t rune)
{
	return rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || rune == 0x200e || rune == 0x200f ||
	       (rune >= 0x2028 && rune <= 0x202e) || (rune >= 0x2066 && rune <= 0x2069) ||
	       rune == 0xfeff;
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629), with its code point; 0 if there is
 * none. */
static unsigned utf8(const unsigned char *p, uint32_t *rune)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned n = p[0] < 0x80       ? 1
		     : p[0] >> 5 == 6  ? 2
		     : p[0] >> 4 == 14 ? 3
		     : p[0] >> 3 == 30 ? 4
				       : 0;

	*rune = n <= 1 ? p[0] : p[0] & (0x7f >> n);
	for (unsigned i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*rune = *rune << 6 | (p[i] & 0x3f);
	}
	if (n == 0 || *rune < least[n] || *rune > 0x10ffff || (*rune >= 0xd800 && *rune < 0xe000))
		return 0;
	return n;
}

/* One step: writes what stands for the character at *text to out[0..17) and moves on. Returns bytes
 * written. */
static size_t escape_one(const unsigned char **text, char *out)
{
	uint32_t rune;
	unsigned n = utf8(*text, &rune);
	size_t used = 0;

	if (n > 0 && !steers_terminal(rune)) {
		memcpy(out, *text, n);
		*text += n;
		return n;
	}
	for (unsigned i = 0; i < (n ? n : 1); i++)
		used += (size_t)sprintf(out + used, "\\x%02x", *(*text)++);
	return used;
}

const char *text_escape(const char *text, char *out, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t used = 0, cut = 0;
	char piece[24];

	while (*p) {
		size_t k = escape_one(&p, piece);

		if (used + k >= n) {
			snprintf(out + cut, n - cut, "...");
			return out;
		}
		memcpy(out + used, piece, k);
		used += k;
		if (used + 3 < n)
			cut = used;
	}
	out[used] = '\0';
	return out;
}

char *text_escape_dup(const char *text)
{
	size_t n = strlen(text) * 4 + 1;
	char *out = malloc(n);

	if (out)
		text_escape(text, out, n);
	return out;
}
