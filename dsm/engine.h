/* SPDX-License-Identifier: Apache-2.0 */
/* dsm_open on adapters of choice: what dsm_open does with userfaultfd and TCP. For tests, and for
 * transports to come. */
#ifndef CELLULAR_DSM_ENGINE_H
#define CELLULAR_DSM_ENGINE_H

#include "dsm/dsm.h"
#include "dsm/mem.h"
#include "dsm/transport.h"

int dsm_open_on(const struct dsm_config *config, const struct mem_ops *mem,
		const struct transport_ops *transport, struct dsm **out, struct err *e);

#endif
