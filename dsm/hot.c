/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/hot.h"

#include <stdbool.h>

static struct dsm_hot *place_of(struct hot *h, struct gpage page)
{
	struct dsm_hot *least = &h->place[0];

	for (uint32_t i = 0; i < h->n; i++) {
		if (h->place[i].page.v == page.v)
			return &h->place[i];
		if (h->place[i].faults < least->faults)
			least = &h->place[i];
	}
	if (h->n < HOT_PLACES) {
		least = &h->place[h->n++];
		*least = (struct dsm_hot){.page = page};
	} else {
		/* It takes over the count of the least: it may have been as frequent, unseen. */
		*least = (struct dsm_hot){
			.page = page, .faults = least->faults, .over = least->faults};
	}
	return least;
}

void hot_fault(struct hot *h, struct gpage page, bool write)
{
	struct dsm_hot *p = place_of(h, page);

	p->faults++;
	p->writes += write;
}

static bool before(const struct dsm_hot *a, const struct dsm_hot *b)
{
	return a->faults != b->faults ? a->faults > b->faults : a->page.v < b->page.v;
}

/* Picks one after the other, and not by qsort(3): for more than 1 KiB that asks the kernel how much
 * memory there is, which the sandbox of a fragment forbids. */
uint32_t hot_top(const struct hot *h, struct dsm_hot out[DSM_HOT_MAX])
{
	struct hot left = *h;
	uint32_t n = h->n < DSM_HOT_MAX ? h->n : DSM_HOT_MAX;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t first = i;

		for (uint32_t k = i + 1; k < left.n; k++)
			if (before(&left.place[k], &left.place[first]))
				first = k;
		out[i] = left.place[first];
		left.place[first] = left.place[i];
	}
	return n;
}
