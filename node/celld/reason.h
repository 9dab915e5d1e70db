/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a fragment ended, kept by value: the EndReason of proto/control.proto with its texts in
 * buffers.
 *
 * Threads: pure functions.
 */
#ifndef CELLULAR_CELLD_REASON_H
#define CELLULAR_CELLD_REASON_H

#include <stdint.h>

#include "proto/base/err.h"
#include "proto/control.pb-c.h"
#include "proto/ids.h"

struct end_reason {
	Cellular__EndCause cause; /* END_CAUSE__END_NONE: none yet */
	int32_t code;
	uint32_t member;
	char cell[CELL_NAME_MAX];
	char text[ERR_TEXT_MAX];
};

void reason_set(struct end_reason *r, Cellular__EndCause cause, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Copies what came from outside; texts are cut. NULL: r becomes END_NONE. */
void reason_from_message(struct end_reason *r, const Cellular__EndReason *in);

/* Fills *out; its strings point into r. */
void reason_to_message(const struct end_reason *r, Cellular__EndReason *out);

/* Sentence for a process that ended as waitpid(2) says; `words`: what it said last, may be empty.
 */
void reason_of_process(struct end_reason *r, int wait_status, int pid, const char *words);

#endif
