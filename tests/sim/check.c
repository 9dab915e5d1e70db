/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory can only be compared with holders that are not in the middle of something. "Loose"
 * are members that stopped within a step (their core is ahead of their memory), are dead or ended,
 * or exchange messages about the page with its home right now. All others must agree with an idle
 * entry exactly.
 */
#include "tests/sim/check.h"

#include <inttypes.h>
#include <string.h>

#include "tests/sim/probe.h"
#include "tests/sim/world.h"

void book_keep(struct book *b, uint64_t value, uint64_t last_write)
{
	if (value != last_write)
		return;
	if (b->kept_value != value)
		b->kept = 0;
	b->kept_value = value;
	b->kept++;
}

void book_forget(struct book *b, uint64_t value)
{
	if (value == b->kept_value && b->kept)
		b->kept--;
}

void check_holder(struct world *w, unsigned m, uint16_t page)
{
	const struct frame *f = &w->members[m].memory.frames[page];
	const struct gpage where = {w->space_page[page]};
	if ((w->paused | w->dead | w->ended | w->absent) & member_bit(m))
		return;
	const enum dsm_state state = dsm_core_state(w->members[m].core, where);
	if (f->present != (state != DSM_I) || f->writable != (state == DSM_M))
		world_fail(w, "I2", page, "m%u says %s, its memory says %s", m,
			   dsm_state_name(state),
			   f->writable	? "writable"
			   : f->present ? "read-only"
					: "missing");
}

/* Members whose state must be S: those that hold the page and do not own it. */
static void check_sharers(struct world *w, uint16_t page, dsm_set sharers)
{
	for (; sharers; sharers &= sharers - 1) {
		unsigned m = (unsigned)__builtin_ctzll(sharers);
		enum dsm_state state =
			dsm_core_state(w->members[m].core, (struct gpage){w->space_page[page]});
		if (state != DSM_S)
			world_fail(w, "I2", page, "m%u is in state %s and not the owner", m,
				   dsm_state_name(state));
	}
}

static void check_owner(struct world *w, uint16_t page, unsigned owner, dsm_set loose)
{
	const struct book *b = &w->books[page];
	const enum dsm_state state =
		dsm_core_state(w->members[owner].core, (struct gpage){w->space_page[page]});
	if (state != DSM_O && state != DSM_E && state != DSM_M)
		world_fail(w, "I2", page, "the directory says m%u is the owner, it is in state %s",
			   owner, dsm_state_name(state));
	if (state != DSM_O && b->present & ~(member_bit(owner) | loose))
		world_fail(w, "I2", page, "m%u holds the page alone (%s), so do others", owner,
			   dsm_state_name(state));
}

/* Somebody stopped within a step and still has to do something about the page: an answer that is on
 * its way, though no letter yet. */
static bool unfinished(const struct world *w, uint16_t page)
{
	for (dsm_set set = w->paused; set; set &= set - 1) {
		const struct member *mb = &w->members[__builtin_ctzll(set)];
		for (uint32_t i = mb->fx_next; i < mb->fx->n; i++)
			if (mb->fx->v[i].type == DSM_FX_SEND &&
			    mb->fx->v[i].msg.page.v == w->space_page[page])
				return true;
	}
	return false;
}

static void check_directory(struct world *w, uint16_t page)
{
	struct book *b = &w->books[page];
	struct dsm_dir dir;
	const dsm_set loose = b->unsettled | w->paused | w->dead | w->ended | w->suspects;
	const unsigned home = world_home(w, page);
	if (home == WORLD_NO_HOME || (w->paused | w->dead | w->ended) & member_bit(home) ||
	    unfinished(w, page))
		return;
	dsm_core_dir(w->members[home].core, (struct gpage){w->space_page[page]}, &dir);
	if (b->version_known && serial_after(b->version, dir.version))
		world_fail(w, "I2", page, "the version went back from %u to %u", b->version,
			   dir.version);
	if (b->version_known && b->unowned && b->version == dir.version &&
	    dir.owner.v < w->options->members)
		world_fail(w, "I2", page, "m%u got the page, and the version stays %u", dir.owner.v,
			   dir.version);
	b->unowned = dir.owner.v >= w->options->members;
	b->version = dir.version;
	b->version_known = true;
	if (dir.busy)
		return;
	if (dir.queued && !dir.stopped)
		world_fail(w, "I5", page, "%u requests wait behind nothing", dir.queued);
	const dsm_set owner = dir.owner.v < w->options->members ? member_bit(dir.owner.v) : 0;
	const dsm_set holders = b->present & ~loose;
	if (holders & ~(owner | dir.sharers))
		world_fail(w, "I2", page,
			   "members %#" PRIx64 " hold the page, the directory names %#" PRIx64,
			   holders, owner | dir.sharers);
	check_sharers(w, page, holders & ~owner);
	if (owner & ~loose)
		check_owner(w, page, dir.owner.v, loose);
}

/* One bit at most, and then nobody else may read. */
static void check_rights(struct world *w, uint16_t page)
{
	const struct book *b = &w->books[page];
	if (b->writable && (b->writable & (b->writable - 1) || b->present != b->writable))
		world_fail(w, "I1", page, "writable at %#" PRIx64 ", present at %#" PRIx64,
			   b->writable, b->present);
}

static void check_kept(struct world *w, uint16_t page)
{
	const struct book *b = &w->books[page];
	const uint64_t last = oracle_read(&w->oracle, page);
	if (!b->present && last && !w->doomed && !(b->kept && b->kept_value == last))
		world_fail(w, "I4", page, "the last write, %" PRIu64 ", is nowhere any more", last);
}

void check_queued(struct world *w, unsigned m, uint16_t page, unsigned from)
{
	struct book *b = &w->books[page];
	if (m == from || b->queued == DSM_MEMBERS_MAX)
		return;
	b->queue[b->queued].at = (uint8_t)m;
	b->queue[b->queued++].from = (uint8_t)from;
}

static bool tells_of_a_turn(int type)
{
	return type != PAGE_PUT_ACK && type != PAGE_ACK;
}

/* What home sends for somebody shows that it is his turn, at this home or to go on to the next one.
 * Requests of home's own threads are not seen; they change no order among the others. Who is
 * redirected had no turn. */
void check_served(struct world *w, unsigned m, uint16_t page, const struct dsm_msg *msg)
{
	struct book *b = &w->books[page];
	unsigned at = 0, before = b->queued;
	while (at < b->queued && (b->queue[at].at != m || b->queue[at].from != msg->requester.v)) {
		if (b->queue[at].at == m && before == b->queued)
			before = at;
		at++;
	}
	if (at == b->queued || !tells_of_a_turn(msg->type))
		return; /* seen before */
	if (before < at && msg->type != PAGE_REDIRECT)
		world_fail(w, "I10", page, "home serves m%u before m%u, who came first",
			   msg->requester.v, b->queue[before].from);
	b->queued--;
	memmove(&b->queue[at], &b->queue[at + 1], (b->queued - at) * sizeof(b->queue[0]));
}

void check_page(struct world *w, uint16_t page)
{
	check_rights(w, page);
	check_directory(w, page);
	check_kept(w, page);
}

enum { A_FULL_STEP = 256 }; /* effects: what is due goes on with the timer, then */

void check_held_back(struct world *w, unsigned m)
{
	const struct member *mb = &w->members[m];
	const bool goes_on = mb->fx->n >= A_FULL_STEP && mb->deadline <= mb->cause.now;
	for (unsigned p = 0; p < w->options->pages; p++) {
		const struct frame *f = &mb->memory.frames[p];
		if (!f->asked_for || !f->present || !f->hold_from ||
		    device_uses(w, m, (uint16_t)p) ||
		    dsm_core_collects(mb->core, (struct gpage){w->space_page[p]}))
			continue;
		const uint64_t due = f->gained + w->tuning.hold_us * (uint64_t)1000 + 1000;
		if (mb->cause.now > due && mb->cause.type != DSM_EV_MSG && !goes_on)
			world_fail(w, "I9", (int)p,
				   "m%u lets a request wait for a page that nothing holds", m);
		else if (mb->deadline > due && mb->deadline > mb->cause.now)
			world_fail(w, "I9", (int)p,
				   "m%u asks for its timer too late, by %" PRIu64 " ns", m,
				   mb->deadline - due);
	}
}

/*
 * Everybody else may be served first, each with the longest delays there are: it fetches its pages
 * one by one, and keeps them for a last window that has grown until it outlasts the latest thread.
 * And that happens again whenever a thread comes back too late, until its own window has grown.
 */
static uint64_t wait_bound(const struct world *w)
{
	const struct tuning *t = &w->tuning;
	const uint64_t late = t->wake_least + t->wake_delay + 10 * t->pause_time;
	const uint64_t hop = t->base + t->jitter + t->tail_delay + 10 * t->pause_time;
	const uint64_t patience = tuning_patience(t);
	const uint64_t keep = 4 * patience + 2 * late + t->acquire_us * (uint64_t)1000;
	const uint64_t pages = t->set_pages > t->group ? t->set_pages : t->group;
	const uint64_t turn = pages * (6 * hop + t->timer_delay + patience) + keep + 100000;
	const uint64_t rounds = 3 + late / patience;
	const uint64_t strangers = t->storm_gap ? t->strangers : 0;
	const uint64_t others =
		(uint64_t)w->options->members * (t->threads + t->devices + strangers);
	const uint64_t loss = w->doomed ? 2 * w->silence : 0;
	return rounds * (1 + others) * turn + loss;
}

static void check_thread_wait(struct world *w, unsigned m, unsigned i, uint64_t bound)
{
	const struct thread *t = &w->members[m].threads[i];
	if (t->state != THREAD_IDLE && w->now - t->begun > bound)
		world_fail(w, "I5", t->stalled_on,
			   "an instruction of thread %u of m%u that needs %u pages has not retired "
			   "for %" PRIu64 " ns",
			   i, m, t->n, w->now - t->begun);
}

static void check_device_wait(struct world *w, unsigned m, unsigned i, uint64_t bound)
{
	const struct device *d = &w->members[m].devices[i];
	if (d->state == DEVICE_WAITING && w->now - d->since > bound)
		world_fail(w, "I5", d->first, "device %u of m%u has waited for %" PRIu64 " ns", i,
			   m, w->now - d->since);
}

void check_waits(struct world *w)
{
	const uint64_t bound = wait_bound(w);
	for (unsigned m = 0; m < w->options->members; m++) {
		if ((w->dead | w->ended) & member_bit(m))
			continue;
		for (unsigned i = 0; i < w->tuning.threads; i++)
			check_thread_wait(w, m, i, bound);
		for (unsigned i = 0; i < w->tuning.devices; i++)
			check_device_wait(w, m, i, bound);
	}
}

static void rest_member(struct world *w, unsigned m)
{
	probe_queries(w, m);
	struct member *mb = &w->members[m];
	struct dsm_core_stats stats;
	for (unsigned i = 0; i < w->tuning.threads; i++)
		if (mb->threads[i].state != THREAD_IDLE)
			world_fail(w, "I5", mb->threads[i].stalled_on,
				   "thread %u of m%u waits for ever", i, m);
	for (unsigned i = 0; i < w->tuning.devices; i++)
		if (mb->devices[i].state != DEVICE_IDLE)
			world_fail(w, "I5", mb->devices[i].first, "device %u of m%u waits for ever",
				   i, m);
	if (dsm_core_pending(mb->core))
		world_fail(w, "I5", -1, "m%u still has %u transactions", m,
			   dsm_core_pending(mb->core));
	if (dsm_core_moving(mb->core))
		world_fail(w, "I5", -1, "m%u moves a home for ever", m);
	if (w->leaving & ~w->left & member_bit(m) || dsm_core_leaving(mb->core))
		world_fail(w, "I5", -1, "m%u leaves for ever", m);
	dsm_core_stats(mb->core, &stats);
	if (stats.stale_epoch != mb->stale_given)
		world_fail(w, "I7", -1,
			   "m%u dropped %" PRIu64 " messages of other epochs of %" PRIu64, m,
			   stats.stale_epoch, mb->stale_given);
	if (stats.refused != mb->odd_given)
		world_fail(w, "I7", -1,
			   "m%u refused %" PRIu64 " events, %" PRIu64 " were to be refused", m,
			   stats.refused, mb->odd_given);
}

static void rest_page(struct world *w, uint16_t page)
{
	const struct book *b = &w->books[page];
	struct dsm_dir dir;
	unsigned homes = 0;
	for (unsigned m = 0; m < w->options->members; m++)
		homes += world_is_home(w, m, page);
	if (homes != 1)
		world_fail(w, "I2", page, "%u members say they are its home", homes);
	if (b->unsettled)
		world_fail(w, "I5", page, "messages are under way although the clock is empty");
	if (w->failure.set)
		return;
	dsm_core_dir(w->members[world_home(w, page)].core, (struct gpage){w->space_page[page]},
		     &dir);
	if (dir.busy || dir.queued)
		world_fail(w, "I5", page, "the directory is busy for ever (%u queued)", dir.queued);
	const uint64_t last = oracle_read(&w->oracle, page);
	if (last && (dir.owner.v >= w->options->members || !(b->present & member_bit(dir.owner.v))))
		world_fail(w, "I4", page, "the owner of the last write has no copy");
	for (unsigned m = 0; m < w->options->members; m++) {
		const struct frame *f = &w->members[m].memory.frames[page];
		check_holder(w, m, page);
		if (f->present && f->value != last)
			world_fail(w, "I3", page,
				   "m%u holds %" PRIu64 ", the last write was %" PRIu64, m,
				   f->value, last);
	}
	check_page(w, page);
}

static void rest_survivor(struct world *w, unsigned m)
{
	if (!w->members[m].ended)
		world_fail(w, "I6", -1, "m%u never said that the space ended", m);
	for (unsigned i = 0; i < w->tuning.devices; i++)
		if (w->members[m].devices[i].state == DEVICE_WAITING)
			world_fail(w, "I6", -1, "m%u never told device %u that the space ended", m,
				   i);
}

void check_rest(struct world *w)
{
	for (unsigned m = 0; m < w->options->members && !w->failure.set; m++) {
		if ((w->dead | w->absent) & member_bit(m))
			continue;
		if (w->doomed && w->left & member_bit(m))
			continue;
		if (w->doomed)
			rest_survivor(w, m);
		else
			rest_member(w, m);
	}
	for (unsigned p = 0; p < w->options->pages && !w->failure.set && !w->doomed; p++)
		rest_page(w, (uint16_t)p);
}
