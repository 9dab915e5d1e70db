/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/written.h"

#include <string.h>

/* A bijection of either argument: two pages that differ in one word never have the same sum. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
	return (sum ^ word) * 0x9e3779b97f4a7c15;
}

/* Four sums side by side, so that no multiplication waits for the one before. Pages that differ in
 * several words have equal sums by chance of 2^-64; a guest that makes them so on purpose only
 * makes its own threads wait. */
static uint64_t sum_of(const void *bytes)
{
	const uint8_t *at = bytes, *end = at + DSM_PAGE_SIZE;
	uint64_t a = 1, b = 2, c = 3, d = 4, word[4];

	for (; at < end; at += sizeof(word)) {
		memcpy(word, at, sizeof(word));
		a = mix(a, word[0]);
		b = mix(b, word[1]);
		c = mix(c, word[2]);
		d = mix(d, word[3]);
	}
	return mix(mix(mix(a, b), c), d);
}

static uint64_t sum_of_zeros(struct written *w)
{
	static const uint8_t zeros[DSM_PAGE_SIZE];

	if (!w->zeros)
		w->zeros = sum_of(zeros);
	return w->zeros;
}

void written_begin(struct written *w, struct gpage page, const void *bytes)
{
	w->place[page.v % WRITTEN_PLACES].page = page.v + 1;
	w->place[page.v % WRITTEN_PLACES].sum = bytes ? sum_of(bytes) : sum_of_zeros(w);
}

void written_end(struct written *w, struct gpage page, const void *bytes)
{
	uint64_t *known = &w->place[page.v % WRITTEN_PLACES].page;

	if (*known != page.v + 1)
		return;
	*known = 0;
	if (w->proofs == DSM_PROOFS_MAX)
		return;
	w->proof[w->proofs++] = (struct dsm_proof){
		.page = page,
		.written = sum_of(bytes) != w->place[page.v % WRITTEN_PLACES].sum,
	};
}

void written_tell(struct written *w, struct dsm_event *event)
{
	event->proofs = w->proofs;
	memcpy(event->proof, w->proof, sizeof(event->proof));
	w->proofs = 0;
}
