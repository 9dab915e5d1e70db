/* SPDX-License-Identifier: Apache-2.0 */
#include "node/guest/g.h"
#include "node/guest/programs/programs.h"

int g_main(int argc, char **argv)
{
	uint64_t n, sweeps;

	if (argc != 2 || !g_number(argv[0], &n) || !g_number(argv[1], &sweeps)) {
		g_printf("usage: jacobi N SWEEPS, with a file named grid\n");
		return 2;
	}
	return jacobi(n, sweeps);
}
