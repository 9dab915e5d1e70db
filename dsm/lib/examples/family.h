/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the numbered examples have in common: several members on this host, for a try. On several
 * hosts each process would be started by hand, as in 01-hello.
 */
#ifndef FAMILY_H
#define FAMILY_H

#include <cellular/dsm.h>

/*
 * Starts members - 1 processes; the caller creates a space of `bytes` bytes and they join it. Each
 * calls work(space, self, members, context), where self is 0 for the caller, and leaves. Returns
 * what main should: 0 if all works returned 0.
 */
int family(unsigned members, uint64_t bytes,
	   int (*work)(struct cdsm *space, unsigned self, unsigned members, void *context),
	   void *context);

/* All members meet here; ends the process if one was lost. */
void family_meet(struct cdsm *space, unsigned members);

/* The n-th number of the command line, or what it is if it is not there. */
unsigned family_argument(int argc, char **argv, int n, unsigned otherwise, unsigned max);

#endif
