/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hello against somebody without the key: the first byte chooses who we are, the rest is what
 * the other side sends. Whatever it is, we must not end with a link: a forged mac would have to be
 * guessed.
 */
#include <assert.h>
#include <string.h>

#include "proto/hello_stream.h"
#include "tests/fuzz/fuzz.h"

enum { DIALER = 0x40, PEER_KNOWN = 0x80 }; /* bits of the first byte */

static struct hello_stream stream_of(uint8_t choice)
{
	struct hello_stream s = {.hello = {
					 .kind = (enum hello_kind)(HELLO_DATA + choice % 3),
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello_stream s;
	struct hello_out out;
	bool dialer;

	if (size < 1)
		return 0;
	s = stream_of(data[0]);
	dialer = data[0] & DIALER;
	data++;
	size--;
	assert(hello_stream_begin(&s, dialer, &out, NULL) == ERR_OK);
	while (s.want && size >= s.want) {
		size_t want = s.want;

		if (hello_stream_take(&s, data, &out, NULL))
			return 0;
		assert(out.length <= sizeof(out.bytes));
		data += want;
		size -= want;
	}
	assert(s.want); /* over means: the mac was right */
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

void fuzz_seeds(fuzz_put put)
{
	for (uint8_t choice = 0; choice < 3; choice++)
		put_pair(put, choice);
}
