/* SPDX-License-Identifier: Apache-2.0 */
/* Carries out monitor calls (node/guest/abi.h) on the thread of the vCPU that made them. */
#ifndef CELLULAR_NODE_MONITOR_H
#define CELLULAR_NODE_MONITOR_H

#include <stdint.h>

#include "node/vm/vcpu.h"

enum vcpu_next monitor_call(struct vcpu *v, uint32_t eax);

#endif
