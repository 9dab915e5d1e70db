/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This member leaves the space in order (R46 .. R48):
 *
 *	NOT --LEAVE event--> ASKED --all LEAVE_ACKs--> HANDING --no home here--> EVICTING
 *	    --nothing here--> BYE_HEIR --its BYE_ACK--> BYE --all BYE_ACKs--> LEFT
 *
 * Each state ends what could come to it: after ASKED no home comes here, after HANDING none is
 * here, after EVICTING no page, after BYE no message. Until then it answers as everybody does.
 */
#include "dsm/core/internal.h"

static dsm_set others(const struct dsm_core *core)
{
	return core->present & ~dsm_bit(core->config.self.v);
}

static void tell(struct dsm_core *core, struct member_id to, struct dsm_msg m)
{
	m.requester = core->config.self;
	dsm_send(core, to, m, DSM_SLOT_NONE);
}

static void tell_all(struct dsm_core *core, dsm_set set, uint8_t type)
{
	for (; set; set &= set - 1)
		tell(core, (struct member_id){(uint8_t)__builtin_ctzll(set)},
		     (struct dsm_msg){.type = type, .member = core->leave.heir});
}

/* ---- the order ---- */

/* Threads have stopped and devices have released: who waits still is told, what is held is free. */
static void end_collections(struct dsm_core *core)
{
	dsm_acquires_fail(core);
	for (int i = 0; i < COLLECTIONS_MAX; i++)
		dsm_collection_end(core, &core->collection[i]);
}

/* R46: one at a time, as far as is known here. */
void dsm_leave_event(struct dsm_core *core)
{
	if (dsm_is_leaving(core) || core->leaving || core->unheard || !others(core)) {
		core->stats.refused++;
		return;
	}
	end_collections(core);
	core->leave = (struct dsm_leave){
		.state = LEAVE_ASKED, .heir = core->config.self, .awaited = others(core)};
	tell_all(core, core->leave.awaited, PAGE_LEAVE);
}

/* ---- answering others ---- */

/* R46: not while a home is on its way to it; of two that leave the lower number goes first. */
static bool may_answer(const struct dsm_core *core, uint8_t leaver)
{
	if (core->handover.active && core->handover.to.v == leaver)
		return false;
	return !dsm_is_leaving(core) || leaver < core->config.self.v;
}

static void answer_leavers(struct dsm_core *core)
{
	for (dsm_set set = core->unanswered; set; set &= set - 1) {
		struct member_id m = {(uint8_t)__builtin_ctzll(set)};

		if (!may_answer(core, m.v))
			continue;
		core->unanswered &= ~dsm_bit(m.v);
		dsm_send(core, m, (struct dsm_msg){.type = PAGE_LEAVE_ACK, .requester = m},
			 DSM_SLOT_NONE);
	}
}

/* ---- ASKED ---- */

static struct member_id next_present(const struct dsm_core *core)
{
	uint8_t m = core->config.self.v;

	do
		m = (uint8_t)((m + 1) % core->config.members);
	while (!(core->present & dsm_bit(m)));
	return (struct member_id){m};
}

static bool run_asked(struct dsm_core *core)
{
	if (core->leave.awaited)
		return false;
	if (!others(core)) { /* all left before us: somebody must stay */
		core->leave = (struct dsm_leave){0};
		core->stats.refused++;
		return true;
	}
	core->leave.heir = next_present(core);
	core->leave.state = LEAVE_HANDING;
	return true;
}

/* ---- goodbye ---- */

/* R47: the heir first, or others would ask it for what it does not know of yet. */
static void say_bye(struct dsm_core *core, dsm_set to)
{
	core->leave.awaited = to;
	tell_all(core, to, PAGE_BYE);
}

static void begin_goodbye(struct dsm_core *core)
{
	core->leave.state = LEAVE_BYE_HEIR;
	say_bye(core, dsm_bit(core->leave.heir.v));
}

/* ---- HANDING ---- */

/* R47: the heir has to know more of a chunk than anybody who takes us for its home. */
static void tell_home(struct dsm_core *core, uint32_t chunk)
{
	uint32_t page = chunk * DSM_CHUNK_PAGES;
	uint32_t version = dsm_chunk(core, page)->version;
	struct member_id home = dsm_map_home(core, page);

	if (!version || member_eq(home, core->leave.heir))
		return;
	tell(core, core->leave.heir,
	     (struct dsm_msg){.type = PAGE_TELL, .page = {page}, .map = version, .member = home});
}

/* The chunk at hand; false: it is not done yet. */
static bool hand_on(struct dsm_core *core, uint32_t chunk)
{
	const struct dsm_chunk *c = dsm_chunk(core, chunk * DSM_CHUNK_PAGES);

	dsm_moves_run(core);
	if (dsm_moves_any(core))
		return false;
	if (!dsm_is_self(core, dsm_map_home(core, chunk * DSM_CHUNK_PAGES))) {
		tell_home(core, chunk);
		return true;
	}
	if (c->state != CHUNK_SETTLED || c->version == UINT32_MAX)
		return false; /* of a forged map: harms who leaves only */
	dsm_move_order(core, chunk, core->leave.heir);
	dsm_moves_run(core);
	return !dsm_moves_any(core);
}

static bool run_handing(struct dsm_core *core)
{
	struct dsm_leave *l = &core->leave;

	while (l->chunk < dsm_chunks(core)) {
		if (!dsm_may_walk(core)) {
			l->more = true;
			return false;
		}
		if (!hand_on(core, l->chunk))
			return false;
		l->chunk++;
		core->walked++;
	}
	l->state = LEAVE_EVICTING;
	if (DSM_BUG(bye_before_drops))
		begin_goodbye(core);
	return true;
}

/* ---- EVICTING ---- */

static bool is_quiet(const struct dsm_core *core)
{
	return !dsm_core_pending(core) && !core->deferred_count;
}

/* False: no transaction is free. */
static bool give_back(struct dsm_core *core, uint32_t page)
{
	const struct dsm_holder *h = dsm_holder(core, page);

	if (h->state == DSM_I || dsm_is_self(core, dsm_home_of(core, page)))
		return true;
	if (h->deferred || h->txn) { /* a fresh grant is held: it may be taken before it is put */
		core->leave.again = true;
		return true;
	}
	if (h->state == DSM_S) {
		dsm_drop_copy(core, page);
		return true;
	}
	core->leave.again = true;
	return dsm_put_page(core, page, false);
}

/* In rounds: a page that was put may come back (R23); who makes it come back has a copy then. */
static bool run_evicting(struct dsm_core *core)
{
	struct dsm_leave *l = &core->leave;

	if (!l->page && !is_quiet(core))
		return false;
	for (; l->page < core->config.pages; l->page++, core->walked++) {
		if (!dsm_may_walk(core)) {
			l->more = true;
			return false;
		}
		if (!give_back(core, (uint32_t)l->page))
			return false;
	}
	if (!is_quiet(core))
		return false;
	if (!l->again)
		begin_goodbye(core);
	l->page = 0;
	l->again = false;
	return true;
}

/* ---- BYE_HEIR, BYE ---- */

static bool run_bye_heir(struct dsm_core *core)
{
	dsm_set heir = dsm_bit(core->leave.heir.v);

	if (core->leave.awaited)
		return false;
	core->leave.state = LEAVE_BYE;
	say_bye(core, others(core) & ~heir);
	return true;
}

static bool run_bye(struct dsm_core *core)
{
	if (core->leave.awaited)
		return false;
	tell_all(core, others(core), PAGE_GONE);
	dsm_fx(core, DSM_FX_LEFT, 0);
	core->leave.state = LEAVE_LEFT;
	return false;
}

/* ---- going on ---- */

/* False: something has to come first. */
static bool run(struct dsm_core *core)
{
	switch ((enum dsm_leave_state)core->leave.state) {
	case LEAVE_ASKED:
		return run_asked(core);
	case LEAVE_HANDING:
		return run_handing(core);
	case LEAVE_EVICTING:
		return run_evicting(core);
	case LEAVE_BYE_HEIR:
		return run_bye_heir(core);
	case LEAVE_BYE:
		return run_bye(core);
	case LEAVE_NOT:
	case LEAVE_LEFT:
		break;
	}
	return false;
}

void dsm_leave_run(struct dsm_core *core)
{
	answer_leavers(core);
	core->leave.more = false;
	while (!core->ending) {
		if (core->leave.state != LEAVE_NOT && !dsm_has_budget(core)) {
			core->leave.more = true;
			return;
		}
		if (!run(core))
			return;
	}
}
