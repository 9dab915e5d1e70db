/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/command.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dsm/core/core.h"
#include "proto/base/fd.h"

/* Records are struct command and its payload, back to back, wrapping at the end. head and tail only
 * grow. */
struct command_queue {
	pthread_mutex_t lock;
	int fd;
	uint32_t waiting;
	size_t head;
	size_t tail;
	uint8_t *ring;
};

enum {
	MASK = COMMAND_QUEUE_BYTES - 1,
	/* RELEASE of every token, LEAVE, and STATS or MAP */
	KEPT_FREE = (DSM_ACQUIRES_MAX + 2) * sizeof(struct command),
};

_Static_assert((COMMAND_QUEUE_BYTES & MASK) == 0, "a power of two");

int command_open(struct command_queue **out, struct err *e)
{
	struct command_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return err_set(e, ERR_NOMEM, "no memory for a command queue");
	pthread_mutex_init(&q->lock, NULL);
	q->fd = -1;
	q->ring = malloc(COMMAND_QUEUE_BYTES);
	if (!q->ring) {
		command_close(q);
		return err_set(e, ERR_NOMEM, "no memory for a command queue");
	}
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		int rc = err_sys(e, errno, "eventfd");

		command_close(q);
		return rc;
	}
	*out = q;
	return ERR_OK;
}

int command_fd(const struct command_queue *q)
{
	return q->fd;
}

static void ring_put(struct command_queue *q, const void *from, size_t n)
{
	size_t at = q->head & MASK, first = n;

	if (first > COMMAND_QUEUE_BYTES - at)
		first = COMMAND_QUEUE_BYTES - at;
	memcpy(q->ring + at, from, first);
	memcpy(q->ring, (const uint8_t *)from + first, n - first);
	q->head += n;
}

static void ring_get(struct command_queue *q, void *to, size_t n)
{
	size_t at = q->tail & MASK, first = n;

	if (first > COMMAND_QUEUE_BYTES - at)
		first = COMMAND_QUEUE_BYTES - at;
	memcpy(to, q->ring + at, first);
	memcpy((uint8_t *)to + first, q->ring, n - first);
	q->tail += n;
}

static bool must_not_fail(enum command_type type)
{
	return type == COMMAND_RELEASE || type == COMMAND_LEAVE || type == COMMAND_STATS ||
	       type == COMMAND_MAP;
}

static bool has_room(const struct command_queue *q, const struct command *c)
{
	size_t want = sizeof(*c) + c->bytes + (must_not_fail(c->type) ? 0 : KEPT_FREE);

	return COMMAND_QUEUE_BYTES - (q->head - q->tail) >= want;
}

static int push(struct command_queue *q, const struct command *c, const void *payload, bool *first)
{
	bool room;

	pthread_mutex_lock(&q->lock);
	room = has_room(q, c);
	*first = q->waiting == 0;
	if (room) {
		ring_put(q, c, sizeof(*c));
		if (c->bytes)
			ring_put(q, payload, c->bytes);
		q->waiting++;
	}
	pthread_mutex_unlock(&q->lock);
	return room ? ERR_OK : ERR_NOSPACE;
}

int command_push(struct command_queue *q, const struct command *c, const void *payload)
{
	bool first;
	int rc = push(q, c, payload, &first);

	if (!rc && first)
		command_nudge(q);
	return rc;
}

int command_push_own(struct command_queue *q, const struct command *c, const void *payload)
{
	bool first;

	return push(q, c, payload, &first);
}

void command_nudge(struct command_queue *q)
{
	eventfd_write(q->fd, 1);
}

uint32_t command_heard(struct command_queue *q)
{
	eventfd_t value;

	eventfd_read(q->fd, &value);
	return command_waiting(q);
}

bool command_pop(struct command_queue *q, struct command *c, void *payload)
{
	bool some;

	pthread_mutex_lock(&q->lock);
	some = q->waiting > 0;
	if (some) {
		ring_get(q, c, sizeof(*c));
		ring_get(q, payload, c->bytes);
		q->waiting--;
	}
	pthread_mutex_unlock(&q->lock);
	return some;
}

uint32_t command_waiting(struct command_queue *q)
{
	uint32_t n;

	pthread_mutex_lock(&q->lock);
	n = q->waiting;
	pthread_mutex_unlock(&q->lock);
	return n;
}

void command_close(struct command_queue *q)
{
	if (!q)
		return;
	fd_close(&q->fd);
	pthread_mutex_destroy(&q->lock);
	free(q->ring);
	free(q);
}
