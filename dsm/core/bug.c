/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/core/bug.h"

#include <stddef.h>
#include <string.h>

enum dsm_bug dsm_bug_selected = DSM_BUG_none;

const char *const dsm_bug_names[] = {
#define X(name, text) #name,
	DSM_BUG_LIST(X)
#undef X
		NULL,
};

int dsm_bug_select(const char *name)
{
	if (!name) {
		dsm_bug_selected = DSM_BUG_none;
		return 0;
	}
	for (int i = 0; dsm_bug_names[i]; i++) {
		if (strcmp(name, dsm_bug_names[i]))
			continue;
		dsm_bug_selected = (enum dsm_bug)(i + 1);
		return 0;
	}
	return -1;
}
