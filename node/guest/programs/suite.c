/* SPDX-License-Identifier: Apache-2.0 */
/* Jacobi, then word count, in one VM. */
#include "node/guest/g.h"
#include "node/guest/programs/programs.h"

int g_main(int argc, char **argv)
{
	uint64_t n, sweeps;
	int rc;

	if (argc != 2 || !g_number(argv[0], &n) || !g_number(argv[1], &sweeps)) {
		g_printf("usage: suite N SWEEPS, with files named grid and text\n");
		return 2;
	}
	rc = jacobi(n, sweeps);
	return rc ? rc : wordcount();
}
