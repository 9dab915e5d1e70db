/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broken or hostile peer may send, and what ends a space. Each message that no rule allows
 * ends it once, with ERR_PROTOCOL and the sender's number; after the end nothing has an effect.
 * Home of P0 is member 0, of P1 member 1.
 */
#include "rack.h"

enum { P0 = 3, P1 = DSM_CHUNK_PAGES + 3, PAGES = 4 * DSM_CHUNK_PAGES, LOCAL = 20 };

static struct rack *r;

/* Four members; 1 owns P0 (M), 0 owns P0+1 (E), 2 shares P0+2 whose owner is 1; P1 was never
 * touched. */
static void begin(void)
{
	struct dsm_core_config c = {.members = 4,
				    .epoch = {RACK_EPOCH},
				    .pages = PAGES,
				    .acquire_us = RACK_ACQUIRE_US,
				    .locals = 1,
				    .local = {{LOCAL, 4}}};

	r = rack_new_config(&c);
	rack_write(r, 1, P0, 9);
	rack_read(r, 0, P0 + 1);
	rack_write(r, 1, P0 + 2, 8);
	rack_read(r, 2, P0 + 2);
}

/* `to` gets m from `from`: the space ends at `to`, `from` is named, and nothing but LOST follows,
 * ever. */
static void ends(uint8_t from, uint8_t to, struct dsm_msg m)
{
	uint64_t refused = rack_stats(r, to).refused;

	rack_inject(r, from, to, m);
	CU_ASSERT_EQUAL(r->lost[to], 1);
	CU_ASSERT_EQUAL(r->culprit[to].v, from);
	CU_ASSERT_EQUAL(r->reason[to], ERR_PROTOCOL);
	CU_ASSERT_TRUE(dsm_core_ended(r->core[to]));
	CU_ASSERT_EQUAL(rack_stats(r, to).refused, refused + 1);
	CU_ASSERT_TRUE(r->fx.n && r->fx.v[r->fx.n - 1].type == DSM_FX_LOST);
	rack_inject(r, from, to, m);
	CU_ASSERT_EQUAL(r->fx.n, 0);
	rack_delete(r);
}

static void ends_fresh(uint8_t from, uint8_t to, struct dsm_msg m)
{
	begin();
	ends(from, to, m);
}

/* R2 */
static void fields_out_of_range(void)
{
	ends_fresh(1, 0, rack_message(PAGE_GET_S, 1, PAGES));
	ends_fresh(1, 0, rack_message(PAGE_GET_S, 1, UINT64_MAX));
	ends_fresh(1, 0, rack_message(PAGE_GET_S, 1, (1ull << 32) + P0));
	ends_fresh(1, 0, rack_message(PAGE_GET_S, 1, LOCAL + 1));
	ends_fresh(1, 0, WITH(rack_message(PAGE_GET_S, 1, P0 + 9), m_.pages = 0));
	ends_fresh(1, 0, WITH(rack_message(PAGE_GET_S, 1, P0 + 9), m_.pages = 2));
	ends_fresh(1, 0, WITH(rack_message(PAGE_GET_S, 1, P0 + 9), m_.acks = 1));
	ends_fresh(1, 0, WITH(rack_message(PAGE_GET_S, 1, P0 + 9), m_.flags = PAGE_FLAG_DATA));
	ends_fresh(0, 1, WITH(rack_message(PAGE_FETCH_X, 2, P0), m_.acks = 4; m_.version = 2));
	ends_fresh(0, 1, rack_message(PAGE_FETCH_S, 4, P0));
	ends_fresh(0, 1, rack_message(PAGE_FETCH_S, 255, P0));
	ends_fresh(1, 0, rack_message(0, 1, P0));
	ends_fresh(1, 0, rack_message(PAGE_TYPE_LAST + 1, 1, P0));
	ends_fresh(1, 0, rack_message(255, 1, P0));
}

/* R2: the right message on the wrong way. */
static void wrong_way(void)
{
	ends_fresh(1, 0, rack_message(PAGE_GET_S, 1, P1));   /* home is not here */
	ends_fresh(1, 0, rack_message(PAGE_GET_S, 2, P0));   /* in another's name */
	ends_fresh(2, 1, rack_message(PAGE_FETCH_S, 3, P0)); /* not from home */
	ends_fresh(0, 1, rack_message(PAGE_FETCH_S, 1, P0)); /* from me, for me */
	ends_fresh(2, 1, rack_message(PAGE_INVALIDATE, 3, P0));
	ends_fresh(1, 2, rack_message(PAGE_ACK, 3, P0)); /* for another */
	ends_fresh(1, 2, rack_message(PAGE_GRANT, 3, P0));
	ends_fresh(2, 1, rack_message(PAGE_PUT_ACK, 1, P0)); /* not from home */
	ends_fresh(1, 0, rack_message(PAGE_UNBLOCK, 2, P0));
}

static void requests_nobody_honest_makes(void)
{
	begin(); /* GET_S by the owner */
	ends(1, 0, rack_message(PAGE_GET_S, 1, P0));
	begin(); /* GET_X by the owner */
	ends(1, 0, rack_message(PAGE_GET_X, 1, P0));
	begin(); /* twice for one page */
	rack_inject(r, 3, 0, rack_message(PAGE_GET_X, 3, P0));
	ends(3, 0, rack_message(PAGE_GET_X, 3, P0));
	begin(); /* UNBLOCK without a transaction */
	ends(3, 0, rack_message(PAGE_UNBLOCK, 3, P0));
	begin(); /* UNBLOCK of another's transaction, and of another number */
	rack_inject(r, 3, 0, rack_message(PAGE_GET_X, 3, P0));
	ends(2, 0, rack_message(PAGE_UNBLOCK, 2, P0));
	begin();
	rack_inject(r, 3, 0, rack_message(PAGE_GET_X, 3, P0));
	ends(3, 0, WITH(rack_message(PAGE_UNBLOCK, 3, P0), m_.txn = 2));
	begin(); /* UNBLOCK of a transaction that home ended itself */
	rack_inject(r, 3, 0, rack_message(PAGE_GET_X, 3, P0 + 9));
	ends(3, 0, rack_message(PAGE_UNBLOCK, 3, P0 + 9));
	begin(); /* DROP by the owner */
	ends(1, 0, rack_message(PAGE_DROP, 1, P0));
	begin(); /* PUT that is no PUT */
	ends(1, 0, rack_message(PAGE_PUT, 1, P0));
	begin();
	ends(1, 0, WITH(rack_message(PAGE_PUT, 1, P0), m_.flags = PAGE_FLAG_OWNER));
	begin();
	ends(1, 0,
	     WITH(rack_message(PAGE_PUT, 1, P0),
		  m_.flags = PAGE_FLAG_OWNER | PAGE_FLAG_DATA | PAGE_FLAG_ZERO));
	begin(); /* PUT and DROP while asking for the page */
	rack_inject(r, 3, 0, rack_message(PAGE_GET_X, 3, P0));
	ends(3, 0,
	     WITH(rack_message(PAGE_PUT, 3, P0), m_.flags = PAGE_FLAG_OWNER | PAGE_FLAG_ZERO));
	begin();
	rack_inject(r, 3, 0, rack_message(PAGE_GET_X, 3, P0));
	ends(3, 0, rack_message(PAGE_DROP, 3, P0));
}

/* A bad request that waits in the queue ends the space when its turn comes, in its sender's name.
 */
static void bad_request_in_the_queue(void)
{
	begin();
	rack_inject(r, 2, 0, rack_message(PAGE_GET_X, 2, P0));
	rack_inject(r, 3, 0, rack_message(PAGE_GET_X, 3, P0));
	rack_inject(r, 3, 0, rack_message(PAGE_GET_X, 3, P0)); /* twice, unseen in the queue */
	rack_inject(r, 2, 0, rack_message(PAGE_UNBLOCK, 2, P0));
	CU_ASSERT_EQUAL(r->lost[0], 0);
	rack_inject(r, 3, 0, rack_message(PAGE_UNBLOCK, 3, P0));
	CU_ASSERT_EQUAL(r->lost[0], 1);
	CU_ASSERT_EQUAL(r->culprit[0].v, 3);
	rack_delete(r);
}

/* R9: more requests wait than a member has transactions. */
static void too_many_requests(void)
{
	begin();
	for (uint64_t i = 0; i < DSM_TXN_MAX; i++) {
		rack_inject(r, 1, 0, rack_message(PAGE_GET_X, 1, 100 + i)); /* granted at once */
		rack_inject(r, 2, 0, rack_message(PAGE_GET_X, 2, 100 + i)); /* under way */
		rack_inject(r, 3, 0, rack_message(PAGE_GET_X, 3, 100 + i));
	}
	CU_ASSERT_EQUAL(r->lost[0], 0);
	ends(3, 0, rack_message(PAGE_GET_X, 3, 300));
}

/* R17: FETCH to one who cannot be the owner, or of another version. */
static void forwards_nobody_honest_sends(void)
{
	ends_fresh(0, 3, WITH(rack_message(PAGE_FETCH_S, 2, P0), m_.version = 0));
	ends_fresh(0, 3, WITH(rack_message(PAGE_FETCH_X, 2, P0), m_.version = 1));
	ends_fresh(0, 1, WITH(rack_message(PAGE_FETCH_S, 2, P0), m_.version = 7));
	ends_fresh(0, 1, WITH(rack_message(PAGE_FETCH_X, 2, P0), m_.version = 1));
	ends_fresh(0, 2,
		   WITH(rack_message(PAGE_FETCH_S, 3, P0 + 2), m_.version = 1)); /* a sharer */
	ends_fresh(0, 2, WITH(rack_message(PAGE_FETCH_X, 3, P0 + 2), m_.version = 2));
	ends_fresh(0, 1,
		   WITH(rack_message(PAGE_INVALIDATE, 3, P0), m_.version = 2)); /* a sole copy */
	ends_fresh(0, 2, WITH(rack_message(PAGE_INVALIDATE, 3, P0 + 2), m_.version = 1));
}

/* R25: home has one transaction a page. */
static void second_forward_while_one_is_held_back(void)
{
	begin();
	rack_acquire(r, 1, P0, 1, true, 1);
	rack_inject(r, 0, 1, WITH(rack_message(PAGE_FETCH_X, 2, P0), m_.version = 2));
	CU_ASSERT_EQUAL(rack_stats(r, 1).deferred, 1);
	ends(0, 1, WITH(rack_message(PAGE_FETCH_X, 3, P0), m_.version = 2));
}

/* R25: more requests to hold back than all members' transactions. */
static void more_forwards_than_transactions(void)
{
	enum { POOL = 2 * DSM_TXN_MAX };
	struct dsm_core_config c = {
		.members = 2, .epoch = {RACK_EPOCH}, .pages = PAGES, .hold_us = 1000000};

	r = rack_new_config(&c);
	for (uint64_t i = 0; i <= POOL; i++)
		rack_write(r, 0, DSM_CHUNK_PAGES + i, i);
	for (uint64_t i = 0; i < POOL; i++)
		rack_inject(
			r, 1, 0,
			WITH(rack_message(PAGE_FETCH_X, 1, DSM_CHUNK_PAGES + i), m_.version = 2));
	CU_ASSERT_EQUAL(rack_stats(r, 0).deferred, POOL);
	CU_ASSERT_EQUAL(r->lost[0], 0);
	ends(1, 0, WITH(rack_message(PAGE_FETCH_X, 1, DSM_CHUNK_PAGES + POOL), m_.version = 2));
}

/* Member 3 has asked for P0, with transaction 1. */
static void asked(bool write)
{
	begin();
	rack_fault(r, 3, P0, write);
}

enum {
	DATA = PAGE_FLAG_DATA,
	ZERO = PAGE_FLAG_ZERO,
	WRITE = PAGE_FLAG_WRITE | PAGE_FLAG_OWNER,
};

static struct dsm_msg grant(uint8_t flags, uint8_t acks)
{
	return WITH(rack_message(PAGE_GRANT, 3, P0), m_.flags = flags; m_.acks = acks);
}

/* R14, R15 */
static void grants_nobody_asked_for(void)
{
	begin();
	ends(1, 3, grant(DATA, 0));
	asked(true);
	ends(1, 3, WITH(grant(DATA | WRITE, 0), m_.txn = 2));
	asked(true); /* twice */
	rack_inject(r, 1, 3, grant(DATA | WRITE, 1));
	ends(1, 3, grant(DATA | WRITE, 1));
	asked(true); /* read where write was asked, no data, both */
	ends(1, 3, grant(DATA, 0));
	asked(true);
	ends(1, 3, grant(WRITE, 0));
	asked(true);
	ends(1, 3, grant(WRITE | DATA | ZERO, 0));
	asked(true);
	ends(1, 3, grant(PAGE_FLAG_WRITE | DATA, 0));
	asked(false); /* write where read was asked, no data, acks, owner of data */
	ends(1, 3, grant(DATA | WRITE, 0));
	asked(false);
	ends(1, 3, grant(0, 0));
	asked(false);
	ends(1, 3, grant(DATA, 1));
	asked(false);
	ends(1, 3, grant(DATA | PAGE_FLAG_OWNER, 0));
	begin(); /* data to a sharer that upgrades */
	rack_fault(r, 2, P0 + 2, true);
	ends(1, 2,
	     WITH(rack_message(PAGE_GRANT, 2, P0 + 2), m_.flags = DATA | WRITE;
		  m_.txn = r->core[2]->txn_next_id));
}

/* R10: LAST is said by home, if no ack is due, and then always. */
static void last_grants_nobody_honest_sends(void)
{
	enum { GOOD = ZERO | WRITE };

	asked(true); /* as it is right */
	rack_inject(r, 0, 3, grant(GOOD | PAGE_FLAG_LAST, 0));
	ASSERT_STATE(r, 3, P0, DSM_M);
	CU_ASSERT_EQUAL(r->lost[3], 0);
	rack_delete(r);
	asked(true); /* left out by home */
	ends(0, 3, grant(GOOD, 0));
	asked(false);
	ends(0, 3, grant(DATA, 0));
	asked(true); /* by an owner that is not home */
	ends(1, 3, grant(GOOD | PAGE_FLAG_LAST, 0));
	asked(false);
	ends(1, 3, grant(DATA | PAGE_FLAG_LAST, 0));
	asked(true); /* while an ack is due */
	ends(0, 3, grant(GOOD | PAGE_FLAG_LAST, 1));
	ends_fresh(1, 0,
		   WITH(rack_message(PAGE_PUT, 1, P0),
			m_.flags = PAGE_FLAG_OWNER | ZERO | PAGE_FLAG_LAST));
}

/* R14 */
static void acks_nobody_waits_for(void)
{
	begin();
	ends(1, 3, rack_message(PAGE_ACK, 3, P0));
	asked(true);
	ends(1, 3, WITH(rack_message(PAGE_ACK, 3, P0), m_.txn = 2));
	asked(false); /* a reader waits for none */
	ends(1, 3, rack_message(PAGE_ACK, 3, P0));
	asked(true); /* twice from one */
	rack_inject(r, 2, 3, rack_message(PAGE_ACK, 3, P0));
	ends(2, 3, rack_message(PAGE_ACK, 3, P0));
	asked(true); /* more than the grant then says */
	rack_inject(r, 2, 3, rack_message(PAGE_ACK, 3, P0));
	rack_inject(r, 0, 3, rack_message(PAGE_ACK, 3, P0));
	ends(1, 3, grant(DATA | WRITE, 1));
}

/* R23 */
static void put_acks_nobody_waits_for(void)
{
	begin();
	ends(0, 1, rack_message(PAGE_PUT_ACK, 1, P0));
	asked(true);
	ends(0, 3, rack_message(PAGE_PUT_ACK, 3, P0));
	begin();
	rack_evict(r, 1, P0);
	ends(0, 1, WITH(rack_message(PAGE_PUT_ACK, 1, P0), m_.txn = 999));
	begin(); /* taken, after home had it given away */
	rack_evict(r, 1, P0);
	rack_inject(r, 0, 1, WITH(rack_message(PAGE_FETCH_X, 2, P0), m_.version = 2));
	ends(0, 1, WITH(rack_message(PAGE_PUT_ACK, 1, P0), m_.txn = r->core[1]->txn_next_id));
	begin(); /* GRANT for a transaction that is a PUT */
	rack_evict(r, 1, P0);
	ends(0, 1,
	     WITH(rack_message(PAGE_GRANT, 1, P0), m_.flags = DATA | WRITE;
		  m_.txn = r->core[1]->txn_next_id));
}

/* ---- refused, and nothing more ---- */

static void refused_without_end(void)
{
	begin();
	rack_fault(r, 1, PAGES, true);
	rack_fault(r, 1, UINT64_MAX, false);
	rack_fault(r, 1, LOCAL, true);
	rack_evict(r, 1, LOCAL + 3);
	rack_evict(r, 1, PAGES);
	rack_inject(r, 4, 1, rack_message(PAGE_GET_S, 4, P1)); /* not a member */
	rack_inject(r, 1, 1, rack_message(PAGE_GET_S, 1, P1)); /* ourselves */
	rack_inject(r, 2, 1, rack_message(PAGE_POST, 2, 0));   /* not the core's business */
	rack_inject(r, 2, 1, rack_message(PAGE_CHANGE, 2, 0));
	rack_lose(r, 1, 9);
	rack_step(r, 1, (struct dsm_event){.type = 99});
	CU_ASSERT_EQUAL(rack_stats(r, 1).refused, 11);
	rack_inject(r, 2, 1, rack_message(PAGE_PING, 255, 0));
	CU_ASSERT_EQUAL(rack_stats(r, 1).refused, 11);
	CU_ASSERT_FALSE(dsm_core_ended(r->core[1]));
	rack_fault(r, 1, LOCAL + 4, true);
	rack_settle(r);
	ASSERT_STATE(r, 1, LOCAL + 4, DSM_M);
	rack_delete(r);
}

/* ---- loss ---- */

/* R29: one LOST, waiting acquires are told, then silence: no MAP and no WAKE, whatever still
 * arrives. */
static void loss_of_a_member_ends_the_space(void)
{
	begin();
	rack_fault(r, 3, P0, true);
	rack_acquire(r, 3, P0 + 1, 1, true, 5);
	rack_deliver(r, 3, 0, PAGE_GET_X);
	rack_deliver(r, 0, 1, PAGE_FETCH_X);
	rack_lose(r, 3, 2);
	CU_ASSERT_EQUAL(r->fx.n, 2);
	CU_ASSERT_EQUAL(r->acquire_result[3], ERR_LOST);
	CU_ASSERT_EQUAL(r->lost[3], 1);
	CU_ASSERT_EQUAL(r->culprit[3].v, 2);
	CU_ASSERT_EQUAL(r->reason[3], ERR_LOST);
	rack_deliver(r, 1, 3, PAGE_GRANT);
	CU_ASSERT_EQUAL(r->fx.n, 0);
	rack_fault(r, 3, P0, false);
	CU_ASSERT_EQUAL(r->fx.n, 0);
	rack_acquire(r, 3, P0, 1, true, 6);
	CU_ASSERT_EQUAL(r->fx.n, 0);
	rack_lose(r, 3, 1);
	CU_ASSERT_EQUAL(r->fx.n, 0);
	CU_ASSERT_FALSE(r->page[3][P0].present);
	rack_delete(r);
}

static void news_of_a_loss_ends_the_space(void)
{
	begin();
	rack_inject(r, 1, 0, rack_message(PAGE_MEMBER_LOST, 3, 0));
	CU_ASSERT_EQUAL(r->culprit[0].v, 3);
	CU_ASSERT_EQUAL(r->reason[0], ERR_LOST);
	rack_inject(r, 1, 2, rack_message(PAGE_MEMBER_LOST, 200, 0));
	CU_ASSERT_EQUAL(r->culprit[2].v, 1);
	CU_ASSERT_EQUAL(r->reason[2], ERR_PROTOCOL);
	rack_delete(r);
}

/* ---- anything at all ---- */

static uint64_t noise_state = 88172645463325252ull;

static uint32_t noise(uint32_t n) /* xorshift64, Marsaglia 2003 */
{
	noise_state ^= noise_state << 13;
	noise_state ^= noise_state >> 7;
	noise_state ^= noise_state << 17;
	return (uint32_t)(noise_state >> 20) % n;
}

static struct dsm_msg noisy_message(uint8_t from)
{
	static const uint64_t pages[] = {P0, P0 + 1, P0 + 2, P1, LOCAL, PAGES};
	struct dsm_msg m =
		rack_message((int)noise(PAGE_TYPE_LAST + 2), noise(4) ? from : (uint8_t)noise(5),
			     pages[noise(6) ? noise(4) : noise(6)]);

	m.flags = (uint8_t)noise(32);
	m.acks = noise(4) ? 0 : (uint8_t)noise(5);
	m.version = noise(4);
	m.txn = noise(6);
	return m;
}

/* Most random messages end the space at once; the rest must not crash it, nor break an invariant.
 */
static void noise_never_crashes(void)
{
	for (int round = 0; round < 20000; round++) {
		uint8_t victim = (uint8_t)noise(4);

		if (round % 10 == 0)
			begin();
		rack_fault(r, victim, noise(2) ? P0 : P1, noise(2));
		rack_evict(r, victim, P0 + noise(3));
		for (int i = 0; i < 30; i++) {
			uint8_t from = (uint8_t)noise(4);
			struct dsm_event ev = {.type = DSM_EV_MSG,
					       .now = r->now,
					       .msg = {{from}, noisy_message(from)}};

			dsm_step(r->core[victim], &ev,
				 &r->fx); /* memory is not ours to keep here */
			CU_ASSERT_TRUE(r->fx.n < 300);
		}
		if (round % 10 == 9)
			rack_delete(r);
	}
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(fields_out_of_range),
		UNIT_CASE(wrong_way),
		UNIT_CASE(requests_nobody_honest_makes),
		UNIT_CASE(bad_request_in_the_queue),
		UNIT_CASE(too_many_requests),
		UNIT_CASE(forwards_nobody_honest_sends),
		UNIT_CASE(second_forward_while_one_is_held_back),
		UNIT_CASE(more_forwards_than_transactions),
		UNIT_CASE(grants_nobody_asked_for),
		UNIT_CASE(last_grants_nobody_honest_sends),
		UNIT_CASE(acks_nobody_waits_for),
		UNIT_CASE(put_acks_nobody_waits_for),
		UNIT_CASE(refused_without_end),
		UNIT_CASE(loss_of_a_member_ends_the_space),
		UNIT_CASE(news_of_a_loss_ends_the_space),
		UNIT_CASE(noise_never_crashes),
	};

	return unit_main("core-hostile", cases, UNIT_COUNT(cases));
}
