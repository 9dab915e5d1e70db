/* SPDX-License-Identifier: Apache-2.0 */
/* What a run prints: figures as text or JSON, and each failing seed with the end of its transcript.
 */
#ifndef CELLULAR_SIM_REPORT_H
#define CELLULAR_SIM_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/rack.h"

enum { REPORT_FAILURES_MAX = 20 };

struct report {
	uint64_t seeds;
	uint64_t violations;
	struct failure
		failures[REPORT_FAILURES_MAX]; /* then a run ends: more would say nothing new */
	double seconds;
	double cpu_seconds; /* of this process: other processes do not count */
};

void report_failure(struct report *r, const struct rack *rack);
/* --floors: a run in which too little happened counts as a violation. */
void report_floors(struct report *r, const struct rack *rack);
void report_print(const struct report *r, const struct rack *rack);

#endif
