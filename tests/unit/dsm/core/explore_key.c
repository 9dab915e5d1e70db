/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States are compared by what matters: versions by whether they are home's, the one before, or
 * older; transaction numbers by whether they are the open ones; data by whether it is the last
 * write.
 */
#include "explore.h"

enum { KEY_MAX = 1024 };

struct key {
	uint8_t byte[KEY_MAX];
	unsigned n;
};

static void put(struct key *k, uint64_t v)
{
	k->byte[k->n++] = (uint8_t)v;
}

/* Versions only grow and are only compared with equal or next ones: all that are older by more than
 * one are alike. */
static void put_version(struct key *k, uint32_t version, uint32_t of_home)
{
	uint32_t behind = of_home - version;

	put(k, behind < 2 ? behind : 2);
}

static bool has_version(int type)
{
	return type == PAGE_PUT || type == PAGE_GRANT || type == PAGE_FETCH_S ||
	       type == PAGE_FETCH_X || type == PAGE_INVALIDATE;
}

static void put_msg(struct key *k, const struct dsm_msg *m, uint32_t version)
{
	uint8_t txn = explore_core[m->requester.v]->holders[0].txn;

	put(k, m->type);
	put(k, m->flags);
	put(k, m->requester.v);
	put(k, m->acks);
	/* Nobody looks at the version of the others. */
	put_version(k, has_version(m->type) ? m->version : version, version);
	put(k, txn && explore_core[m->requester.v]->txn[txn - 1].id == m->txn);
}

static void put_txn(struct key *k, uint8_t m, const struct dsm_txn *t, uint32_t version)
{
	put(k, t->state);
	put(k, t->type);
	put(k, t->flags);
	put(k, t->acks);
	put(k, t->acked);
	put_version(k, t->state == TXN_ASKED ? version : t->version, version);
	put(k, t->state != TXN_ASKED && (t->flags & PAGE_FLAG_DATA) &&
		       explore_world.slot[m][0] == explore_world.truth);
}

static void put_member(struct key *k, uint8_t m, uint32_t version)
{
	const struct dsm_holder *h = &explore_core[m]->holders[0];
	const struct dsm_txn *t = h->txn ? &explore_core[m]->txn[h->txn - 1] : NULL;

	put(k, h->state | h->zero << 3 | explore_fresh(m) << 4);
	put_version(k, h->state != DSM_I || (t && t->type == PAGE_PUT) ? h->version : version,
		    version);
	if (t)
		put_txn(k, m, t, version);
	put(k, h->deferred);
	if (h->deferred)
		put_msg(k, &explore_core[m]->deferred[h->deferred - 1].msg, version);
}

static void put_home(struct key *k)
{
	const struct dsm_home *e = &explore_core[0]->homes[0];

	put(k, e->owner);
	put(k, e->sharers);
	put(k, e->requester);
	for (uint16_t i = e->head; i; i = explore_core[0]->waiting[i - 1].next) {
		put(k, explore_core[0]->waiting[i - 1].requester);
		put(k, explore_core[0]->waiting[i - 1].type);
	}
}

/* 128 bits of FNV-like mixing: among millions of states two alike are not to be expected. */
static explore_key digest(const struct key *k)
{
	uint64_t a = 0xcbf29ce484222325ull, b = 0x9e3779b97f4a7c15ull;

	for (unsigned i = 0; i < k->n; i++) {
		a = (a ^ k->byte[i]) * 0x100000001b3ull;
		b = (b + k->byte[i] + 1) * 0xff51afd7ed558ccdull;
		b ^= b >> 29;
	}
	return (explore_key)a << 64 | b;
}

explore_key explore_key_of(void)
{
	uint32_t version = explore_core[0]->homes[0].version;
	struct key k = {.n = 0};

	put_home(&k);
	for (uint8_t m = 0; m < explore_members; m++) {
		put(&k, 0xfe);
		put_member(&k, m, version);
	}
	for (uint8_t a = 0; a < explore_members; a++)
		for (uint8_t b = 0; b < explore_members; b++) {
			put(&k, 0xff);
			for (uint8_t i = 0; i < explore_world.letters[a][b]; i++) {
				const struct explore_letter *l = &explore_world.letter[a][b][i];

				put_msg(&k, &l->msg, version);
				put(&k, (l->msg.flags & PAGE_FLAG_DATA) &&
						l->data == explore_world.truth);
			}
		}
	return digest(&k);
}
