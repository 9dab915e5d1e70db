/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsm.h: what any thread may ask of a space, turned into commands for its shard, and the waiting
 * for answers. The shard does the work (dsm/shard.h); here is only what callers share: the table of
 * acquires, who waits for what, and the callbacks.
 *
 * One lock, held for moments, never across a callback of the user. The shard's thread takes it only
 * to answer.
 */
#include "dsm/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dsm/newcomer.h"
#include "dsm/shard.h"
#include "proto/base/clock.h"

enum acquire_state { ACQUIRE_FREE, ACQUIRE_ASKED, ACQUIRE_ANSWERED, ACQUIRE_HELD };

struct acquire {
	enum acquire_state state;
	uint32_t token; /* index + DSM_ACQUIRES_MAX * use, so that an old token is not taken for a
			   new one */
	int result;
};

struct dsm {
	struct dsm_config config;
	struct shard *shard;

	pthread_mutex_t asking; /* one STATS or MAP at a time; taken before lock */
	pthread_mutex_t lock;	/* everything below */
	pthread_cond_t changed;
	struct acquire acquire[DSM_ACQUIRES_MAX];
	bool running;
	bool closed;  /* no acquire can succeed any more: the space ended, or a member was lost */
	bool leaving; /* dsm_leave was called */
	bool left;
	bool ended;
	void *asked; /* the request under way; NULL once answered */
};

/* -- what the shard tells; on its thread -- */

static void fail_acquires(struct dsm *d)
{
	pthread_mutex_lock(&d->lock);
	d->closed = true;
	for (int i = 0; i < DSM_ACQUIRES_MAX; i++) {
		struct acquire *a = &d->acquire[i];

		if (a->state == ACQUIRE_ASKED) {
			a->state = ACQUIRE_ANSWERED;
			a->result = ERR_LOST;
		}
	}
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

/* To whoever waits in dsm_leave. */
static void tell_leaver(struct dsm *d, bool *what)
{
	pthread_mutex_lock(&d->lock);
	*what = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void on_left(void *context)
{
	struct dsm *d = context;

	tell_leaver(d, &d->left);
}

static void on_gone(void *context, struct member_id member)
{
	struct dsm *d = context;

	if (d->config.left)
		d->config.left(d->config.context, member);
}

static void on_here(void *context, struct member_id member)
{
	struct dsm *d = context;

	if (d->config.joined)
		d->config.joined(d->config.context, member);
}

static void on_ended(void *context, struct member_id member, const struct err *why)
{
	struct dsm *d = context;

	fail_acquires(d);
	if (d->config.lost)
		d->config.lost(d->config.context, member, why);
	tell_leaver(d, &d->ended);
}

static void on_parted(void *context, struct member_id member)
{
	(void)member;
	fail_acquires(context);
}

static void on_post(void *context, struct member_id from, const void *bytes, uint32_t n)
{
	struct dsm *d = context;

	if (d->config.post)
		d->config.post(d->config.context, from, bytes, n);
}

static void on_acquired(void *context, uint32_t token, int result)
{
	struct dsm *d = context;
	struct acquire *a = &d->acquire[token % DSM_ACQUIRES_MAX];

	pthread_mutex_lock(&d->lock);
	if (a->state == ACQUIRE_ASKED && a->token == token) {
		a->state = ACQUIRE_ANSWERED;
		a->result = result;
		pthread_cond_broadcast(&d->changed);
	}
	pthread_mutex_unlock(&d->lock);
}

static void on_answered(void *context, void *request)
{
	struct dsm *d = context;

	pthread_mutex_lock(&d->lock);
	assert(d->asked == request);
	d->asked = NULL;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

/* -- dsm.h -- */

/* Waits by the clock that nobody sets. */
static void init_changed(struct dsm *d)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static int open_on(const struct dsm_config *config, const struct shard_seat *seat,
		   const struct mem_ops *mem, const struct transport_ops *transport,
		   struct dsm **out, struct err *e)
{
	struct dsm *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return err_set(e, ERR_NOMEM, "no memory for a space");
	d->config = *config;
	pthread_mutex_init(&d->asking, NULL);
	pthread_mutex_init(&d->lock, NULL);
	init_changed(d);
	rc = shard_open(
		&(struct shard_config){
			.space = config,
			.seat = seat,
			.mem = mem,
			.transport = transport,
			.user = {.context = d,
				 .ended = on_ended,
				 .parted = on_parted,
				 .left = on_left,
				 .gone = on_gone,
				 .here = on_here,
				 .post = on_post,
				 .acquired = on_acquired,
				 .answered = on_answered},
		},
		&d->shard, e);
	if (rc) {
		dsm_close(d);
		return rc;
	}
	*out = d;
	return ERR_OK;
}

int dsm_open_on(const struct dsm_config *config, const struct mem_ops *mem,
		const struct transport_ops *transport, struct dsm **out, struct err *e)
{
	return open_on(config, NULL, mem, transport, out, e);
}

int dsm_open(const struct dsm_config *config, struct dsm **out, struct err *e)
{
	return dsm_open_on(config, &mem_uffd, &transport_tcp, out, e);
}

void dsm_address(const struct dsm *d, char out[TRANSPORT_ADDRESS_MAX])
{
	d->shard->transport_ops->address(d->shard->transport, out);
}

/* The thread may answer from its first moment on: nobody asks before `running` is seen. */
static int start(struct dsm *d, struct err *e)
{
	int rc;

	pthread_mutex_lock(&d->lock);
	rc = shard_start(d->shard, e);
	d->running = rc == ERR_OK;
	pthread_mutex_unlock(&d->lock);
	return rc;
}

int dsm_connect(struct dsm *d, const char *const *peers, int timeout_ms, int stop_fd, struct err *e)
{
	int rc = shard_connect(d->shard, peers, timeout_ms, stop_fd, e);

	return rc ? rc : start(d, e);
}

_Static_assert((int)WELCOME_LOCALS_MAX == (int)DSM_LOCALS_MAX, "a welcome names all of them");

/* The caller's configuration, with what the space is. */
static void take_seat(const struct welcome *w, struct dsm_config *config, struct shard_seat *seat)
{
	config->self = w->self;
	config->members = w->members;
	config->founders = w->founders;
	config->pages = w->pages;
	config->silence_ms = w->silence_ms;
	config->locals = w->locals;
	for (int i = 0; i < w->locals; i++)
		config->local[i] = (struct dsm_range){w->local[i].first, w->local[i].pages};
	seat->present = w->present | dsm_bit(w->self.v);
	memcpy(seat->heir, w->heir, sizeof(seat->heir));
}

int dsm_join_on(const struct dsm_config *config, const char *address, int timeout_ms, int stop_fd,
		const struct mem_ops *mem, const struct transport_ops *transport, struct dsm **out,
		struct err *e)
{
	const struct newcomer_patience p = {clock_ms() + (uint64_t)timeout_ms, stop_fd};
	struct dsm_config own = *config;
	struct shard_seat seat;
	struct dsm *d = NULL;
	struct welcome w;
	int rc = newcomer_call(transport, config, address, &p, &w, e);

	if (rc)
		return rc;
	take_seat(&w, &own, &seat);
	rc = open_on(&own, &seat, mem, transport, &d, e);
	if (rc || !d) /* one is the other */
		return rc;
	rc = newcomer_connect(d->shard, &w, &p, e);
	if (!rc)
		rc = start(d, e);
	if (rc)
		dsm_close(d);
	else
		*out = d;
	return rc;
}

int dsm_join(const struct dsm_config *config, const char *address, int timeout_ms, int stop_fd,
	     struct dsm **out, struct err *e)
{
	return dsm_join_on(config, address, timeout_ms, stop_fd, &mem_uffd, &transport_tcp, out, e);
}

void dsm_close(struct dsm *d)
{
	if (!d)
		return;
	shard_close(d->shard);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->asking);
	free(d);
}

void dsm_abandon(struct dsm *d)
{
	shard_abandon(d->shard);
}

void dsm_quiesce(struct dsm *d)
{
	shard_quiesce(d->shard);
}

/* Under the lock. */
static int order_leave(struct dsm *d)
{
	int rc;

	if (!d->running)
		return ERR_STATE;
	if (d->leaving)
		return ERR_OK;
	rc = shard_command(d->shard, &(struct command){.type = COMMAND_LEAVE}, NULL);
	d->leaving = rc == ERR_OK;
	return rc;
}

static int await_left(struct dsm *d, int timeout_ms)
{
	const uint64_t end = clock_ns() + (uint64_t)timeout_ms * 1000000u;
	const struct timespec until = {.tv_sec = (time_t)(end / 1000000000u),
				       .tv_nsec = (long)(end % 1000000000u)};

	while (!d->left && !d->ended)
		if (pthread_cond_timedwait(&d->changed, &d->lock, &until))
			break;
	return d->left ? ERR_OK : d->ended ? ERR_LOST : ERR_TIMEOUT;
}

int dsm_leave(struct dsm *d, int timeout_ms, struct err *e)
{
	int rc;

	pthread_mutex_lock(&d->lock);
	rc = order_leave(d);
	if (!rc)
		rc = await_left(d, timeout_ms);
	pthread_mutex_unlock(&d->lock);
	switch (rc) {
	case ERR_OK:
		return ERR_OK;
	case ERR_STATE:
		return err_set(e, ERR_STATE, "who has not joined cannot leave");
	case ERR_TIMEOUT:
		return err_set(e, ERR_TIMEOUT, "leaving is not over after %d ms", timeout_ms);
	default:
		return err_set(e, (enum err_code)rc, "leaving: the space ended meanwhile");
	}
}

void dsm_shape(const struct dsm *d, struct dsm_shape *out)
{
	const struct dsm_config *c = &d->shard->config;

	*out = (struct dsm_shape){
		.self = c->self,
		.members = c->members,
		.pages = c->pages,
		.present = shard_present(d->shard),
	};
}

void *dsm_base(const struct dsm *d)
{
	return d->shard->mem_ops->base(d->shard->mem);
}

int dsm_uffd(const struct dsm *d)
{
	return d->shard->mem_ops->fd(d->shard->mem);
}

/* A free entry with a new token, or NULL. */
static struct acquire *acquire_new(struct dsm *d)
{
	for (uint32_t i = 0; i < DSM_ACQUIRES_MAX; i++) {
		struct acquire *a = &d->acquire[i];

		if (a->state != ACQUIRE_FREE)
			continue;
		a->token = (a->token / DSM_ACQUIRES_MAX + 1) * DSM_ACQUIRES_MAX + i;
		return a;
	}
	return NULL;
}

static int acquire_ask(struct dsm *d, const struct command *what, struct acquire **out)
{
	struct command c = *what;
	struct acquire *a;
	int rc;

	if (!d->running || d->leaving)
		return ERR_STATE;
	if (d->closed)
		return ERR_LOST;
	a = acquire_new(d);
	if (!a)
		return ERR_NOSPACE;
	c.token = a->token;
	rc = shard_command(d->shard, &c, NULL);
	if (rc)
		return rc;
	a->state = ACQUIRE_ASKED;
	*out = a;
	return ERR_OK;
}

static int acquire_wait(struct dsm *d, struct acquire *a)
{
	while (a->state != ACQUIRE_ANSWERED)
		pthread_cond_wait(&d->changed, &d->lock);
	a->state = a->result ? ACQUIRE_FREE : ACQUIRE_HELD;
	return a->result;
}

int dsm_acquire(struct dsm *d, struct gpage page, uint32_t pages, bool write, uint32_t *token,
		struct err *e)
{
	const struct command what = {
		.type = COMMAND_ACQUIRE, .page = page, .pages = pages, .write = write};
	struct acquire *a = NULL;
	int rc;

	pthread_mutex_lock(&d->lock);
	rc = acquire_ask(d, &what, &a);
	if (!rc)
		rc = acquire_wait(d, a);
	if (!rc)
		*token = a->token;
	pthread_mutex_unlock(&d->lock);
	if (rc)
		return err_set(e, (enum err_code)rc, "acquire pages 0x%llx + %u: %s",
			       (unsigned long long)page.v, pages, err_sentence(rc));
	return ERR_OK;
}

void dsm_release(struct dsm *d, uint32_t token)
{
	struct acquire *a = &d->acquire[token % DSM_ACQUIRES_MAX];

	pthread_mutex_lock(&d->lock);
	if (a->state == ACQUIRE_HELD && a->token == token) {
		a->state = ACQUIRE_FREE;
		shard_command(d->shard, &(struct command){.type = COMMAND_RELEASE, .token = token},
			      NULL);
	}
	pthread_mutex_unlock(&d->lock);
}

void dsm_evict(struct dsm *d, struct gpage page)
{
	shard_command(d->shard, &(struct command){.type = COMMAND_EVICT, .page = page}, NULL);
}

void dsm_discard(struct dsm *d, struct gpage page)
{
	shard_command(d->shard, &(struct command){.type = COMMAND_DISCARD, .page = page}, NULL);
}

void dsm_move_home(struct dsm *d, struct gpage page, struct member_id to)
{
	shard_command(d->shard, &(struct command){.type = COMMAND_MOVE, .page = page, .to = to},
		      NULL);
}

int dsm_post(struct dsm *d, struct member_id to, const void *bytes, uint32_t n)
{
	if (n > POST_BYTES_MAX)
		return ERR_TOOBIG;
	if (to.v >= d->config.members)
		return ERR_INVALID;
	if (shard_ended(d->shard))
		return ERR_LOST;
	if (!(shard_present(d->shard) & dsm_bit(to.v)))
		return ERR_NOTFOUND;
	return shard_command(d->shard,
			     &(struct command){.type = COMMAND_POST, .to = to, .bytes = n}, bytes);
}

/* Has the shard's thread carry out a STATS or MAP. False: there is none, the caller may do it. */
static bool ask(struct dsm *d, enum command_type type, void *request)
{
	bool running;

	pthread_mutex_lock(&d->lock);
	running = d->running;
	if (running) {
		d->asked = request;
		shard_command(d->shard, &(struct command){.type = type, .request = request}, NULL);
		while (d->asked)
			pthread_cond_wait(&d->changed, &d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return running;
}

void dsm_stats(struct dsm *d, struct dsm_stats *out)
{
	pthread_mutex_lock(&d->asking);
	if (!ask(d, COMMAND_STATS, out))
		shard_stats(d->shard, out);
	pthread_mutex_unlock(&d->asking);
}

void dsm_map(struct dsm *d, uint32_t buckets, struct dsm_bucket *out)
{
	struct shard_map map = {.out = out};

	if (!buckets)
		return;
	map.run = (d->config.pages + buckets - 1) / buckets;
	for (uint32_t b = 0; b < buckets; b++)
		out[b] = (struct dsm_bucket){0};
	pthread_mutex_lock(&d->asking);
	if (!ask(d, COMMAND_MAP, &map))
		while (!shard_map_slice(d->shard, &map))
			;
	pthread_mutex_unlock(&d->asking);
}
