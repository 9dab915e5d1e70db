/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm.h over plain memory: a space with one member. For tests of what stands on top of a space
 * without the space's engine.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dsm/dsm.h"

struct dsm {
	struct dsm_config config;
	void *base;
};

int dsm_open(const struct dsm_config *config, struct dsm **out, struct err *e)
{
	struct dsm *d;

	if (config->members != 1)
		return err_set(e, ERR_INVALID, "plain memory has one member");
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(e, ERR_NOMEM, "no memory");
	d->config = *config;
	d->base = mmap(NULL, config->pages << DSM_PAGE_SHIFT, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->base == MAP_FAILED) {
		free(d);
		return err_set(e, ERR_NOMEM, "no memory");
	}
	*out = d;
	return ERR_OK;
}

void dsm_address(const struct dsm *d, char out[TRANSPORT_ADDRESS_MAX])
{
	(void)d;
	memcpy(out, "none", sizeof("none"));
}

int dsm_connect(struct dsm *d, const char *const *peers, int timeout_ms, int stop_fd, struct err *e)
{
	(void)d, (void)peers, (void)timeout_ms, (void)stop_fd, (void)e;
	return ERR_OK;
}

void dsm_close(struct dsm *d)
{
	if (d)
		munmap(d->base, d->config.pages << DSM_PAGE_SHIFT);
	free(d);
}

void dsm_quiesce(struct dsm *d)
{
	(void)d;
}

void *dsm_base(const struct dsm *d)
{
	return d->base;
}

int dsm_uffd(const struct dsm *d)
{
	(void)d;
	return -1;
}

int dsm_acquire(struct dsm *d, struct gpage page, uint32_t pages, bool write, uint32_t *token,
		struct err *e)
{
	(void)write;
	if (page.v + pages > d->config.pages || !pages || pages > DSM_ACQUIRE_PAGES_MAX)
		return err_set(e, ERR_INVALID, "outside");
	*token = 1;
	return ERR_OK;
}

void dsm_release(struct dsm *d, uint32_t token)
{
	(void)d, (void)token;
}

int dsm_post(struct dsm *d, struct member_id to, const void *bytes, uint32_t n)
{
	d->config.post(d->config.context, to, bytes, n);
	return ERR_OK;
}

void dsm_stats(struct dsm *d, struct dsm_stats *out)
{
	(void)d;
	memset(out, 0, sizeof(*out));
}

void dsm_map(struct dsm *d, uint32_t buckets, struct dsm_bucket *out)
{
	(void)d;
	memset(out, 0, buckets * sizeof(*out));
}
