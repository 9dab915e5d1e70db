/* SPDX-License-Identifier: Apache-2.0 */
/* What this member's own threads and its memory manager want: faults and evictions. */
#include "dsm/core/internal.h"

static bool refuse(struct dsm_core *core, uint64_t page)
{
	if (page < core->config.pages && !dsm_is_local(core, page, 1))
		return false;
	core->stats.refused++; /* R31 */
	return true;
}

/* Is the right here, or to be had without a message? */
static bool is_here(struct dsm_core *core, uint32_t page, bool write)
{
	if (write && dsm_holder(core, page)->state == DSM_E)
		dsm_holder_write_silently(core, page);
	else if (!dsm_may(dsm_holder(core, page), write) &&
		 !(DSM_BUG(wake_for_nothing) && dsm_holder(core, page)->state == DSM_S))
		return false;
	dsm_fx(core, DSM_FX_WAKE, page);
	return true;
}

void dsm_demand(struct dsm_core *core, uint32_t page, bool write)
{
	if (!is_here(core, page, write))
		dsm_want(core, page, write);
}

/* R52: of such a page nothing is kept, and none can leave alone. */
static bool fault_whole(struct dsm_core *core, uint32_t page)
{
	if (dsm_is_whole(core, page))
		core->stats.spurious++;
	else if (!dsm_whole_take(core, page))
		return false;
	dsm_fx(core, DSM_FX_WAKE, page);
	return true;
}

/* R18: the fault is a hint; our state decides. */
void dsm_fault_event(struct dsm_core *core, const struct dsm_event *ev)
{
	uint32_t page = (uint32_t)ev->fault.page.v;
	bool write = ev->fault.write;

	if (refuse(core, ev->fault.page.v))
		return;
	if (dsm_is_leaving(core)) { /* R46 */
		core->stats.refused++;
		return;
	}
	if (fault_whole(core, page))
		return;
	core->stats.spurious += dsm_may(dsm_holder(core, page), write);
	if (is_here(core, page, write))
		return;
	if (!dsm_thread_stalled(core, ev->fault.thread, page, write))
		dsm_demand(core, page, write);
}

/* R20: a copy goes at once. A DROP needs no answer: what we ask for next comes after it on the same
 * channel. */
void dsm_drop_copy(struct dsm_core *core, uint32_t page)
{
	dsm_fx(core, DSM_FX_UNMAP, page);
	dsm_holder_move(core, page, DSM_I);
	dsm_send(core, dsm_home_of(core, page),
		 (struct dsm_msg){.type = PAGE_DROP,
				  .requester = core->config.self,
				  .page = {page},
				  .version = dsm_holder(core, page)->version,
				  .map = dsm_chunk(core, page)->version},
		 DSM_SLOT_NONE);
	core->stats.evicted++;
}

/* The page leaves memory: read out into the slot, or its content is gone (DSM_SLOT_NONE). */
static void take_out(struct dsm_core *core, uint32_t page, uint16_t slot)
{
	if (dsm_holder(core, page)->state == DSM_M)
		dsm_fx(core, DSM_FX_PROTECT, page);
	if (slot != DSM_SLOT_NONE)
		dsm_fx_slot(core, DSM_FX_READ_OUT, page, slot);
	dsm_fx(core, DSM_FX_UNMAP, page);
	dsm_holder_move(core, page, DSM_I);
}

/* R43 at home: as if nobody ever held it. */
static void forget_own(struct dsm_core *core, uint32_t page)
{
	struct dsm_home *e = dsm_home_entry(core, page);

	if (!dsm_home_is_here(core, page) || e->requester)
		return;
	dsm_whole_split(core, page); /* R53 */
	take_out(core, page, DSM_SLOT_NONE);
	e->owner = 0;
	core->stats.discarded++;
}

/* R21: the page leaves memory but stays in our slot until PUT_ACK. */
bool dsm_put_page(struct dsm_core *core, uint32_t page, bool discard)
{
	struct dsm_holder *h = dsm_holder(core, page);
	struct dsm_txn *t = dsm_txn_take(core, page, PAGE_PUT);
	bool zero = h->zero || discard; /* R43: from here on */
	uint16_t slot;

	if (!t)
		return false;
	slot = dsm_txn_slot(core, t);
	t->flags = PAGE_FLAG_OWNER | (zero ? PAGE_FLAG_ZERO : PAGE_FLAG_DATA);
	t->version = h->version;
	t->home = dsm_home_of(core, page);
	take_out(core, page, zero ? DSM_SLOT_NONE : slot);
	dsm_txn_move(core, t, TXN_PUT_HELD);
	dsm_send(core, t->home,
		 (struct dsm_msg){.type = PAGE_PUT,
				  .flags = t->flags,
				  .requester = core->config.self,
				  .page = {page},
				  .txn = t->id,
				  .version = t->version,
				  .map = dsm_chunk(core, page)->version},
		 slot);
	core->stats.evicted++;
	core->stats.discarded += discard;
	return true;
}

/* A hint: ignored while somebody here wants the page, or home is waiting for it. */
void dsm_evict_event(struct dsm_core *core, const struct dsm_event *ev)
{
	uint32_t page = (uint32_t)ev->evict.page.v;
	struct dsm_holder *h;
	bool discard;

	if (refuse(core, ev->evict.page.v) || dsm_is_leaving(core))
		return;
	if (dsm_is_whole(core, page) && !ev->evict.discard)
		return; /* home's own pages have nowhere to go */
	h = dsm_holder(core, page);
	if (h->state == DSM_I || h->txn || h->backlog || h->deferred)
		return;
	if (dsm_collections_until(core, page) > core->now)
		return;
	discard = ev->evict.discard && (h->state == DSM_E || h->state == DSM_M);
	if (h->state == DSM_S)
		dsm_drop_copy(core, page);
	else if (!dsm_is_self(core, dsm_home_of(core, page)))
		(void)dsm_put_page(core, page, discard); /* an eviction is a hint */
	else if (discard) /* else home's own pages have nowhere to go */
		forget_own(core, page);
}
