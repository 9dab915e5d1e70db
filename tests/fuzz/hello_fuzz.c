/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hello; the first byte chooses who we are.
 *
 * Against somebody without the key the rest is what the other side sends. Whatever it is, we must
 * not end with a link: a forged mac would have to be guessed.
 *
 * Between two who have the key (BOTH) the rest says what happens on the way: which of the three
 * messages, which byte of it, and what it is changed by. Whoever got a changed message must not end
 * with a link.
 */
#include <assert.h>
#include <string.h>

#include "proto/hello_stream.h"
#include "tests/fuzz/fuzz.h"

enum { BOTH = 0x20, DIALER = 0x40, PEER_KNOWN = 0x80 }; /* bits of the first byte */

static struct hello_stream stream_of(uint8_t choice)
{
	struct hello_stream s = {.hello = {
					 .kind = (enum hello_kind)(HELLO_DATA + choice % 4),
					 .space = {77},
					 .epoch = {5},
					 .self = MEMBER_NONE,
					 .peer = MEMBER_NONE,
					 .version_min = 1,
					 .version_max = 1,
				 }};

	memset(s.hello.key, 0x42, CELL_KEY_BYTES);
	if (s.hello.kind == HELLO_DATA)
		s.hello.self.v = 0;
	if (s.hello.kind == HELLO_DATA && choice & (PEER_KNOWN | DIALER))
		s.hello.peer.v = 1;
	return s;
}

/* Ours, or a copy of it with the roles changed. */
static struct hello_stream other_side(struct hello_stream s)
{
	if (s.hello.kind == HELLO_DATA)
		s.hello.peer = s.hello.self;
	s.hello.self = s.hello.kind == HELLO_DATA ? (struct member_id){1} : MEMBER_NONE;
	return s;
}

/* message 0 .. 2 is changed by `by` in one byte. */
static void fuzz_both(uint8_t choice, uint8_t message, uint8_t place, uint8_t by)
{
	struct hello_stream end[2] = {stream_of(choice), other_side(stream_of(choice))};
	struct hello_out out[2];
	int rc;

	/* 1 dials 0. */
	rc = hello_stream_begin(&end[0], false, &out[0], NULL);
	assert(!rc);
	rc = hello_stream_begin(&end[1], true, &out[1], NULL);
	for (int i = 0; i < 3; i++) {
		struct hello_out *in = &out[(i + 1) % 2];

		assert(!rc && in->length == end[i % 2].want);
		if (i == message % 3)
			in->bytes[place % in->length] ^= by;
		rc = hello_stream_take(&end[i % 2], in->bytes, &out[i % 2], NULL);
		/* A listener finds out about the first message when the last one has come. */
		if (rc) {
			assert(by);
			break;
		}
	}
	if (by && message % 3 == 1)
		assert(end[1].want);
	assert(by ? end[0].want : !end[0].want && !end[1].want);
}

static void fuzz_stranger(uint8_t choice, const uint8_t *data, size_t size)
{
	struct hello_stream s = stream_of(choice);
	bool dialer = choice & DIALER;
	struct hello_out out;

	assert(hello_stream_begin(&s, dialer, &out, NULL) == ERR_OK);
	while (s.want && size >= s.want) {
		size_t want = s.want;

		if (hello_stream_take(&s, data, &out, NULL))
			return;
		assert(out.length <= sizeof(out.bytes));
		data += want;
		size -= want;
	}
	assert(s.want); /* over means: the mac was right */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (!(data[0] & BOTH))
		fuzz_stranger(data[0], data + 1, size - 1);
	else if (size >= 4)
		fuzz_both(data[0], data[1], data[2], data[3]);
	return 0;
}

/* Good messages of somebody with another key. */
static void put_pair(fuzz_put put, uint8_t choice)
{
	struct hello_stream us = stream_of(choice), them = us;
	uint8_t input[256] = {choice};
	struct hello_out first, second;

	memset(them.hello.key, 0x43, CELL_KEY_BYTES);
	them.hello.self = us.hello.kind == HELLO_DATA ? (struct member_id){1} : MEMBER_NONE;
	them.hello.peer = us.hello.self;
	if (hello_stream_begin(&them, true, &first, NULL) ||
	    hello_stream_begin(&us, false, &second, NULL) ||
	    hello_stream_take(&us, first.bytes, &second, NULL))
		return;
	memcpy(input + 1, first.bytes, first.length);
	memcpy(input + 1 + first.length, first.bytes, 4); /* HELLO_3: the magic, a mac of zeros */
	put(input, 1 + first.length + sizeof(struct hello_3));
	input[0] = choice | DIALER;
	second.bytes[offsetof(struct hello_2, from)] =
		us.hello.kind == HELLO_DATA ? 1 : MEMBER_NONE.v;
	memcpy(input + 1, second.bytes, second.length);
	put(input, 1 + second.length);
}

/* HELLO_1 of an honest dialer with one thing wrong. */
static void put_wrong(fuzz_put put, uint8_t choice)
{
	static const uint8_t places[] = {0, 4, 5, 7, 8, 9, 12, 16};
	struct hello_stream them = other_side(stream_of(choice));
	struct hello_out first;
	uint8_t input[256] = {choice};

	if (hello_stream_begin(&them, true, &first, NULL))
		return;
	for (size_t i = 0; i < sizeof(places); i++) {
		memcpy(input + 1, first.bytes, first.length);
		input[1 + places[i]] ^= 0x44;
		put(input, 1 + first.length);
	}
}

void fuzz_seeds(fuzz_put put)
{
	for (uint8_t choice = 0; choice < 4; choice++) {
		put_pair(put, choice);
		put_wrong(put, choice);
		put((uint8_t[]){choice | BOTH, 0, 0, 0}, 4);
		for (uint8_t message = 0; message < 3; message++)
			for (uint8_t place = 0; place < 84; place++)
				put((uint8_t[]){choice | BOTH, message, place, 1}, 4);
	}
	put_wrong(put, PEER_KNOWN);
}
