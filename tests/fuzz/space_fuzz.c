/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named spaces, on both sides. The first byte is even: what members say to the controller, each a
 * link, a time that passes, a length and a CtlRequest; after each the directory makes sense. It is
 * odd: a CtlReply, as a member reads what a controller says of a space.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "controller/server/state.h"
#include "dsm/lib/named.h"
#include "proto/base/address.h"
#include "tests/fuzz/fuzz.h"

enum { LINKS = 4, HEAD = 3 };

/* ---- the controller's side ---- */

static void claim(struct policy_spaces *p, uint64_t now, uint64_t link,
		  const Cellular__CtlRequest *request)
{
	const struct policy_space *space;
	struct policy_claim c;
	bool create = request->op == CELLULAR__CTL_OP__OP_SPACE_CREATE;
	int rc = server_read_claim(request, &c, NULL);

	if (!rc)
		rc = create ? policy_space_create(p, now, link, &c, NULL)
			    : policy_space_hold(p, now, link, &c, NULL);
	if (rc)
		return;
	assert(!policy_space_find(p, now, c.name, &space, NULL));
	assert(policy_space_holder(p, space, c.member)->link == link);
}

static void say(struct policy_spaces *p, uint64_t now, uint64_t link,
		const Cellular__CtlRequest *request)
{
	const struct policy_space *space;

	if (request->op == CELLULAR__CTL_OP__OP_SPACE_DROP)
		policy_space_drop(p, link);
	else if (request->op == CELLULAR__CTL_OP__OP_SPACE_FIND)
		policy_space_find(p, now, request->name, &space, NULL);
	else
		claim(p, now, link, request);
}

static void try_requests(const uint8_t *data, size_t size)
{
	struct policy_spaces *p = calloc(1, sizeof(*p));
	ProtobufCMessage *message;
	uint64_t now = 1;

	assert(p);
	while (size > HEAD) {
		uint64_t link = 1 + data[0] % LINKS;
		size_t n = data[2] < size - HEAD ? data[2] : size - HEAD;

		now += (uint64_t)data[1] * 100;
		if (!ctl_unpack(CTL_TYPE_CTL_REQUEST, data + HEAD, n, &message, NULL)) {
			say(p, now, link, (const Cellular__CtlRequest *)message);
			ctl_free(message);
			assert(!policy_spaces_check(p, NULL));
		}
		data += HEAD + n;
		size -= HEAD + n;
	}
	free(p);
}

/* ---- a member's side ---- */

static void check_place(const struct place *place)
{
	struct address a;

	assert(place->n >= 1 && place->n <= DSM_MEMBERS_MAX);
	assert(place->members >= 1 && place->members <= DSM_MEMBERS_MAX);
	assert(place->bytes && place->bytes % DSM_PAGE_SIZE == 0);
	for (unsigned i = 0; i < place->n; i++)
		assert(!address_parse(place->address[i], &a, NULL));
}

static void try_reply(const uint8_t *data, size_t size)
{
	const Cellular__CtlReply *reply;
	ProtobufCMessage *message;
	struct place place;
	struct err e;

	if (ctl_unpack(CTL_TYPE_CTL_REPLY, data, size, &message, NULL))
		return;
	reply = (const Cellular__CtlReply *)message;
	if (control_refused(reply, &e))
		assert(e.text[0]);
	for (size_t i = 0; i < reply->n_spaces; i++)
		if (!place_read(reply->spaces[i], "demo", &place, &e))
			check_place(&place);
		else
			assert(e.code == ERR_PROTOCOL && e.text[0]);
	control_free((Cellular__CtlReply *)message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		try_reply(data + 1, size - 1);
	else
		try_requests(data + 1, size - 1);
	return 0;
}

/* ---- seeds ---- */

struct input {
	uint8_t bytes[2048];
	size_t n;
};

static void add(struct input *in, uint8_t link, Cellular__CtlOp op, uint32_t member,
		const char *address)
{
	static uint8_t key[CELL_KEY_BYTES] = {1, 2, 3};
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__SpaceClaim c = CELLULAR__SPACE_CLAIM__INIT;
	uint8_t *at = in->bytes + in->n;

	c.instance = 5;
	c.bytes = 1 << 20;
	c.members = 8;
	c.member = member;
	c.key = (ProtobufCBinaryData){sizeof(key), key};
	c.address = (char *)address;
	request.op = op;
	request.name = (char *)"demo";
	request.claim = &c;
	at[0] = link;
	at[1] = 10;
	at[2] = (uint8_t)cellular__ctl_request__get_packed_size(&request);
	cellular__ctl_request__pack(&request, at + HEAD);
	in->n += HEAD + at[2];
}

static void put_requests(fuzz_put put)
{
	struct input in = {.n = 1};

	add(&in, 0, CELLULAR__CTL_OP__OP_SPACE_CREATE, 0, "10.0.0.1:4711");
	add(&in, 1, CELLULAR__CTL_OP__OP_SPACE_HOLD, 1, "[fe80::1]:4711");
	put(in.bytes, in.n);
	add(&in, 2, CELLULAR__CTL_OP__OP_SPACE_CREATE, 0, "10.0.0.1:4711");
	add(&in, 2, CELLULAR__CTL_OP__OP_SPACE_HOLD, 0, "10.0.0.1:4711");
	add(&in, 1, CELLULAR__CTL_OP__OP_SPACE_DROP, 0, "");
	add(&in, 3, CELLULAR__CTL_OP__OP_SPACE_FIND, 0, "");
	add(&in, 3, CELLULAR__CTL_OP__OP_SPACE_HOLD, 3, "0.0.0.0:1");
	add(&in, 3, CELLULAR__CTL_OP__OP_SPACE_HOLD, 3, "[::]:1");
	add(&in, 3, CELLULAR__CTL_OP__OP_SPACE_HOLD, 3, "10.0.0.1");
	put(in.bytes, in.n);
}

static void put_reply(fuzz_put put, const char *name, uint64_t bytes, uint32_t members, size_t key,
		      const char *address)
{
	static uint8_t bytes_of_key[CELL_KEY_BYTES + 1];
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	Cellular__SpaceInfo info = CELLULAR__SPACE_INFO__INIT, *infos[] = {&info};
	Cellular__SpaceMember member = CELLULAR__SPACE_MEMBER__INIT, *list[] = {&member, &member};
	struct input in = {.bytes = {1}};

	info.name = (char *)name;
	info.bytes = bytes;
	info.members = members;
	info.drawn = key != 0;
	info.key = (ProtobufCBinaryData){key, bytes_of_key};
	info.present = list;
	info.n_present = address ? 2 : 0;
	member.address = (char *)(address ? address : "");
	reply.spaces = infos;
	reply.n_spaces = 1;
	in.n = 1 + cellular__ctl_reply__pack(&reply, in.bytes + 1);
	put(in.bytes, in.n);
}

static void put_refusal(fuzz_put put, uint32_t error)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	struct input in = {.bytes = {1}};

	reply.error = error;
	reply.text = (char *)"why\033[2J";
	in.n = 1 + cellular__ctl_reply__pack(&reply, in.bytes + 1);
	put(in.bytes, in.n);
}

void fuzz_seeds(fuzz_put put)
{
	const char *address = "127.0.0.1:4711";

	put_requests(put);
	put_reply(put, "demo", 1 << 20, 8, CELL_KEY_BYTES, address);
	put_reply(put, "demo", 1 << 20, 8, 0, address);
	put_reply(put, "other", 1 << 20, 8, 0, address);
	put_reply(put, "demo", 1 << 20, 65, 0, address);
	put_reply(put, "demo", 4097, 8, 0, address);
	put_reply(put, "demo", 4096, 8, CELL_KEY_BYTES + 1, address);
	put_reply(put, "demo", 4096, 8, 0, "nowhere");
	put_reply(put, "demo", 4096, 8, 0, NULL);
	put_refusal(put, ERR_NOTFOUND);
	put_refusal(put, 4711);
}
