/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>

#include "dsm/lib/space.h"

static int check(struct cdsm *c, const uint64_t *word, struct cdsm_error *why)
{
	uintptr_t offset = (uintptr_t)word - (uintptr_t)c->base;

	if (offset >= c->bytes || offset % sizeof(*word))
		return space_refuse(why, CDSM_EINVAL, "%p is no aligned word of the space",
				    (const void *)word);
	return cdsm_check(c, why);
}

int cdsm_add(struct cdsm *c, uint64_t *word, uint64_t value, uint64_t *before,
	     struct cdsm_error *why)
{
	int rc = check(c, word, why);
	uint64_t was;

	if (rc)
		return rc;
	was = atomic_fetch_add((_Atomic uint64_t *)word, value);
	if (before)
		*before = was;
	return CDSM_OK;
}

int cdsm_compare_exchange(struct cdsm *c, uint64_t *word, uint64_t *expected, uint64_t wanted,
			  int *done, struct cdsm_error *why)
{
	int rc = check(c, word, why);

	if (rc)
		return rc;
	*done = atomic_compare_exchange_strong((_Atomic uint64_t *)word, expected, wanted);
	return CDSM_OK;
}
