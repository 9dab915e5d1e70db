/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a member asks of single pages. Pages are brought by acquires of the engine, which ask for
 * sixteen at once and end when the space does; each is released as soon as it is there.
 */
#include <stdlib.h>
#include <unistd.h>

#include "dsm/lib/space.h"

enum {
	BUSY_US = 200,	     /* others hold all acquires there are, for moments */
	AT_A_TIME = 1 << 12, /* discards, before the engine is waited for */
};

struct run {
	uint64_t first, end; /* pages */
};

static int find(struct cdsm *c, const void *address, uint64_t bytes, struct run *out,
		struct cdsm_error *why)
{
	uint64_t offset = (uintptr_t)address - (uintptr_t)c->base;

	if (offset > c->bytes || bytes > c->bytes - offset)
		return space_refuse(why, CDSM_EINVAL, "%llu bytes at %p are not all in the space",
				    (unsigned long long)bytes, address);
	out->first = offset / DSM_PAGE_SIZE;
	out->end = (offset + bytes + DSM_PAGE_SIZE - 1) / DSM_PAGE_SIZE;
	if (!bytes)
		out->end = out->first;
	return CDSM_OK;
}

/* ---- bringing ---- */

static int bring(struct cdsm *c, uint64_t page, uint32_t pages, bool write, struct cdsm_error *why)
{
	uint32_t token;
	struct err e;
	int rc;

	while ((rc = dsm_acquire(c->dsm, (struct gpage){page}, pages, write, &token, &e)) ==
	       ERR_NOSPACE)
		usleep(BUSY_US);
	if (rc == ERR_OK) {
		dsm_release(c->dsm, token);
		return CDSM_OK;
	}
	rc = cdsm_check(c, why); /* says more */
	return rc ? rc : space_fail(why, &e);
}

static int bring_all(struct cdsm *c, const struct run *r, bool write, struct cdsm_error *why)
{
	int rc = cdsm_check(c, why);

	for (uint64_t page = r->first; page < r->end && !rc; page += DSM_ACQUIRE_PAGES_MAX) {
		uint64_t left = r->end - page;

		rc = bring(c, page,
			   left < DSM_ACQUIRE_PAGES_MAX ? (uint32_t)left : DSM_ACQUIRE_PAGES_MAX,
			   write, why);
	}
	return rc;
}

int cdsm_prefetch(struct cdsm *c, const void *address, uint64_t bytes, int write,
		  struct cdsm_error *why)
{
	struct run r = {0, 0};
	int rc = find(c, address, bytes, &r, why);

	return rc ? rc : bring_all(c, &r, write, why);
}

/* ---- pins ---- */

void pins_begin(struct pins *p, uint64_t limit)
{
	uint64_t pages = (uint64_t)sysconf(_SC_PHYS_PAGES);

	p->limit = limit ? limit : pages / 2 * DSM_PAGE_SIZE;
}

void pins_end(struct pins *p)
{
	free(p->page);
}

static bool is_pinned(const struct pins *p, uint64_t page)
{
	return p->page && p->page[page / 64] >> (page % 64) & 1;
}

/* Makes all pages of the run what they shall be. */
static void set(struct pins *p, const struct run *r, bool pinned)
{
	for (uint64_t page = r->first; page < r->end; page++) {
		if (is_pinned(p, page) == pinned)
			continue;
		p->page[page / 64] ^= 1ull << (page % 64);
		p->bytes += pinned ? DSM_PAGE_SIZE : -(uint64_t)DSM_PAGE_SIZE;
	}
}

static uint64_t count_pinned(const struct pins *p, const struct run *r)
{
	uint64_t n = 0;

	for (uint64_t page = r->first; page < r->end; page++)
		n += is_pinned(p, page);
	return n;
}

static int refuse_pin(const struct pins *p, uint64_t want, struct cdsm_error *why)
{
	int rc = space_refuse(why, CDSM_ENOSPACE,
			      "%llu bytes more cannot be pinned: %llu of %llu are already",
			      (unsigned long long)want, (unsigned long long)p->bytes,
			      (unsigned long long)p->limit);

	if (why)
		why->bytes = p->limit - p->bytes;
	return rc;
}

/* Under the lock. */
static int charge(struct cdsm *c, const struct run *r, struct cdsm_error *why)
{
	struct pins *p = &c->pins;
	uint64_t want = (r->end - r->first - count_pinned(p, r)) * DSM_PAGE_SIZE;
	int rc = space_check(c, why);

	if (rc)
		return rc;
	if (want > p->limit - p->bytes)
		return refuse_pin(p, want, why);
	if (!p->page)
		p->page = calloc(c->bytes / DSM_PAGE_SIZE / 64 + 1, sizeof(*p->page));
	if (!p->page)
		return space_refuse(why, CDSM_ENOMEM, "no memory to pin pages");
	set(p, r, true);
	return CDSM_OK;
}

int cdsm_pin(struct cdsm *c, const void *address, uint64_t bytes, struct cdsm_error *why)
{
	struct run r = {0, 0};
	int rc = find(c, address, bytes, &r, why);

	if (rc)
		return rc;
	pthread_mutex_lock(&c->lock);
	rc = charge(c, &r, why);
	pthread_mutex_unlock(&c->lock);
	return rc ? rc : bring_all(c, &r, false, why);
}

int cdsm_unpin(struct cdsm *c, const void *address, uint64_t bytes, struct cdsm_error *why)
{
	struct run r = {0, 0};
	int rc = find(c, address, bytes, &r, why);

	if (rc)
		return rc;
	pthread_mutex_lock(&c->lock);
	rc = space_check(c, why);
	if (!rc)
		set(&c->pins, &r, false);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* ---- discards ---- */

/* Those that lie in it as a whole. */
static void shrink(const struct cdsm *c, const void *address, uint64_t bytes, struct run *r)
{
	uint64_t offset = (uintptr_t)address - (uintptr_t)c->base;

	r->first = (offset + DSM_PAGE_SIZE - 1) / DSM_PAGE_SIZE;
	r->end = (offset + bytes) / DSM_PAGE_SIZE;
}

int cdsm_discard(struct cdsm *c, void *address, uint64_t bytes, struct cdsm_error *why)
{
	struct dsm_stats unused;
	struct run r = {0, 0};
	int rc = find(c, address, bytes, &r, why);

	if (rc)
		return rc;
	shrink(c, address, bytes, &r);
	pthread_mutex_lock(&c->lock);
	rc = space_check(c, why);
	if (!rc && r.first < r.end && count_pinned(&c->pins, &r))
		rc = space_refuse(why, CDSM_ESTATE, "some of these pages are pinned");
	pthread_mutex_unlock(&c->lock);
	for (uint64_t page = r.first; page < r.end && !rc; page++) {
		dsm_discard(c->dsm, (struct gpage){page});
		if ((page - r.first) % AT_A_TIME == AT_A_TIME - 1)
			dsm_stats(c->dsm, &unused); /* the engine has caught up when it answers */
	}
	return rc;
}
