/* SPDX-License-Identifier: Apache-2.0 */
/* What a fragment tells celld (proto/control.proto): reports, answers, console bytes. Loop thread.
 */
#ifndef CELLULAR_NODE_REPORT_H
#define CELLULAR_NODE_REPORT_H

#include "node/vm/vm.h"
#include "proto/link.h"

enum { REPORT_BUCKETS_MAX = 4096 };

/* Who reports. */
struct report_from {
	struct link *link;
	uint64_t vm_id;
	uint32_t epoch;
	uint32_t member;
	struct vm *vm; /* NULL: not made, or gone */
};

/* end: for FRAG_STOPPED, else NULL. */
void report_state(const struct report_from *f, Cellular__FragState state, const struct vm_end *end);

/* Answers a STAT or MAP query; any other kind is answered with UNSUPPORTED. */
void report_answer(const struct report_from *f, const Cellular__FragQuery *query);

void report_console(const struct report_from *f, char *bytes, size_t n);

#endif
