/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a range. Nobody serves its faults any more, so a thread that touches it would wait for
 * ever, and one that waits for a page already does. Instead the range becomes a mapping of an empty
 * file: every access to it raises SIGBUS (BUS_ADRERR, the address in si_addr), system calls give
 * EFAULT. Zeros are never seen: the pages that were there are replaced in the call that maps.
 *
 * Then those who wait are woken. The kernel does not do that by itself when a range of a
 * userfaultfd is mapped over, but it takes a wake for a range it no longer serves. None is missed:
 * who faulted on the old mapping is queued before it lets go of the lock of the mapping, which is
 * before the new one is there.
 */
#ifndef CELLULAR_DSM_LIB_BAR_H
#define CELLULAR_DSM_LIB_BAR_H

#include <stddef.h>

#include "proto/base/err.h"

/* The empty file. Opened ahead: the end is no time to run out of descriptors. SYS. */
int bar_open(int *nothing, struct err *e);
/* uffd: the descriptor that served the range, still open. */
void bar_range(void *base, size_t bytes, int nothing, int uffd);

#endif
