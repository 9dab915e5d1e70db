/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs: what several steps in a row ask for, of adjacent pages, carried out together. A page alone
 * costs a system call for each of its effects; a run costs one for all.
 *
 *	out:  grants of copies to one member	[PROTECT] READ_OUT SEND		for each page
 *	give: grants of the pages themselves	[PROTECT] READ_OUT UNMAP SEND	for each page
 *	in:   grants that came as one message	MAP [SEND] WAKE			for each page
 *
 * A step whose effects are exactly those of the next page of the run joins it; any other ends the
 * run first. Carried out is one kind of effect after the other, in the order of one page: all are
 * protected, then all read out, then all sent; those given away are moved out of the range in one
 * call, where the kernel can; all are mapped (and woken), then home is told. So
 * each page's own order is what dsm/PROTOCOL.md demands, messages stay in their order, and between
 * pages there is none to keep. What differs is that effects come later: no event but a message of
 * the same batch is handled before the run has ended.
 */
#ifndef CELLULAR_DSM_SHARD_RUN_H
#define CELLULAR_DSM_SHARD_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "dsm/core/core.h"

struct shard;

enum { SHARD_RUN_MAX = 32 }; /* pages */

enum shard_run_kind { RUN_NONE, RUN_OUT, RUN_GIVE, RUN_IN };

struct shard_run {
	enum shard_run_kind kind;
	bool coming; /* the messages of a run are being handled */
	uint32_t n;
	struct gpage first;
	/* OUT, GIVE */
	struct member_id to;
	struct dsm_msg grant; /* the first */
	struct page_item item[SHARD_RUN_MAX];
	bool protect[SHARD_RUN_MAX];
	/* IN */
	bool writable;
	const uint8_t *data; /* of the first; the others' follow it */
	uint32_t unblocks;
	struct dsm_effect unblock[SHARD_RUN_MAX];
};

/* The effects of a step: true if they joined a run, and are to be carried out with it. */
bool shard_run_join(struct shard *s);
/* Carries out the run under way, if there is one. */
void shard_run_end(struct shard *s);
/* A message that is a run: a step for each of its pages. */
void shard_run_message(struct shard *s, struct member_id from, const struct dsm_msg *run,
		       const void *payload, uint64_t now);

#endif
