/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hello: how the two ends of any link - data plane or control - agree on a version and prove to
 * each other that they know the key. Three fixed-size messages, the same for every transport:
 *
 *   dialer                      listener
 *     HELLO_1  ------------------>      who I am, what I want, versions I speak, nonce_d
 *             <------------------  HELLO_2   who I am, version chosen, nonce_l, mac_l
 *     HELLO_3  ------------------>      mac_d
 *
 *   mac_l = HMAC-SHA256(key, "cellular listener" | HELLO_1 | HELLO_2 without its mac)
 *   mac_d = HMAC-SHA256(key, "cellular dialer"   | HELLO_1 | HELLO_2 without its mac)
 *
 * (RFC 2104, FIPS 180-4; HMAC from libcrypto, compared in constant time.) Both macs cover both
 * nonces and both identities, so a recorded hello cannot be played back and a listener's answer
 * cannot be reflected. This file knows buffers only; who reads and writes them is the transport's
 * business.
 *
 * Threads: pure functions; a struct hello belongs to one thread.
 */
#ifndef CELLULAR_PROTO_HELLO_H
#define CELLULAR_PROTO_HELLO_H

#include "proto/base/err.h"
#include "proto/ids.h"

enum {
	HELLO_MAGIC = 0x48434c43, /* "CLCH" */
	HELLO_NONCE_BYTES = 32,
	HELLO_MAC_BYTES = 32,
};

enum hello_kind {
	HELLO_DATA = 1,	  /* member to member of one space; key of the VM */
	HELLO_CELLD = 2,  /* celld to controller; key of the cluster */
	HELLO_CTL = 3,	  /* cellctl to controller; key of the cluster */
	HELLO_CALLER = 4, /* who wants to become a member, to a member; key of the VM */
};

/* Little endian on the wire. */
struct hello_1 {
	uint32_t magic;
	uint8_t kind;	     /* enum hello_kind */
	uint8_t version_min; /* range of protocol versions the dialer speaks */
	uint8_t version_max;
	uint8_t from; /* DATA: member id of the dialer; else 255 */
	uint8_t to;   /* DATA: member id the dialer wants; else 255 */
	uint8_t reserved[3];
	uint32_t epoch; /* DATA, CALLER: of the space; else 0 */
	uint64_t space; /* DATA, CALLER: space id; else 0 */
	uint8_t nonce[HELLO_NONCE_BYTES];
} __attribute__((packed));

struct hello_2 {
	uint32_t magic;
	uint8_t kind;
	uint8_t version; /* chosen: highest that both speak */
	uint8_t from;	 /* DATA: member id of the listener; else 255 */
	uint8_t reserved;
	uint32_t epoch;
	uint64_t space;
	uint8_t nonce[HELLO_NONCE_BYTES];
	uint8_t mac[HELLO_MAC_BYTES];
} __attribute__((packed));

struct hello_3 {
	uint32_t magic;
	uint8_t mac[HELLO_MAC_BYTES];
} __attribute__((packed));

_Static_assert(sizeof(struct hello_1) == 56, "wire");
_Static_assert(sizeof(struct hello_2) == 84, "wire");
_Static_assert(sizeof(struct hello_3) == 36, "wire");

/* One end's side of a hello. Fill the first block, zero the rest. */
struct hello {
	enum hello_kind kind;
	struct space_id space;
	struct epoch epoch;
	struct member_id self;
	struct member_id peer; /* dialer: whom it dials; listener: MEMBER_NONE before HELLO_1, then
				  who dialled */
	uint8_t key[CELL_KEY_BYTES];
	uint8_t version_min, version_max;

	uint8_t version;      /* agreed; 0 before HELLO_2 */
	struct hello_1 first; /* as on the wire, kept for the macs */
	struct hello_2 second;
};

/* Dialer. hello_dial draws the nonce (getrandom). hello_dial_answer checks HELLO_2 and makes
 * HELLO_3. */
int hello_dial(struct hello *h, struct hello_1 *out, struct err *e);
int hello_dial_answer(struct hello *h, const struct hello_2 *in, struct hello_3 *out,
		      struct err *e);

/* Listener. hello_accept checks HELLO_1 and makes HELLO_2; hello_accept_done checks HELLO_3.
 * Errors: PROTOCOL (magic, kind, member numbers), VERSION, EPOCH, NOTFOUND (another space or
 * member), AUTH (mac). On an error the link is closed without an answer: a stranger learns nothing.
 */
int hello_accept(struct hello *h, const struct hello_1 *in, struct hello_2 *out, struct err *e);
int hello_accept_done(struct hello *h, const struct hello_3 *in, struct err *e);

#endif
