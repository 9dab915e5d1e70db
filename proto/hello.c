/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hello's messages: made, checked, and bound together by the two macs. Fields are checked
 * before the mac, so that an honest peer's mistake (another space, an old epoch) has a name;
 * nothing is believed before the mac is right.
 */
#include "proto/hello.h"

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "proto/base/rand.h"
#include "proto/mac.h"

_Static_assert((int)HELLO_MAC_BYTES == (int)MAC_BYTES, "the hello carries HMAC-SHA256");

static const char listener_label[] = "cellular listener";
static const char dialer_label[] = "cellular dialer";

static bool is_data(const struct hello *h)
{
	return h->kind == HELLO_DATA;
}

/* Who has no number yet means a space, too. */
static bool has_space(const struct hello *h)
{
	return is_data(h) || h->kind == HELLO_CALLER;
}

/* mac = HMAC-SHA256(key, label | HELLO_1 | HELLO_2 without its mac) */
static int make_mac(const struct hello *h, const char *label, uint8_t mac[HELLO_MAC_BYTES],
		    struct err *e)
{
	uint8_t text[sizeof(listener_label) + sizeof(h->first) + sizeof(h->second)];
	const size_t second = offsetof(struct hello_2, mac);
	size_t n = strlen(label);

	memcpy(text, label, n);
	memcpy(text + n, &h->first, sizeof(h->first));
	n += sizeof(h->first);
	memcpy(text + n, &h->second, second);
	n += second;
	if (!mac_make(h->key, sizeof(h->key), text, n, mac))
		return err_set(e, ERR_SYS, "libcrypto cannot make an HMAC");
	return ERR_OK;
}

static int check_mac(const struct hello *h, const char *label, const uint8_t mac[HELLO_MAC_BYTES],
		     struct err *e)
{
	uint8_t wanted[HELLO_MAC_BYTES];
	int rc = make_mac(h, label, wanted, e);

	if (rc)
		return rc;
	if (!mac_equal(wanted, mac))
		return err_set(e, ERR_AUTH, "the other side does not know the key");
	return ERR_OK;
}

static int check_space(const struct hello *h, uint64_t space, uint32_t epoch, struct err *e)
{
	if (space != (has_space(h) ? h->space.v : 0))
		return err_set(e, ERR_NOTFOUND, "the other side means space %llu",
			       (unsigned long long)space);
	if (epoch != (has_space(h) ? h->epoch.v : 0))
		return err_set(e, ERR_EPOCH, "the other side is in epoch %u", epoch);
	return ERR_OK;
}

int hello_dial(struct hello *h, struct hello_1 *out, struct err *e)
{
	struct hello_1 *first = &h->first;

	h->version = 0;
	*first = (struct hello_1){
		.magic = htole32(HELLO_MAGIC),
		.kind = (uint8_t)h->kind,
		.version_min = h->version_min,
		.version_max = h->version_max,
		.from = is_data(h) ? h->self.v : MEMBER_NONE.v,
		.to = is_data(h) ? h->peer.v : MEMBER_NONE.v,
		.epoch = htole32(has_space(h) ? h->epoch.v : 0),
		.space = htole64(has_space(h) ? h->space.v : 0),
	};
	if (rand_bytes(first->nonce, sizeof(first->nonce), e))
		return err_wrap(e, ERR_SYS, "hello");
	*out = *first;
	return ERR_OK;
}

static int check_second(const struct hello *h, const struct hello_2 *in, struct err *e)
{
	uint8_t from = is_data(h) ? h->peer.v : MEMBER_NONE.v;

	if (le32toh(in->magic) != HELLO_MAGIC)
		return err_set(e, ERR_PROTOCOL, "the other side does not speak this protocol");
	if (in->kind != h->kind || in->reserved)
		return err_set(e, ERR_PROTOCOL, "the answer to a hello is of another kind");
	if (in->from != from)
		return err_set(e, ERR_PROTOCOL, "member %u answers for member %u", in->from, from);
	if (in->version < h->version_min || in->version > h->version_max)
		return err_set(e, ERR_VERSION, "the other side chose version %u of %u..%u",
			       in->version, h->version_min, h->version_max);
	return check_space(h, le64toh(in->space), le32toh(in->epoch), e);
}

int hello_dial_answer(struct hello *h, const struct hello_2 *in, struct hello_3 *out, struct err *e)
{
	int rc = check_second(h, in, e);

	if (rc)
		return rc;
	h->second = *in;
	rc = check_mac(h, listener_label, in->mac, e);
	if (rc)
		return rc;
	out->magic = htole32(HELLO_MAGIC);
	rc = make_mac(h, dialer_label, out->mac, e);
	if (rc)
		return rc;
	h->version = in->version;
	return ERR_OK;
}

static int check_members(const struct hello *h, const struct hello_1 *in, struct err *e)
{
	if (!is_data(h)) {
		if (in->from != MEMBER_NONE.v || in->to != MEMBER_NONE.v)
			return err_set(e, ERR_PROTOCOL, "a hello of this kind names members");
		return ERR_OK;
	}
	if (in->from >= DSM_MEMBERS_MAX || in->from == h->self.v)
		return err_set(e, ERR_PROTOCOL, "a hello comes from member %u", in->from);
	if (!member_eq(h->peer, MEMBER_NONE) && in->from != h->peer.v)
		return err_set(e, ERR_PROTOCOL, "a hello comes from member %u, not %u", in->from,
			       h->peer.v);
	if (in->to != h->self.v)
		return err_set(e, ERR_NOTFOUND, "a hello is meant for member %u", in->to);
	return ERR_OK;
}

/* The highest version both speak; 0: none. */
static uint8_t common_version(const struct hello *h, const struct hello_1 *in)
{
	uint8_t min = in->version_min > h->version_min ? in->version_min : h->version_min;
	uint8_t max = in->version_max < h->version_max ? in->version_max : h->version_max;

	return min <= max ? max : 0;
}

static int check_first(const struct hello *h, const struct hello_1 *in, struct err *e)
{
	static const uint8_t zero[sizeof(in->reserved)];
	int rc;

	if (le32toh(in->magic) != HELLO_MAGIC)
		return err_set(e, ERR_PROTOCOL, "not a hello");
	if (in->kind != h->kind || memcmp(in->reserved, zero, sizeof(zero)))
		return err_set(e, ERR_PROTOCOL, "a hello of another kind");
	if (!common_version(h, in))
		return err_set(e, ERR_VERSION,
			       "the other side speaks versions %u..%u, this one %u..%u",
			       in->version_min, in->version_max, h->version_min, h->version_max);
	rc = check_space(h, le64toh(in->space), le32toh(in->epoch), e);
	return rc ? rc : check_members(h, in, e);
}

int hello_accept(struct hello *h, const struct hello_1 *in, struct hello_2 *out, struct err *e)
{
	struct hello_2 *second = &h->second;
	int rc = check_first(h, in, e);

	if (rc)
		return rc;
	h->first = *in;
	if (is_data(h))
		h->peer = (struct member_id){in->from};
	*second = (struct hello_2){
		.magic = htole32(HELLO_MAGIC),
		.kind = (uint8_t)h->kind,
		.version = common_version(h, in),
		.from = is_data(h) ? h->self.v : MEMBER_NONE.v,
		.epoch = in->epoch,
		.space = in->space,
	};
	rc = rand_bytes(second->nonce, sizeof(second->nonce), e);
	if (!rc)
		rc = make_mac(h, listener_label, second->mac, e);
	if (rc)
		return rc;
	h->version = second->version;
	*out = *second;
	return ERR_OK;
}

int hello_accept_done(struct hello *h, const struct hello_3 *in, struct err *e)
{
	assert(h->version); /* hello_accept was called */
	if (le32toh(in->magic) != HELLO_MAGIC)
		return err_set(e, ERR_PROTOCOL, "the end of a hello has the wrong magic");
	return check_mac(h, dialer_label, in->mac, e);
}
