/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exhaustive exploration: every order in which letters, faults, evictions and ends of holds can
 * follow each other, for a few members and one page. Members fault whenever they lack a right,
 * evict whenever they have a copy, and write whenever they may.
 *
 * States are compared by what matters (key_of): versions relative to home's, transaction numbers by
 * whether they are the open ones, data by whether it is the last write. A state is kept as its
 * parent and the action that led to it, and made again by replaying the actions from the start; so
 * memory is small and the code explored is the code itself.
 *
 * Checked in each state: one writer or many readers, who read the last write; the adapter's
 * contract; the space has not ended. In each state in which no letter is under way and nothing is
 * held back: nobody waits, and the directory agrees with the holders.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dsm/core/internal.h"
#include "tests/unit/unit.h"

enum { MEMBERS_MAX = 4, LETTERS_MAX = 8, HOLD_US = 100, KEY_MAX = 1024, DEPTH_MAX = 4096 };

struct letter {
	struct dsm_msg msg;
	uint64_t data;
};

/* All that is not in the cores. */
struct world {
	struct letter letter[MEMBERS_MAX][MEMBERS_MAX][LETTERS_MAX]; /* [from][to] */
	uint8_t letters[MEMBERS_MAX][MEMBERS_MAX];
	uint64_t value[MEMBERS_MAX];
	bool present[MEMBERS_MAX], writable[MEMBERS_MAX];
	uint64_t slot[MEMBERS_MAX][2]; /* of the one transaction; of READ_OUT */
	uint64_t now[MEMBERS_MAX];
	uint64_t truth;
	const char *broken; /* what went wrong first */
};

enum action_kind { READ, WRITE, EVICT, TICK, DELIVER };

struct node {
	uint32_t parent;
	uint8_t kind, a, b;
};

static uint8_t members;
static uint32_t hold_us;
static struct dsm_core *core[MEMBERS_MAX];
static struct world w;
static struct dsm_effects fx;

static void wrong(const char *what)
{
	if (!w.broken)
		w.broken = what;
}

/* ---- the world ---- */

static void begin(void)
{
	struct dsm_core_config c = {
		.members = members, .epoch = {1}, .pages = 1, .hold_us = hold_us};

	memset(&w, 0, sizeof(w));
	for (uint8_t m = 0; m < members; m++) {
		c.self.v = m;
		dsm_core_init(core[m], &c);
		w.now[m] = 1000000000;
	}
}

/* All that one page and few members can change. */
struct image {
	struct world world;
	struct {
		struct dsm_core core;
		struct dsm_holder holder;
		struct dsm_home home;
		struct dsm_waiting waiting[MEMBERS_MAX];
		struct dsm_deferred deferred;
	} member[MEMBERS_MAX];
};

static void save(struct image *i)
{
	i->world = w;
	for (uint8_t m = 0; m < members; m++) {
		i->member[m].core = *core[m];
		i->member[m].holder = core[m]->holders[0];
		i->member[m].home = core[m]->homes[0];
		memcpy(i->member[m].waiting, core[m]->waiting, sizeof(i->member[m].waiting));
		i->member[m].deferred = core[m]->deferred[0];
	}
}

static void restore(const struct image *i)
{
	w = i->world;
	for (uint8_t m = 0; m < members; m++) {
		*core[m] = i->member[m].core;
		core[m]->holders[0] = i->member[m].holder;
		core[m]->homes[0] = i->member[m].home;
		memcpy(core[m]->waiting, i->member[m].waiting, sizeof(i->member[m].waiting));
		core[m]->deferred[0] = i->member[m].deferred;
	}
}

static unsigned slot_index(uint16_t slot)
{
	return slot == SLOT_READ_OUT;
}

static void fx_send(uint8_t m, const struct dsm_effect *e)
{
	uint8_t to = e->to.v;

	if (w.letters[m][to] == LETTERS_MAX) {
		wrong("more letters than a page can have");
		return;
	}
	w.letter[m][to][w.letters[m][to]++] = (struct letter){
		.msg = e->msg,
		.data = e->msg.flags & PAGE_FLAG_DATA ? w.slot[m][slot_index(e->slot)] : 0,
	};
}

static void fx_map(uint8_t m, const struct dsm_effect *e, uint64_t data)
{
	if (w.present[m])
		wrong("MAP of a present page");
	w.present[m] = true;
	w.writable[m] = e->writable;
	w.value[m] = e->source == DSM_FROM_ZERO	   ? 0
		     : e->source == DSM_FROM_EVENT ? data
						   : w.slot[m][slot_index(e->slot)];
}

static void write_if_allowed(uint8_t m)
{
	if (w.writable[m])
		w.value[m] = ++w.truth;
}

static void carry_out(uint8_t m, const struct dsm_effect *e, uint64_t data)
{
	switch (e->type) {
	case DSM_FX_SEND:
		fx_send(m, e);
		break;
	case DSM_FX_STASH:
		w.slot[m][slot_index(e->slot)] = data;
		break;
	case DSM_FX_MAP:
		fx_map(m, e, data);
		break;
	case DSM_FX_READ_OUT:
		if (!w.present[m] || w.writable[m])
			wrong("READ_OUT of a page that is absent or writable");
		w.slot[m][slot_index(e->slot)] = w.value[m];
		break;
	case DSM_FX_PROTECT:
	case DSM_FX_UNPROTECT:
		if (!w.present[m] || w.writable[m] != (e->type == DSM_FX_PROTECT))
			wrong("PROTECT or UNPROTECT without need");
		write_if_allowed(m); /* at the last moment */
		w.writable[m] = e->type == DSM_FX_UNPROTECT;
		break;
	case DSM_FX_UNMAP:
		if (!w.present[m])
			wrong("UNMAP of an absent page");
		w.present[m] = w.writable[m] = false;
		break;
	case DSM_FX_LOST:
		wrong("the space ended");
		break;
	default:
		break;
	}
}

static void step(uint8_t m, struct dsm_event ev, uint64_t data)
{
	ev.now = w.now[m];
	write_if_allowed(m);
	dsm_step(core[m], &ev, &fx);
	for (uint32_t i = 0; i < fx.n; i++)
		carry_out(m, &fx.v[i], data);
	write_if_allowed(m);
}

static void deliver(uint8_t from, uint8_t to)
{
	struct letter l = w.letter[from][to][0];

	w.letters[from][to]--;
	memmove(w.letter[from][to], w.letter[from][to] + 1, w.letters[from][to] * sizeof(l));
	step(to, (struct dsm_event){.type = DSM_EV_MSG, .msg = {{from}, l.msg}}, l.data);
}

static void act(const struct node *n)
{
	switch ((enum action_kind)n->kind) {
	case READ:
	case WRITE:
		step(n->a,
		     (struct dsm_event){.type = DSM_EV_FAULT, .fault = {{0}, n->kind == WRITE, 0}},
		     0);
		break;
	case EVICT:
		step(n->a, (struct dsm_event){.type = DSM_EV_EVICT}, 0);
		break;
	case TICK:
		w.now[n->a] += 2 * HOLD_US * 1000;
		step(n->a, (struct dsm_event){.type = DSM_EV_TIMER}, 0);
		break;
	case DELIVER:
		deliver(n->a, n->b);
		break;
	}
}

/* ---- what may happen ---- */

static bool fresh(uint8_t m)
{
	return (uint32_t)(w.now[m] / 1000) - core[m]->holders[0].granted_us < hold_us;
}

static bool enabled(const struct node *n)
{
	const struct dsm_holder *h = &core[n->a]->holders[0];

	switch ((enum action_kind)n->kind) {
	case READ:
		return h->state == DSM_I && !h->txn;
	case WRITE:
		return h->state != DSM_M && !h->txn;
	case EVICT:
		return h->state != DSM_I && !h->txn && !h->deferred;
	case TICK:
		return fresh(n->a) && h->state != DSM_I;
	case DELIVER:
		return w.letters[n->a][n->b] != 0;
	}
	return false;
}

/* ---- keys ---- */

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
	uint8_t txn = core[m->requester.v]->holders[0].txn;

	put(k, m->type);
	put(k, m->flags);
	put(k, m->requester.v);
	put(k, m->acks);
	/* Nobody looks at the version of the others. */
	put_version(k, has_version(m->type) ? m->version : version, version);
	put(k, txn && core[m->requester.v]->txn[txn - 1].id == m->txn);
}

static void put_txn(struct key *k, uint8_t m, const struct dsm_txn *t, uint32_t version)
{
	put(k, t->state);
	put(k, t->type);
	put(k, t->flags);
	put(k, t->acks);
	put(k, t->acked);
	put_version(k, t->state == TXN_ASKED ? version : t->version, version);
	put(k, t->state != TXN_ASKED && (t->flags & PAGE_FLAG_DATA) && w.slot[m][0] == w.truth);
}

static void put_member(struct key *k, uint8_t m, uint32_t version)
{
	const struct dsm_holder *h = &core[m]->holders[0];
	const struct dsm_txn *t = h->txn ? &core[m]->txn[h->txn - 1] : NULL;

	put(k, h->state | h->zero << 3 | fresh(m) << 4);
	put_version(k, h->state != DSM_I || (t && t->type == PAGE_PUT) ? h->version : version,
		    version);
	if (t)
		put_txn(k, m, t, version);
	put(k, h->deferred);
	if (h->deferred)
		put_msg(k, &core[m]->deferred[h->deferred - 1].msg, version);
}

static void put_home(struct key *k)
{
	const struct dsm_home *e = &core[0]->homes[0];

	put(k, e->owner);
	put(k, e->sharers);
	put(k, e->requester);
	for (uint16_t i = e->head; i; i = core[0]->waiting[i - 1].next) {
		put(k, core[0]->waiting[i - 1].requester);
		put(k, core[0]->waiting[i - 1].type);
	}
}

/* 128 bits of FNV-like mixing: among millions of states two alike are not to be expected. */
static unsigned __int128 digest(const struct key *k)
{
	uint64_t a = 0xcbf29ce484222325ull, b = 0x9e3779b97f4a7c15ull;

	for (unsigned i = 0; i < k->n; i++) {
		a = (a ^ k->byte[i]) * 0x100000001b3ull;
		b = (b + k->byte[i] + 1) * 0xff51afd7ed558ccdull;
		b ^= b >> 29;
	}
	return (unsigned __int128)a << 64 | b;
}

static unsigned __int128 key_of(void)
{
	uint32_t version = core[0]->homes[0].version;
	struct key k = {.n = 0};

	put_home(&k);
	for (uint8_t m = 0; m < members; m++) {
		put(&k, 0xfe);
		put_member(&k, m, version);
	}
	for (uint8_t a = 0; a < members; a++)
		for (uint8_t b = 0; b < members; b++) {
			put(&k, 0xff);
			for (uint8_t i = 0; i < w.letters[a][b]; i++) {
				const struct letter *l = &w.letter[a][b][i];

				put_msg(&k, &l->msg, version);
				put(&k, (l->msg.flags & PAGE_FLAG_DATA) && l->data == w.truth);
			}
		}
	return digest(&k);
}

/* ---- what must hold ---- */

static void check_copies(void)
{
	unsigned readers = 0, writers = 0;

	for (uint8_t m = 0; m < members; m++) {
		enum dsm_state s = core[m]->holders[0].state;

		readers += w.present[m] && !w.writable[m];
		writers += w.writable[m];
		if (w.present[m] != (s != DSM_I) || w.writable[m] != (s == DSM_M))
			wrong("memory is not what the core thinks");
		if (w.present[m] && w.value[m] != w.truth)
			wrong("an old value can be read");
	}
	if (writers > 1 || (writers && readers))
		wrong("a writer is not alone");
}

static void check_holds(void)
{
	for (uint8_t m = 0; m < members; m++)
		if (core[m]->deferred_count && !fresh(m))
			wrong("a request is held back after the hold is over");
}

static bool at_rest(void)
{
	for (uint8_t a = 0; a < members; a++) {
		if (core[a]->deferred_count)
			return false;
		for (uint8_t b = 0; b < members; b++)
			if (w.letters[a][b])
				return false;
	}
	return true;
}

static bool owns(enum dsm_state s)
{
	return s == DSM_O || s == DSM_E || s == DSM_M;
}

static void check_rest(void)
{
	const struct dsm_home *e = &core[0]->homes[0];

	if (e->requester || e->queued)
		wrong("home waits, and nothing is under way");
	for (uint8_t m = 0; m < members; m++) {
		const struct dsm_holder *h = &core[m]->holders[0];

		if (h->txn || dsm_core_pending(core[m]))
			wrong("a transaction waits, and nothing is under way");
		if (owns(h->state) != (e->owner == m + 1))
			wrong("the directory names another owner");
		if ((h->state == DSM_S) != !!(e->sharers & dsm_bit(m)))
			wrong("the directory names other sharers");
		if ((h->state == DSM_E || h->state == DSM_M) && e->sharers)
			wrong("a sole copy has sharers");
		if (h->state != DSM_I && h->version != e->version)
			wrong("a copy of another version");
	}
}

static void check(void)
{
	check_copies();
	check_holds();
	if (at_rest())
		check_rest();
}

/* ---- the search ---- */

struct search {
	struct node *node;
	unsigned __int128 *seen; /* hash set, open addressing; 0: empty */
	size_t room, n;
};

static bool first_visit(struct search *s, unsigned __int128 key)
{
	size_t at = (size_t)key & (2 * s->room - 1);

	while (s->seen[at] && s->seen[at] != key)
		at = (at + 1) & (2 * s->room - 1);
	if (s->seen[at])
		return false;
	s->seen[at] = key;
	return true;
}

static struct image start;

static void replay(const struct search *s, size_t index)
{
	static uint32_t path[DEPTH_MAX];
	unsigned depth = 0;

	for (uint32_t i = (uint32_t)index; i && depth < DEPTH_MAX; i = s->node[i].parent)
		path[depth++] = i;
	restore(&start);
	while (depth)
		act(&s->node[path[--depth]]);
}

static void report(const struct search *s, const struct node *n)
{
	static const char *const kinds[] = {"read", "write", "evict", "tick", "deliver"};

	fprintf(stderr, "\n%s, after (backwards)", w.broken);
	for (;; n = &s->node[n->parent]) {
		fprintf(stderr, " %s %u %u", kinds[n->kind], n->a, n->b);
		if (!n->parent)
			break;
	}
	fprintf(stderr, "\n");
}

/* One action from this state. True: the search may go on. */
static bool try(struct search *s, const struct image *here, const struct node *n)
{
	restore(here);
	act(n);
	check();
	if (w.broken) {
		report(s, n);
		return false;
	}
	if (!first_visit(s, key_of()))
		return true;
	s->node[s->n++] = *n;
	return s->n < s->room;
}

static unsigned possible(size_t index, struct node *out)
{
	unsigned n = 0;

	for (uint8_t kind = READ; kind <= DELIVER; kind++)
		for (uint8_t a = 0; a < members; a++)
			for (uint8_t b = 0; b < (kind == DELIVER ? members : 1); b++) {
				out[n] = (struct node){(uint32_t)index, kind, a, b};
				n += enabled(&out[n]);
			}
	return n;
}

static bool expand(struct search *s, size_t index)
{
	static struct image here;
	struct node next[4 * MEMBERS_MAX + MEMBERS_MAX * MEMBERS_MAX];
	unsigned n;

	replay(s, index);
	save(&here);
	n = possible(index, next);
	for (unsigned i = 0; i < n; i++)
		if (!try(s, &here, &next[i]))
			return false;
	return true;
}

static void explore(uint8_t n_members, uint32_t hold, size_t room)
{
	struct search s = {.room = room, .n = 1};
	size_t done = 0, bytes;

	members = n_members;
	hold_us = hold;
	bytes = dsm_core_bytes(&(struct dsm_core_config){.members = members, .pages = 1});
	for (uint8_t m = 0; m < members; m++)
		core[m] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);
	s.node = calloc(room, sizeof(*s.node));
	s.seen = calloc(2 * room, sizeof(*s.seen));
	begin();
	save(&start);
	first_visit(&s, key_of());
	while (done < s.n && expand(&s, done))
		done++;
	CU_ASSERT_EQUAL(done, s.n); /* all of them, and none broken */
	printf("%u members, hold %u us: %zu states ", members, hold, s.n);
	for (uint8_t m = 0; m < members; m++)
		munmap(core[m], bytes);
	free(s.node);
	free(s.seen);
}

static void two_members(void)
{
	explore(2, 0, 1 << 14);
}
static void two_members_with_holds(void)
{
	explore(2, HOLD_US, 1 << 16);
}
static void three_members(void)
{
	explore(3, 0, 1 << 20);
}

static void three_members_with_holds(void)
{
	explore(3, HOLD_US, 1 << 22);
}

static void four_members(void)
{
	explore(4, 0, 1 << 23);
}

/* With an argument: four members, two million states. */
int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(two_members),	  UNIT_CASE(two_members_with_holds),
		UNIT_CASE(three_members), UNIT_CASE(three_members_with_holds),
		UNIT_CASE(four_members),
	};
	unsigned n = UNIT_COUNT(cases);

	(void)argv;
	return unit_main("core-explore", cases, argc > 1 ? n : n - 1);
}
