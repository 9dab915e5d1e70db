/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control talk. The first byte is even: a stream of frames as a link cuts it (the checksum is
 * repaired first, else nothing but headers would ever be tried). It is odd: a type, then a message
 * to unpack, which is packed and unpacked again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control.h"
#include "proto/frame.h"
#include "proto/ids.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz.h"

static void try_message(uint16_t type, const uint8_t *data, size_t size)
{
	ProtobufCMessage *first, *second;
	uint8_t *packed;
	size_t n;

	assert(ctl_type_name(type));
	if (ctl_unpack(type, data, size, &first, NULL))
		return;
	n = protobuf_c_message_get_packed_size(first);
	packed = malloc(n + 1);
	assert(packed && protobuf_c_message_pack(first, packed) == n);
	if (!ctl_unpack(type, packed, n, &second,
			NULL)) /* fails for unknown fields with odd numbers */
		ctl_free(second);
	free(packed);
	ctl_free(first);
}

static void try_stream(uint8_t *bytes, size_t size)
{
	for (uint32_t sequence = 1;; sequence++) {
		size_t used = 0, need = 0;
		struct frame f;
		int rc;

		frames_repair(bytes, size);
		rc = frame_decode(bytes, size, sequence, &f, &used, &need, NULL);
		assert(need <= sizeof(struct frame_header) + FRAME_PAYLOAD_MAX);
		if (rc == ERR_BUSY)
			assert(need > size);
		if (rc)
			return;
		assert(used <= size && f.payload == bytes + sizeof(struct frame_header));
		assert(f.length == used - sizeof(struct frame_header));
		try_message(f.type, f.payload, f.length);
		bytes += used;
		size -= used;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size < 3)
		return 0;
	if (data[0] & 1) {
		try_message(data[1], data + 2, size - 2);
		return 0;
	}
	copy = malloc(size - 1);
	assert(copy);
	memcpy(copy, data + 1, size - 1);
	try_stream(copy, size - 1);
	free(copy);
	return 0;
}

static Cellular__CtlReply *a_reply(void)
{
	static Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	static Cellular__VmInfo vm = CELLULAR__VM_INFO__INIT;
	static Cellular__FragInfo frag = CELLULAR__FRAG_INFO__INIT;
	static Cellular__CellInfo cell = CELLULAR__CELL_INFO__INIT;
	static Cellular__VmInfo *vms[] = {&vm};
	static Cellular__FragInfo *frags[] = {&frag, &frag};
	static Cellular__CellInfo *cells[] = {&cell};
	static uint32_t vcpus[] = {0, 1, 300};

	reply.text = cell.name = (char *)"text";
	frag.vcpus = vcpus;
	frag.n_vcpus = 3;
	vm.fragments = frags;
	vm.n_fragments = 2;
	reply.vms = vms;
	reply.n_vms = 1;
	reply.cells = cells;
	reply.n_cells = 1;
	return &reply;
}

static Cellular__CtlReply *a_space(void)
{
	static Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	static Cellular__SpaceInfo space = CELLULAR__SPACE_INFO__INIT;
	static Cellular__SpaceMember member = CELLULAR__SPACE_MEMBER__INIT;
	static Cellular__SpaceMember *members[] = {&member, &member};
	static Cellular__SpaceInfo *spaces[] = {&space};
	static uint8_t key[CELL_KEY_BYTES] = {1, 2, 3};

	space.name = (char *)"demo";
	space.key = (ProtobufCBinaryData){sizeof(key), key};
	member.address = (char *)"127.0.0.1:4711";
	space.present = members;
	space.n_present = 2;
	reply.spaces = spaces;
	reply.n_spaces = 1;
	return &reply;
}

static Cellular__CtlRequest *a_claim(void)
{
	static Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	static Cellular__SpaceClaim claim = CELLULAR__SPACE_CLAIM__INIT;
	static uint8_t key[CELL_KEY_BYTES] = {1, 2, 3};

	claim.instance = 5;
	claim.bytes = 1 << 20;
	claim.members = 8;
	claim.key = (ProtobufCBinaryData){sizeof(key), key};
	claim.address = (char *)"127.0.0.1:4711";
	request.op = CELLULAR__CTL_OP__OP_SPACE_CREATE;
	request.name = (char *)"demo";
	request.claim = &claim;
	return &request;
}

static Cellular__FragStart *a_start(void)
{
	static Cellular__FragStart start = CELLULAR__FRAG_START__INIT;
	static Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;
	static Cellular__VcpuPlace place = CELLULAR__VCPU_PLACE__INIT;
	static Cellular__VcpuPlace *places[] = {&place};
	static char *args[] = {(char *)"one", (char *)"two"};
	static uint8_t key[CELL_KEY_BYTES] = {1, 2, 3};

	spec.name = (char *)"demo";
	spec.args = args;
	spec.n_args = 2;
	spec.memory = 256 << 20;
	start.spec = &spec;
	start.vcpus = places;
	start.n_vcpus = 1;
	start.key.data = key;
	start.key.len = sizeof(key);
	return &start;
}

/* The same message alone and twice in a stream. */
static void put_message(fuzz_put put, uint16_t type, const ProtobufCMessage *m)
{
	uint8_t payload[1024], input[4096] = {1, (uint8_t)type};
	size_t n = protobuf_c_message_pack(m, payload), length;

	memcpy(input + 2, payload, n);
	put(input, 2 + n);
	input[0] = 0;
	length = 1 + frame_encode(input + 1, type, 0, 1, payload, n);
	length += frame_encode(input + length, type, 0, 2, payload, n);
	put(input, length);
}

/* One frame, then the same with one thing wrong each. */
static void put_headers(fuzz_put put)
{
	static const uint8_t places[] = {0,  7, 8, 10,
					 11, 16}; /* magic, length, type, version,
						     reserved, sequence */
	uint8_t input[64] = {0};
	size_t n = 1 + frame_encode(input + 1, CTL_TYPE_FRAG_RUN, 0, 1, NULL, 0);

	for (size_t i = 0; i < sizeof(places); i++) {
		input[1 + places[i]] ^= 0x40;
		put(input, n);
		input[1 + places[i]] ^= 0x40;
	}
	put(input, n - 5);
	input[1 + 4] = 9; /* announces more than comes */
	put(input, n);
}

void fuzz_seeds(fuzz_put put)
{
	Cellular__FragReport report = CELLULAR__FRAG_REPORT__INIT;
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	report.address = (char *)"127.0.0.1:4711";
	request.name = (char *)"demo";
	put_message(put, CTL_TYPE_CTL_REPLY, &a_reply()->base);
	put_message(put, CTL_TYPE_FRAG_START, &a_start()->base);
	put_message(put, CTL_TYPE_FRAG_REPORT, &report.base);
	put_message(put, CTL_TYPE_CTL_REQUEST, &request.base);
	put_message(put, CTL_TYPE_CTL_REQUEST, &a_claim()->base);
	put_message(put, CTL_TYPE_CTL_REPLY, &a_space()->base);
	put_message(put, 99, &request.base); /* a type nobody knows */
	put_headers(put);
}
