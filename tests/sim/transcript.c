/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/transcript.h"

#include <stdarg.h>

#include "tests/sim/rng.h"

void transcript_start(struct transcript *t, enum transcript_mode mode)
{
	t->mode = mode;
	t->lines = 0;
	t->digest = 0;
}

void transcript_add(struct transcript *t, const char *name, const char *fmt, ...)
{
	if (t->mode == TRANSCRIPT_OFF)
		return;
	char *line = t->kept[t->lines++ % TRANSCRIPT_LINES];
	const int begin = snprintf(line, TRANSCRIPT_WIDTH, "%s ", name);
	va_list args;
	va_start(args, fmt);
	vsnprintf(line + begin, TRANSCRIPT_WIDTH - (size_t)begin, fmt, args);
	va_end(args);
	for (const char *c = line; *c; c++)
		t->digest = (t->digest ^ (unsigned char)*c) * 0x100000001b3u; /* FNV-1a's prime */
	t->digest = rng_mix(t->digest + 1);
	if (t->mode == TRANSCRIPT_PRINT)
		puts(line);
}

void transcript_show_last(const struct transcript *t, FILE *out)
{
	uint64_t first = t->lines > TRANSCRIPT_LINES ? t->lines - TRANSCRIPT_LINES : 0;
	for (uint64_t i = first; i < t->lines; i++)
		fprintf(out, "%s\n", t->kept[i % TRANSCRIPT_LINES]);
}
