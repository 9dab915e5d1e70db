/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/control.h"

#include <stdlib.h>

static const struct {
	uint16_t type;
	const char *name;
	const ProtobufCMessageDescriptor *descriptor;
} types[] = {
#define X(number, ctl_name, prefix, c_type) {number, #ctl_name, &prefix##__descriptor},
	CTL_TYPES(X)
#undef X
};

enum { TYPES = sizeof(types) / sizeof(types[0]) };

const ProtobufCMessageDescriptor *ctl_descriptor(uint16_t type)
{
	for (int i = 0; i < TYPES; i++)
		if (types[i].type == type)
			return types[i].descriptor;
	return NULL;
}

const char *ctl_type_name(uint16_t type)
{
	for (int i = 0; i < TYPES; i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}

/*
 * A few bytes on the wire can ask for many in memory (a list of empty messages: two bytes each
 * there, a struct each here), so unpacking has a budget.
 */
static void *budget_alloc(void *data, size_t n)
{
	size_t *left = data;

	if (n > *left)
		return NULL;
	*left -= n;
	return malloc(n);
}

static void budget_free(void *data, void *memory)
{
	(void)data;
	free(memory);
}

int ctl_unpack(uint16_t type, const uint8_t *bytes, size_t n, ProtobufCMessage **out, struct err *e)
{
	const ProtobufCMessageDescriptor *descriptor = ctl_descriptor(type);
	size_t left = CTL_UNPACK_MAX;
	ProtobufCAllocator allocator = {budget_alloc, budget_free, &left};

	if (!descriptor)
		return err_set(e, ERR_UNSUPPORTED, "message of unknown type %u", type);
	*out = protobuf_c_message_unpack(descriptor, &allocator, n, bytes);
	if (!*out)
		return err_set(e, ERR_PROTOCOL, "%s of %zu bytes does not unpack",
			       ctl_type_name(type), n);
	return ERR_OK;
}

void ctl_free(ProtobufCMessage *message)
{
	ProtobufCAllocator allocator = {budget_alloc, budget_free, NULL};

	if (message)
		protobuf_c_message_free_unpacked(message, &allocator);
}
