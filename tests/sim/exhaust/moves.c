/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may happen in a state. A kind of move is one line of MOVES and two functions: may it happen
 * (can_*), and make it happen (do_*).
 *
 * A step of a core is one move: nothing falls between its effects. That the order of effects is
 * right (nothing of a page is given away before it left memory) is checked by M2, M3, M5 within the
 * step, and by the simulator's fault `slow` across members.
 */
#include "tests/sim/exhaust/model.h"

#include <string.h>

#include "tests/sim/build.h"
#include "tests/sim/change.h"
#include "tests/sim/loss.h"
#include "tests/sim/step.h"

static bool alive(const struct exhaust *x, unsigned m)
{
	return world_living(x->w) & member_bit(m);
}

/* Its threads and devices may want something. */
static bool active(const struct exhaust *x, unsigned m)
{
	return alive(x, m) && !(x->w->leaving & member_bit(m));
}

static const struct frame *frame_of(const struct exhaust *x, struct move mv)
{
	return &x->w->members[mv.member].memory.frames[mv.page];
}

/* ---- messages ---- */

static bool can_deliver(const struct exhaust *x, struct move mv)
{
	return !((x->w->dead | x->w->absent) & member_bit(mv.member)) &&
	       links_at(&x->w->links, mv.other, mv.member)->n;
}

static void do_deliver(struct exhaust *x, struct move mv)
{
	const struct letter letter = link_take(x->w, mv.other, mv.member);
	if (x->w->left & member_bit(mv.member) && letter.msg.type == PAGE_MEMBER_LOST)
		return;
	if (x->w->left & member_bit(mv.member))
		world_fail(x->w, "I11", -1, "m%u sends m%u something, which has left", mv.other,
			   mv.member);
	step_letter(x->w, mv.other, mv.member, &letter);
}

/* ---- time: each member has a clock of its own; with --sets all have one ---- */

static bool can_timer(const struct exhaust *x, struct move mv)
{
	const uint64_t deadline = x->w->members[mv.member].deadline;
	return alive(x, mv.member) && deadline != UINT64_MAX &&
	       (!x->options->sets || deadline <= x->now[mv.member]);
}

/* The adapter's TIMER comes when its time has come, and not before. */
static void do_timer(struct exhaust *x, struct move mv)
{
	struct member *mb = &x->w->members[mv.member];
	if (x->now[mv.member] < mb->deadline)
		x->now[mv.member] = mb->deadline;
	mb->deadline = UINT64_MAX;
	x->w->now = x->now[mv.member];
	struct dsm_event ev = {.type = DSM_EV_TIMER};
	step_give(x->w, mv.member, &ev, NULL);
}

/* ns until nothing of the member is held any more. */
static uint64_t next_age(const struct exhaust *x, unsigned m)
{
	const struct dsm_core *core = x->w->members[m].core;
	const uint32_t hold_us = x->w->tuning.hold_us;
	const uint64_t now = x->now[m];
	const struct dsm_collection *c = &core->collection[0];
	uint64_t most = c->state != COLLECTION_IDLE && c->until > now ? c->until - now : 0;
	for (unsigned p = 0; p < x->pages; p++) {
		const struct dsm_holder *h = &core->holders[x->w->space_page[p]];
		const uint32_t age = (uint32_t)(now / 1000) - h->granted_us;
		const uint64_t left = (uint64_t)(hold_us - age) * 1000;
		if (age < hold_us && left > most) /* also of a page that left: R22 */
			most = left;
	}
	return most;
}

/* Time passes, and nothing happens: a TIMER that was due comes late. */
static bool can_age(const struct exhaust *x, struct move mv)
{
	return !x->options->sets && alive(x, mv.member) && next_age(x, mv.member);
}

static void do_age(struct exhaust *x, struct move mv)
{
	x->now[mv.member] += next_age(x, mv.member);
}

/* ---- threads ---- */

enum { THREAD = 1 }; /* its number, where it has one */

static void fault(struct exhaust *x, struct move mv, bool write)
{
	struct dsm_event ev = {.type = DSM_EV_FAULT,
			       .fault = {.page = {x->w->space_page[mv.page]},
					 .write = write,
					 .thread = x->options->sets ? THREAD : 0}};
	x->need[mv.member][mv.page] = write ? NEED_WRITE : NEED_READ;
	step_give(x->w, mv.member, &ev, NULL);
}

/* A thread waits for one page; for each page one thread may wait. */
static bool can_read(const struct exhaust *x, struct move mv)
{
	return !x->options->sets && active(x, mv.member) && !x->need[mv.member][mv.page] &&
	       !frame_of(x, mv)->present;
}

static void do_read(struct exhaust *x, struct move mv)
{
	fault(x, mv, false);
}

static bool can_write(const struct exhaust *x, struct move mv)
{
	return !x->options->sets && active(x, mv.member) && !x->need[mv.member][mv.page] &&
	       !frame_of(x, mv)->writable;
}

static void do_write(struct exhaust *x, struct move mv)
{
	fault(x, mv, true);
}

static bool can_retry(const struct exhaust *x, struct move mv)
{
	return !x->options->sets && active(x, mv.member) &&
	       x->need[mv.member][mv.page] >= AGAIN_READ;
}

static void do_retry(struct exhaust *x, struct move mv)
{
	fault(x, mv, x->need[mv.member][mv.page] == AGAIN_WRITE);
}

/* ---- instructions that write several pages at once: --sets ---- */

/* What the one thread of a member does. */
static uint8_t thread_need(const struct exhaust *x, unsigned m)
{
	for (unsigned p = 0; p < x->pages; p++)
		if (x->need[m][p])
			return x->need[m][p];
	return NEED_NOTHING;
}

static bool runs(const struct exhaust *x, unsigned m)
{
	return alive(x, m) && thread_need(x, m) >= AGAIN_READ && x->runs_at[m] <= x->now[m];
}

static bool all_writable(const struct exhaust *x, unsigned m)
{
	for (unsigned p = 0; p < x->options->sets; p++)
		if (!x->w->members[m].memory.frames[p].writable)
			return false;
	return true;
}

/* It touches its pages in any order: it stalls on any that is missing. */
static bool can_start(const struct exhaust *x, struct move mv)
{
	return x->options->sets && alive(x, mv.member) && !thread_need(x, mv.member) &&
	       mv.page < x->options->sets && !frame_of(x, mv)->writable;
}

static bool can_go_on(const struct exhaust *x, struct move mv)
{
	return x->options->sets && runs(x, mv.member) && mv.page < x->options->sets &&
	       !frame_of(x, mv)->writable;
}

static void do_go_on(struct exhaust *x, struct move mv)
{
	memset(x->need[mv.member], NEED_NOTHING, x->pages);
	fault(x, mv, true);
}

static bool can_retire(const struct exhaust *x, struct move mv)
{
	return x->options->sets && runs(x, mv.member) && all_writable(x, mv.member);
}

static void do_retire(struct exhaust *x, struct move mv)
{
	memset(x->need[mv.member], NEED_NOTHING, x->pages);
	for (unsigned p = 0; p < x->options->sets; p++)
		thread_access(x->w, mv.member, (uint16_t)p, true, "thread");
}

/* ns from now; UINT64_MAX: never. */
static uint64_t from_now(const struct exhaust *x, unsigned m, uint64_t t)
{
	return t == UINT64_MAX	? UINT64_MAX
	       : t <= x->now[m] ? 0
				: model_whole_time(x, t - x->now[m]);
}

/* ns until the member does something by itself; UINT64_MAX: it does not. */
static uint64_t next_due(const struct exhaust *x, unsigned m)
{
	const uint64_t timer = from_now(x, m, x->w->members[m].deadline);
	const uint64_t thread =
		thread_need(x, m) >= AGAIN_READ ? from_now(x, m, x->runs_at[m]) : UINT64_MAX;
	return timer < thread ? timer : thread;
}

/* ns until something is due anywhere; 0: now, UINT64_MAX: nothing is. */
static uint64_t next_tick(const struct exhaust *x)
{
	uint64_t least = UINT64_MAX;
	for (unsigned m = 0; m < x->members; m++) {
		const uint64_t due = next_due(x, m);
		least = due < least ? due : least;
		for (unsigned from = 0; from < x->members; from++)
			if (links_at(&x->w->links, from, m)->n)
				return 0;
	}
	return least;
}

/* Time passes when there is nothing else to do: messages and threads are faster than windows. */
static bool can_tick(const struct exhaust *x, struct move mv)
{
	const uint64_t ns = x->options->sets && !mv.member ? next_tick(x) : 0;
	return ns && ns != UINT64_MAX;
}

static void do_tick(struct exhaust *x, struct move mv)
{
	const uint64_t ns = next_tick(x);
	(void)mv;
	for (unsigned m = 0; m < x->members; m++)
		x->now[m] += ns;
}

/* ---- memory managers and devices ---- */

static bool can_evict(const struct exhaust *x, struct move mv)
{
	return x->options->faults & 1 << SIM_EVICT && active(x, mv.member) &&
	       frame_of(x, mv)->present;
}

static void evict(struct exhaust *x, struct move mv, bool discard)
{
	x->w->members[mv.member].memory.frames[mv.page].given_back = true;
	struct dsm_event ev = {.type = DSM_EV_EVICT,
			       .evict = {.page = {x->w->space_page[mv.page]}, .discard = discard}};
	step_give(x->w, mv.member, &ev, NULL);
}

static void do_evict(struct exhaust *x, struct move mv)
{
	evict(x, mv, false);
}

static bool can_discard(const struct exhaust *x, struct move mv)
{
	return x->options->faults & 1 << SIM_DISCARD && can_evict(x, mv);
}

static void do_discard(struct exhaust *x, struct move mv)
{
	evict(x, mv, true);
}

/* Home of the page's chunk moves, each chunk as often as options say. */
static bool can_move_home(const struct exhaust *x, struct move mv)
{
	const struct dsm_core *core = x->w->members[mv.member].core;
	const uint32_t page = (uint32_t)x->w->space_page[mv.page];
	const struct dsm_chunk *c = dsm_chunk(core, page);
	if (x->w->absent & member_bit(mv.other) && x->w->newcomer != mv.other + 1)
		return false;
	return mv.member != mv.other && active(x, mv.member) && dsm_home_is_here(core, page) &&
	       c->state == CHUNK_SETTLED && c->version < x->options->moves;
}

static void do_move_home(struct exhaust *x, struct move mv)
{
	struct dsm_event ev = {
		.type = DSM_EV_MOVE,
		.move = {.page = {x->w->space_page[mv.page]}, .to = {mv.other}},
	};
	step_give(x->w, mv.member, &ev, NULL);
}

static unsigned devices_busy(const struct exhaust *x)
{
	unsigned n = 0;
	for (unsigned m = 0; m < x->members; m++)
		n += alive(x, m) && x->w->members[m].devices[0].state != DEVICE_IDLE;
	return n;
}

static bool can_acquire(const struct exhaust *x, struct move mv)
{
	return devices_busy(x) < x->options->acquires && active(x, mv.member) &&
	       x->w->members[mv.member].devices[0].state == DEVICE_IDLE;
}

/* All the pages, at once. */
static void acquire(struct exhaust *x, struct move mv, bool write)
{
	struct device *d = &x->w->members[mv.member].devices[0];
	*d = (struct device){.state = DEVICE_WAITING,
			     .pages = (uint8_t)x->pages,
			     .write = write,
			     .since = x->w->now};
	struct dsm_event ev = {.type = DSM_EV_ACQUIRE,
			       .acquire = {.page = {x->w->space_page[0]},
					   .pages = x->pages,
					   .write = write,
					   .token = d->token}};
	step_give(x->w, mv.member, &ev, NULL);
}

static void do_acquire_read(struct exhaust *x, struct move mv)
{
	acquire(x, mv, false);
}

static void do_acquire_write(struct exhaust *x, struct move mv)
{
	acquire(x, mv, true);
}

static bool can_release(const struct exhaust *x, struct move mv)
{
	return active(x, mv.member) && x->w->members[mv.member].devices[0].state == DEVICE_HOLDS;
}

static void do_release(struct exhaust *x, struct move mv)
{
	device_run(x->w, mv.member, 0);
}

/* What the adapter saw of a page it read out is a hint, and may be lost. */
static bool can_forget(const struct exhaust *x, struct move mv)
{
	return alive(x, mv.member) && x->w->members[mv.member].proofs;
}

static void do_forget(struct exhaust *x, struct move mv)
{
	x->w->members[mv.member].proofs = 0;
}

/* ---- losses ---- */

static bool can_die(const struct exhaust *x, struct move mv)
{
	return (world_concerned(x->w) | change_under_way(x->w)) & member_bit(mv.member) &&
	       (unsigned)__builtin_popcountll(x->w->dead) < x->options->losses;
}

/* What it sent goes on arriving, until its receiver learns of the loss: so any part of it may. */
static void do_die(struct exhaust *x, struct move mv)
{
	const bool concerns = world_concerned(x->w) & member_bit(mv.member);
	world_say(x->w, "                      m%u dies", mv.member);
	x->w->steps++;
	memory_die(x->w, mv.member);
	x->w->dead |= member_bit(mv.member);
	x->w->suspects |= member_bit(mv.member);
	x->w->doomed |= concerns; /* else who has not heard its last words ends */
	x->w->members[mv.member].fx->n = 0;
	for (unsigned m = 0; m < x->members; m++)
		if (m != mv.member)
			link_drain(x->w, m, mv.member);
}

static bool can_learn(const struct exhaust *x, struct move mv)
{
	return alive(x, mv.member) && x->w->dead & member_bit(mv.other) &&
	       !(x->w->members[mv.member].core->gone & member_bit(mv.other));
}

static void do_learn(struct exhaust *x, struct move mv)
{
	link_drain(x->w, mv.other, mv.member);
	loss_lost(x->w, mv.member, mv.other);
}

/* ---- members leave and come: what the core's caller has to do (change.c) ---- */

static dsm_set leavers(const struct exhaust *x)
{
	return x->w->leaving & ~x->w->left;
}

static bool wants_nothing(const struct exhaust *x, unsigned m)
{
	for (unsigned p = 0; p < x->pages; p++)
		if (x->need[m][p])
			return false;
	return x->w->members[m].devices[0].state == DEVICE_IDLE;
}

/* Two may say so at a time; somebody stays. */
static bool can_leave(const struct exhaust *x, struct move mv)
{
	const struct dsm_core *core = x->w->members[mv.member].core;
	const dsm_set stay = world_living(x->w) & ~x->w->leaving;
	return (unsigned)__builtin_popcountll(x->w->leaving) < x->options->leaves &&
	       active(x, mv.member) && !x->w->doomed && !x->w->newcomer &&
	       __builtin_popcountll(stay) > 1 && wants_nothing(x, mv.member) && !core->leaving &&
	       !core->unheard;
}

static void do_leave(struct exhaust *x, struct move mv)
{
	struct dsm_event ev = {.type = DSM_EV_LEAVE};
	x->w->leaving |= member_bit(mv.member);
	step_give(x->w, mv.member, &ev, NULL);
}

/* The lowest number first. */
static bool can_come(const struct exhaust *x, struct move mv)
{
	return x->w->absent & ~(x->w->absent - 1) & member_bit(mv.member) && !x->w->newcomer &&
	       !leavers(x) && !x->w->doomed;
}

static void do_come(struct exhaust *x, struct move mv)
{
	x->w->newcomer = (uint8_t)(mv.member + 1);
}

static bool took(const struct exhaust *x, unsigned m, unsigned newcomer)
{
	return x->w->members[m].core->known & member_bit(newcomer);
}

/* Not before it has heard that the last one is gone. */
static bool can_join(const struct exhaust *x, struct move mv)
{
	return x->w->newcomer == mv.other + 1 && alive(x, mv.member) &&
	       !took(x, mv.member, mv.other) && !x->w->members[mv.member].core->leaving;
}

static void do_join(struct exhaust *x, struct move mv)
{
	struct dsm_event ev = {.type = DSM_EV_JOIN, .join = {{mv.other}}};
	step_give(x->w, mv.member, &ev, NULL);
}

static bool can_begin(const struct exhaust *x, struct move mv)
{
	if (x->w->newcomer != mv.member + 1 || x->w->dead & member_bit(mv.member))
		return false;
	for (dsm_set set = world_living(x->w); set; set &= set - 1)
		if (!took(x, (unsigned)__builtin_ctzll(set), mv.member))
			return false;
	return world_living(x->w);
}

static void do_begin(struct exhaust *x, struct move mv)
{
	struct dsm_event ev = {.type = DSM_EV_TIMER};
	build_newcomer(x->w, mv.member, (unsigned)__builtin_ctzll(world_living(x->w)));
	x->w->newcomer = 0;
	step_give(x->w, mv.member, &ev, NULL);
}

/* ---- the table ---- */

/*     name, of the rack itself, each other member, each page */
#define MOVES(X)                                                                                   \
	X(deliver, can_deliver, do_deliver, true, true, false)                                     \
	X(timer, can_timer, do_timer, true, false, false)                                          \
	X(learn, can_learn, do_learn, true, true, false)                                           \
	X(retry, can_retry, do_retry, true, false, true)                                           \
	X(go_on, can_go_on, do_go_on, true, false, true)                                           \
	X(retire, can_retire, do_retire, true, false, false)                                       \
	X(tick, can_tick, do_tick, true, false, false)                                             \
	X(release, can_release, do_release, true, false, false)                                    \
	X(join, can_join, do_join, true, true, false)                                              \
	X(begin, can_begin, do_begin, true, false, false)                                          \
	X(leave, can_leave, do_leave, false, false, false)                                         \
	X(come, can_come, do_come, false, false, false)                                            \
	X(age, can_age, do_age, false, false, false)                                               \
	X(read, can_read, do_read, false, false, true)                                             \
	X(write, can_write, do_write, false, false, true)                                          \
	X(start, can_start, do_write, false, false, true)                                          \
	X(evict, can_evict, do_evict, false, false, true)                                          \
	X(discard, can_discard, do_discard, false, false, true)                                    \
	X(move_home, can_move_home, do_move_home, false, true, true)                               \
	X(acquire_read, can_acquire, do_acquire_read, false, false, false)                         \
	X(acquire_write, can_acquire, do_acquire_write, false, false, false)                       \
	X(forget, can_forget, do_forget, false, false, false)                                      \
	X(die, can_die, do_die, false, false, false)

const struct move_kind move_kinds[] = {
#define X(name, can, act, system, other, page) {#name, system, other, page},
	MOVES(X)
#undef X
};

static bool (*const can[])(const struct exhaust *x, struct move mv) = {
#define X(name, can, act, system, other, page) can,
	MOVES(X)
#undef X
};

static void (*const act[])(struct exhaust *x, struct move mv) = {
#define X(name, can, act, system, other, page) act,
	MOVES(X)
#undef X
};

enum { KINDS = sizeof(can) / sizeof(can[0]) };

bool move_possible(const struct exhaust *x, struct move mv)
{
	return can[mv.kind](x, mv);
}

unsigned moves_possible(const struct exhaust *x, struct move out[EXHAUST_MOVES_MAX], bool *system)
{
	unsigned n = 0;
	*system = false;
	for (uint8_t kind = 0; kind < KINDS; kind++) {
		const unsigned others = move_kinds[kind].each_other ? x->members : 1;
		const unsigned pages = move_kinds[kind].each_page ? x->pages : 1;
		for (unsigned i = 0; i < x->members * others * pages; i++) {
			const struct move mv = {.kind = kind,
						.member = (uint8_t)(i % x->members),
						.other = (uint8_t)(i / x->members % others),
						.page = (uint8_t)(i / x->members / others)};
			if (!can[kind](x, mv))
				continue;
			out[n++] = mv;
			*system |= move_kinds[kind].system;
		}
	}
	return n;
}

/* ---- after a move ---- */

static bool satisfied(const struct frame *f, uint8_t need)
{
	return need == NEED_READ || need == AGAIN_READ ? f->present : f->writable;
}

/* Who is woken and finds what it wants goes on; who does not faults again. */
static void wake(struct exhaust *x, unsigned m)
{
	const struct member *mb = &x->w->members[m];
	for (uint32_t i = 0; i < mb->fx->n; i++) {
		if (mb->fx->v[i].type != DSM_FX_WAKE)
			continue;
		const uint8_t page = model_page(x, mb->fx->v[i].page.v);
		uint8_t *need = &x->need[m][page];
		if (*need == NEED_READ)
			*need = AGAIN_READ;
		else if (*need == NEED_WRITE)
			*need = AGAIN_WRITE;
		else
			continue;
		x->runs_at[m] = x->now[m] + x->options->late * model_patience(x);
	}
	if (x->options->sets)
		return; /* it runs when it runs */
	for (unsigned p = 0; p < x->pages; p++)
		if (x->need[m][p] >= AGAIN_READ && satisfied(&mb->memory.frames[p], x->need[m][p]))
			x->need[m][p] = NEED_NOTHING;
}

/* Who may write does, at once; an instruction that needs several pages, when it retires. */
static void write_all(struct exhaust *x, unsigned m, dsm_set writable_before)
{
	for (unsigned p = 0; p < x->pages && !x->options->sets; p++)
		if (x->w->members[m].memory.frames[p].writable &&
		    !(writable_before & (dsm_set)1 << p))
			thread_access(x->w, m, (uint16_t)p, true, "thread");
}

static void check_copies(struct exhaust *x)
{
	for (unsigned m = 0; m < x->members; m++)
		for (unsigned p = 0; p < x->pages; p++) {
			const struct frame *f = &x->w->members[m].memory.frames[p];
			if (f->present && f->value != oracle_read(&x->w->oracle, p))
				world_fail(x->w, "I3", (int)p, "m%u can read an old value", m);
		}
}

/* Nobody knows more of a home than that home. */
static void check_maps(struct exhaust *x)
{
	for (unsigned p = 0; p < x->pages; p++) {
		const uint32_t page = (uint32_t)x->w->space_page[p];
		const unsigned home = world_home(x->w, (uint16_t)p);
		for (unsigned m = 0; home != WORLD_NO_HOME && m < x->members; m++)
			if (alive(x, m) && alive(x, home) &&
			    dsm_chunk(x->w->members[m].core, page)->version >
				    dsm_chunk(x->w->members[home].core, page)->version)
				world_fail(x->w, "I2", (int)p,
					   "m%u knows a newer map than m%u, which is home", m,
					   home);
	}
}

/* Nothing that happens here may be refused. */
static void check_refusals(struct exhaust *x, unsigned m)
{
	if (x->w->absent & member_bit(m))
		return;
	const struct dsm_core_stats *s = &x->w->members[m].core->stats;
	if (s->refused || s->stale_epoch)
		world_fail(x->w, "I7", -1, "m%u refuses what is legal", m);
}

static void check_letters(struct exhaust *x, unsigned m)
{
	for (unsigned to = 0; to < x->members; to++)
		if (links_at(&x->w->links, m, to)->n > EXHAUST_LETTERS_MAX)
			world_fail(x->w, "I7", -1, "m%u has sent m%u more than pages can need", m,
				   to);
}

/* The rack's dice always fall the same way; from here on they do not lose a proof (memory.c) for
 * 161 throws, more than a step has. That one is lost is a move of its own. */
enum { DICE = 2575 };

/* With --sets: no two grants of a page have one stamp. What lies between two multiples of patience
 * is forgotten again (canon.c). */
enum { STEP_NS = 1000 };

static dsm_set writable_pages(const struct exhaust *x, unsigned m)
{
	dsm_set set = 0;
	for (unsigned p = 0; p < x->pages; p++)
		if (x->w->members[m].memory.frames[p].writable)
			set |= (dsm_set)1 << p;
	return set;
}

void move_make(struct exhaust *x, struct move mv)
{
	struct world *w = x->w;
	const dsm_set writable = writable_pages(x, mv.member);
	if (x->options->sets)
		x->now[mv.member] += STEP_NS;
	w->now = x->now[mv.member];
	w->rng.state = DICE;
	w->members[mv.member].fx->n = 0;
	act[mv.kind](x, mv);
	clock_clear(&w->clock);
	if (w->failure.set || w->dead & member_bit(mv.member))
		return;
	wake(x, mv.member);
	write_all(x, mv.member, writable);
	check_copies(x);
	check_maps(x);
	check_refusals(x, mv.member);
	check_letters(x, mv.member);
}
