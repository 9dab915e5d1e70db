/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "dsm/lib/bar.h"
#include "dsm/lib/space.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/key.h"

/* -- the end, as the engine tells it; on its thread -- */

/* The state first: a thread that the bar wakes finds the space ended. Under the lock. */
static void end(struct cdsm *c, enum space_state how)
{
	atomic_store(&c->state, how);
	bar_range(c->base, c->bytes, c->nothing, dsm_uffd(c->dsm));
	dsm_abandon(c->dsm);
}

void space_lost(struct cdsm *c, const struct err *why)
{
	if (c->state == SPACE_LOST)
		return;
	c->why = *why;
	c->why.code = ERR_LOST;
	end(c, SPACE_LOST);
	sync_wake_all(c, CDSM_ELOST);
	if (c->name_kept)
		named_let_go(c->named, false);
}

static void on_lost(void *context, struct member_id member, const struct err *why)
{
	struct cdsm *c = context;
	struct err e = *why;

	(void)member;
	err_wrap(&e, ERR_LOST, "the space has ended");
	pthread_mutex_lock(&c->lock);
	space_lost(c, &e);
	pthread_mutex_unlock(&c->lock);
}

static bool is_over(const struct cdsm *c)
{
	return c->state == SPACE_LOST || c->state == SPACE_LEFT;
}

static void on_post(void *context, struct member_id from, const void *bytes, uint32_t n)
{
	struct cdsm *c = context;

	pthread_mutex_lock(&c->lock);
	if (!is_over(c))
		sync_post(c, from.v, bytes, n);
	pthread_mutex_unlock(&c->lock);
}

static void on_joined(void *context, struct member_id member)
{
	struct cdsm *c = context;

	pthread_mutex_lock(&c->lock);
	if (!is_over(c))
		sync_joined(c, member.v);
	pthread_mutex_unlock(&c->lock);
}

static void on_left(void *context, struct member_id member)
{
	struct cdsm *c = context;

	pthread_mutex_lock(&c->lock);
	if (!is_over(c))
		sync_left(c, member.v);
	pthread_mutex_unlock(&c->lock);
}

/* -- birth -- */

static void abandon(struct cdsm *c)
{
	pthread_mutex_unlock(&c->lock);
	cdsm_close(c);
}

/* NULL: *rc says why. Leaves the lock taken: callbacks wait until the space is whole, which is
 * moments after the engine runs. */
static struct cdsm *begin(const struct cdsm_options *options, struct dsm_config *config, int *rc,
			  struct cdsm_error *why)
{
	struct cdsm *c = calloc(1, sizeof(*c));
	struct cdsm_options o;
	struct err e;

	if (!c) {
		*rc = space_refuse(why, CDSM_ENOMEM, "no memory for a space");
		return NULL;
	}
	c->nothing = -1;
	sync_begin(c);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_lock(&c->lock);
	*rc = options_read(options, &o, why);
	if (!*rc)
		*rc = options_apply(&o, config, why);
	if (!*rc && bar_open(&c->nothing, &e))
		*rc = space_fail(why, &e);
	if (!*rc && o.name && named_begin(&o, &c->named, &e))
		*rc = space_fail(why, &e);
	if (*rc) {
		abandon(c);
		return NULL;
	}
	pins_begin(&c->pins, o.pin_limit);
	config->context = c;
	config->lost = on_lost;
	config->joined = on_joined;
	config->left = on_left;
	config->post = on_post;
	return c;
}

/* The engine runs. */
static void settle(struct cdsm *c, bool founder)
{
	struct dsm_shape shape;

	dsm_shape(c->dsm, &shape);
	c->self = shape.self.v;
	c->base = dsm_base(c->dsm);
	c->bytes = shape.pages * DSM_PAGE_SIZE;
	dsm_address(c->dsm, c->address);
	sync_settle(c, founder);
	pthread_mutex_unlock(&c->lock);
}

/* The space may have ended since. */
static void keep_name(struct cdsm *c)
{
	pthread_mutex_lock(&c->lock);
	c->name_kept = true;
	if (c->state == SPACE_HERE)
		named_keep(c->named);
	else
		named_let_go(c->named, false);
	pthread_mutex_unlock(&c->lock);
}

static int take_name(struct cdsm *c, const struct dsm_config *config, struct err *e)
{
	int rc = named_create(c->named, config, c->bytes, c->address, e);

	if (!rc)
		keep_name(c);
	return rc;
}

/* Alone, there is nobody to connect to. */
static int found(struct cdsm *c, struct dsm_config *config, struct err *e)
{
	const char *peers[DSM_MEMBERS_MAX] = {NULL};
	int rc = c->named ? named_draw(c->named, config, e) : ERR_OK;

	if (!rc)
		rc = dsm_open(config, &c->dsm, e);
	return rc ? rc : dsm_connect(c->dsm, peers, 0, -1, e);
}

int cdsm_create(const struct cdsm_options *options, uint64_t bytes, struct cdsm **out,
		struct cdsm_error *why)
{
	struct dsm_config config;
	struct err e;
	int rc;
	struct cdsm *c = begin(options, &config, &rc, why);

	if (!c)
		return rc;
	config.pages = bytes / DSM_PAGE_SIZE + (bytes % DSM_PAGE_SIZE != 0);
	rc = found(c, &config, &e);
	explicit_bzero(config.key, sizeof(config.key));
	if (rc) {
		abandon(c);
		return space_fail(why, &e);
	}
	settle(c, true);
	if (c->named && take_name(c, &config, &e)) {
		cdsm_close(c);
		return space_fail(why, &e);
	}
	*out = c;
	return CDSM_OK;
}

int cdsm_join(const struct cdsm_options *options, const char *address, int timeout_ms,
	      struct cdsm **out, struct cdsm_error *why)
{
	struct dsm_config config;
	struct err e;
	int rc;
	struct cdsm *c = begin(options, &config, &rc, why);

	if (!c)
		return rc;
	rc = join_begin(c, &config, address, timeout_ms > 0 ? timeout_ms : 0, &e);
	explicit_bzero(config.key, sizeof(config.key));
	if (rc) {
		abandon(c);
		return space_fail(why, &e);
	}
	settle(c, false);
	if (c->named) {
		named_joined(c->named, c->self, c->address);
		keep_name(c);
	}
	*out = c;
	return CDSM_OK;
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

int space_check(const struct cdsm *c, struct cdsm_error *why)
{
	switch (atomic_load(&c->state)) {
	case SPACE_HERE:
		break;
	case SPACE_LEAVING:
		return space_refuse(why, CDSM_ESTATE, "this member leaves");
	case SPACE_LEFT:
		return space_refuse(why, CDSM_ESTATE, "this member has left");
	case SPACE_LOST:
		return space_fail(why, &c->why);
	}
	return CDSM_OK;
}

int cdsm_check(struct cdsm *c, struct cdsm_error *why)
{
	int rc;

	if (atomic_load(&c->state) == SPACE_HERE)
		return CDSM_OK;
	pthread_mutex_lock(&c->lock);
	rc = space_check(c, why);
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

/* The library's part, under the lock: from here on no other call does anything. */
static int prepare_to_leave(struct cdsm *c, uint64_t deadline_ns, struct cdsm_error *why)
{
	unsigned held = lock_held_here(c);
	int rc;

	if (c->state == SPACE_LOST)
		return space_fail(why, &c->why);
	if (held < SYNC_LOCKS)
		return space_refuse(why, CDSM_ESTATE, "a thread holds lock %u", held);
	if (c->state == SPACE_HERE) {
		atomic_store(&c->state, SPACE_LEAVING);
		sync_wake_all(c, CDSM_ESTATE);
	}
	rc = handover_leave(c, deadline_ns);
	if (rc == CDSM_ETIMEOUT)
		return space_refuse(why, CDSM_ETIMEOUT, "others have not let this member go yet");
	return rc ? space_fail(why, &c->why) : CDSM_OK;
}

static int left_ms(uint64_t deadline_ns)
{
	uint64_t now = clock_ns();

	return now < deadline_ns ? (int)((deadline_ns - now) / 1000000u) : 0;
}

int cdsm_leave(struct cdsm *c, int timeout_ms, struct cdsm_error *why)
{
	uint64_t deadline = clock_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000u;
	struct err e;
	int rc;

	if (atomic_load(&c->state) == SPACE_LEFT)
		return CDSM_OK;
	pthread_mutex_lock(&c->lock);
	rc = prepare_to_leave(c, deadline, why);
	pthread_mutex_unlock(&c->lock);
	if (rc)
		return rc;
	if (dsm_leave(c->dsm, left_ms(deadline), &e))
		return space_fail(why, &e);
	pthread_mutex_lock(&c->lock);
	if (c->state == SPACE_LEAVING)
		end(c, SPACE_LEFT);
	pthread_mutex_unlock(&c->lock);
	named_let_go(c->named, true);
	return CDSM_OK;
}

void cdsm_close(struct cdsm *c)
{
	if (!c)
		return;
	named_end(c->named);
	dsm_close(c->dsm);
	fd_close(&c->nothing);
	sync_end(c);
	pins_end(&c->pins);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
