/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/step.h"

#include <inttypes.h>
#include <string.h>

#include "dsm/core/internal.h"
#include "tests/sim/audit.h"
#include "tests/sim/legal.h"
#include "tests/sim/say.h"
#include "tests/sim/loss.h"
#include "tests/sim/stall.h"
#include "tests/sim/world.h"

enum { EFFECTS_BUDGET = 256 + 64 }; /* what may wait is begun below 256 only */

static void touch(struct member *mb, uint16_t page)
{
	for (unsigned i = 0; i < mb->n_touched; i++)
		if (mb->touched[i] == page)
			return;
	mb->touched[mb->n_touched++] = page;
}

static void check_touched(struct world *w, unsigned m)
{
	const struct member *mb = &w->members[m];
	for (unsigned i = 0; i < mb->n_touched && !w->failure.set; i++) {
		check_holder(w, m, mb->touched[i]);
		check_page(w, mb->touched[i]);
	}
}

/* As an engine does that learnt of a loss (dsm/shard_end.c). */
static void tell_others(struct world *w, unsigned m, struct member_id lost)
{
	const struct dsm_msg msg = {
		.type = PAGE_MEMBER_LOST,
		.requester = lost,
		.epoch = {w->tuning.epoch},
	};
	const dsm_set nobody = (w->absent & ~world_concerned(w)) | w->left | member_bit(m);
	for (unsigned other = 0; other < w->options->members; other++)
		if (!(nobody & member_bit(other)))
			link_send(w, m, other, &msg, 0);
}

static void lost(struct world *w, unsigned m, const struct dsm_effect *fx)
{
	struct member *mb = &w->members[m];
	if (fx->reason == ERR_PROTOCOL && mb->accuses == fx->to.v + 1)
		; /* forge.c made it so */
	else if (fx->reason == ERR_PROTOCOL)
		world_fail(w, "A0", -1, "m%u says that m%u broke the protocol", m, fx->to.v);
	else if (fx->to.v >= w->options->members || !(w->suspects & member_bit(fx->to.v)) ||
		 fx->reason != ERR_LOST)
		world_fail(w, "I6", -1, "m%u says m%u is lost (%s), which is not so", m, fx->to.v,
			   err_name((int)fx->reason));
	if (mb->fx_next != mb->fx->n)
		world_fail(w, "I6", -1, "effects follow LOST");
	mb->ended = true;
	w->ended |= member_bit(m);
	w->doomed = true;
	tell_others(w, m, fx->to);
}

static void timer(struct world *w, unsigned m, uint64_t deadline)
{
	struct member *mb = &w->members[m];
	if (deadline == mb->deadline)
		world_fail(w, "I14", -1, "m%u asks again for the timer it has", m);
	mb->timer++;
	mb->deadline = deadline;
	if (deadline == UINT64_MAX)
		return;
	const uint64_t due = deadline > w->now ? deadline : w->now;
	clock_push(&w->clock,
		   (struct clock_event){.time = due +
						rng_below(&w->rng, (uint32_t)w->tuning.timer_delay),
					.kind = CLOCK_TIMER,
					.member = (uint8_t)m,
					.generation = mb->timer});
}

static void send(struct world *w, unsigned m, uint16_t page, const struct dsm_effect *fx)
{
	legal_send(w, m, fx);
	if (w->failure.set)
		return;
	if (page != WORLD_NO_PAGE)
		check_served(w, m, page, &fx->msg);
	if (fx->msg.type == PAGE_GRANT || fx->msg.type == PAGE_ACK)
		w->members[m].memory.frames[page].asked_for = false;
	const bool data = fx->msg.flags & PAGE_FLAG_DATA;
	const uint64_t value = data ? memory_slot(w, m, page, fx->slot) : 0;
	struct dsm_msg msg = fx->msg;
	if (w->tuning.whole && data && !value) /* as an engine does: dsm/shard_effects.c */
		msg.flags ^= PAGE_FLAG_DATA | PAGE_FLAG_ZERO;
	link_send(w, m, fx->to.v, &msg, value);
}

static void left(struct world *w, unsigned m)
{
	const struct member *mb = &w->members[m];
	w->left |= member_bit(m);
	w->figures->done[SIM_LEAVE]++;
	if (mb->fx_next != mb->fx->n)
		world_fail(w, "I11", -1, "effects follow LEFT");
	for (unsigned p = 0; p < w->options->pages; p++)
		if (mb->memory.frames[p].present)
			world_fail(w, "I11", (int)p, "m%u leaves with a page", m);
}

/* As the adapter: who waits for a page of a chunk that becomes whole goes on (M14). */
static void chunk(struct world *w, unsigned m, const struct dsm_effect *fx)
{
	const bool whole = fx->type == DSM_FX_WHOLE;
	if (fx->page.v % DSM_CHUNK_PAGES)
		world_fail(w, "I7", -1, "m%u: %s of half a chunk", m, say_effect_name(fx->type));
	for (uint16_t p = 0; p < w->options->pages; p++) {
		if (w->space_page[p] / DSM_CHUNK_PAGES != fx->page.v / DSM_CHUNK_PAGES)
			continue;
		touch(&w->members[m], p);
		memory_chunk(w, m, p, whole);
		if (whole)
			thread_wake(w, m, p);
	}
}

static bool has_page(const struct dsm_effect *fx)
{
	return fx->type != DSM_FX_WHOLE && fx->type != DSM_FX_SPLIT && fx->type != DSM_FX_TIMER &&
	       fx->type != DSM_FX_ACQUIRED && fx->type != DSM_FX_LOST && fx->type != DSM_FX_LEFT &&
	       !(fx->type == DSM_FX_SEND &&
		 (fx->msg.type == PAGE_MEMBER_LOST || fx->msg.type >= PAGE_HANDED));
}

static void carry_out(struct world *w, unsigned m, const struct dsm_effect *fx)
{
	uint16_t page = WORLD_NO_PAGE;
	if (has_page(fx)) {
		page = world_page(w, fx->type == DSM_FX_SEND ? fx->msg.page : fx->page);
		if (page == WORLD_NO_PAGE) {
			world_fail(w, "I7", -1, "m%u: %s of a page nobody asked for", m,
				   say_effect_name(fx->type));
			return;
		}
		touch(&w->members[m], page);
	}
	if (w->transcript->mode != TRANSCRIPT_OFF)
		say_effect(w, m, page, fx);
	count_effect(w, m, page, fx);
	switch (fx->type) {
	case DSM_FX_SEND:
		send(w, m, page, fx);
		break;
	case DSM_FX_WAKE:
		thread_wake(w, m, page);
		break;
	case DSM_FX_TIMER:
		timer(w, m, fx->deadline);
		break;
	case DSM_FX_ACQUIRED:
		device_acquired(w, m, fx->token, fx->reason);
		break;
	case DSM_FX_LOST:
		lost(w, m, fx);
		break;
	case DSM_FX_LEFT:
		left(w, m);
		break;
	case DSM_FX_WHOLE:
	case DSM_FX_SPLIT:
		chunk(w, m, fx);
		break;
	default:
		memory_effect(w, m, page, fx);
	}
}

void step_unblock(struct world *w, unsigned m)
{
	struct member *mb = &w->members[m];
	for (size_t i = 0; i < mb->n_blocked; i++) {
		mb->blocked[i].time = w->now;
		clock_push(&w->clock, mb->blocked[i]);
	}
	mb->n_blocked = 0;
}

static void pause(struct world *w, unsigned m)
{
	w->figures->done[SIM_SLOW]++;
	w->members[m].paused = true;
	w->paused |= member_bit(m);
	clock_push(&w->clock,
		   (struct clock_event){.time = w->now +
						rng_below(&w->rng, (uint32_t)w->tuning.pause_time),
					.kind = CLOCK_RESUME,
					.member = (uint8_t)m});
}

/* The data of an event stays with the member until its step is done. */
static void keep_event_data(struct world *w, const struct member *mb, bool keep)
{
	if (!mb->cause.has_data || mb->cause.page == WORLD_NO_PAGE)
		return;
	struct book *b = &w->books[mb->cause.page];
	if (keep)
		book_keep(b, mb->cause.data, oracle_read(&w->oracle, mb->cause.page));
	else
		book_forget(b, mb->cause.data);
}

/* Requests were put off in this step, or served, or may be served earlier. */
static bool may_change_waits(const struct cause *cause)
{
	return cause->type == DSM_EV_RELEASE || cause->type == DSM_EV_TIMER ||
	       (cause->type == DSM_EV_MSG && cause->msg_class == PAGE_CLASS_FORWARD);
}

static void carry_on(struct world *w, unsigned m, bool may_pause)
{
	struct member *mb = &w->members[m];
	while (mb->fx_next < mb->fx->n && !w->failure.set) {
		if (may_pause && rng_chance(&w->rng, w->tuning.pause)) {
			pause(w, m);
			break;
		}
		may_pause = true;
		carry_out(w, m, &mb->fx->v[mb->fx_next++]);
	}
	if (!mb->paused)
		keep_event_data(w, mb, false);
	check_touched(w, m);
	if (!mb->paused && !mb->ended && may_change_waits(&mb->cause))
		check_held_back(w, m);
}

void step_resume(struct world *w, unsigned m)
{
	struct member *mb = &w->members[m];
	mb->paused = false;
	w->paused &= ~member_bit(m);
	carry_on(w, m, false);
	if (!mb->paused)
		step_unblock(w, m);
}

static void note_page(const struct world *w, struct member *mb, struct gpage page)
{
	const uint16_t used = world_page(w, page);
	if (used != WORLD_NO_PAGE)
		touch(mb, used);
}

static bool is_sole_copy(const struct member *mb, struct gpage page)
{
	const enum dsm_state state = dsm_core_state(mb->core, page);
	return state == DSM_E || state == DSM_M;
}

static void note_cause(const struct world *w, struct member *mb, const struct dsm_event *event,
		       const struct letter *letter)
{
	mb->cause = (struct cause){.type = event->type,
				   .now = w->now,
				   .discard = WORLD_NO_PAGE,
				   .page = WORLD_NO_PAGE};
	mb->n_touched = 0;
	switch (event->type) {
	case DSM_EV_FAULT:
		note_page(w, mb, event->fault.page);
		break;
	case DSM_EV_MSG:
		mb->cause.msg_type = event->msg.msg.type;
		mb->cause.version = event->msg.msg.version;
		mb->cause.msg_class = page_type_class(event->msg.msg.type);
		mb->cause.has_data = event->msg.msg.flags & PAGE_FLAG_DATA;
		mb->cause.data = letter->data;
		if (event->msg.msg.type > PAGE_HANDED || mb->cause.msg_class == PAGE_CLASS_LINK)
			break; /* about a member */
		mb->cause.page = world_page(w, event->msg.msg.page);
		note_page(w, mb, event->msg.msg.page);
		break;
	case DSM_EV_ACQUIRE:
		for (uint32_t i = 0; i < event->acquire.pages; i++)
			note_page(w, mb, (struct gpage){event->acquire.page.v + i});
		break;
	case DSM_EV_EVICT:
		if (event->evict.discard && is_sole_copy(mb, event->evict.page))
			mb->cause.discard = world_page(w, event->evict.page);
		mb->cause.at_home = world_page(w, event->evict.page) != WORLD_NO_PAGE &&
				    dsm_home_is_here(mb->core, (uint32_t)event->evict.page.v);
		note_page(w, mb, event->evict.page);
		break;
	case DSM_EV_MOVE:
		note_page(w, mb, event->move.page);
		break;
	case DSM_EV_TIMER:
	case DSM_EV_LEAVE:
	case DSM_EV_JOIN:
	case DSM_EV_LOST:
	case DSM_EV_RELEASE:
		break;
	}
}

/* R52: it takes a chunk whole when it may, and at once. */
static void check_taken(struct world *w, unsigned m, bool takes)
{
	const struct dsm_effects *fx = w->members[m].fx;
	if (takes != (fx->n && fx->v[0].type == DSM_FX_WHOLE))
		world_fail(w, "I16", -1, "m%u %s", m,
			   takes ? "does not take a chunk whole that nobody asked for"
				 : "takes a chunk whole that somebody asked for");
}

static void digest(struct world *w, unsigned m, const struct dsm_event *event)
{
	const struct dsm_effects *fx = w->members[m].fx;
	uint64_t d = w->digest ^ w->now ^ (uint64_t)m << 48 ^ (uint64_t)event->type << 56;
	for (uint32_t i = 0; i < fx->n; i++)
		d = rng_mix(d ^ fx->v[i].type ^ (uint64_t)fx->v[i].to.v << 8 ^
			    fx->v[i].page.v << 16);
	w->digest = rng_mix(d ^ fx->n);
}

void step_give(struct world *w, unsigned m, struct dsm_event *event, const struct letter *letter)
{
	struct member *mb = &w->members[m];
	event->now = w->now;
	if (event->type == DSM_EV_TIMER) {
		mb->deadline = UINT64_MAX;
	} else {
		w->steps++;
		mb->timers = 0;
	}
	note_cause(w, mb, event, letter);
	keep_event_data(w, mb, true);
	if (w->transcript->mode != TRANSCRIPT_OFF)
		say_event(w, m, event, letter);
	if (event->type == DSM_EV_FAULT)
		count_fault(w, m, event);
	mb->fx->n = 0;
	mb->fx_next = 0;
	event->proofs = mb->proofs;
	memcpy(event->proof, mb->proof, sizeof(event->proof));
	mb->proofs = 0;
	const uint64_t walked = audit_walked(w, m);
	audit_awaits(w, m);
	stall_before(w, m, event);
	const bool fault = event->type == DSM_EV_FAULT && !mb->ended &&
			   world_page(w, event->fault.page) != WORLD_NO_PAGE;
	const bool takes = fault && audit_takes(w, m, event->fault.page.v);
	dsm_step(mb->core, event, mb->fx);
	stall_after(w, m);
	if (fault)
		check_taken(w, m, takes);
	digest(w, m, event);
	audit_walk(w, m, walked);
	audit_passed(w, m);
	if (mb->fx->n > EFFECTS_BUDGET + 4 * w->options->members)
		world_fail(w, "I7", -1, "m%u: %u effects in one step", m, mb->fx->n);
	else if (w->left & member_bit(m) && mb->fx->n)
		world_fail(w, "I11", -1, "m%u goes on after LEFT", m);
	else if (mb->ended && mb->fx->n)
		world_fail(w, "I6", -1, "m%u goes on after LOST", m);
	else
		carry_on(w, m, true);
}

void step_letter(struct world *w, unsigned from, unsigned to, const struct letter *letter)
{
	const enum page_class class = page_type_class(letter->msg.type);
	if (w->ended & member_bit(to))
		loss_stray(w, from, to, letter);
	const bool gone = w->left & member_bit(letter->msg.requester.v);
	if (class == PAGE_CLASS_LINK && !gone && rng_chance(&w->rng, 500)) {
		/* An engine may hand it on as an event; not what was said of one that left. */
		loss_lost(w, to, letter->msg.requester.v);
		return;
	}
	if (class == PAGE_CLASS_FORWARD)
		w->members[to].memory.frames[world_page(w, letter->msg.page)].asked_for = true;
	if (letter->msg.type == PAGE_GET_S || letter->msg.type == PAGE_GET_X ||
	    letter->msg.type == PAGE_UPGRADE)
		check_queued(w, to, world_page(w, letter->msg.page), letter->msg.requester.v);
	struct dsm_event ev = {.type = DSM_EV_MSG,
			       .msg = {.from = {(uint8_t)from}, .msg = letter->msg}};
	count_letter(w, to, letter);
	step_give(w, to, &ev, letter);
	count_handled(w, to, letter);
}
