/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/forge.h"

#include "tests/sim/loss.h"
#include "tests/sim/step.h"
#include "tests/sim/world.h"

/* A message on its way from member `from` to member m. */
struct forgery {
	struct world *w;
	struct dsm_msg msg;
	unsigned from, m;
	bool first; /* the true one is delivered before it */
};

static bool is_request(const struct dsm_msg *msg)
{
	return page_type_class(msg->type) == PAGE_CLASS_REQUEST;
}

static bool is_forward(const struct dsm_msg *msg)
{
	return page_type_class(msg->type) == PAGE_CLASS_FORWARD;
}

static enum dsm_state state(const struct forgery *f)
{
	return dsm_core_state(f->w->members[f->m].core, f->msg.page);
}

/* ---- changes: false, if this message cannot be changed so ---- */

static bool page_outside(struct forgery *f)
{
	f->msg.page.v = f->w->space_pages + rng_below(&f->w->rng, 2);
	return true;
}

static bool page_local(struct forgery *f)
{
	const struct dsm_range *l = &f->w->local[rng_below(&f->w->rng, WORLD_LOCALS)];
	f->msg.page.v = rng_chance(&f->w->rng, 500) ? l->first : l->first + l->pages - 1;
	return true;
}

/* A page the receiver, or the sender who says so, is not home of. */
static bool page_of_another_home(struct forgery *f)
{
	const uint64_t chunk = f->msg.page.v / DSM_CHUNK_PAGES;
	if (f->w->options->members < 2 || f->msg.type == PAGE_GRANT || f->msg.type == PAGE_ACK)
		return false;
	f->msg.page.v =
		f->msg.page.v % DSM_CHUNK_PAGES + (chunk ? chunk - 1 : chunk + 1) * DSM_CHUNK_PAGES;
	const struct member_id home = dsm_core_home(f->w->members[f->m].core, f->msg.page);
	return !member_eq(home, (struct member_id){
					(uint8_t)(is_forward(&f->msg) || f->msg.type == PAGE_PUT_ACK
							  ? f->from
							  : f->m)});
}

static bool several_pages(struct forgery *f)
{
	f->msg.pages = rng_chance(&f->w->rng, 500) ? 2 : 0;
	return true;
}

static bool nobody_requests(struct forgery *f)
{
	f->msg.requester.v = (uint8_t)f->w->options->members;
	return true;
}

static bool another_requests(struct forgery *f)
{
	const unsigned n = f->w->options->members;
	f->msg.requester.v =
		is_forward(&f->msg) ? (uint8_t)f->m : (uint8_t)((f->msg.requester.v + 1) % n);
	return n > 1;
}

static bool odd_flag(struct forgery *f)
{
	const uint8_t own = f->msg.type == PAGE_GRANT	  ? 0x60
			    : f->msg.type == PAGE_PUT	  ? 0x74
			    : f->msg.type == PAGE_PUT_ACK ? 0x77
							  : 0x7f;
	const uint8_t flag = (uint8_t)(1u << rng_below(&f->w->rng, 7));
	f->msg.flags |= flag;
	return flag & own;
}

static bool odd_acks(struct forgery *f)
{
	const bool counts = f->msg.type == PAGE_GRANT || f->msg.type == PAGE_FETCH_X;
	f->msg.acks = counts ? (uint8_t)f->w->options->members : 1;
	return true;
}

static bool odd_type(struct forgery *f)
{
	f->msg.type = rng_chance(&f->w->rng, 500) ? 0 : 200;
	return true;
}

static bool odd_transaction(struct forgery *f)
{
	f->msg.txn++;
	return page_type_class(f->msg.type) == PAGE_CLASS_REPLY;
}

static bool odd_version(struct forgery *f)
{
	f->msg.version += rng_chance(&f->w->rng, 500) ? 1 : UINT32_MAX;
	return is_forward(&f->msg) && (f->msg.type != PAGE_INVALIDATE || state(f) != DSM_I);
}

static bool odd_sender(struct forgery *f)
{
	const unsigned n = f->w->options->members;
	for (f->from = (f->from + 1) % n; f->from == f->m; f->from = (f->from + 1) % n)
		;
	return n > 2 && f->msg.type != PAGE_GRANT && f->msg.type != PAGE_ACK;
}

static bool odd_data(struct forgery *f)
{
	const uint8_t what = PAGE_FLAG_DATA | PAGE_FLAG_ZERO;
	const uint8_t had = f->msg.flags & what;
	if (f->msg.type != PAGE_GRANT && f->msg.type != PAGE_PUT)
		return false;
	f->msg.flags =
		(uint8_t)((f->msg.flags & ~what) | (had && rng_chance(&f->w->rng, 500) ? 0 : what));
	return true;
}

static bool odd_right(struct forgery *f)
{
	uint8_t *flags = &f->msg.flags;
	if (f->msg.type == PAGE_PUT) {
		*flags &= (uint8_t)~PAGE_FLAG_OWNER;
		return true;
	}
	if (f->msg.type != PAGE_GRANT)
		return false;
	if (*flags & PAGE_FLAG_WRITE) /* half a right to write */
		*flags &= rng_chance(&f->w->rng, 500) ? (uint8_t)~PAGE_FLAG_OWNER
						      : (uint8_t)~PAGE_FLAG_WRITE;
	else /* more than was asked for */
		*flags |= PAGE_FLAG_WRITE | (rng_chance(&f->w->rng, 500) ? PAGE_FLAG_OWNER : 0);
	return true;
}

/* Home says LAST where it may not, or does not say it. */
static bool odd_last(struct forgery *f)
{
	f->msg.flags ^= PAGE_FLAG_LAST;
	return f->msg.type == PAGE_GRANT;
}

/* A reader has no acks to await. */
static bool acks_for_reader(struct forgery *f)
{
	f->msg.acks = 1;
	return f->msg.type == PAGE_GRANT && !(f->msg.flags & PAGE_FLAG_WRITE) &&
	       f->w->options->members > 1;
}

/* An owner wants to read, or drops what it owns. */
static bool owner_asks(struct forgery *f)
{
	struct dsm_dir dir;
	if (!is_request(&f->msg) || !dsm_core_dir(f->w->members[f->m].core, f->msg.page, &dir) ||
	    dir.busy || dir.owner.v != f->from)
		return false;
	f->msg.type = rng_chance(&f->w->rng, 500) ? PAGE_GET_S : PAGE_DROP;
	f->msg.flags = 0;
	return true;
}

static bool lost_nobody(struct forgery *f)
{
	f->msg = (struct dsm_msg){.type = PAGE_MEMBER_LOST,
				  .epoch = f->msg.epoch,
				  .requester = {(uint8_t)f->w->options->members}};
	return true;
}

static bool twice(struct forgery *f)
{
	f->first = true;
	switch (f->msg.type) {
	case PAGE_GRANT:
	case PAGE_ACK:
	case PAGE_UNBLOCK:
	case PAGE_PUT_ACK:
	case PAGE_FETCH_X:
		return true;
	default:
		return false;
	}
}

typedef bool change_fn(struct forgery *f);

static change_fn *const changes[] = {
	page_outside,	 page_local,	  page_of_another_home,
	several_pages,	 nobody_requests, another_requests,
	odd_flag,	 odd_acks,	  odd_type,
	odd_transaction, odd_version,	  odd_sender,
	odd_data,	 odd_right,	  acks_for_reader,
	owner_asks,	 twice,		  lost_nobody,
	odd_transaction, odd_version,	  odd_data,
	odd_right,	 twice,		  odd_sender,
	odd_last,
};

/* ---- delivery ---- */

/* Nothing but the end of the space may come of it. */
static bool only_accuses(const struct dsm_effects *fx)
{
	for (uint32_t i = 0; i + 1 < fx->n; i++)
		if (fx->v[i].type != DSM_FX_ACQUIRED)
			return false;
	return fx->n && fx->v[fx->n - 1].type == DSM_FX_LOST;
}

static void give(struct forgery *f, const struct letter *letter)
{
	struct world *w = f->w;
	struct dsm_event ev = {.type = DSM_EV_MSG,
			       .msg = {.from = {(uint8_t)f->from}, .msg = f->msg}};
	struct letter forged = *letter;
	forged.msg = f->msg;
	w->figures->done[SIM_FORGE]++;
	w->members[f->m].accuses = (uint8_t)(f->from + 1);
	loss_suspect(w, member_bit(f->from));
	step_give(w, f->m, &ev, &forged);
}

bool forge_letter(struct world *w, unsigned from, unsigned to, const struct letter *letter)
{
	struct member *mb = &w->members[to];
	if (!w->tuning.forge_step || w->steps < w->tuning.forge_step || w->doomed || w->draining ||
	    page_type_class(letter->msg.type) == PAGE_CLASS_LINK)
		return false;
	struct forgery f = {.w = w, .msg = letter->msg, .from = from, .m = to};
	if (!changes[rng_below(&w->rng, sizeof(changes) / sizeof(changes[0]))](&f))
		return false;
	w->tuning.forge_step = 0;
	if (f.first) {
		step_letter(w, from, to, letter);
		if (w->failure.set || mb->paused || mb->ended)
			return true;
	}
	give(&f, letter);
	if (!w->failure.set && !only_accuses(mb->fx))
		world_fail(w, "I7", -1, "m%u swallows what no rule allows (type %u from m%u)", to,
			   f.msg.type, f.from);
	return true;
}
