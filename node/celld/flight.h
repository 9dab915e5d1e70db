/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flight recorder of a fragment (dsm/core/journal.h): shared memory that the fragment writes
 * and celld holds, so that it is there when the fragment is gone, however it went. celld never
 * looks inside; `cellsim --replay` does.
 *
 * Threads: the loop's only.
 */
#ifndef CELLULAR_CELLD_FLIGHT_H
#define CELLULAR_CELLD_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"

enum {
	FLIGHT_BYTES = 16 << 20, /* address space; memory only where something was written */
	FLIGHTS_MAX = 32,	 /* recordings kept in a run directory; the oldest go */
	FLIGHT_PATH_MAX = 4096,
};

/* Shared memory of FLIGHT_BYTES whose size cannot be changed; close-on-exec. -1: SYS, in *e. */
int flight_open(struct err *e);

/*
 * Writes what was recorded to RUN/vm-<id>-<member>.flight, mode 0600, and its name to `path`.
 * False: nothing was recorded, or it could not be written (logged).
 */
bool flight_save(int fd, const char *run, uint64_t vm_id, uint32_t member,
		 char path[FLIGHT_PATH_MAX]);

#endif
