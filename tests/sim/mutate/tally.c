/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/mutate/tally.h"

#include <stdio.h>

void tally_add(struct tally *to, const struct tally *from)
{
	for (int i = 0; i < FATES; i++)
		to->n[i] += from->n[i];
}

int tally_tried(const struct tally *t)
{
	int n = 0;
	for (int i = 0; i < FATES; i++)
		n += t->n[i];
	return n;
}

int tally_share(const struct tally *t)
{
	const int real = tally_tried(t) - t->n[FATE_EQUIVALENT];
	return real ? 1000 * t->n[FATE_CAUGHT + GROUP_SEEDS] / real : 0;
}

void tally_head(void)
{
	printf("%-14s %7s %10s %6s %11s %10s %6s %11s %8s\n", "source", "mutants", "equivalent",
	       "seeds", "exploration", "unit tests", "unseen", "unexplained", "by seeds");
}

void tally_line(const char *name, const struct tally *t)
{
	const int share = tally_share(t);
	printf("%-14s %7d %10d %6d %11d %10d %6d %11d %6d.%d %%\n", name, tally_tried(t),
	       t->n[FATE_EQUIVALENT], t->n[FATE_CAUGHT + GROUP_SEEDS],
	       t->n[FATE_CAUGHT + GROUP_EXPLORATION], t->n[FATE_CAUGHT + GROUP_TESTS],
	       t->n[FATE_UNSEEN], t->n[FATE_UNEXPLAINED], share / 10, share % 10);
}
