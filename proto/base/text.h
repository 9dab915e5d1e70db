/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that came from elsewhere: names that are checked, sentences that are made safe before a
 * terminal or a log sees them.
 *
 * Threads: pure functions.
 */
#ifndef CELLULAR_BASE_TEXT_H
#define CELLULAR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* A cell or VM name: 1 .. CELL_NAME_MAX-1 of [A-Za-z0-9._-], not beginning with '.' or '-' (it may
 * become a file name or an argument). */
bool name_valid(const char *name);

/*
 * Copies text to out (n > 0 bytes with the NUL), with every byte that could command a terminal - C0
 * and C1 controls, DEL, malformed UTF-8 - as \xNN, and text direction overrides (U+200E..,
 * U+202A.., U+2066..) likewise. Cut with "..." if it does not fit. Returns out.
 */
const char *text_escape(const char *text, char *out, size_t n);

/* The same for a whole buffer; the result is malloc'ed, never cut; NULL only without memory. */
char *text_escape_dup(const char *text);

#endif
