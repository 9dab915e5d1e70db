/* SPDX-License-Identifier: Apache-2.0 */
/* Checks an order to start a fragment before anything is done for it. Threads: pure. */
#ifndef CELLULAR_CELLD_ORDER_H
#define CELLULAR_CELLD_ORDER_H

#include <stdint.h>

#include "proto/base/err.h"
#include "proto/control.pb-c.h"

/* INVALID with a sentence: ids, member numbers, key, name, memory or vCPU places are out of range.
 * *vcpus: those of this member. */
int order_check(const Cellular__FragStart *order, uint32_t *vcpus, struct err *e);

#endif
