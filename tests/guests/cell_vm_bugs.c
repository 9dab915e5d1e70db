/* SPDX-License-Identifier: Apache-2.0 */
/* cell-vm with a planted bug of dsm/core/bug.h: the one CELLULAR_BUG names. For tests only. */
#include <stdio.h>
#include <stdlib.h>

#include "dsm/core/bug.h"

int cell_vm_main(int argc, char **argv); /* main of node/vm/main.c */

int main(int argc, char **argv)
{
	const char *name = getenv("CELLULAR_BUG");

	if (name && dsm_bug_select(name)) {
		fprintf(stderr, "cell-vm-bugs: no planted bug is named %s\n", name);
		return 2;
	}
	return cell_vm_main(argc, argv);
}
