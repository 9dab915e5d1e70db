/* SPDX-License-Identifier: Apache-2.0 */
#include "node/guest/g.h"
#include "node/guest/programs/programs.h"

int g_main(int argc, char **argv)
{
	(void)argv;
	if (argc) {
		g_printf("usage: wordcount, with a file named text\n");
		return 2;
	}
	return wordcount();
}
