/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rack of cores whose messages are carried by hand: a test says which letter arrives next. Memory
 * is one number a page, kept as the adapter's contract wants it: an effect that breaks the contract
 * (MAP on a present page, READ_OUT of a writable one, ...) is a failed assertion.
 */
#ifndef CELLULAR_TEST_DSM_RACK_H
#define CELLULAR_TEST_DSM_RACK_H

#include "dsm/core/internal.h"
#include "tests/unit/unit.h"

enum { RACK_EPOCH = 7, RACK_HOLD_US = 100, RACK_ACQUIRE_US = 500 };

struct rack_letter {
	struct dsm_msg msg;
	uint64_t data;
	struct rack_letter *next;
};

struct rack_page {
	uint64_t value;
	bool present, writable;
	bool whole; /* in a whole chunk */
};

struct rack {
	uint8_t members;
	uint64_t pages;
	uint64_t now;				/* ns */
	struct dsm_core_config config;		/* of all cores, but for who they are */
	struct dsm_core *core[DSM_MEMBERS_MAX]; /* NULL: of a number that is not in use yet */
	size_t bytes;
	struct rack_page *page[DSM_MEMBERS_MAX];
	uint64_t slot[DSM_MEMBERS_MAX][DSM_SLOTS];
	uint64_t deadline[DSM_MEMBERS_MAX];
	unsigned wakes[DSM_MEMBERS_MAX];
	unsigned acquired[DSM_MEMBERS_MAX];	  /* ACQUIRED effects with ERR_OK */
	uint32_t acquire_result[DSM_MEMBERS_MAX]; /* of the last one */
	unsigned lost[DSM_MEMBERS_MAX];
	unsigned left[DSM_MEMBERS_MAX];
	struct member_id culprit[DSM_MEMBERS_MAX];
	uint32_t reason[DSM_MEMBERS_MAX];
	struct rack_letter *head[DSM_MEMBERS_MAX][DSM_MEMBERS_MAX]; /* [from][to] */
	struct rack_letter *tail[DSM_MEMBERS_MAX][DSM_MEMBERS_MAX];
	struct dsm_effects fx; /* of the last step */
};

/* hold_us 0: none. The space has `pages` pages and no local range. */
struct rack *rack_new(uint8_t members, uint64_t pages, uint32_t hold_us);
struct rack *rack_new_config(const struct dsm_core_config *config);
/* `members` numbers, of which the first `founders` begin. */
struct rack *rack_new_founders(uint8_t founders, uint8_t members, uint64_t pages);
void rack_delete(struct rack *r);
/* The usual end of a case: everything arrives, every core is at rest in a space that lives;
 * deletes. */
void rack_end(struct rack *r);

/* One event for one core; its effects are carried out. */
void rack_step(struct rack *r, uint8_t member, struct dsm_event event);
void rack_fault(struct rack *r, uint8_t member, uint64_t page, bool write);
void rack_evict(struct rack *r, uint8_t member, uint64_t page);
void rack_discard(struct rack *r, uint8_t member, uint64_t page);
void rack_acquire(struct rack *r, uint8_t member, uint64_t page, uint32_t pages, bool write,
		  uint32_t token);
void rack_release(struct rack *r, uint8_t member, uint32_t token);
void rack_move(struct rack *r, uint8_t member, uint64_t page, uint8_t to);
void rack_leave(struct rack *r, uint8_t member);
/* JOIN of a newcomer at one member; its core begins, with what `teller` knows; both at once. */
void rack_take_in(struct rack *r, uint8_t member, uint8_t newcomer);
void rack_begin(struct rack *r, uint8_t newcomer, uint8_t teller);
void rack_join(struct rack *r, uint8_t newcomer);
void rack_lose(struct rack *r, uint8_t member, uint8_t lost);
void rack_inject(struct rack *r, uint8_t from, uint8_t to,
		 struct dsm_msg msg); /* arrives at once */
/* The same, and it ends the space there, with the sender as the culprit; the rack is deleted. */
void rack_ends(struct rack *r, uint8_t from, uint8_t to, struct dsm_msg msg);
/* The member leaves, undisturbed, and keeps nothing. */
void rack_left(struct rack *r, uint8_t member);
void rack_tick(struct rack *r, uint64_t us); /* time passes; TIMERs that are due come */

/* Type of the next letter of the pair, 0: none. */
int rack_next(const struct rack *r, uint8_t from, uint8_t to);
unsigned rack_count(const struct rack *r, uint8_t from, uint8_t to);
/* Delivers the next letter of the pair; asserts that it is of this type. Returns it. */
struct dsm_msg rack_deliver(struct rack *r, uint8_t from, uint8_t to, int type);
/* FENCE of a home whose chunk is to move to one it granted to, and the answer. */
void rack_fence(struct rack *r, uint8_t home, uint8_t granted);
/* Delivers everything, pair by pair, until nothing is under way and no timer is armed. */
void rack_settle(struct rack *r);

enum dsm_state rack_state(const struct rack *r, uint8_t member, uint64_t page);
/* The member that says it is home of the page; MEMBER_NONE: home is on its way. */
struct member_id rack_home(const struct rack *r, uint64_t page);
struct dsm_dir rack_dir(const struct rack *r, uint64_t page);
struct dsm_core_stats rack_stats(const struct rack *r, uint8_t member);
/* Through faults and settling, as a thread would; read returns what is there. */
void rack_write(struct rack *r, uint8_t member, uint64_t page, uint64_t value);
uint64_t rack_read(struct rack *r, uint8_t member, uint64_t page);
/* Straight into mapped memory: the caller knows it is writable. */
void rack_poke(struct rack *r, uint8_t member, uint64_t page, uint64_t value);

/* The page as home and all holders see it was granted `version` times: to test the wrap. */
void rack_set_version(struct rack *r, uint64_t page, uint32_t version);

/* What a peer without honesty says: a message that is in order as far as its type goes, for tests
 * to spoil. */
struct dsm_msg rack_message(int type, uint8_t requester, uint64_t page);
/* The message m after the statements, which know it as m_. */
#define WITH(m, ...)                                                                               \
	({                                                                                         \
		struct dsm_msg m_ = (m);                                                           \
		__VA_ARGS__;                                                                       \
		m_;                                                                                \
	})

#define ASSERT_STATE(r, member, page, state) CU_ASSERT_EQUAL(rack_state(r, member, page), state)

#endif
