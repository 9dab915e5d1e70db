/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/change.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

const char *notice_name(int type)
{
	switch (type) {
#define X(code, name)                                                                              \
	case code:                                                                                 \
		return #name;
		NOTICES(X)
#undef X
	default:
		return "?";
	}
}

/* An address, with nothing behind it. */
static bool is_address(const char text[ADDRESS_TEXT_MAX])
{
	size_t n = strnlen(text, ADDRESS_TEXT_MAX);
	struct address a;

	for (size_t i = n; i < ADDRESS_TEXT_MAX; i++)
		if (text[i])
			return false;
	return n < ADDRESS_TEXT_MAX && !address_parse(text, &a, NULL);
}

static bool is_empty(const char text[ADDRESS_TEXT_MAX])
{
	static const char zero[ADDRESS_TEXT_MAX];

	return !memcmp(text, zero, sizeof(zero));
}

/* ---- notices ---- */

void notice_encode(struct notice_wire *w, const struct notice *n)
{
	*w = (struct notice_wire){.type = (uint8_t)n->type, .member = n->member.v};
	memcpy(w->address, n->address, strnlen(n->address, sizeof(w->address) - 1));
}

static bool names_newcomer(int type)
{
	return type >= NOTICE_PREPARE;
}

int notice_decode(const void *in, size_t bytes, uint8_t members, struct notice *out, struct err *e)
{
	struct notice_wire w;

	if (bytes != sizeof(w))
		return err_set(e, ERR_PROTOCOL, "a notice of %zu bytes", bytes);
	memcpy(&w, in, sizeof(w));
	if (w.type < NOTICE_ASK || w.type > NOTICE_CANCELLED || w.reserved[0] || w.reserved[1])
		return err_set(e, ERR_PROTOCOL, "a notice of type %u", w.type);
	if (names_newcomer(w.type) ? w.member >= members : w.member != MEMBER_NONE.v)
		return err_set(e, ERR_PROTOCOL, "%s names member %u", notice_name(w.type),
			       w.member);
	if (w.type == NOTICE_PREPARED ? !is_address(w.address) : !is_empty(w.address))
		return err_set(e, ERR_PROTOCOL, "%s with no good address", notice_name(w.type));
	*out = (struct notice){.type = w.type, .member = {w.member}};
	memcpy(out->address, w.address, sizeof(out->address));
	return ERR_OK;
}

/* ---- welcomes ---- */

void welcome_encode(struct welcome_wire *w, const struct welcome *in)
{
	*w = (struct welcome_wire){
		.magic = htole32(WELCOME_MAGIC),
		.version = WELCOME_VERSION,
		.refused = (uint8_t)in->refused,
	};
	if (in->refused)
		return;
	w->self = in->self.v;
	w->host = in->host.v;
	w->members = in->members;
	w->founders = in->founders;
	w->locals = in->locals;
	w->silence_ms = htole32(in->silence_ms);
	w->pages = htole64(in->pages);
	w->present = htole64(in->present);
	for (int i = 0; i < in->locals; i++) {
		w->local[i][0] = htole64(in->local[i].first);
		w->local[i][1] = htole64(in->local[i].pages);
	}
	memcpy(w->heir, in->heir, sizeof(w->heir));
	memcpy(w->address, in->address, sizeof(w->address));
}

static void unpack(const struct welcome_wire *w, struct welcome *out)
{
	*out = (struct welcome){
		.refused = w->refused,
		.self = {w->self},
		.host = {w->host},
		.members = w->members,
		.founders = w->founders,
		.locals = w->locals,
		.silence_ms = le32toh(w->silence_ms),
		.pages = le64toh(w->pages),
		.present = le64toh(w->present),
	};
	for (int i = 0; i < WELCOME_LOCALS_MAX; i++) {
		out->local[i].first = le64toh(w->local[i][0]);
		out->local[i].pages = le64toh(w->local[i][1]);
	}
	memcpy(out->heir, w->heir, sizeof(out->heir));
	memcpy(out->address, w->address, sizeof(out->address));
}

static int check_numbers(const struct welcome *w, struct err *e)
{
	if (w->members < 2 || w->members > DSM_MEMBERS_MAX || w->founders < 1 ||
	    w->founders >= w->members)
		return err_set(e, ERR_PROTOCOL, "a welcome to a space of %u numbers, %u founders",
			       w->members, w->founders);
	if (w->self.v < w->founders || w->self.v >= w->members || w->present >> w->self.v)
		return err_set(e, ERR_PROTOCOL, "a welcome as member %u among %#llx", w->self.v,
			       (unsigned long long)w->present);
	if (w->host.v >= w->self.v || !(w->present & dsm_bit(w->host.v)))
		return err_set(e, ERR_PROTOCOL, "a welcome by member %u, which is not there",
			       w->host.v);
	return ERR_OK;
}

/* All that are there are below the newcomer, so it dials all of them. */
static int check_addresses(const struct welcome *w, struct err *e)
{
	for (uint8_t m = 0; m < DSM_MEMBERS_MAX; m++) {
		bool there = w->present & dsm_bit(m);

		if (there ? !is_address(w->address[m]) : !is_empty(w->address[m]))
			return err_set(e, ERR_PROTOCOL,
				       "a welcome with no good address of member %u", m);
	}
	return ERR_OK;
}

static int check_space(const struct welcome *w, struct err *e)
{
	if (!w->silence_ms || w->pages < 1 || w->pages > UINT32_MAX)
		return err_set(e, ERR_PROTOCOL, "a welcome to %llu pages",
			       (unsigned long long)w->pages);
	if (w->locals > WELCOME_LOCALS_MAX)
		return err_set(e, ERR_PROTOCOL, "a welcome with %u local ranges", w->locals);
	return ERR_OK;
}

int welcome_decode(const void *in, size_t bytes, struct welcome *out, struct err *e)
{
	struct welcome_wire w;
	int rc;

	if (bytes != sizeof(w))
		return err_set(e, ERR_PROTOCOL, "a welcome of %zu bytes", bytes);
	memcpy(&w, in, sizeof(w));
	if (le32toh(w.magic) != WELCOME_MAGIC || w.reserved)
		return err_set(e, ERR_PROTOCOL, "not a welcome");
	if (w.version != WELCOME_VERSION)
		return err_set(e, ERR_VERSION, "a welcome of version %u", w.version);
	unpack(&w, out);
	if (out->refused)
		return ERR_OK;
	rc = check_numbers(out, e);
	if (!rc)
		rc = check_space(out, e);
	if (!rc)
		rc = check_addresses(out, e);
	return rc;
}
