/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a rack for a seed in memory that is kept from seed to seed. */
#ifndef CELLULAR_SIM_BUILD_H
#define CELLULAR_SIM_BUILD_H

#include <stdint.h>

struct world;

/* Everything as it is before the first event: cores just born, memories empty, nothing under way.
 */
void build_rack(struct world *w, uint64_t seed);

#endif
