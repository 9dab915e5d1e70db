/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "dsm/lib/bar.h"
#include "dsm/lib/space.h"
#include "proto/base/fd.h"
#include "proto/key.h"

/* -- the end, as the engine tells it; on its thread -- */

/* Who waits in a call learns of it first: a thread that the bar wakes finds the space ended. Under
 * the lock. */
static void end(struct cdsm *c, enum space_state how)
{
	atomic_store(&c->state, how);
	if (c->base)
		bar_range(c->base, c->bytes, c->nothing, dsm_uffd(c->dsm));
}

static void on_lost(void *context, struct member_id member, const struct err *why)
{
	struct cdsm *c = context;

	(void)member;
	pthread_mutex_lock(&c->lock);
	c->why = *why;
	err_wrap(&c->why, ERR_LOST, "the space has ended");
	c->why.code = ERR_LOST;
	end(c, SPACE_LOST);
	pthread_mutex_unlock(&c->lock);
}

/* No member has anything to say to another yet. */
static void on_post(void *context, struct member_id from, const void *bytes, uint32_t n)
{
	(void)context;
	(void)from;
	(void)bytes;
	(void)n;
}

/* -- birth -- */

static int begin(const struct cdsm_options *options, struct dsm_config *config, struct cdsm **out,
		 struct cdsm_error *why)
{
	struct cdsm *c = calloc(1, sizeof(*c));
	struct cdsm_options o;
	struct err e;
	int rc;

	if (!c)
		return space_refuse(why, CDSM_ENOMEM, "no memory for a space");
	c->nothing = -1;
	pthread_mutex_init(&c->lock, NULL);
	rc = options_read(options, &o, why);
	if (!rc)
		rc = options_apply(&o, config, why);
	if (!rc && bar_open(&c->nothing, &e))
		rc = space_fail(why, &e);
	if (rc) {
		cdsm_close(c);
		return rc;
	}
	config->context = c;
	config->lost = on_lost;
	config->post = on_post;
	*out = c;
	return CDSM_OK;
}

/* The engine runs, and may have told the end already, of a range it could not name then. */
static int settle(struct cdsm *c, struct dsm *d, struct cdsm_error *why)
{
	struct dsm_shape shape;
	int rc = CDSM_OK;

	dsm_shape(d, &shape);
	pthread_mutex_lock(&c->lock);
	c->dsm = d;
	c->self = shape.self.v;
	c->base = dsm_base(d);
	c->bytes = shape.pages * DSM_PAGE_SIZE;
	dsm_address(d, c->address);
	if (c->state == SPACE_LOST)
		rc = space_fail(why, &c->why);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* Alone, there is nobody to connect to. */
static int found(struct cdsm *c, const struct dsm_config *config, struct err *e)
{
	const char *peers[DSM_MEMBERS_MAX] = {NULL};
	int rc = dsm_open(config, &c->dsm, e);

	return rc ? rc : dsm_connect(c->dsm, peers, 0, -1, e);
}

int cdsm_create(const struct cdsm_options *options, uint64_t bytes, struct cdsm **out,
		struct cdsm_error *why)
{
	struct dsm_config config;
	struct cdsm *c;
	struct err e;
	int rc = begin(options, &config, &c, why);

	if (rc)
		return rc;
	config.pages = bytes / DSM_PAGE_SIZE + (bytes % DSM_PAGE_SIZE != 0);
	if (found(c, &config, &e))
		rc = space_fail(why, &e);
	else
		rc = settle(c, c->dsm, why);
	explicit_bzero(config.key, sizeof(config.key));
	if (rc)
		cdsm_close(c);
	else
		*out = c;
	return rc;
}

int cdsm_join(const struct cdsm_options *options, const char *address, int timeout_ms,
	      struct cdsm **out, struct cdsm_error *why)
{
	struct dsm_config config;
	struct dsm *d = NULL;
	struct cdsm *c;
	struct err e;
	int rc = begin(options, &config, &c, why);

	if (rc)
		return rc;
	if (dsm_join(&config, address, timeout_ms > 0 ? timeout_ms : 0, -1, &d, &e))
		rc = space_fail(why, &e);
	else
		rc = settle(c, d, why);
	explicit_bzero(config.key, sizeof(config.key));
	if (rc)
		cdsm_close(c);
	else
		*out = c;
	return rc;
}

int cdsm_key_file(const char *path, struct cdsm_error *why)
{
	uint8_t key[CELL_KEY_BYTES];
	struct err e;
	int rc = key_file_make(path, key, &e) ? space_fail(why, &e) : CDSM_OK;

	explicit_bzero(key, sizeof(key));
	return rc;
}

/* -- what there is -- */

int cdsm_check(struct cdsm *c, struct cdsm_error *why)
{
	int rc = CDSM_OK;

	if (atomic_load(&c->state) == SPACE_HERE)
		return CDSM_OK;
	pthread_mutex_lock(&c->lock);
	if (c->state == SPACE_LOST)
		rc = space_fail(why, &c->why);
	else
		rc = space_refuse(why, CDSM_ESTATE, "this member %s",
				  c->state == SPACE_LEFT ? "has left" : "leaves");
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void *cdsm_map(const struct cdsm *c, size_t *bytes)
{
	if (bytes)
		*bytes = c->bytes;
	return c->base;
}

unsigned cdsm_self(const struct cdsm *c)
{
	return c->self;
}

const char *cdsm_address(const struct cdsm *c)
{
	return c->address;
}

uint64_t cdsm_present(const struct cdsm *c)
{
	struct dsm_shape shape;

	dsm_shape(c->dsm, &shape);
	return shape.present;
}

/* -- death -- */

/* LOST or LEFT is final; who leaves already may ask again. */
static int leave_may_begin(struct cdsm *c, struct cdsm_error *why)
{
	int rc = CDSM_OK;

	pthread_mutex_lock(&c->lock);
	if (c->state == SPACE_LOST)
		rc = space_fail(why, &c->why);
	else if (c->state == SPACE_HERE)
		atomic_store(&c->state, SPACE_LEAVING);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

int cdsm_leave(struct cdsm *c, int timeout_ms, struct cdsm_error *why)
{
	struct err e;
	int rc = leave_may_begin(c, why);

	if (rc || atomic_load(&c->state) == SPACE_LEFT)
		return rc;
	if (dsm_leave(c->dsm, timeout_ms > 0 ? timeout_ms : 0, &e))
		return space_fail(why, &e);
	pthread_mutex_lock(&c->lock);
	if (c->state == SPACE_LEAVING)
		end(c, SPACE_LEFT);
	pthread_mutex_unlock(&c->lock);
	return CDSM_OK;
}

void cdsm_close(struct cdsm *c)
{
	if (!c)
		return;
	dsm_close(c->dsm);
	fd_close(&c->nothing);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
