/* SPDX-License-Identifier: Apache-2.0 */
/* dsm_open and dsm_join on adapters of choice: what these do with userfaultfd and TCP. For tests,
 * and for transports to come. */
#ifndef CELLULAR_DSM_ENGINE_H
#define CELLULAR_DSM_ENGINE_H

#include "dsm/dsm.h"
#include "dsm/mem.h"
#include "dsm/transport.h"

int dsm_open_on(const struct dsm_config *config, const struct mem_ops *mem,
		const struct transport_ops *transport, struct dsm **out, struct err *e);
int dsm_join_on(const struct dsm_config *config, const char *address, int timeout_ms, int stop_fd,
		const struct mem_ops *mem, const struct transport_ops *transport, struct dsm **out,
		struct err *e);

#endif
