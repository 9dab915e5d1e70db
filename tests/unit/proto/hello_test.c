/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hello: who knows the key and wants the same thing gets through; every changed byte, every
 * other wish and every replay does not.
 */
#include "proto/hello.h"

#include <string.h>

#include "proto/hello_stream.h"
#include "proto/mac.h"
#include "tests/unit/unit.h"

struct pair {
	struct hello d, l; /* dialer (member 2), listener (member 0) */
	struct hello_1 m1;
	struct hello_2 m2;
	struct hello_3 m3;
};

static struct hello side(enum hello_kind kind, uint8_t self, uint8_t peer)
{
	struct hello h = {
		.kind = kind,
		.self = {self},
		.peer = {peer},
		.version_min = 1,
		.version_max = 1,
	};

	if (kind == HELLO_DATA) {
		h.space.v = 0x1122334455667788;
		h.epoch.v = 9;
	}
	memset(h.key, 0x42, sizeof(h.key));
	return h;
}

static void pair_init(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	p->d = side(HELLO_DATA, 2, 0);
	p->l = side(HELLO_DATA, 0, MEMBER_NONE.v);
}

/* The whole hello; returns the first error. */
static int whole(struct pair *p)
{
	int rc = hello_dial(&p->d, &p->m1, NULL);

	if (!rc)
		rc = hello_accept(&p->l, &p->m1, &p->m2, NULL);
	if (!rc)
		rc = hello_dial_answer(&p->d, &p->m2, &p->m3, NULL);
	if (!rc)
		rc = hello_accept_done(&p->l, &p->m3, NULL);
	return rc;
}

static void who_knows_the_key_gets_through(void)
{
	struct pair p;

	pair_init(&p);
	CU_ASSERT_EQUAL(whole(&p), ERR_OK);
	CU_ASSERT_EQUAL(p.d.version, 1);
	CU_ASSERT_EQUAL(p.l.version, 1);
	CU_ASSERT_EQUAL(p.l.peer.v, 2);
	p.d = side(HELLO_CTL, MEMBER_NONE.v, MEMBER_NONE.v);
	p.l = side(HELLO_CTL, MEMBER_NONE.v, MEMBER_NONE.v);
	CU_ASSERT_EQUAL(whole(&p), ERR_OK);
}

static void the_highest_common_version(void)
{
	static const struct {
		uint8_t d_min, d_max, l_min, l_max, chosen;
	} rows[] = {
		{1, 1, 1, 5, 1}, {1, 5, 1, 1, 1}, {2, 4, 3, 9, 4}, {3, 9, 2, 4, 4},
		{1, 1, 2, 2, 0}, {2, 2, 1, 1, 0}, {5, 2, 1, 9, 0}, /* an empty range */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;

		pair_init(&p);
		p.d.version_min = rows[i].d_min;
		p.d.version_max = rows[i].d_max;
		p.l.version_min = rows[i].l_min;
		p.l.version_max = rows[i].l_max;
		CU_ASSERT_EQUAL(whole(&p), rows[i].chosen ? ERR_OK : ERR_VERSION);
		CU_ASSERT_TRUE(!rows[i].chosen || p.d.version == rows[i].chosen);
		CU_ASSERT_TRUE(!rows[i].chosen || p.l.version == rows[i].chosen);
	}
}

static void another_wish(void)
{
	struct pair p;

	pair_init(&p);
	p.d.space.v++;
	CU_ASSERT_EQUAL(whole(&p), ERR_NOTFOUND);
	pair_init(&p);
	p.d.epoch.v++;
	CU_ASSERT_EQUAL(whole(&p), ERR_EPOCH);
	pair_init(&p);
	p.d.peer.v = 1; /* dials 1, reaches 0 */
	CU_ASSERT_EQUAL(whole(&p), ERR_NOTFOUND);
	pair_init(&p);
	p.d.self.v = 0; /* says it is the listener itself */
	CU_ASSERT_EQUAL(whole(&p), ERR_PROTOCOL);
	pair_init(&p);
	p.d.self.v = DSM_MEMBERS_MAX;
	CU_ASSERT_EQUAL(whole(&p), ERR_PROTOCOL);
	pair_init(&p);
	p.l.peer.v = 1; /* the listener waits for 1 */
	CU_ASSERT_EQUAL(whole(&p), ERR_PROTOCOL);
	pair_init(&p);
	p.l = side(HELLO_CELLD, MEMBER_NONE.v, MEMBER_NONE.v);
	CU_ASSERT_EQUAL(whole(&p), ERR_PROTOCOL);
}

static void another_key(void)
{
	struct pair p;

	for (size_t i = 0; i < CELL_KEY_BYTES; i++) {
		pair_init(&p);
		p.d.key[i] ^= 0x80;
		CU_ASSERT_EQUAL(hello_dial(&p.d, &p.m1, NULL), ERR_OK);
		CU_ASSERT_EQUAL(hello_accept(&p.l, &p.m1, &p.m2, NULL), ERR_OK);
		CU_ASSERT_EQUAL(hello_dial_answer(&p.d, &p.m2, &p.m3, NULL), ERR_AUTH);
	}
	/* A dialer that does not check the listener's mac gets no further. */
	pair_init(&p);
	CU_ASSERT_EQUAL(hello_dial(&p.d, &p.m1, NULL), ERR_OK);
	CU_ASSERT_EQUAL(hello_accept(&p.l, &p.m1, &p.m2, NULL), ERR_OK);
	CU_ASSERT_EQUAL(hello_dial_answer(&p.d, &p.m2, &p.m3, NULL), ERR_OK);
	for (size_t i = 0; i < HELLO_MAC_BYTES; i++) {
		struct hello_3 forged = p.m3;

		forged.mac[i] ^= 1;
		CU_ASSERT_EQUAL(hello_accept_done(&p.l, &forged, NULL), ERR_AUTH);
	}
	p.m3.magic ^= 1;
	CU_ASSERT_EQUAL(hello_accept_done(&p.l, &p.m3, NULL), ERR_PROTOCOL);
}

/* One bit changed on the way, in any byte of any message: nobody ends with a link. */
static void every_byte_is_covered(void)
{
	struct pair p;

	for (size_t i = 0;
	     i < sizeof(struct hello_1) + sizeof(struct hello_2) + sizeof(struct hello_3); i++) {
		size_t at = i;
		int rc;

		pair_init(&p);
		p.d.version_max = 3; /* so that a changed range can still be served */
		p.l.version_max = 3;
		CU_ASSERT_EQUAL(hello_dial(&p.d, &p.m1, NULL), ERR_OK);
		if (at < sizeof(p.m1))
			((uint8_t *)&p.m1)[at] ^= 2;
		at -= sizeof(p.m1);
		rc = hello_accept(&p.l, &p.m1, &p.m2, NULL);
		if (rc)
			continue;
		if (at < sizeof(p.m2))
			((uint8_t *)&p.m2)[at] ^= 2;
		at -= sizeof(p.m2);
		rc = hello_dial_answer(&p.d, &p.m2, &p.m3, NULL);
		if (rc)
			continue;
		CU_ASSERT_TRUE_FATAL(at < sizeof(p.m3)); /* else a change went unnoticed */
		((uint8_t *)&p.m3)[at] ^= 2;
		CU_ASSERT_NOT_EQUAL(hello_accept_done(&p.l, &p.m3, NULL), ERR_OK);
	}
}

/* The mac speaks for both identities: an answer of member 0 is none of member 1, though both know
 * the key. */
static void an_answer_belongs_to_its_identities(void)
{
	struct hello other = side(HELLO_DATA, 1, MEMBER_NONE.v);
	struct pair p;

	pair_init(&p);
	CU_ASSERT_EQUAL(hello_dial(&p.d, &p.m1, NULL), ERR_OK); /* to member 0 */
	p.m1.to = 1;						/* led astray to member 1 */
	CU_ASSERT_EQUAL(hello_accept(&other, &p.m1, &p.m2, NULL), ERR_OK);
	CU_ASSERT_EQUAL(hello_dial_answer(&p.d, &p.m2, &p.m3, NULL), ERR_PROTOCOL);
	p.m2.from = 0; /* and the answer's name changed */
	CU_ASSERT_EQUAL(hello_dial_answer(&p.d, &p.m2, &p.m3, NULL), ERR_AUTH);
}

static void a_recorded_hello_cannot_be_played_back(void)
{
	struct hello_2 fresh;
	struct pair p;

	pair_init(&p);
	CU_ASSERT_EQUAL(whole(&p), ERR_OK);
	p.l = side(HELLO_DATA, 0, MEMBER_NONE.v);
	CU_ASSERT_EQUAL(hello_accept(&p.l, &p.m1, &fresh, NULL),
			ERR_OK); /* the same HELLO_1 again */
	CU_ASSERT_NOT_EQUAL(memcmp(fresh.nonce, p.m2.nonce, HELLO_NONCE_BYTES), 0);
	CU_ASSERT_EQUAL(hello_accept_done(&p.l, &p.m3, NULL), ERR_AUTH); /* and the same HELLO_3 */
	p.d = side(HELLO_DATA, 2, 0);
	CU_ASSERT_EQUAL(hello_dial(&p.d, &p.m1, NULL), ERR_OK);
	CU_ASSERT_EQUAL(hello_dial_answer(&p.d, &p.m2, &p.m3, NULL), ERR_AUTH); /* an old HELLO_2 */
}

/* Without the key, somebody sends the listener's own mac back as the dialer's: the labels differ.
 */
static void a_mac_cannot_be_reflected(void)
{
	struct hello_3 third;
	struct pair p;

	pair_init(&p);
	CU_ASSERT_EQUAL(hello_dial(&p.d, &p.m1, NULL), ERR_OK);
	CU_ASSERT_EQUAL(hello_accept(&p.l, &p.m1, &p.m2, NULL), ERR_OK);
	third.magic = p.m2.magic;
	memcpy(third.mac, p.m2.mac, sizeof(third.mac));
	CU_ASSERT_EQUAL(hello_accept_done(&p.l, &third, NULL), ERR_AUTH);
}

/* RFC 4231, test case 1 and 2: it is HMAC-SHA256 indeed. */
static void known_answers(void)
{
	static const uint8_t one[MAC_BYTES] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53,
					       0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b,
					       0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7,
					       0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7};
	static const uint8_t two[MAC_BYTES] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
					       0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
					       0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
					       0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
	uint8_t key[20], mac[MAC_BYTES];

	memset(key, 0x0b, sizeof(key));
	CU_ASSERT_TRUE(mac_make(key, sizeof(key), "Hi There", 8, mac));
	CU_ASSERT_TRUE(mac_equal(mac, one));
	CU_ASSERT_TRUE(
		mac_make((const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28, mac));
	CU_ASSERT_TRUE(mac_equal(mac, two));
	CU_ASSERT_FALSE(mac_equal(mac, one));
}

static void over_a_stream(void)
{
	struct hello_stream d = {.hello = side(HELLO_DATA, 2, 0)};
	struct hello_stream l = {.hello = side(HELLO_DATA, 0, MEMBER_NONE.v)};
	struct hello_out to_l, to_d;

	CU_ASSERT_EQUAL(hello_stream_begin(&l, false, &to_d, NULL), ERR_OK);
	CU_ASSERT_EQUAL(to_d.length, 0);
	CU_ASSERT_EQUAL(hello_stream_begin(&d, true, &to_l, NULL), ERR_OK);
	CU_ASSERT_EQUAL(to_l.length, l.want);
	CU_ASSERT_EQUAL(hello_stream_take(&l, to_l.bytes, &to_d, NULL), ERR_OK);
	CU_ASSERT_EQUAL(to_d.length, d.want);
	CU_ASSERT_EQUAL(hello_stream_take(&d, to_d.bytes, &to_l, NULL), ERR_OK);
	CU_ASSERT_EQUAL(d.want, 0);
	CU_ASSERT_EQUAL(to_l.length, l.want);
	CU_ASSERT_EQUAL(hello_stream_take(&l, to_l.bytes, &to_d, NULL), ERR_OK);
	CU_ASSERT_EQUAL(l.want, 0);
	CU_ASSERT_EQUAL(to_d.length, 0);
	CU_ASSERT_EQUAL(l.hello.peer.v, 2);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(who_knows_the_key_gets_through),
		UNIT_CASE(the_highest_common_version),
		UNIT_CASE(another_wish),
		UNIT_CASE(another_key),
		UNIT_CASE(every_byte_is_covered),
		UNIT_CASE(an_answer_belongs_to_its_identities),
		UNIT_CASE(a_recorded_hello_cannot_be_played_back),
		UNIT_CASE(a_mac_cannot_be_reflected),
		UNIT_CASE(known_answers),
		UNIT_CASE(over_a_stream),
	};

	return unit_main("hello", cases, UNIT_COUNT(cases));
}
