/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a space. Whoever finds the reason first names the culprit to all others before it
 * tells its own user: its process may be gone a moment later, and its channel's end must not make
 * it the culprit in the others' eyes. Channels are ordered (T1), so they read MEMBER_LOST before
 * that end.
 *
 * From the end on no fault is read, nothing is installed and nobody is woken: threads that wait go
 * on waiting until their process is ended. The mem adapter's descriptor stays open: closing it
 * would turn their pages into zeros (M10).
 */
#include "dsm/shard.h"

#include <sys/epoll.h>

#include "proto/base/clock.h"

static void tell_members(struct shard *s, struct member_id culprit)
{
	const struct dsm_msg msg = {
		.type = PAGE_MEMBER_LOST,
		.requester = culprit,
		.epoch = s->config.epoch,
	};

	for (uint8_t m = 0; m < s->config.members; m++)
		if (m != s->config.self.v)
			s->transport_ops->send(s->transport, (struct member_id){m}, &msg, NULL, 0);
	s->transport_ops->flush(s->transport);
}

void shard_end(struct shard *s, struct member_id member, const struct err *why)
{
	if (shard_ended(s))
		return;
	atomic_store(&s->ended, true);
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->mem_ops->fd(s->mem), NULL);
	s->deadline = UINT64_MAX;
	tell_members(s, member);
	if (!s->config.inline_faults || shard_is_mine(s)) {
		s->user.ended(s->user.context, member, why);
		return;
	}
	s->verdict.due = true; /* a thread that faults calls nothing of the program */
	s->verdict.member = member;
	s->verdict.why = *why;
}

void shard_tell_end(struct shard *s)
{
	if (!s->verdict.due)
		return;
	s->verdict.due = false;
	s->user.ended(s->user.context, s->verdict.member, &s->verdict.why);
}

void shard_fail(struct shard *s, const struct err *why)
{
	shard_end(s, s->config.self, why);
}

void shard_member_lost(struct shard *s, struct member_id member, const struct err *why)
{
	if (shard_ended(s))
		return;
	if (atomic_load(&s->quiesced)) {
		s->user.parted(s->user.context, member);
		return;
	}
	s->event = (struct dsm_event){
		.type = DSM_EV_LOST,
		.now = clock_ns(),
		.lost = {.member = member, .reason = why->code},
	};
	s->why = *why;
	shard_step(s);
	shard_end(s, member, why); /* if the core did not */
}
