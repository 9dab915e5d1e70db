/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out what the core asks for, in the core's order, each effect finished before the next
 * begins. The first one that fails ends the space and nothing after it is done: a grant whose
 * PROTECT failed is never sent, a page whose MAP failed is never woken.
 *
 * Whether a page is present is kept here too (`here`), for two of the adapter's rules that nobody
 * else would notice: WRITEPROTECT on a missing page succeeds and protects nothing (M2), and reading
 * one would stall this very thread (M8).
 */
#include "dsm/shard.h"

#include <string.h>

#include "proto/base/clock.h"

static bool bit(const uint64_t *map, struct gpage page)
{
	return map[page.v / 64] >> (page.v % 64) & 1;
}

static void flip(uint64_t *map, struct gpage page)
{
	map[page.v / 64] ^= 1ULL << (page.v % 64);
}

void shard_account(struct shard *s, struct gpage page, bool here)
{
	enum dsm_state state = dsm_core_state(s->core, page);
	bool own = here && (state == DSM_O || state == DSM_E || state == DSM_M);

	if (here != bit(s->here, page)) {
		flip(s->here, page);
		s->resident += here ? 1 : (uint64_t)-1;
		if (!here && !bit(s->gone, page))
			flip(s->gone, page);
	}
	if (own != bit(s->own, page)) {
		flip(s->own, page);
		s->owned += own ? 1 : (uint64_t)-1;
	}
}

int shard_must_be(const struct shard *s, struct gpage page, bool here, struct err *e)
{
	if (page.v < s->config.pages && bit(s->here, page) == here)
		return ERR_OK;
	return err_set(e, ERR_STATE, "page 0x%llx is %s, and the core expects it not to be",
		       (unsigned long long)page.v, here ? "absent" : "present");
}

static void *slot(struct shard *s, uint16_t i)
{
	return s->slots + (size_t)i * DSM_PAGE_SIZE;
}

static int check_slot(const struct dsm_effect *fx, struct err *e)
{
	if (fx->slot < DSM_SLOTS)
		return ERR_OK;
	return err_set(e, ERR_STATE, "effect %u uses page buffer %u of %d", fx->type, fx->slot,
		       DSM_SLOTS);
}

static int check_data(const struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	if (s->data && s->data_bytes >= DSM_PAGE_SIZE)
		return ERR_OK;
	return err_set(e, ERR_PROTOCOL, "effect %u wants page data, the message brought none",
		       fx->type);
}

bool shard_is_zero(const void *page)
{
	const uint64_t *word = page;

	for (unsigned i = 0; i < DSM_PAGE_SIZE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

/* A page of zeros goes as a flag (R11): of a chunk that was whole most pages may never have been
 * written. The core need not know. */
void shard_send_page(struct shard *s, struct member_id to, const struct dsm_msg *msg,
		     const void *page)
{
	struct dsm_msg zeros = *msg;

	zeros.flags ^= PAGE_FLAG_DATA | PAGE_FLAG_ZERO;
	if (shard_is_zero(page))
		s->transport_ops->send(s->transport, to, &zeros, NULL, 0);
	else
		s->transport_ops->send(s->transport, to, msg, page, DSM_PAGE_SIZE);
}

static int do_send(struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	bool data = fx->msg.flags & PAGE_FLAG_DATA;
	int rc = data ? check_slot(fx, e) : ERR_OK;

	if (rc)
		return rc;
	if (data)
		shard_send_page(s, fx->to, &fx->msg, slot(s, fx->slot));
	else
		s->transport_ops->send(s->transport, fx->to, &fx->msg, NULL, 0);
	return ERR_OK;
}

static int do_read_out(struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	int rc = shard_must_be(s, fx->page, true, e);

	if (!rc)
		rc = check_slot(fx, e);
	if (!rc)
		rc = s->mem_ops->read_out(s->mem, fx->page, slot(s, fx->slot), e);
	if (!rc)
		written_end(&s->written, fx->page, slot(s, fx->slot));
	return rc;
}

/* [PROTECT] READ_OUT UNMAP SEND of one page: the SEND, or NULL. */
static const struct dsm_effect *gives_away(const struct shard *s, const struct dsm_effect *fx)
{
	const struct dsm_effect *end = s->effects.v + s->effects.n;
	const struct dsm_effect *read = fx->type == DSM_FX_PROTECT ? fx + 1 : fx;

	if (end - read < 3 || read[0].type != DSM_FX_READ_OUT || read[1].type != DSM_FX_UNMAP ||
	    read[2].type != DSM_FX_SEND)
		return NULL;
	if (read[0].page.v != fx->page.v || read[1].page.v != fx->page.v ||
	    !(read[2].msg.flags & PAGE_FLAG_DATA) || read[2].slot != read[0].slot ||
	    read[2].msg.type != PAGE_GRANT)
		return NULL;
	return &read[2];
}

/* The page goes as it is, if the kernel can move it: how many effects that were. 0: it cannot, one
 * by one then, and *refused says which grant is not to be tried again. What of the page was written
 * is looked at when it is on its way. */
static uint32_t give_away(struct shard *s, const struct dsm_effect *fx,
			  const struct dsm_effect **refused)
{
	const struct dsm_effect *send = gives_away(s, fx);
	const void *bytes;

	if (!send || send == *refused || shard_must_be(s, fx->page, true, NULL))
		return 0;
	if (!s->mem_ops->take(s->mem, fx->page, 1, &bytes)) {
		*refused = send;
		return 0;
	}
	shard_account(s, fx->page, false);
	shard_send_page(s, send->to, &send->msg, bytes);
	written_end(&s->written, fx->page, bytes);
	return (uint32_t)(send - fx) + 1;
}

static int do_stash(struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	int rc = check_slot(fx, e);

	if (!rc)
		rc = check_data(s, fx, e);
	if (!rc)
		memcpy(slot(s, fx->slot), s->data, DSM_PAGE_SIZE);
	return rc;
}

/* Only of a page that was here before: nobody has stalled in vain on one that comes the first time.
 */
void shard_watch_writes(struct shard *s, struct gpage page, const void *bytes)
{
	if (bit(s->gone, page))
		written_begin(&s->written, page, bytes);
}

static int do_map(struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	const void *from = NULL;
	int rc = shard_must_be(s, fx->page, false, e);

	if (!rc && fx->source == DSM_FROM_SLOT) {
		rc = check_slot(fx, e);
		from = slot(s, fx->slot);
	} else if (!rc && fx->source == DSM_FROM_EVENT) {
		rc = check_data(s, fx, e);
		from = s->data;
	}
	if (!rc && fx->writable)
		shard_watch_writes(s, fx->page, from);
	if (!rc)
		rc = s->mem_ops->install(s->mem, fx->page, fx->writable, from, e);
	if (!rc)
		shard_account(s, fx->page, true);
	return rc;
}

/* UNPROTECT, PROTECT, UNMAP: of a page that is here. */
static int do_present(struct shard *s, const struct dsm_effect *fx,
		      int (*op)(struct mem *, struct gpage, struct err *), bool stays,
		      struct err *e)
{
	int rc = shard_must_be(s, fx->page, true, e);

	if (!rc)
		rc = op(s->mem, fx->page, e);
	if (!rc)
		shard_account(s, fx->page, stays);
	return rc;
}

static int do_unprotect(struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	const uint8_t *base = s->mem_ops->base(s->mem);

	if (shard_must_be(s, fx->page, true, e) == ERR_OK)
		shard_watch_writes(s, fx->page, base + (fx->page.v << DSM_PAGE_SHIFT));
	return do_present(s, fx, s->mem_ops->unprotect, true, e);
}

/* Pages of the chunk that begins there. */
static uint32_t chunk_pages(const struct shard *s, struct gpage first)
{
	uint64_t left = s->config.pages - first.v;

	return left < DSM_CHUNK_PAGES ? (uint32_t)left : DSM_CHUNK_PAGES;
}

/* Bits of a whole chunk stay clear: the core knows it (dsm_core_whole). */
static int do_whole(struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	uint32_t n = chunk_pages(s, fx->page);
	int rc = ERR_OK;

	for (uint32_t i = 0; i < n && !rc; i++)
		rc = shard_must_be(s, (struct gpage){fx->page.v + i}, false, e);
	if (!rc)
		rc = s->mem_ops->whole(s->mem, fx->page, n, e);
	if (rc)
		return rc;
	s->resident += n;
	s->owned += n;
	return ERR_OK;
}

static int do_split(struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	uint32_t n = chunk_pages(s, fx->page);
	int rc = s->mem_ops->split(s->mem, fx->page, n, e);

	for (uint32_t i = 0; i < n && !rc; i++) {
		flip(s->here, (struct gpage){fx->page.v + i});
		flip(s->own, (struct gpage){fx->page.v + i});
	}
	return rc;
}

static int do_wake(struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	const struct dsm_event *ev = &s->event;
	int rc = s->mem_ops->wake(s->mem, fx->page, e);
	uint64_t now;

	if (s->config.inline_faults)
		pump_answer(&s->pump, fx->page);
	if (ev->type == DSM_EV_FAULT && ev->fault.page.v == fx->page.v)
		s->answered = true;
	now = clock_ns();
	awake_woke(&s->awake, now);
	timing_wake(&s->timing, fx->page, ev->now, now);
	return rc;
}

static int do_lost(struct shard *s, const struct dsm_effect *fx)
{
	struct err why = s->why;

	if (s->event.type != DSM_EV_LOST)
		err_set(&why, fx->reason, "member %u: %s", fx->to.v, err_sentence((int)fx->reason));
	shard_end(s, fx->to, &why);
	return ERR_OK;
}

static int do_effect(struct shard *s, const struct dsm_effect *fx, struct err *e)
{
	switch ((enum dsm_fx_type)fx->type) {
	case DSM_FX_SEND:
		return do_send(s, fx, e);
	case DSM_FX_READ_OUT:
		return do_read_out(s, fx, e);
	case DSM_FX_STASH:
		return do_stash(s, fx, e);
	case DSM_FX_MAP:
		return do_map(s, fx, e);
	case DSM_FX_UNPROTECT:
		return do_unprotect(s, fx, e);
	case DSM_FX_PROTECT:
		return do_present(s, fx, s->mem_ops->protect, true, e);
	case DSM_FX_UNMAP:
		return do_present(s, fx, s->mem_ops->drop, false, e);
	case DSM_FX_WHOLE:
		return do_whole(s, fx, e);
	case DSM_FX_SPLIT:
		return do_split(s, fx, e);
	case DSM_FX_WAKE:
		return do_wake(s, fx, e);
	case DSM_FX_TIMER:
		s->deadline = fx->deadline;
		return ERR_OK;
	case DSM_FX_ACQUIRED:
		s->user.acquired(s->user.context, fx->token, (int)fx->reason);
		return ERR_OK;
	case DSM_FX_LEFT:
		shard_left(s);
		return ERR_OK;
	case DSM_FX_LOST:
		return do_lost(s, fx);
	}
	return err_set(e, ERR_STATE, "the core asks for an unknown effect %u", fx->type);
}

void shard_step(struct shard *s)
{
	const struct dsm_effect *refused = NULL;

	s->answered = false;
	written_tell(&s->written, &s->event);
	dsm_step(s->core, &s->event, &s->effects);
	if (shard_run_join(s))
		return;
	shard_run_end(s);
	for (uint32_t i = 0; i < s->effects.n && !shard_ended(s); i++) {
		uint32_t given = give_away(s, &s->effects.v[i], &refused);
		struct err e = {0};

		if (given)
			i += given - 1;
		else if (do_effect(s, &s->effects.v[i], &e))
			shard_fail(s, &e);
	}
}
