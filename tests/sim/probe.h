/* SPDX-License-Identifier: Apache-2.0 */
/* What a core says when it is asked about what it does not have, and what it refuses to be. */
#ifndef CELLULAR_SIM_PROBE_H
#define CELLULAR_SIM_PROBE_H

struct world;

/* Questions about pages that are not its own, or outside the space. */
void probe_queries(struct world *w, unsigned m);
/* Configurations at the edge of what core.h allows, and over it. */
void probe_configs(struct world *w);

#endif
