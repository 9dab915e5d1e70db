/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/hot.h"

#include <stdlib.h>

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

static int by_faults(const void *a, const void *b)
{
	const struct dsm_hot *x = a, *y = b;

	if (x->faults != y->faults)
		return x->faults < y->faults ? 1 : -1;
	return x->page.v > y->page.v ? 1 : -1;
}

uint32_t hot_top(const struct hot *h, struct dsm_hot out[DSM_HOT_MAX])
{
	struct hot sorted = *h;
	uint32_t n = h->n < DSM_HOT_MAX ? h->n : DSM_HOT_MAX;

	qsort(sorted.place, sorted.n, sizeof(sorted.place[0]), by_faults);
	for (uint32_t i = 0; i < n; i++)
		out[i] = sorted.place[i];
	return n;
}
