/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cell gives to VMs, and what of it is promised. The controller places by the same figures;
 * the cell checks them again, because a controller may be wrong or have been restarted.
 *
 * A fragment is promised its share of the VM's memory - the pages it is home of: memory / members,
 * rounded up to whole chunks - and a CPU for each of its vCPUs.
 *
 * Threads: none of its own.
 */
#ifndef CELLULAR_CELLD_ACCOUNT_H
#define CELLULAR_CELLD_ACCOUNT_H

#include <stdint.h>

#include "proto/base/err.h"

struct account {
	uint64_t memory; /* bytes given to VMs */
	uint64_t memory_used;
	uint32_t cpus;
	uint32_t vcpus; /* promised */
};

/* 80 % of this machine's memory, in whole chunks, and the CPUs this process may use. */
void account_default(struct account *a);

/* Share of one of `members` (>= 1) fragments in a VM of `memory` bytes (at most 2^62). */
uint64_t account_share(uint64_t memory, uint32_t members);

/* Promises. NOSPACE: it does not fit; nothing was promised. */
int account_take(struct account *a, uint64_t memory, uint32_t vcpus, struct err *e);
void account_give_back(struct account *a, uint64_t memory, uint32_t vcpus);

#endif
