/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices and welcomes: the first byte says which (odd: a welcome), for notices the second how many
 * numbers the space has. What is let through is what it says it is, and comes out again as it came
 * in.
 */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "proto/change.h"
#include "tests/fuzz/fuzz.h"

static bool is_ended(const char text[ADDRESS_TEXT_MAX])
{
	return memchr(text, 0, ADDRESS_TEXT_MAX);
}

static void fuzz_notice(uint8_t members, const uint8_t *data, size_t size)
{
	struct notice_wire again;
	struct notice n;

	if (notice_decode(data, size, members, &n, NULL))
		return;
	assert(size == sizeof(again) && strcmp(notice_name(n.type), "?") != 0);
	assert(n.member.v < members || member_eq(n.member, MEMBER_NONE));
	assert((n.type < NOTICE_PREPARE) == member_eq(n.member, MEMBER_NONE));
	assert(is_ended(n.address) && (n.type == NOTICE_PREPARED) == (n.address[0] != 0));
	notice_encode(&again, &n);
	assert(!memcmp(data, &again, sizeof(again)));
}

static void check_welcome(const struct welcome *w)
{
	assert(w->members <= DSM_MEMBERS_MAX && w->self.v < w->members && w->host.v < w->self.v);
	assert(w->founders >= 1 && w->founders <= w->self.v);
	assert(w->present && !(w->present >> w->self.v) && w->present & dsm_bit(w->host.v));
	assert(w->locals <= WELCOME_LOCALS_MAX && w->pages && w->silence_ms);
	for (uint8_t m = 0; m < DSM_MEMBERS_MAX; m++)
		assert(is_ended(w->address[m]) && !!w->address[m][0] == (w->present >> m & 1));
}

static void fuzz_welcome(const uint8_t *data, size_t size)
{
	struct welcome_wire again;
	struct welcome w, twice;

	if (welcome_decode(data, size, &w, NULL))
		return;
	if (!w.refused)
		check_welcome(&w);
	welcome_encode(&again, &w);
	assert(!welcome_decode(&again, sizeof(again), &twice, NULL));
	assert(twice.refused == w.refused && (w.refused || twice.present == w.present));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	assert(notice_name(size ? data[0] : 0));
	if (size < 2)
		return 0;
	if (data[0] & 1)
		fuzz_welcome(data + 1, size - 1);
	else
		fuzz_notice((uint8_t)(1 + data[1] % DSM_MEMBERS_MAX), data + 2, size - 2);
	return 0;
}

static void put_notice(fuzz_put put, const struct notice *n, size_t cut)
{
	uint8_t input[2 + sizeof(struct notice_wire)] = {0, 7};
	struct notice_wire w;

	notice_encode(&w, n);
	memcpy(input + 2, &w, sizeof(w));
	put(input, sizeof(input) - cut);
}

static void put_welcome(fuzz_put put, const struct welcome_wire *w, size_t cut)
{
	uint8_t input[1 + sizeof(*w)] = {1};

	memcpy(input + 1, w, sizeof(*w));
	put(input, sizeof(input) - cut);
}

static struct welcome_wire good_welcome(void)
{
	struct welcome w = {
		.self = {3},
		.host = {2},
		.members = 5,
		.founders = 2,
		.locals = 1,
		.silence_ms = 3000,
		.pages = 1000,
		.present = 6,
		.heir = {2},
		.address = {"", "10.0.0.1:1", "[fe80::1]:2"},
	};
	struct welcome_wire wire;

	welcome_encode(&wire, &w);
	return wire;
}

#define BAD(change)                                                                                \
	do {                                                                                       \
		struct welcome_wire w = good_welcome();                                            \
		change;                                                                            \
		put_welcome(put, &w, 0);                                                           \
	} while (0)

void fuzz_seeds(fuzz_put put)
{
	struct notice n = {.member = {1}, .address = "127.0.0.1:5"};
	struct welcome_wire refusal;

	for (int type = 0; type <= NOTICE_CANCELLED + 1; type++) {
		put_notice(put, &(struct notice){.type = type, .member = {1}}, 0);
		put_notice(put, &(struct notice){.type = type, .member = MEMBER_NONE}, 0);
	}
	n.type = NOTICE_PREPARED;
	put_notice(put, &n, 0);
	put_notice(put, &n, 1);
	n.type = NOTICE_GO;
	put_notice(put, &n, 0);
	welcome_encode(&refusal, &(struct welcome){.refused = ERR_BUSY});
	put_welcome(put, &refusal, 0);
	put_welcome(put, &refusal, 1);
	BAD((void)0);
	BAD(w.magic = 0);
	BAD(w.reserved = 1);
	BAD(w.version++);
	BAD(w.members = 1);
	BAD(w.members = DSM_MEMBERS_MAX + 1);
	BAD(w.founders = 5);
	BAD(w.self = 5);
	BAD(w.self = 1);
	BAD(w.host = 0);
	BAD(w.host = 3);
	BAD(w.present = 14);
	BAD(w.present = 7);
	BAD(w.pages = 0);
	BAD(w.silence_ms = 0);
	BAD(w.locals = WELCOME_LOCALS_MAX + 1);
	BAD(w.address[1][ADDRESS_TEXT_MAX - 1] = 'x');
	BAD(memset(w.address[1], '1', ADDRESS_TEXT_MAX));
	BAD(w.address[4][0] = 'x');
}
