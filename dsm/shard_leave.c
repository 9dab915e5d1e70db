/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that leave in order, this one or others. What is agreed among the cores is their business
 * (R46 .. R48), whose turn it is that of dsm/membership.h; here is the order given to our core, and
 * what becomes of the channels.
 *
 *	STAYS --LEAVE command--> WANTS --its turn, core accepts--> LEAVES --LEFT effect--> PARTS
 *	    --all channels ended--> LEFT
 *
 * A turn is given when the change before it is over at who gives it; our core may still know of a
 * leaver, or wait for a newcomer, and refuses then: it is asked again when GONE or HERE was read.
 * The last member hands nothing on, for nobody is there: it is LEFT at once.
 *
 * GONE is the last message of a leaver. Who reads it ends its side of the channel, so the leaver
 * knows by the ends that all have read everything; a member lost from then on is no loss to it, nor
 * is it one to those who read GONE.
 */
#include "dsm/shard.h"

#include "proto/base/clock.h"

static bool is_alone(const struct shard *s)
{
	return dsm_core_present(s->core) == dsm_bit(s->config.self.v);
}

static void have_left(struct shard *s)
{
	s->part = PART_LEFT;
	atomic_store(&s->present, 0);
	s->user.left(s->user.context);
}

void shard_leave_now(struct shard *s)
{
	if (is_alone(s)) {
		have_left(s);
		return;
	}
	s->event = (struct dsm_event){.type = DSM_EV_LEAVE, .now = clock_ns()};
	shard_step(s);
	if (dsm_core_leaving(s->core))
		s->part = PART_LEAVES;
}

void shard_leave(struct shard *s)
{
	if (s->part != PART_STAYS)
		return;
	s->part = PART_WANTS;
	membership_end(s);
	membership_ask(s);
}

void shard_left(struct shard *s)
{
	s->part = PART_PARTS;
	atomic_store(&s->present, 0);
	for (dsm_set set = s->channels; set; set &= set - 1)
		s->transport_ops->end(s->transport, dsm_lowest(set));
	if (!s->channels)
		have_left(s);
}

void shard_channel_ended(struct shard *s, struct member_id member)
{
	s->channels &= ~dsm_bit(member.v);
	if (s->part == PART_PARTS && !s->channels)
		have_left(s);
}

/* What the core did not accept for the sake of another. */
static void try_again(struct shard *s)
{
	if (s->part == PART_WANTS && s->membership.turn == TURN_MINE &&
	    s->membership.host.step == HOST_IDLE)
		shard_leave_now(s);
}

void shard_member_gone(struct shard *s, struct member_id member)
{
	s->channels &= ~dsm_bit(member.v);
	s->transport_ops->end(s->transport, member);
	s->user.gone(s->user.context, member);
	membership_gone(s, member);
	try_again(s);
}

void shard_member_here(struct shard *s, struct member_id member)
{
	s->greeted |= dsm_bit(member.v);
	atomic_store(&s->present, dsm_core_present(s->core) & s->greeted); /* may be sent posts */
	s->user.here(s->user.context, member);
	membership_here(s, member);
	try_again(s);
}
