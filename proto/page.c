/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page header's codec. Decoding goes from what holds for every frame to what holds for its
 * type, and each refused field has its own sentence.
 */
#include "proto/page.h"

#include <endian.h>
#include <string.h>

struct type {
	const char *name;
	enum page_class class;
};

static const struct type types[PAGE_TYPE_LAST + 1] = {
#define X(code, type, kind) [code] = {.name = #type, .class = PAGE_CLASS_##kind},
	PAGE_TYPES(X)
#undef X
};

static bool type_known(int type)
{
	return type > 0 && type <= PAGE_TYPE_LAST;
}

const char *page_type_name(int type)
{
	return type_known(type) ? types[type].name : "?";
}

enum page_class page_type_class(int type)
{
	return type_known(type) ? types[type].class : PAGE_CLASS_LINK;
}

/* Flags a type may have besides OPTIONAL. */
static uint8_t flags_allowed(int type)
{
	switch (type) {
	case PAGE_GRANT:
		return PAGE_FLAG_DATA | PAGE_FLAG_ZERO | PAGE_FLAG_WRITE | PAGE_FLAG_OWNER |
		       PAGE_FLAG_LAST;
	case PAGE_PUT:
		return PAGE_FLAG_DATA | PAGE_FLAG_ZERO | PAGE_FLAG_OWNER;
	case PAGE_PUT_ACK:
		return PAGE_FLAG_OWNER;
	default:
		return 0;
	}
}

void page_encode(struct page_wire *w, const struct dsm_msg *msg, uint32_t sequence, uint32_t bytes)
{
	*w = (struct page_wire){
		.magic = htole32(PAGE_MAGIC),
		.version = PAGE_VERSION_MAX,
		.type = msg->type,
		.flags = msg->flags,
		.requester = msg->requester.v,
		.epoch = htole32(msg->epoch.v),
		.bytes = htole32(bytes),
		.page = htole64(msg->page.v),
		.pages = htole32(msg->pages),
		.page_version = htole32(msg->version),
		.txn = htole32(msg->txn),
		.sequence = htole32(sequence),
		.acks = msg->acks,
		.member = msg->member.v,
		.map = htole32(msg->map),
		.sharers = htole64(msg->sharers),
	};
}

static void unpack(const struct page_wire *w, struct dsm_msg *msg, uint32_t *bytes)
{
	*msg = (struct dsm_msg){
		.type = w->type,
		.flags = w->flags,
		.requester = {w->requester},
		.acks = w->acks,
		.epoch = {le32toh(w->epoch)},
		.page = {le64toh(w->page)},
		.pages = le32toh(w->pages),
		.version = le32toh(w->page_version),
		.txn = le32toh(w->txn),
		.map = le32toh(w->map),
		.member = {w->member},
		.sharers = le64toh(w->sharers),
	};
	*bytes = le32toh(w->bytes);
}

/* What must hold for every type, known or not. */
static int check_frame(const struct page_wire *w, uint32_t sequence, struct err *e)
{
	static const uint8_t zero[sizeof(w->reserved)];

	if (le32toh(w->magic) != PAGE_MAGIC)
		return err_set(e, ERR_PROTOCOL, "page header has the wrong magic 0x%08x",
			       le32toh(w->magic));
	if (w->version < PAGE_VERSION_MIN || w->version > PAGE_VERSION_MAX)
		return err_set(e, ERR_PROTOCOL, "page header has version %u", w->version);
	if (le32toh(w->sequence) != sequence)
		return err_set(e, ERR_PROTOCOL, "message %u came where %u was due",
			       le32toh(w->sequence), sequence);
	if (le32toh(w->bytes) > PAGE_BYTES_MAX)
		return err_set(e, ERR_PROTOCOL, "a message announces %u bytes", le32toh(w->bytes));
	if (memcmp(w->reserved, zero, sizeof(zero)))
		return err_set(e, ERR_PROTOCOL, "reserved bytes of a page header are not zero");
	return ERR_OK;
}

static int check_flags(const struct dsm_msg *msg, struct err *e)
{
	uint8_t both = PAGE_FLAG_DATA | PAGE_FLAG_ZERO;

	if (msg->flags & ~(flags_allowed(msg->type) | PAGE_FLAG_OPTIONAL))
		return err_set(e, ERR_PROTOCOL, "%s has flags 0x%02x", page_type_name(msg->type),
			       msg->flags);
	if ((msg->flags & both) == both)
		return err_set(e, ERR_PROTOCOL, "%s has data and says zero",
			       page_type_name(msg->type));
	return ERR_OK;
}

static int check_members(const struct dsm_msg *msg, uint8_t members, struct err *e)
{
	bool may_be_none = msg->type == PAGE_PING || msg->type == PAGE_POST;

	if (msg->requester.v >= members && !(may_be_none && member_eq(msg->requester, MEMBER_NONE)))
		return err_set(e, ERR_PROTOCOL, "%s names member %u of %u",
			       page_type_name(msg->type), msg->requester.v, members);
	if (msg->acks >= members)
		return err_set(e, ERR_PROTOCOL, "%s wants %u acks of %u members",
			       page_type_name(msg->type), msg->acks, members);
	if (msg->member.v >= members && !member_eq(msg->member, MEMBER_NONE))
		return err_set(e, ERR_PROTOCOL, "%s points to member %u of %u",
			       page_type_name(msg->type), msg->member.v, members);
	if (members < DSM_MEMBERS_MAX && msg->sharers >> members)
		return err_set(e, ERR_PROTOCOL, "%s names sharers %#llx of %u members",
			       page_type_name(msg->type), (unsigned long long)msg->sharers,
			       members);
	return ERR_OK;
}

/* Messages of the link have no page: the fields are handed up as zero. */
static int check_range(struct dsm_msg *msg, uint64_t pages, struct err *e)
{
	if (page_type_class(msg->type) == PAGE_CLASS_LINK) {
		msg->page = (struct gpage){0};
		msg->pages = 0;
		return ERR_OK;
	}
	if (msg->pages == 0 || msg->pages > PAGE_RUN_MAX)
		return err_set(e, ERR_PROTOCOL, "%s is about %u pages", page_type_name(msg->type),
			       msg->pages);
	if (msg->page.v >= pages || msg->pages > pages - msg->page.v)
		return err_set(e, ERR_PROTOCOL, "%s is about page %llu + %u of %llu",
			       page_type_name(msg->type), (unsigned long long)msg->page.v,
			       msg->pages, (unsigned long long)pages);
	return ERR_OK;
}

/* Of a message with page data. */
static uint32_t data_bytes(const struct dsm_msg *msg)
{
	return msg->pages * (DSM_PAGE_SIZE + (msg->pages > 1 ? PAGE_ITEM_BYTES : 0));
}

static int check_bytes(const struct dsm_msg *msg, uint32_t bytes, struct err *e)
{
	bool good;

	if (msg->flags & PAGE_FLAG_DATA)
		good = bytes == data_bytes(msg) && (msg->pages == 1 || msg->type == PAGE_GRANT);
	else if (msg->type == PAGE_POST || msg->type == PAGE_CHANGE)
		good = bytes <= POST_BYTES_MAX;
	else
		good = bytes == 0;
	if (!good)
		return err_set(e, ERR_PROTOCOL, "%s has %u bytes of payload",
			       page_type_name(msg->type), bytes);
	return ERR_OK;
}

int page_decode(const struct page_wire *w, uint8_t members, uint64_t pages, uint32_t sequence,
		struct dsm_msg *msg, uint32_t *bytes, struct err *e)
{
	int rc = check_frame(w, sequence, e);

	if (rc)
		return rc;
	unpack(w, msg, bytes);
	if (!type_known(msg->type)) {
		if (msg->type > PAGE_TYPE_LAST && (msg->flags & PAGE_FLAG_OPTIONAL))
			return err_set(e, ERR_UNSUPPORTED, "optional message of unknown type %u",
				       msg->type);
		return err_set(e, ERR_PROTOCOL, "message of unknown type %u", msg->type);
	}
	rc = check_flags(msg, e);
	if (!rc)
		rc = check_members(msg, members, e);
	if (!rc)
		rc = check_range(msg, pages, e);
	if (!rc)
		rc = check_bytes(msg, *bytes, e);
	return rc;
}

/* ---- runs ---- */

bool page_run_goes_on(const struct dsm_msg *first, uint32_t n, const struct dsm_msg *next)
{
	return next->type == PAGE_GRANT && next->type == first->type &&
	       next->flags == first->flags && member_eq(next->requester, first->requester) &&
	       next->acks == first->acks && next->epoch.v == first->epoch.v &&
	       next->page.v == first->page.v + n && next->map == first->map &&
	       member_eq(next->member, first->member);
}

struct page_item page_run_item(const struct dsm_msg *msg)
{
	return (struct page_item){.version = htole32(msg->version), .txn = htole32(msg->txn)};
}

struct dsm_msg page_run_msg(const struct dsm_msg *first, uint32_t i, const struct page_item *item)
{
	struct dsm_msg msg = *first;

	msg.pages = 1;
	msg.page.v += i;
	msg.version = le32toh(item->version);
	msg.txn = le32toh(item->txn);
	return msg;
}

const void *page_run_at(const struct dsm_msg *run, const void *payload, uint32_t i,
			struct dsm_msg *out)
{
	const uint8_t *bytes = payload;
	struct page_item item;

	memcpy(&item, bytes + (size_t)i * sizeof(item), sizeof(item));
	*out = page_run_msg(run, i, &item);
	return bytes + run->pages * sizeof(item) + (size_t)i * DSM_PAGE_SIZE;
}
