/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/console.h"

#include <stdlib.h>
#include <string.h>

int console_init(struct console *c, unsigned members, struct err *e)
{
	*c = (struct console){.lock = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER};
	if (members && !(c->bytes = malloc((size_t)members * CONSOLE_WINDOW)))
		return err_set(e, ERR_NOMEM, "no memory for the console");
	return ERR_OK;
}

void console_free(struct console *c)
{
	free(c->bytes);
}

bool console_reserve(struct console *c, uint32_t n)
{
	bool ok;

	pthread_mutex_lock(&c->lock);
	while (!c->stopped && c->waiting + n > CONSOLE_WINDOW)
		pthread_cond_wait(&c->room, &c->lock);
	ok = !c->stopped;
	if (ok)
		c->waiting += n;
	pthread_mutex_unlock(&c->lock);
	return ok;
}

int console_credit(struct console *c, uint64_t n, struct err *e)
{
	int rc = ERR_OK;

	pthread_mutex_lock(&c->lock);
	if (n > c->waiting)
		rc = err_set(e, ERR_PROTOCOL, "credit for more console bytes than were sent");
	else
		c->waiting -= (uint32_t)n;
	pthread_cond_broadcast(&c->room);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

int console_put(struct console *c, struct member_id from, const char *bytes, uint32_t n,
		struct err *e)
{
	int rc = ERR_OK;

	pthread_mutex_lock(&c->lock);
	if (!c->bytes || n > CONSOLE_WINDOW - c->from[from.v]) {
		rc = err_set(e, ERR_PROTOCOL, "console bytes beyond the window");
	} else {
		memcpy(c->bytes + c->used, bytes, n);
		c->used += n;
		c->from[from.v] += n;
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/*
 * Credit is given for bytes in the order of members, not for exactly those moved: in the end
 * everybody gets what is due, and no window is exceeded meanwhile.
 */
size_t console_take(struct console *c, char *out, uint32_t from[DSM_MEMBERS_MAX])
{
	size_t n, left;

	memset(from, 0, DSM_MEMBERS_MAX * sizeof(*from));
	pthread_mutex_lock(&c->lock);
	n = left = c->used < CONSOLE_WINDOW ? c->used : CONSOLE_WINDOW;
	if (n)
		memcpy(out, c->bytes, n);
	memmove(c->bytes, c->bytes + n, c->used - n);
	c->used -= n;
	for (unsigned m = 0; m < DSM_MEMBERS_MAX && left; m++) {
		from[m] = c->from[m] < left ? c->from[m] : (uint32_t)left;
		c->from[m] -= from[m];
		left -= from[m];
	}
	pthread_mutex_unlock(&c->lock);
	return n;
}

void console_stop(struct console *c)
{
	pthread_mutex_lock(&c->lock);
	c->stopped = true;
	pthread_cond_broadcast(&c->room);
	pthread_mutex_unlock(&c->lock);
}
