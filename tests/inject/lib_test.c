/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps over the public library: a space is created, used and left with each call failing once;
 * and a second member, in the same process, joins it and leaves. What fails says so by an error
 * with a sentence; nothing hangs, and nothing is left behind.
 *
 * usage: test-inject-lib [NAME]
 */
#include <cellular/dsm.h>
#include <stdio.h>
#include <string.h>

#include "tests/inject/sweep.h"

enum { BYTES = 8 * CDSM_PAGE_BYTES, PATIENCE_MS = 20000 };

static const unsigned char key[CDSM_KEY_BYTES] = "a key of some thirty-two bytes";

static struct cdsm_options options(void)
{
	struct cdsm_options o = CDSM_OPTIONS;

	o.key = key;
	return o;
}

static int use(struct cdsm *c, struct cdsm_error *why)
{
	struct cdsm_stats s = CDSM_STATS;
	void *base = cdsm_map(c, NULL);
	int rc = cdsm_pin(c, base, BYTES / 2, why);

	if (!rc)
		rc = cdsm_prefetch(c, base, BYTES, 1, why);
	if (!rc)
		rc = cdsm_unpin(c, base, BYTES, why);
	if (!rc)
		rc = cdsm_discard(c, base, BYTES, why);
	if (!rc)
		rc = cdsm_lock(c, 1, why);
	if (!rc)
		rc = cdsm_unlock(c, 1, why);
	if (!rc)
		rc = cdsm_barrier(c, 1, 1, why);
	if (!rc)
		rc = cdsm_stats(c, &s, why);
	return rc;
}

static enum sweep_outcome alone(void *context)
{
	struct cdsm_options o = options();
	struct cdsm_error why = {0};
	struct cdsm *c = NULL;
	int rc;

	(void)context;
	sweep_arm();
	rc = cdsm_create(&o, BYTES, &c, &why);
	if (!rc)
		rc = use(c, &why);
	if (!rc)
		rc = cdsm_leave(c, PATIENCE_MS, &why);
	cdsm_close(c);
	sweep_disarm();
	return rc ? sweep_refused(rc, why.text) : SWEEP_DONE;
}

static enum sweep_outcome joining(void *context)
{
	struct cdsm_options o = options();
	struct cdsm *first = NULL, *second = NULL;
	struct cdsm_error why = {0};
	int rc = cdsm_create(&o, BYTES, &first, &why);

	(void)context;
	if (rc)
		return SWEEP_WRONG; /* nothing failed yet */
	sweep_arm();
	rc = cdsm_join(&o, cdsm_address(first), PATIENCE_MS, &second, &why);
	if (!rc)
		rc = use(second, &why);
	if (!rc)
		rc = cdsm_leave(second, PATIENCE_MS, &why);
	cdsm_close(second);
	sweep_disarm();
	if (!rc && cdsm_check(first, &why) && !sweep_library_died())
		rc = why.code;
	cdsm_close(first);
	return rc ? sweep_refused(rc, why.text) : SWEEP_DONE;
}

int main(int argc, char **argv)
{
	const struct sweep sweeps[] = {
		{.name = "lib-alone", .run = alone, .by_site = !CELLULAR_LONG},
		{.name = "lib-join", .run = joining, .by_site = !CELLULAR_LONG, .loose = true},
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++)
		if (argc < 2 || !strcmp(argv[1], sweeps[i].name))
			good = sweep_all(&sweeps[i]) && good;
	return !good;
}
