/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the data plane, between the members of one space: the struct on the wire (packed,
 * little endian, asserted) and the same message as the core sees it. The meaning of each type is in
 * dsm/PROTOCOL.md.
 *
 * On a stream a message is one frame: struct page_wire, then exactly `bytes` bytes of payload:
 *   - 4096 bytes of page data if flag DATA is set (GRANT and PUT only),
 *   - for a *run* - DATA, and `pages` above 1; GRANT only - that many struct page_item, then as
 * many pages of data,
 *   - 0 .. POST_BYTES_MAX bytes for POST and CHANGE,
 *   - nothing for all others.
 * A receiver checks magic, version, type, flags, bytes, member numbers and the page range before it
 * uses any of them; one that does not hold closes the link (ERR_PROTOCOL). A type above
 * PAGE_TYPE_LAST with flag OPTIONAL is skipped with its payload and counted; without the flag it
 * closes the link.
 */
#ifndef CELLULAR_PROTO_PAGE_H
#define CELLULAR_PROTO_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/ids.h"

enum {
	PAGE_MAGIC = 0x50434c43, /* "CLCP" as little-endian bytes */
	PAGE_VERSION_MIN = 1,
	PAGE_VERSION_MAX = 1,
	PAGE_RUN_MAX = 512,    /* pages one message may carry */
	POST_BYTES_MAX = 4096, /* payload of one POST */
	PAGE_ITEM_BYTES = 8,
	PAGE_BYTES_MAX = PAGE_RUN_MAX * (PAGE_ITEM_BYTES + DSM_PAGE_SIZE),
};

/* class: request < forward < reply; a message only ever causes messages of a higher class (deadlock
 * freedom). */
#define PAGE_TYPES(X)                                                                              \
	X(1, GET_S, REQUEST)	  /* requester -> home: let me read */                             \
	X(2, GET_X, REQUEST)	  /* requester -> home: let me write */                            \
	X(3, UPGRADE, REQUEST)	  /* requester -> home: I read it, let me write */                 \
	X(4, PUT, REQUEST)	  /* owner -> home: take page back (DATA unless clean zero) */     \
	X(5, DROP, REQUEST)	  /* sharer -> home: I no longer hold a copy */                    \
	X(6, FETCH_S, FORWARD)	  /* home -> owner: send requester a copy */                       \
	X(7, FETCH_X, FORWARD)	  /* home -> owner: give requester the page */                     \
	X(8, INVALIDATE, FORWARD) /* home -> sharer: drop it, ack to requester */                  \
	X(9, GRANT, REPLY) /* owner or home -> requester: right, and data where needed; acks = how \
			      many to await */                                                     \
	X(10, ACK, REPLY)  /* sharer -> requester: dropped */                                      \
	X(11, UNBLOCK, REPLY)	 /* requester -> home: transaction done */                         \
	X(12, PUT_ACK, REPLY)	 /* home -> evictor: page or copy may be forgotten */              \
	X(13, PING, LINK)	 /* lease: sent when a link was silent */                          \
	X(14, MEMBER_LOST, LINK) /* requester field = who was lost: the space ends */              \
	X(15, POST, LINK)	 /* bytes for the user of the space (VMM messages) */              \
	X(16, REDIRECT,                                                                            \
	  REPLY)	     /* old home -> requester: ask `member`, home by map version `map` */  \
	X(17, HAND, REQUEST) /* old home -> new home: a page's directory entry */                  \
	X(18, HANDED, REQUEST) /* old home -> new home: that was all of the chunk; you are home */ \
	X(19, LEAVE, REQUEST)  /* leaver -> all: move no home to me */                             \
	X(20, LEAVE_ACK, REPLY) /* all -> leaver: none is on its way any more */                   \
	X(21, TELL, REQUEST) /* leaver -> heir: home of the chunk is `member`, by version `map` */ \
	X(22, BYE, REQUEST)  /* leaver -> all: I hold nothing; `member` stands for me */           \
	X(23, BYE_ACK, REPLY)	/* all -> leaver: nothing more comes to you */                     \
	X(24, GONE, REPLY)	/* leaver -> all: nothing more comes from me */                    \
	X(25, HERE, REPLY)	/* newcomer -> all: I have begun */                                \
	X(26, CHANGE, LINK)	/* a notice (proto/change.h) about who is a member */              \
	X(27, FENCE, REQUEST)	/* home -> those it granted to: answer when all that is there */   \
	X(28, FENCE_ACK, REPLY) /* ... -> home: it is */

enum page_class { PAGE_CLASS_REQUEST, PAGE_CLASS_FORWARD, PAGE_CLASS_REPLY, PAGE_CLASS_LINK };

enum page_type {
#define X(code, name, class) PAGE_##name = (code),
	PAGE_TYPES(X)
#undef X
		PAGE_TYPE_LAST = PAGE_FENCE_ACK,
};

enum page_flag {
	PAGE_FLAG_DATA = 1 << 0,     /* payload is page data */
	PAGE_FLAG_ZERO = 1 << 1,     /* the page is all zero; no data travels */
	PAGE_FLAG_WRITE = 1 << 2,    /* GRANT: write right */
	PAGE_FLAG_OWNER = 1 << 3,    /* GRANT: receiver becomes the owner; PUT: sender was owner;
					PUT_ACK: not taken */
	PAGE_FLAG_LAST = 1 << 4,     /* GRANT: of home itself, no ack is due: no UNBLOCK */
	PAGE_FLAG_OPTIONAL = 1 << 7, /* a receiver that does not know the type may skip it */
};

/* The message as the core sees it. */
struct dsm_msg {
	uint8_t type;		    /* enum page_type */
	uint8_t flags;		    /* enum page_flag */
	struct member_id requester; /* on whose behalf; MEMBER_LOST: who was lost */
	uint8_t acks; /* GRANT, FETCH_X (for the GRANT): acks the requester must await, 0..63 */
	struct epoch epoch;
	struct gpage page; /* first page */
	uint32_t pages;	   /* 1 in the core; a run of GRANTs has more on its way */
	uint32_t version;  /* of the page, counted at home; wraps, serial arithmetic */
	uint32_t txn;	   /* requester's transaction: returned in GRANT and ACK, wraps */
	uint32_t map;	   /* version of the map of homes, a chunk: how often the home moved, as the
			      sender knows it; does not wrap */
	struct member_id member; /* GRANT, forwards, REDIRECT, PUT_ACK, TELL: home; HAND: owner, or
				    none; BYE: heir */
	dsm_set sharers;	 /* HAND */
};

/* On the wire. */
struct page_wire {
	uint32_t magic;
	uint8_t version; /* protocol version agreed in the hello */
	uint8_t type;
	uint8_t flags;
	uint8_t requester;
	uint32_t epoch;
	uint32_t bytes; /* payload that follows */
	uint64_t page;
	uint32_t pages;
	uint32_t page_version;
	uint32_t txn;
	uint32_t sequence; /* of this link and direction, from 1, +1 a message, wraps; a gap closes
			      the link */
	uint8_t acks;
	uint8_t member;
	uint8_t reserved[2]; /* zero */
	uint32_t map;
	uint64_t sharers;
} __attribute__((packed));

_Static_assert(sizeof(struct page_wire) == 56, "page_wire is the specification");
_Static_assert(offsetof(struct page_wire, page) == 16, "page_wire is the specification");
_Static_assert(offsetof(struct page_wire, sequence) == 36, "page_wire is the specification");
_Static_assert(offsetof(struct page_wire, map) == 44, "page_wire is the specification");

/*
 * A run: GRANTs of adjacent pages with data that differ in nothing but page, version and txn, and
 * travel as one message. To the core each is a message of its own.
 */
struct page_item {
	uint32_t version;
	uint32_t txn;
} __attribute__((packed));

_Static_assert(sizeof(struct page_item) == PAGE_ITEM_BYTES, "page_item is the specification");

/* Could `next` follow as the n-th of the run that `first` begins? Both carry data. */
bool page_run_goes_on(const struct dsm_msg *first, uint32_t n, const struct dsm_msg *next);
struct page_item page_run_item(const struct dsm_msg *msg);
/* The i-th message of the run that `first` begins. */
struct dsm_msg page_run_msg(const struct dsm_msg *first, uint32_t i, const struct page_item *item);
/* The i-th message of a run, and its page of data. `payload`: as it came. */
const void *page_run_at(const struct dsm_msg *run, const void *payload, uint32_t i,
			struct dsm_msg *out);

const char *page_type_name(int type);
enum page_class page_type_class(int type);

/* Writes msg with `bytes` of payload to follow. */
void page_encode(struct page_wire *w, const struct dsm_msg *msg, uint32_t sequence, uint32_t bytes);

/*
 * Checks a header that came from the network and unpacks it. members and pages bound its numbers;
 * `sequence` is the one expected. ERR_PROTOCOL with a sentence if any check fails. *bytes: the
 * payload that must follow. ERR_UNSUPPORTED: unknown but optional type: skip *bytes. The epoch is
 * *not* checked: an old one is the core's business.
 */
int page_decode(const struct page_wire *w, uint8_t members, uint64_t pages, uint32_t sequence,
		struct dsm_msg *msg, uint32_t *bytes, struct err *e);

#endif
