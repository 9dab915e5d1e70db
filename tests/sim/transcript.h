/* SPDX-License-Identifier: Apache-2.0 */
/* What happened in one seed, a line each: kept for the end of a failing one, printed for --trace,
 * and digested for the proof that a seed replays. Writing lines is slow, so a first run is done
 * without; a seed that fails is run again. */
#ifndef CELLULAR_SIM_TRANSCRIPT_H
#define CELLULAR_SIM_TRANSCRIPT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum transcript_mode { TRANSCRIPT_OFF, TRANSCRIPT_KEEP, TRANSCRIPT_PRINT };
enum { TRANSCRIPT_LINES = 40, TRANSCRIPT_WIDTH = 200 };

struct transcript {
	enum transcript_mode mode;
	uint64_t lines;
	uint64_t digest;
	char kept[TRANSCRIPT_LINES][TRANSCRIPT_WIDTH]; /* a ring of the last lines */
};

void transcript_start(struct transcript *t, enum transcript_mode mode);
/* `name` begins the line. */
void transcript_add(struct transcript *t, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void transcript_show_last(const struct transcript *t, FILE *out);

#endif
