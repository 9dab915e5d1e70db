/* SPDX-License-Identifier: Apache-2.0 */
/* The last line a process wrote to its log: mostly says why it died. */
#ifndef CELLULAR_CELLD_LAST_WORDS_H
#define CELLULAR_CELLD_LAST_WORDS_H

enum { LAST_WORDS_MAX = 160 };

/* Copies the last line of the file that is not empty, cut at LAST_WORDS_MAX-1; "" if there is none.
 */
void last_words(const char *path, char out[LAST_WORDS_MAX]);

#endif
