/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effects and messages out. A message to ourselves does not become an effect: it is queued here and
 * handled before the step ends, by the handler that a message from outside would have run (R3).
 *
 * Why SELF_QUEUE_MAX is enough: the queue is drained after each piece of work, and a handler adds
 * at most two messages to ourselves (home beginning a request: FETCH or INVALIDATE to our holder,
 * and a GRANT) for the one it takes. Only home's handlers add two, and what they add adds at most
 * one: INVALIDATE an ACK, GRANT an UNBLOCK, FETCH the next in the queue if it ends the transaction
 * (R10), which is another FETCH then, or an INVALIDATE.
 */
#include "dsm/core/internal.h"

#include <assert.h>

/* Not reachable from outside: FX_BUDGET bounds what a step begins, and a piece of work has at most
 * 3 * members effects: home has got a page and serves its whole queue, all others' requests for it;
 * READ_OUT and GRANT for each reader, then an INVALIDATE for each when the last one writes. */
struct dsm_effect *dsm_fx(struct dsm_core *core, enum dsm_fx_type type, uint32_t page)
{
	struct dsm_effect *fx;

	assert(core->out->n < DSM_EFFECTS_MAX);
	fx = &core->out->v[core->out->n++];
	*fx = (struct dsm_effect){.type = type, .page = {page}, .slot = DSM_SLOT_NONE};
	return fx;
}

void dsm_fx_slot(struct dsm_core *core, enum dsm_fx_type type, uint32_t page, uint16_t slot)
{
	dsm_fx(core, type, page)->slot = slot;
}

void dsm_fx_map(struct dsm_core *core, uint32_t page, bool writable, enum dsm_source source,
		uint16_t slot)
{
	struct dsm_effect *fx = dsm_fx(core, DSM_FX_MAP, page);

	fx->writable = writable;
	fx->source = source;
	if (source == DSM_FROM_SLOT)
		fx->slot = slot;
}

static void send_self(struct dsm_core *core, const struct dsm_msg *msg)
{
	unsigned at = (core->self_first + core->self_count) % SELF_QUEUE_MAX;

	assert(core->self_count < SELF_QUEUE_MAX);
	core->self_queue[at] = *msg;
	core->self_count++;
}

void dsm_send(struct dsm_core *core, struct member_id to, struct dsm_msg msg, uint16_t slot)
{
	struct dsm_effect *fx;

	msg.epoch = core->config.epoch;
	msg.pages = 1;
	if (dsm_is_self(core, to)) {
		send_self(core, &msg);
		return;
	}
	fx = dsm_fx(core, DSM_FX_SEND, (uint32_t)msg.page.v);
	fx->to = to;
	fx->msg = msg;
	if (msg.flags & PAGE_FLAG_DATA)
		fx->slot = slot;
}
