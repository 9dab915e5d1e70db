/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the coherence core. Files, in the order in which a fault passes through them:
 *
 *	core.c        memory, init, queries
 *	map.c         where homes are
 *	step.c        dispatch of events and messages, order of a step, end of the space
 *	fx.c          effects, messages out, the queue of messages to ourselves
 *	local.c       what this member wants: faults and evictions
 *	collect.c     collections: several pages at once, in page order
 *	acquire.c     devices: acquire and release
 *	thread.c      stalled threads: the set of pages one needs
 *	txn.c         transactions under way, and the pages that wait for a free one
 *	home.c        directory: one transaction a page, the others wait
 *	whole.c       chunks nobody else asked for: whole, with no state of their pages
 *	recv_get.c    at home: GET_S, GET_X, UPGRADE, UNBLOCK
 *	recv_fetch.c  at the holder: FETCH_S, FETCH_X, INVALIDATE
 *	recv_grant.c  at the requester: GRANT, ACK
 *	recv_put.c    eviction: PUT and DROP at home, PUT_ACK at the evictor
 *	move.c        the home of a chunk moves: freeze, hand over, open
 *	recv_move.c   FENCE; at the new home: HAND, HANDED; at the requester: REDIRECT
 *	leave.c       this member leaves: hands over, gives back, says goodbye
 *	recv_leave.c  the messages of it: LEAVE, TELL, BYE, GONE, and their acks
 *	join.c        who is a member, and newcomers: JOIN, HERE
 *	hold.c        requests held back for a bounded time
 *	holder.c      states of a page here: legal moves, what each state guarantees
 *	journal.c     the last events and the state they began from, for a replay
 *
 * The rules (R1 ...) are those of dsm/PROTOCOL.md. Page numbers inside have 32 bits: a space has
 * fewer than 2^32 pages. Threads: as in core.h, one thread a core; nothing here is shared.
 */
#ifndef CELLULAR_DSM_CORE_INTERNAL_H
#define CELLULAR_DSM_CORE_INTERNAL_H

#include "dsm/core/bug.h"
#include "dsm/core/core.h"

enum {
	/* Messages to ourselves under way within one step; fx.c says why this is enough. */
	SELF_QUEUE_MAX = 16,
	/* Work that may wait for the next step is begun only below this many effects. */
	FX_BUDGET = 256,
	PATIENCE_US = 50,
	/* Slot i < DSM_TXN_MAX belongs to transaction i; this one to the effect that follows. */
	SLOT_READ_OUT = DSM_TXN_MAX,
};

/* A page as its holder sees it. All zero: nothing here, nothing wanted. */
struct dsm_holder {
	uint8_t state : 3;	/* enum dsm_state */
	uint8_t zero : 1;	/* S, O, E: all zero when it came, not written since */
	uint8_t backlog : 1;	/* waits for a free transaction */
	uint8_t want_write : 1; /* ... to write */
	uint8_t collected : 1;	/* may be one of a collection's pages */
	uint8_t lent : 1;	/* a device got the right to write it since it was granted */
	uint8_t txn;		/* transaction under way for it, index + 1; 0: none */
	uint16_t deferred;	/* request held back, index + 1; 0: none */
	uint32_t version;	/* of the grant this copy came with */
	uint32_t granted_us;	/* time of the grant: low 32 bits of us */
	uint32_t next;		/* backlog: page after this one, + 1; 0: last */
};
_Static_assert(sizeof(struct dsm_holder) <= 16, "one holder entry a page");

/* A page as its home sees it. All zero: never granted, idle. */
struct dsm_home {
	dsm_set sharers;   /* without the owner; may hold members that dropped their copy */
	uint32_t version;  /* counts grants of the right to write */
	uint32_t txn;	   /* busy: the requester's transaction */
	uint8_t owner;	   /* member + 1; 0: nobody, the page is all zero */
	uint8_t requester; /* busy: on whose behalf, member + 1; 0: idle */
	bool used;	   /* the page was granted once: the entry goes along when home moves */
	bool written;	   /* of a chunk that was taken whole: this entry and the holder's say it */
	uint16_t head, tail; /* requests that wait, index + 1 into the pool; 0: none */
	uint16_t queued;
};
_Static_assert(sizeof(struct dsm_home) <= 32, "one home entry a page");

/* The home of a chunk as this member knows it (map.c), and what happens to it here (move.c,
 * whole.c). All zero: where it was at first, and settled. */
struct dsm_chunk {
	uint32_t version;      /* how often the home moved; does not wrap */
	uint32_t next;	       /* in the line of those to be moved, or opened: chunk + 1; 0: last */
	uint32_t busy : 10;    /* home is here: transactions under way */
	uint32_t entries : 10; /* that are used, here */
	uint32_t state : 3;    /* enum dsm_chunk_state */
	uint32_t home : 7;     /* member + 1; 0: where it was at first */
	uint32_t taken : 1;    /* whole once: an entry not written says that home has the page, M */
	uint32_t whole : 1;    /* ... and is so still: no other member asked for a page of it */
	uint32_t waiting : 14; /* requests, here */
	uint32_t to : 7;       /* MOVING, FROZEN: member that is to be its home */
	uint32_t giver : 7;    /* COMING: member + 1 that sends the entries; 0: none came yet */
	uint32_t reserved : 4;
};
_Static_assert(sizeof(struct dsm_chunk) <= 16, "all there is of a whole chunk");
_Static_assert(DSM_CHUNK_PAGES < 1 << 10 && DSM_MEMBERS_MAX * DSM_TXN_MAX < 1 << 14,
	       "the counters of a chunk");

struct dsm_line {
	uint32_t head, tail; /* chunk + 1; 0: empty */
};

/* A home that is being handed over: one at a time. */
struct dsm_handover {
	bool active;
	struct member_id to;
	uint32_t chunk;
	uint32_t version; /* of the map, after it */
	uint16_t at;	  /* next page of the chunk */
	bool entry_sent;  /* of that page; its queue follows */
};

enum dsm_leave_state {
	LEAVE_NOT,
	LEAVE_ASKED,	/* homes may still be on their way here */
	LEAVE_HANDING,	/* all homes here go to the heir */
	LEAVE_EVICTING, /* all pages go home */
	LEAVE_BYE_HEIR, /* the heir is told, so that it knows before it is asked */
	LEAVE_BYE,	/* ... and the others */
	LEAVE_LEFT,	/* nothing, ever */
};

/* This member leaves (leave.c). All zero: it does not. */
struct dsm_leave {
	uint8_t state; /* enum dsm_leave_state */
	bool again;    /* a page was put in this round: it may have come back */
	bool more;     /* only the budget of a step kept it from going on */
	struct member_id heir;
	dsm_set awaited; /* whose answer is missing */
	uint32_t chunk;	 /* HANDING: the next one */
	uint64_t page;	 /* EVICTING: the next one */
};

/* A request that waits at home: at most DSM_TXN_MAX a member (R9). */
struct dsm_waiting {
	uint32_t txn;
	uint16_t next; /* index + 1 */
	uint8_t requester;
	uint8_t type;
};

/* A request of home's that the holder put off: one a page, one a transaction of others (R25). */
struct dsm_deferred {
	uint64_t deadline; /* ns */
	struct dsm_msg msg;
	uint16_t place; /* in the heap */
};

enum dsm_txn_state {
	TXN_FREE,
	TXN_ASKED,    /* request left; GRANT not here yet, ACKs may be */
	TXN_GRANTED,  /* GRANT is here (its data in our slot), ACKs are missing */
	TXN_PUT_HELD, /* PUT left; the page is in our slot until PUT_ACK */
	TXN_PUT_GONE, /* ... and was taken from there by FETCH_X or INVALIDATE */
	TXN_STATES,
};

struct dsm_txn {
	uint8_t state; /* enum dsm_txn_state */
	uint8_t type;  /* request that was sent: PAGE_GET_S, GET_X, UPGRADE, PUT */
	uint8_t flags; /* of the GRANT; of the PUT */
	uint8_t acks;  /* GRANTED: how many are due */
	bool remote;   /* another member took part */
	uint32_t page;
	uint32_t id;
	uint32_t version;      /* of the GRANT; of the PUT */
	struct member_id home; /* that was asked; that began the transaction (R32) */
	uint32_t map;	       /* ... by this version of the map */
	dsm_set acked;
};

/* Several pages that are wanted here at once (R26 .. R28). All zero: none. */
struct dsm_collection {
	uint8_t state; /* enum dsm_collection_state */
	bool asked;    /* all pages were asked for once, or need not be */
	uint8_t pages;
	uint8_t prefix; /* so many, from the first on, are here and held against others */
	uint8_t tries;	/* windows that closed before all pages were here */
	uint16_t write; /* bit i: page[i] is wanted to write */
	uint32_t page[DSM_ACQUIRE_PAGES_MAX]; /* rising */
	uint64_t window;		      /* ns: the first one */
	uint64_t last;			      /* ns: the last one, when all pages are here */
	uint64_t until;			      /* ns: end of the window; 0: none opened yet */
};

enum dsm_collection_state {
	COLLECTION_IDLE,     /* holds nothing, wants nothing */
	COLLECTION_WANTS,    /* collects */
	COLLECTION_COMPLETE, /* all pages are or were here: the last window */
};

/* A thread that stalls (R40 .. R42). Its set is its collection's pages. */
struct dsm_thread {
	uint32_t id;	/* 0: free */
	uint8_t rounds; /* how often it came back to its set with no proof of progress, and more */
	bool written;	/* a page only this thread wants was written: it got on */
	bool unwritten; /* a page it wants to write left as it came */
	bool shared;	/* a page others here want too was written: perhaps it got on */
	uint32_t stalled;		      /* page of its last fault */
	uint64_t last;			      /* ns: its last fault */
	uint32_t seen[DSM_ACQUIRE_PAGES_MAX]; /* granted_us of its pages when it last faulted */
};

enum { COLLECTIONS_MAX = DSM_ACQUIRES_MAX + DSM_THREADS_MAX };

struct dsm_core {
	struct dsm_core_config config;
	struct dsm_core_stats stats;
	struct dsm_effects *out;     /* of the step under way */
	struct dsm_journal *journal; /* NULL: nothing is recorded */
	uint64_t now;		     /* ns */
	uint64_t armed;		     /* deadline the adapter knows; UINT64_MAX: none */
	bool ended;		     /* no effect any more */
	bool ending;		     /* this step ends the space ... */
	struct member_id culprit;    /* ... because of this member */
	uint32_t reason;
	struct member_id blame; /* who sent what this step handles */

	struct dsm_msg self_queue[SELF_QUEUE_MAX];
	uint8_t self_first, self_count;

	struct dsm_txn txn[DSM_TXN_MAX];
	uint8_t txn_free[DSM_TXN_MAX]; /* stack of indices */
	uint8_t txn_free_count;
	uint32_t txn_next_id;
	uint32_t backlog_head, backlog_tail; /* page + 1; 0: empty */
	uint32_t backlog_count;

	/* First those of acquires, then those of threads. */
	struct dsm_collection collection[COLLECTIONS_MAX];
	bool collections_dirty;		  /* a page of one changed since they were last looked at */
	uint32_t token[DSM_ACQUIRES_MAX]; /* of acquires */
	struct dsm_thread thread[DSM_THREADS_MAX]; /* the first `threads` are used */
	uint32_t threads;

	struct dsm_line moving;	 /* chunks whose home is to move; the first is frozen */
	struct dsm_line opening; /* chunks whose home came here, with requests to begin */
	uint16_t opening_at;	 /* next page of the first of them */
	struct dsm_handover handover;
	dsm_set unfenced; /* a last GRANT of ours may be on its way to them (R10) */
	dsm_set fence;	  /* were asked whether all is there, and have not answered (R32) */
	uint32_t fenced;  /* the frozen chunk, + 1, once all were asked for it; 0: not yet */
	uint16_t frozen;  /* pages of the frozen chunk, the lowest ones, that stand still (R32) */
	uint32_t walked;  /* pages looked at in this step for moves, or to leave */

	struct dsm_leave leave;
	bool greet;		       /* we are a newcomer, and did not say HERE yet */
	dsm_set present;	       /* members that have not left; ourselves too */
	dsm_set known;		       /* ... and those that have: numbers that were ever used */
	dsm_set unheard;	       /* newcomers that did not say HERE to us yet */
	dsm_set leaving;	       /* others that said LEAVE, and not GONE */
	dsm_set unanswered;	       /* ... and have no LEAVE_ACK from us */
	dsm_set gone;		       /* said GONE */
	uint8_t heir[DSM_MEMBERS_MAX]; /* of who left: member + 1 */
	uint32_t serving[DSM_MEMBERS_MAX]; /* home: transactions of each member under way */

	uint8_t waits[DSM_MEMBERS_MAX]; /* home: requests of each member that wait */
	uint32_t pool;			/* entries of waiting and of deferred: members * K */
	uint16_t waiting_free;		/* index + 1 */
	uint32_t waiting_fresh;		/* entries from here on were never used */
	uint32_t deferred_count;	/* heap[0 .. count) are in use, the rest names free ones */

	struct dsm_waiting *waiting;
	struct dsm_deferred *deferred;
	uint16_t *heap;
	struct dsm_holder *holders;
	struct dsm_home *homes;
	struct dsm_chunk *chunks;
};

static inline bool dsm_is_self(const struct dsm_core *core, struct member_id m)
{
	return member_eq(core->config.self, m);
}

static inline bool dsm_is_in(dsm_set set, struct member_id m)
{
	return m.v < DSM_MEMBERS_MAX && set & dsm_bit(m.v);
}

/* May a message go there? */
static inline bool dsm_is_present(const struct dsm_core *core, struct member_id m)
{
	return dsm_is_in(core->present, m);
}

/* ---- journal.c ---- */

void dsm_journal_event(struct dsm_core *core, const struct dsm_event *event);
/* The step is over. */
void dsm_journal_effects(struct dsm_core *core);
/* An entry of the tables is about to be read, and perhaps changed. */
void dsm_journal_touch(const struct dsm_core *core, const void *entry, size_t bytes);

/* Whoever hands out an entry of the tables says so here. */
static inline void dsm_touch(const struct dsm_core *core, const void *entry, size_t bytes)
{
	if (core->journal)
		dsm_journal_touch(core, entry, bytes);
}

static inline struct dsm_chunk *dsm_chunk(const struct dsm_core *core, uint32_t page)
{
	struct dsm_chunk *c = &core->chunks[page / DSM_CHUNK_PAGES];

	dsm_touch(core, c, sizeof(*c));
	return c;
}

/* ---- whole.c ---- */

/* R54: writes the entries of a page of a chunk that was taken whole. */
void dsm_whole_write(const struct dsm_core *core, uint32_t page);
/* R52: a page is wanted here. True: its chunk is taken whole, the page is here by now. */
bool dsm_whole_take(struct dsm_core *core, uint32_t page);
/* R53: something is to happen to a page of the chunk alone. */
void dsm_whole_split(struct dsm_core *core, uint32_t page);
/* The holder's entry as it would be read, written or not. */
struct dsm_holder dsm_holder_seen(const struct dsm_core *core, uint32_t page);
struct dsm_home dsm_home_seen(const struct dsm_core *core, uint32_t page);

static inline bool dsm_is_whole(const struct dsm_core *core, uint32_t page)
{
	return dsm_chunk(core, page)->whole;
}

/* Do the entries of a page not say yet what they mean (R54)? */
static inline bool dsm_is_unwritten(const struct dsm_core *core, uint32_t page)
{
	return core->config.whole && dsm_chunk(core, page)->taken && !core->homes[page].written;
}

static inline struct dsm_holder *dsm_holder(struct dsm_core *core, uint32_t page)
{
	struct dsm_holder *h = &core->holders[page];

	if (dsm_is_unwritten(core, page))
		dsm_whole_write(core, page);
	dsm_touch(core, h, sizeof(*h));
	return h;
}

static inline struct dsm_home *dsm_home_entry(const struct dsm_core *core, uint32_t page)
{
	struct dsm_home *e = &core->homes[page];

	if (dsm_is_unwritten(core, page))
		dsm_whole_write(core, page);
	dsm_touch(core, e, sizeof(*e));
	if (e->sharers & ~core->present)
		e->sharers &=
			core->present; /* R48: the set is a superset; who left holds nothing */
	return e;
}

/* ---- core.c ---- */

/* Bytes of a core's memory before its tables; 0: config is out of range. */
size_t dsm_core_fixed_bytes(const struct dsm_core_config *config);
/* Sets the pointers of a core that lies in `memory`; config is in range. */
struct dsm_core *dsm_core_attach(void *memory, const struct dsm_core_config *config);

/* Does the range touch a local range? */
bool dsm_is_local(const struct dsm_core *core, uint64_t page, uint64_t pages);

/* ---- map.c ---- */

enum dsm_chunk_state {
	CHUNK_SETTLED, /* home is where the table says */
	CHUNK_COMING,  /* ... here, but entries are still to come from the old home */
	CHUNK_OPENING, /* ... here; requests that waited are begun one after the other */
	CHUNK_MOVING,  /* ... here, and is to move when those before it have moved */
	CHUNK_FROZEN,  /* ... here, and moves: nothing is begun, what is under way ends */
};

/* Where a message to the home of a page has come. */
enum dsm_address {
	ADDRESS_HERE,	   /* home is here, with its entries */
	ADDRESS_SOON,	   /* home will be here */
	ADDRESS_ELSEWHERE, /* it is no longer here */
	ADDRESS_WRONG,	   /* the sender cannot believe that */
};

/* The member to ask. The only function that knows: who stands for the one the map names, if that
 * one left. */
struct member_id dsm_home_of(const struct dsm_core *core, uint32_t page);
/* The member the map names; it may have left. */
struct member_id dsm_map_home(const struct dsm_core *core, uint32_t page);
/* Home is here, with its entries. */
bool dsm_home_is_here(const struct dsm_core *core, uint32_t page);
/* For a message that was sent to us when its sender knew version `map`. */
enum dsm_address dsm_address_of(const struct dsm_core *core, uint32_t page, uint32_t map);
/* Home is, or was, at `home` with version `map`. False: that cannot be (R32). */
bool dsm_map_learn(struct dsm_core *core, uint32_t page, struct member_id home, uint32_t map);
/* A member says as home, or for home, that it is `home` by this version: is it? Learns. */
bool dsm_map_confirm(struct dsm_core *core, uint32_t page, struct member_id home, uint32_t map);

/* ---- step.c ---- */

/* The space ends with this step; the first reason wins. */
void dsm_end(struct dsm_core *core, struct member_id culprit, uint32_t reason);
/* ... because `member` sent what no rule allows. */
void dsm_violation(struct dsm_core *core, struct member_id member);
/* Handles what we sent to ourselves, until there is nothing more. */
void dsm_drain(struct dsm_core *core);

/* ---- fx.c ---- */

struct dsm_effect *dsm_fx(struct dsm_core *core, enum dsm_fx_type type, uint32_t page);
void dsm_fx_slot(struct dsm_core *core, enum dsm_fx_type type, uint32_t page, uint16_t slot);
void dsm_fx_map(struct dsm_core *core, uint32_t page, bool writable, enum dsm_source source,
		uint16_t slot);
/* Adds our epoch. The slot counts with flag DATA only. To ourselves: handled within the step. */
void dsm_send(struct dsm_core *core, struct member_id to, struct dsm_msg msg, uint16_t slot);

static inline bool dsm_has_budget(const struct dsm_core *core)
{
	return core->out->n < FX_BUDGET;
}

/* ---- holder.c ---- */

/* Moves a page to a state; the table there refuses what no rule allows. */
void dsm_holder_move(struct dsm_core *core, uint32_t page, enum dsm_state to);
/* E -> M: nobody need know. */
void dsm_holder_write_silently(struct dsm_core *core, uint32_t page);
void dsm_holder_granted_now(struct dsm_core *core, struct dsm_holder *h);

/* ns that a page is held for somebody who is having trouble, at the least: also where plain grants
 * are held shorter, or not at all. */
static inline uint64_t dsm_patience(const struct dsm_core *core)
{
	uint32_t hold = core->config.hold_us;

	return (hold > PATIENCE_US ? hold : PATIENCE_US) * (uint64_t)1000;
}

static inline bool dsm_may(const struct dsm_holder *h, bool write)
{
	return write ? h->state == DSM_M : h->state != DSM_I;
}

/* ---- txn.c ---- */

/* NULL: none under way for the page. */
struct dsm_txn *dsm_txn_of(struct dsm_core *core, uint32_t page);
/* NULL: none is free. */
struct dsm_txn *dsm_txn_take(struct dsm_core *core, uint32_t page, uint8_t type);
void dsm_txn_move(struct dsm_core *core, struct dsm_txn *t, enum dsm_txn_state to);
uint16_t dsm_txn_slot(const struct dsm_core *core, const struct dsm_txn *t);
/* Home has moved: asks the one we know now. */
void dsm_txn_ask_again(struct dsm_core *core, struct dsm_txn *t);
/* Sees to it that this right will come; what is under way for the page already counts. */
void dsm_want(struct dsm_core *core, uint32_t page, bool write);
void dsm_backlog_run(struct dsm_core *core);

/* ---- collect.c ---- */

/* Which of the collection's pages it is; c->pages: none. */
uint8_t dsm_collection_find(const struct dsm_collection *c, uint32_t page);
/* Begins to collect the pages in c. */
void dsm_collection_start(struct dsm_core *core, struct dsm_collection *c);
/* It holds no more than so many pages: who waits for the others waits no longer, else the order in
 * which hold is taken would be broken. */
void dsm_collection_shrink(struct dsm_core *core, struct dsm_collection *c, uint8_t prefix);
/* It holds nothing any more. */
void dsm_collection_end(struct dsm_core *core, struct dsm_collection *c);
/* ns until which collections keep requests for the page away; not after now: they do not. */
uint64_t dsm_collections_until(struct dsm_core *core, uint32_t page);
/* A page came: who collects it holds it from now on, before home hears of it. */
void dsm_collections_join(struct dsm_core *core, uint32_t page);
void dsm_collections_run(struct dsm_core *core);

/* ---- acquire.c ---- */

void dsm_acquire_event(struct dsm_core *core, const struct dsm_event *event);
void dsm_release_event(struct dsm_core *core, const struct dsm_event *event);
void dsm_acquire_done(struct dsm_core *core, unsigned index, uint32_t result);
/* The space ends: tells those that wait. */
void dsm_acquires_fail(struct dsm_core *core);

/* ---- thread.c ---- */

/* A thread stalled. True: its whole set is being collected, the page among it. */
bool dsm_thread_stalled(struct dsm_core *core, uint32_t id, uint32_t page, bool write);
/* Its set is complete. */
void dsm_thread_ready(struct dsm_core *core, unsigned index);
/* What the adapter saw of a page that was written, or not. */
void dsm_threads_proof(struct dsm_core *core, const struct dsm_proof *proof);

/* ---- hold.c ---- */

enum dsm_deferral { DEFER_NO, DEFER_YES, DEFER_REFUSED };

/* Puts a request of home's off if the page is held. REFUSED: more than an honest home has. */
enum dsm_deferral dsm_hold_defer(struct dsm_core *core, uint32_t page, const struct dsm_msg *msg);
/* A hold ended early. */
void dsm_hold_shorten(struct dsm_core *core, uint32_t page);
/* A collection that held the page is complete: what came meanwhile waits for its last window. */
void dsm_hold_anew(struct dsm_core *core, uint32_t page);
/* Serves what is due. */
void dsm_hold_expire(struct dsm_core *core);
/* Next deadline, ns; UINT64_MAX: none. */
uint64_t dsm_hold_next(const struct dsm_core *core);

/* ---- home.c ---- */

/* Begins the request, or queues it. */
void dsm_home_request(struct dsm_core *core, const struct dsm_msg *msg);
/* The transaction is over: the next in the queue begins. */
void dsm_home_done(struct dsm_core *core, uint32_t page);
/* Begins the first request that waits, if there is one and the entry is idle. */
void dsm_home_next(struct dsm_core *core, uint32_t page);
/* Takes the first request that waits out of the queue, as the message it was. False: none. */
bool dsm_home_unqueue(struct dsm_core *core, uint32_t page, struct dsm_msg *msg);

/* ---- move.c ---- */

void dsm_move_event(struct dsm_core *core, const struct dsm_event *event);
/* Goes on with moves and openings, as far as the budget allows. */
void dsm_moves_run(struct dsm_core *core);
/* Is there something that only the budget kept from being done? */
bool dsm_moves_unfinished(const struct dsm_core *core);
/* The home of a chunk, settled here, is to move there. */
void dsm_move_order(struct dsm_core *core, uint32_t chunk, struct member_id to);
/* Is a move or an opening under way, or in line? */
bool dsm_moves_any(const struct dsm_core *core);
/* R32: is the page frozen? */
bool dsm_move_stops(const struct dsm_core *core, uint32_t page);
/* May a walk over pages or chunks go on in this step? */
bool dsm_may_walk(const struct dsm_core *core);
/* The entries of a chunk are all here. */
void dsm_move_arrived(struct dsm_core *core, uint32_t chunk);
uint64_t dsm_chunks(const struct dsm_core *core);
uint32_t dsm_chunk_pages(const struct dsm_core *core, uint32_t chunk);

/* ---- leave.c ---- */

void dsm_leave_event(struct dsm_core *core);
/* Goes on with it, as far as messages and the budget allow; answers others that leave. */
void dsm_leave_run(struct dsm_core *core);
/* Nobody here wants or has anything any more: R46. */
static inline bool dsm_is_leaving(const struct dsm_core *core)
{
	return core->leave.state != LEAVE_NOT;
}

/* ---- join.c ---- */

/* Are founders, present members and heirs of a configuration in range, and do they agree? */
bool dsm_members_good(const struct dsm_core_config *config);
/* The members as the core begins. */
void dsm_members_begin(struct dsm_core *core);
void dsm_join_event(struct dsm_core *core, const struct dsm_event *event);
/* A newcomer's first step. */
void dsm_greet(struct dsm_core *core);

/* ---- local.c ---- */

void dsm_fault_event(struct dsm_core *core, const struct dsm_event *event);
/* A thread waits for the page: wakes it, or asks for the page. */
void dsm_demand(struct dsm_core *core, uint32_t page, bool write);
void dsm_evict_event(struct dsm_core *core, const struct dsm_event *event);
/* DROP. */
void dsm_drop_copy(struct dsm_core *core, uint32_t page);
/* PUT; discard: as zeros. False: no transaction is free. */
bool dsm_put_page(struct dsm_core *core, uint32_t page, bool discard);

/* ---- recv_*.c: one a message. False: no rule allows it, its sender is broken or hostile. ---- */

typedef bool dsm_recv_fn(struct dsm_core *core, struct member_id from, const struct dsm_msg *msg);

dsm_recv_fn dsm_recv_get; /* GET_S, GET_X, UPGRADE */
dsm_recv_fn dsm_recv_unblock;
dsm_recv_fn dsm_recv_fetch_s;
dsm_recv_fn dsm_recv_fetch_x;
dsm_recv_fn dsm_recv_invalidate;
dsm_recv_fn dsm_recv_grant;
dsm_recv_fn dsm_recv_ack;
dsm_recv_fn dsm_recv_put;
dsm_recv_fn dsm_recv_drop;
dsm_recv_fn dsm_recv_put_ack;
dsm_recv_fn dsm_recv_hand;
dsm_recv_fn dsm_recv_handed;
dsm_recv_fn dsm_recv_redirect;
dsm_recv_fn dsm_recv_leave;
dsm_recv_fn dsm_recv_leave_ack;
dsm_recv_fn dsm_recv_tell;
dsm_recv_fn dsm_recv_bye;
dsm_recv_fn dsm_recv_bye_ack;
dsm_recv_fn dsm_recv_gone;
dsm_recv_fn dsm_recv_here;
dsm_recv_fn dsm_recv_fence;
dsm_recv_fn dsm_recv_fence_ack;
/* May this come from the old home of a chunk whose home moves here? */
bool dsm_hand_good(struct dsm_core *core, struct member_id from, const struct dsm_msg *msg);
/* What a held-back request does when its time has come. */
void dsm_serve(struct dsm_core *core, const struct dsm_msg *msg);

#endif
