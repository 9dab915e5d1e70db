/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/oracle.h"

#include <stdlib.h>
#include <string.h>

void oracle_init(struct oracle *o, unsigned pages)
{
	*o = (struct oracle){.value = calloc(pages, sizeof(uint64_t))};
	if (!o->value)
		abort();
}

void oracle_clear(struct oracle *o, unsigned pages)
{
	memset(o->value, 0, pages * sizeof(uint64_t));
	o->writes = 0;
}

void oracle_free(struct oracle *o)
{
	free(o->value);
}

uint64_t oracle_read(const struct oracle *o, unsigned page)
{
	return o->value[page];
}

void oracle_forget(struct oracle *o, unsigned page)
{
	o->value[page] = 0;
}

uint64_t oracle_write(struct oracle *o, unsigned page)
{
	return o->value[page] = ++o->writes;
}
