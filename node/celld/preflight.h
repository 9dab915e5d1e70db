/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be there before a cell promises anything: each failure is one sentence that says what
 * to do. Threads: any.
 */
#ifndef CELLULAR_CELLD_PREFLIGHT_H
#define CELLULAR_CELLD_PREFLIGHT_H

#include "proto/base/err.h"

/* /dev/kvm can be opened and speaks API version 12. NOTFOUND: no such device; DENIED; UNSUPPORTED.
 */
int preflight_kvm(struct err *e);

/* A userfaultfd for faults of the kernel too (KVM's are) can be had, from the system call or from
 * /dev/userfaultfd. DENIED; UNSUPPORTED: the kernel has none. */
int preflight_userfaultfd(struct err *e);

/* ip is a numeric address of this host. INVALID: no address; NOTFOUND: of another host. */
int preflight_address(const char *ip, struct err *e);

/* program can be executed. NOTFOUND, DENIED. */
int preflight_program(const char *program, struct err *e);

#endif
