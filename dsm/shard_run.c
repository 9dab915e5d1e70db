/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/shard_run.h"

#include "dsm/shard.h"
#include "proto/base/clock.h"

/* ---- what a step asks for ---- */

enum { ASKED_MAX = 4 };

/* A step's effects without a timer, which orders nothing. */
struct asked {
	const struct dsm_effect *fx[ASKED_MAX];
	uint32_t n;
};

static bool few(const struct dsm_effects *all, struct asked *out)
{
	out->n = 0;
	for (uint32_t i = 0; i < all->n; i++) {
		if (all->v[i].type == DSM_FX_TIMER)
			continue;
		if (out->n == ASKED_MAX)
			return false;
		out->fx[out->n++] = &all->v[i];
	}
	return out->n >= 2;
}

static bool is_of(const struct dsm_effect *fx, enum dsm_fx_type type, uint64_t page)
{
	return fx->type == type && fx->page.v == page;
}

/* [PROTECT] READ_OUT SEND: a copy; [PROTECT] READ_OUT UNMAP SEND: the page itself. */
static enum shard_run_kind grants(const struct asked *a)
{
	const struct dsm_effect *const *fx = a->fx, *send = a->fx[a->n - 1];
	uint64_t page = send->page.v;
	bool protects = fx[0]->type == DSM_FX_PROTECT, gives;
	uint32_t n = a->n - protects;

	fx += protects;
	gives = n == 3 && is_of(fx[1], DSM_FX_UNMAP, page);
	if ((protects && a->fx[0]->page.v != page) || !(n == 2 || gives) ||
	    !is_of(fx[0], DSM_FX_READ_OUT, page) || send->type != DSM_FX_SEND ||
	    send->msg.type != PAGE_GRANT || !(send->msg.flags & PAGE_FLAG_DATA) ||
	    send->slot != fx[0]->slot)
		return RUN_NONE;
	return gives ? RUN_GIVE : RUN_OUT;
}

/* MAP [SEND] WAKE */
static bool takes(const struct asked *a)
{
	const struct dsm_effect *map = a->fx[0], *send = a->fx[1], *wake = a->fx[a->n - 1];

	return map->type == DSM_FX_MAP && map->source == DSM_FROM_EVENT &&
	       is_of(wake, DSM_FX_WAKE, map->page.v) &&
	       (a->n == 2 || (a->n == 3 && is_of(send, DSM_FX_SEND, map->page.v) &&
			      !(send->msg.flags & PAGE_FLAG_DATA)));
}

/* ---- joining ---- */

static void begin(struct shard *s, enum shard_run_kind kind, struct gpage first)
{
	shard_run_end(s);
	s->run.kind = kind;
	s->run.first = first;
	s->run.unblocks = 0;
}

static void join_out(struct shard *s, enum shard_run_kind kind, const struct asked *a)
{
	const struct dsm_effect *send = a->fx[a->n - 1];
	struct shard_run *r = &s->run;

	if (r->kind != kind || r->n == SHARD_RUN_MAX || !member_eq(r->to, send->to) ||
	    !page_run_goes_on(&r->grant, r->n, &send->msg)) {
		begin(s, kind, send->page);
		r->to = send->to;
		r->grant = send->msg;
	}
	r->protect[r->n] = a->fx[0]->type == DSM_FX_PROTECT;
	r->item[r->n++] = page_run_item(&send->msg);
}

static void join_in(struct shard *s, const struct asked *a)
{
	const struct dsm_effect *map = a->fx[0];
	const uint8_t *data = s->data;
	struct shard_run *r = &s->run;

	if (r->kind != RUN_IN || r->n == SHARD_RUN_MAX || map->page.v != r->first.v + r->n ||
	    data != r->data + (size_t)r->n * DSM_PAGE_SIZE) {
		begin(s, RUN_IN, map->page);
		r->writable = map->writable;
		r->data = data;
	}
	r->n++;
	if (a->n == 3)
		r->unblock[r->unblocks++] = *a->fx[1];
}

bool shard_run_join(struct shard *s)
{
	const struct dsm_effects *all = &s->effects;
	enum shard_run_kind kind;
	struct asked a;

	if (!few(all, &a) || s->event.type != DSM_EV_MSG)
		return false;
	kind = grants(&a);
	if (kind)
		join_out(s, kind, &a);
	else if (s->run.coming && takes(&a))
		join_in(s, &a);
	else
		return false;
	for (uint32_t i = 0; i < all->n; i++)
		if (all->v[i].type == DSM_FX_TIMER)
			s->deadline = all->v[i].deadline;
	return true;
}

/* ---- carrying out ---- */

static struct gpage page_at(const struct shard_run *r, uint32_t i)
{
	return (struct gpage){r->first.v + i};
}

static int must_be(const struct shard *s, bool here, struct err *e)
{
	int rc = ERR_OK;

	for (uint32_t i = 0; i < s->run.n && !rc; i++)
		rc = shard_must_be(s, page_at(&s->run, i), here, e);
	return rc;
}

/* Those that were writable, in as few calls as they lie together. */
static int protect(struct shard *s, struct err *e)
{
	const struct shard_run *r = &s->run;
	int rc = ERR_OK;

	for (uint32_t i = 0, n; i < r->n && !rc; i += n) {
		n = 1;
		if (!r->protect[i])
			continue;
		while (i + n < r->n && r->protect[i + n])
			n++;
		rc = n > 1 ? s->mem_ops->protect_run(s->mem, page_at(r, i), n, e)
			   : s->mem_ops->protect(s->mem, page_at(r, i), e);
	}
	return rc;
}

/* Of n pages, so many from the first on that are not all zero. */
static uint32_t with_content(const uint8_t *pages, uint32_t n)
{
	uint32_t i = 0;

	while (i < n && !shard_is_zero(pages + (size_t)i * DSM_PAGE_SIZE))
		i++;
	return i;
}

/* The grants of n pages of the run, whose bytes lie at `pages`. Those of zeros go one by one. */
static void send_grants(struct shard *s, uint32_t from, uint32_t n, const uint8_t *pages)
{
	const struct shard_run *r = &s->run;

	for (uint32_t i = 0, together; i < n; i += together) {
		const uint8_t *first = pages + (size_t)i * DSM_PAGE_SIZE;
		struct dsm_msg msg = page_run_msg(&r->grant, from + i, &r->item[from + i]);

		together = with_content(first, n - i);
		msg.pages = together > 1 ? together : 1;
		if (together > 1) {
			s->transport_ops->send_run(s->transport, r->to, &msg, &r->item[from + i],
						   first);
		} else {
			together = 1;
			shard_send_page(s, r->to, &msg, first);
		}
	}
}

/* They lie in memory as they go into the message, and are protected until it is sent. */
static int read_out(struct shard *s, const void **out, struct err *e)
{
	const struct shard_run *r = &s->run;
	const uint8_t *bytes;
	int rc = s->mem_ops->read_run(s->mem, r->first, r->n, s->run_pages, out, e);

	if (rc)
		return rc;
	bytes = *out;
	for (uint32_t i = 0; i < r->n; i++) {
		shard_account(s, page_at(r, i), true);
		written_end(&s->written, page_at(r, i), bytes + (size_t)i * DSM_PAGE_SIZE);
	}
	return ERR_OK;
}

static int end_out(struct shard *s, struct err *e)
{
	int rc = must_be(s, true, e);
	const void *pages;

	if (!rc)
		rc = protect(s, e);
	if (!rc)
		rc = read_out(s, &pages, e);
	if (!rc)
		send_grants(s, 0, s->run.n, pages);
	return rc;
}

/* As many as can be moved; they are on their way before it is looked at what was written of them.
 */
static uint32_t give_moved(struct shard *s)
{
	const struct shard_run *r = &s->run;
	const void *pages;
	uint32_t n = s->mem_ops->take(s->mem, r->first, r->n, &pages);

	for (uint32_t i = 0; i < n; i++)
		shard_account(s, page_at(r, i), false);
	send_grants(s, 0, n, pages);
	for (uint32_t i = 0; i < n; i++)
		written_end(&s->written, page_at(r, i),
			    (const uint8_t *)pages + (size_t)i * DSM_PAGE_SIZE);
	return n;
}

/* One that the kernel does not move. */
static int take_out(struct shard *s, uint32_t i, void *out, struct err *e)
{
	const struct gpage page = page_at(&s->run, i);
	int rc = s->run.protect[i] ? s->mem_ops->protect(s->mem, page, e) : ERR_OK;

	if (!rc)
		rc = s->mem_ops->read_out(s->mem, page, out, e);
	if (!rc)
		rc = s->mem_ops->drop(s->mem, page, e);
	if (!rc) {
		shard_account(s, page, false);
		written_end(&s->written, page, out);
	}
	return rc;
}

static int end_give(struct shard *s, struct err *e)
{
	int rc = must_be(s, true, e);
	uint32_t moved = rc ? 0 : give_moved(s);

	for (uint32_t i = moved; i < s->run.n && !rc; i++)
		rc = take_out(s, i, s->run_pages + (size_t)(i - moved) * DSM_PAGE_SIZE, e);
	if (!rc)
		send_grants(s, moved, s->run.n - moved, s->run_pages);
	return rc;
}

static int end_in(struct shard *s, struct err *e)
{
	const struct shard_run *r = &s->run;
	int rc = must_be(s, false, e);
	uint64_t now;

	for (uint32_t i = 0; i < r->n && r->writable && !rc; i++)
		shard_watch_writes(s, page_at(r, i), r->data + (size_t)i * DSM_PAGE_SIZE);
	if (!rc)
		rc = s->mem_ops->install_run(s->mem, r->first, r->n, r->writable, r->data, e);
	if (rc)
		return rc;
	now = clock_ns();
	for (uint32_t i = 0; i < r->n; i++) {
		shard_account(s, page_at(r, i), true);
		timing_wake(&s->timing, page_at(r, i), s->event.now, now);
		if (s->config.inline_faults)
			pump_answer(&s->pump, page_at(r, i));
	}
	for (uint32_t i = 0; i < r->unblocks; i++)
		s->transport_ops->send(s->transport, r->unblock[i].to, &r->unblock[i].msg, NULL, 0);
	awake_woke(&s->awake, now);
	return ERR_OK;
}

void shard_run_end(struct shard *s)
{
	enum shard_run_kind kind = s->run.kind;
	struct err e = {0};
	int rc = ERR_OK;

	s->run.kind = RUN_NONE; /* also for what a failure calls */
	if (!shard_ended(s) && kind == RUN_OUT)
		rc = end_out(s, &e);
	else if (!shard_ended(s) && kind == RUN_GIVE)
		rc = end_give(s, &e);
	else if (!shard_ended(s) && kind == RUN_IN)
		rc = end_in(s, &e);
	s->run.n = 0;
	if (rc)
		shard_fail(s, &e);
}

/* ---- messages ---- */

void shard_run_message(struct shard *s, struct member_id from, const struct dsm_msg *run,
		       const void *payload, uint64_t now)
{
	s->run.coming = true;
	for (uint32_t i = 0; i < run->pages && !shard_ended(s); i++) {
		s->event =
			(struct dsm_event){.type = DSM_EV_MSG, .now = now, .msg = {.from = from}};
		s->data = page_run_at(run, payload, i, &s->event.msg.msg);
		s->data_bytes = DSM_PAGE_SIZE;
		shard_step(s);
	}
	shard_run_end(s);
	s->run.coming = false;
	s->data = NULL;
}
