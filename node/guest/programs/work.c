/* SPDX-License-Identifier: Apache-2.0 */
#include "node/guest/g.h"
#include "node/guest/programs/programs.h"

void print_work(const char *program, const char *unit, const uint64_t *work, unsigned step)
{
	uint64_t all = 0;

	for (unsigned k = 0; k < g_vcpus(); k++)
		all += work[k * step];
	for (unsigned k = 0; k < g_vcpus(); k++) {
		uint64_t mine = work[k * step];

		g_printf("work %s vcpu=%u %s=%zu share=%.1f%%\n", program, k, unit, (size_t)mine,
			 all ? 100.0 * (double)mine / (double)all : 0.0);
	}
}
