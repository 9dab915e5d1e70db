/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What members say to each other when one joins a space that runs, and what a newcomer is told: the
 * structs on the wire (packed, little endian, asserted) and their checked decoders. Who says what
 * when: dsm/membership.h.
 *
 * A notice is the payload of a CHANGE message (proto/page.h). A welcome is what a member answers a
 * caller (dsm/transport.h), once; it may be a refusal.
 *
 * Threads: pure functions.
 */
#ifndef CELLULAR_PROTO_CHANGE_H
#define CELLULAR_PROTO_CHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/address.h"
#include "proto/base/err.h"
#include "proto/ids.h"

/* code, name, from -> to: meaning */
#define NOTICES(X)                                                                                 \
	X(1, ASK)	 /* any -> sponsor: I want to change who is a member; let it be my turn */ \
	X(2, TURN)	 /* sponsor -> who asked: it is your turn */                               \
	X(3, OVER)	 /* who had the turn -> sponsor: I am done */                              \
	X(4, PREPARE)	 /* host -> all: `member` will connect to you */                           \
	X(5, PREPARED)	 /* all -> host: it may; I listen at `address` */                          \
	X(6, READY)	 /* newcomer -> host: I am connected to all */                             \
	X(7, ADMIT)	 /* host -> all: take `member` in */                                       \
	X(8, ADMITTED)	 /* all -> host: I have */                                                 \
	X(9, GO)	 /* host -> newcomer: all have; begin */                                   \
	X(10, CANCEL)	 /* host -> all: `member` does not come; its number is used up */          \
	X(11, CANCELLED) /* all -> host: forgotten */

enum notice_type {
#define X(code, name) NOTICE_##name = (code),
	NOTICES(X)
#undef X
};

struct notice {
	enum notice_type type;
	struct member_id member;	/* the newcomer; ASK, TURN, OVER: MEMBER_NONE */
	char address[ADDRESS_TEXT_MAX]; /* PREPARED; else empty */
};

struct notice_wire {
	uint8_t type;
	uint8_t member;
	uint8_t reserved[2];		/* zero */
	char address[ADDRESS_TEXT_MAX]; /* zeros behind the text */
} __attribute__((packed));

_Static_assert(sizeof(struct notice_wire) == 68, "notice_wire is the specification");

/* Name of a type; "?" for what is none. */
const char *notice_name(int type);
void notice_encode(struct notice_wire *w, const struct notice *n);
/* `bytes` came. PROTOCOL: not a notice, with what is wrong. members: numbers are below it. */
int notice_decode(const void *in, size_t bytes, uint8_t members, struct notice *out, struct err *e);

enum {
	WELCOME_MAGIC = 0x57434c43, /* "CLCW" as little-endian bytes */
	WELCOME_VERSION = 1,
	WELCOME_LOCALS_MAX = 8,
};

/* What a newcomer has to know to begin. */
struct welcome {
	enum err_code refused; /* OK: come in. BUSY: try again. NOSPACE, STATE: do not */
	struct member_id self; /* your number: above all that were ever used */
	struct member_id host; /* who takes you in */
	uint8_t members;       /* numbers of the space */
	uint8_t founders;
	uint8_t locals;
	uint32_t silence_ms;
	uint64_t pages;
	dsm_set present; /* who is there, without you */
	struct {
		uint64_t first, pages;
	} local[WELCOME_LOCALS_MAX];
	uint8_t heir[DSM_MEMBERS_MAX]; /* of each that left: member + 1; else 0 */
	/* Of each that is there; else empty. */
	char address[DSM_MEMBERS_MAX][ADDRESS_TEXT_MAX];
};

struct welcome_wire {
	uint32_t magic;
	uint8_t version;
	uint8_t refused; /* enum err_code; the rest is zero then */
	uint8_t self;
	uint8_t host;
	uint8_t members;
	uint8_t founders;
	uint8_t locals;
	uint8_t reserved; /* zero */
	uint32_t silence_ms;
	uint64_t pages;
	uint64_t present;
	uint64_t local[WELCOME_LOCALS_MAX][2]; /* first page, pages */
	uint8_t heir[DSM_MEMBERS_MAX];
	char address[DSM_MEMBERS_MAX][ADDRESS_TEXT_MAX];
} __attribute__((packed));

_Static_assert(sizeof(struct welcome_wire) == 4320, "welcome_wire is the specification");

void welcome_encode(struct welcome_wire *w, const struct welcome *in);
/* PROTOCOL: not a welcome, or one that contradicts itself. Whether the heirs of those that left
 * lead somewhere is the core's to say (dsm_core_bytes). A refusal is OK: see out->refused. */
int welcome_decode(const void *in, size_t bytes, struct welcome *out, struct err *e);

#endif
