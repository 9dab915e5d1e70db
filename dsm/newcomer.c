/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/newcomer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "proto/base/clock.h"

enum { CALL_AGAIN_MS = 50 };

static int left_ms(const struct newcomer_patience *p)
{
	uint64_t now = clock_ms();

	return now < p->end_ms ? (int)(p->end_ms - now) : 0;
}

/* -- calling -- */

static int call_once(const struct transport_ops *ops, const struct dsm_config *config,
		     const char *address, const struct newcomer_patience *p, struct welcome *out,
		     struct err *e)
{
	struct transport_config t = {.space = config->space, .epoch = config->epoch};
	uint8_t answer[sizeof(struct welcome_wire) + 1];
	uint32_t n;
	int rc;

	memcpy(t.key, config->key, sizeof(t.key));
	rc = ops->ask(&t, address, left_ms(p), p->stop_fd, answer, sizeof(answer), &n, e);
	explicit_bzero(t.key, sizeof(t.key));
	if (!rc)
		rc = welcome_decode(answer, n, out, e);
	if (!rc && out->refused)
		rc = err_set(e, out->refused, "the member at %s says: %s", address,
			     err_sentence((int)out->refused));
	return rc;
}

/* A member that leaves, or is still connecting itself, does not hear. */
static bool may_hear_later(int rc)
{
	return rc == ERR_BUSY || rc == ERR_UNREACHABLE;
}

/* Until the welcome nothing was promised: who gives up costs the space a number at most. */
static int call_only_once(const struct transport_ops *ops, const struct dsm_config *config,
			  const char *address, struct newcomer_patience p, struct welcome *out,
			  struct err *e)
{
	uint64_t end_ms = clock_ms() + config->call_ms;

	if (end_ms < p.end_ms)
		p.end_ms = end_ms;
	return call_once(ops, config, address, &p, out, e);
}

int newcomer_call(const struct transport_ops *ops, const struct dsm_config *config,
		  const char *address, const struct newcomer_patience *p, struct welcome *out,
		  struct err *e)
{
	struct pollfd stop = {.fd = p->stop_fd, .events = POLLIN};

	if (config->call_ms)
		return call_only_once(ops, config, address, *p, out, e);
	for (;;) {
		int rc = call_once(ops, config, address, p, out, e);

		if (!may_hear_later(rc) || left_ms(p) < CALL_AGAIN_MS)
			return rc;
		if (poll(&stop, 1, CALL_AGAIN_MS) > 0)
			return err_set(e, ERR_INTERRUPTED, "asked to stop while calling");
	}
}

/* -- until GO -- */

static int hear(const struct shard *s, const struct welcome *w, const struct transport_event *ev,
		struct err *e)
{
	struct notice n;

	if (ev->type == TRANSPORT_LOST)
		return err_set(e, ERR_LOST, "member %u did not take us in: %.200s", ev->from.v,
			       ev->why.text);
	if (ev->type != TRANSPORT_MSG || ev->msg.epoch.v != s->config.epoch.v)
		return ERR_BUSY;
	if (ev->msg.type == PAGE_MEMBER_LOST)
		return err_set(e, ERR_LOST, "the space ended: member %u was lost",
			       ev->msg.requester.v);
	if (ev->msg.type != PAGE_CHANGE || !member_eq(ev->from, w->host) ||
	    notice_decode(ev->data, ev->bytes, s->config.members, &n, e) || n.type != NOTICE_GO ||
	    !member_eq(n.member, s->config.self))
		return err_set(e, ERR_PROTOCOL, "member %u does not wait until we have begun",
			       ev->from.v);
	return ERR_OK;
}

static int await_go(struct shard *s, const struct welcome *w, const struct newcomer_patience *p,
		    struct err *e)
{
	struct pollfd fds[] = {{.fd = p->stop_fd, .events = POLLIN},
			       {.fd = s->transport_ops->fd(s->transport), .events = POLLIN}};
	struct transport_event ev;
	int rc;

	while (left_ms(p)) {
		for (;;) {
			s->transport_ops->poll(s->transport, &ev);
			if (ev.type == TRANSPORT_NONE)
				break;
			rc = hear(s, w, &ev, e);
			if (rc != ERR_BUSY)
				return rc;
		}
		s->transport_ops->flush(s->transport);
		if (poll(fds, 2, left_ms(p)) < 0 && errno != EINTR)
			return err_sys(e, errno, "poll");
		if (fds[0].revents)
			return err_set(e, ERR_INTERRUPTED, "asked to stop while joining");
	}
	return err_set(e, ERR_TIMEOUT, "not all members took us in yet");
}

int newcomer_connect(struct shard *s, const struct welcome *w, const struct newcomer_patience *p,
		     struct err *e)
{
	const char *peers[DSM_MEMBERS_MAX];
	int rc;

	for (int m = 0; m < DSM_MEMBERS_MAX; m++)
		peers[m] = w->address[m];
	rc = shard_connect(s, peers, left_ms(p), p->stop_fd, e);
	if (rc)
		return rc;
	membership_say(s, w->host, NOTICE_READY, s->config.self);
	s->transport_ops->flush(s->transport);
	return await_go(s, w, p, e);
}
