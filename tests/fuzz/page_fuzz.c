/* SPDX-License-Identifier: Apache-2.0 */
/* The page header: two bytes choose the space, then comes the header. */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "proto/page.h"
#include "tests/fuzz/fuzz.h"

enum { SEQUENCE = 5 };

static void check(const struct dsm_msg *m, uint32_t bytes, uint8_t members, uint64_t pages)
{
	bool has_page = page_type_class(m->type) != PAGE_CLASS_LINK;

	assert(m->type >= 1 && m->type <= PAGE_TYPE_LAST);
	assert(m->requester.v < members || m->type == PAGE_PING || m->type == PAGE_POST);
	assert(m->acks < members);
	assert(m->member.v < members || member_eq(m->member, MEMBER_NONE));
	assert(members == DSM_MEMBERS_MAX || !(m->sharers >> members));
	assert(!has_page || (m->pages >= 1 && m->pages <= PAGE_RUN_MAX));
	assert(!has_page || (m->page.v < pages && m->page.v + m->pages <= pages));
	assert(!(m->flags & PAGE_FLAG_DATA) || bytes == m->pages * DSM_PAGE_SIZE);
	assert((m->flags & PAGE_FLAG_DATA) ||
	       bytes <= (m->type == PAGE_POST || m->type == PAGE_CHANGE ? POST_BYTES_MAX : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct page_wire w, again;
	struct dsm_msg m;
	uint32_t bytes;
	uint8_t members;
	uint64_t pages;
	int rc;

	assert(page_type_name(size ? data[0] : 0));
	if (size < 2 + sizeof(w))
		return 0;
	members = (uint8_t)(1 + data[0] % DSM_MEMBERS_MAX);
	pages = (uint64_t)1 << data[1] % 33;
	memcpy(&w, data + 2, sizeof(w));
	rc = page_decode(&w, members, pages, SEQUENCE, &m, &bytes, NULL);
	if (rc == ERR_UNSUPPORTED)
		assert(bytes <= PAGE_BYTES_MAX);
	if (rc)
		return 0;
	check(&m, bytes, members, pages);
	page_encode(&again, &m, SEQUENCE, bytes);
	if (page_type_class(m.type) != PAGE_CLASS_LINK)
		assert(!memcmp(&w, &again, sizeof(w)));
	return 0;
}

static void put_header(fuzz_put put, const struct page_wire *w)
{
	uint8_t input[2 + sizeof(*w)] = {3, 20};

	memcpy(input + 2, w, sizeof(*w));
	put(input, sizeof(input));
}

static struct page_wire header_of(uint8_t type)
{
	bool data = type == PAGE_GRANT || type == PAGE_PUT;
	struct dsm_msg m = {
		.type = type, .requester = {1}, .page = {77}, .pages = 1, .version = 3, .txn = 9};
	struct page_wire w;

	m.flags = data			  ? PAGE_FLAG_DATA | PAGE_FLAG_OWNER
		  : type > PAGE_TYPE_LAST ? PAGE_FLAG_OPTIONAL
					  : 0;
	page_encode(&w, &m, SEQUENCE, data ? DSM_PAGE_SIZE : 0);
	return w;
}

#define BAD(of, change)                                                                            \
	do {                                                                                       \
		struct page_wire w = header_of(of);                                                \
		change;                                                                            \
		put_header(put, &w);                                                               \
	} while (0)

void fuzz_seeds(fuzz_put put)
{
	for (uint8_t type = 1; type <= PAGE_TYPE_LAST + 1; type++)
		BAD(type, (void)0);
	BAD(PAGE_GET_S, w.magic = 0);
	BAD(PAGE_GET_S, w.version = PAGE_VERSION_MAX + 1);
	BAD(PAGE_GET_S, w.sequence++);
	BAD(PAGE_GET_S, w.bytes = UINT32_MAX);
	BAD(PAGE_GET_S, w.reserved[0] = 1);
	BAD(PAGE_GET_S, w.type = 0);
	BAD(PAGE_GET_S, w.flags = PAGE_FLAG_DATA);
	BAD(PAGE_GRANT, w.flags |= PAGE_FLAG_ZERO);
	BAD(PAGE_GET_S, w.requester = 4);
	BAD(PAGE_GET_S, w.acks = 4);
	BAD(PAGE_GET_S, w.pages = 0);
	BAD(PAGE_GET_S, w.pages = PAGE_RUN_MAX + 1);
	BAD(PAGE_GET_S, w.page = UINT64_MAX);
	BAD(PAGE_GET_S, (w.page = (1 << 20) - 1, w.pages = 2)); /* the last page and one more */
	BAD(PAGE_GET_S, w.bytes = 1);
	BAD(PAGE_POST, w.bytes = POST_BYTES_MAX + 1);
}
