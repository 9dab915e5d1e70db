/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/wire.h"

#include <string.h>

uint32_t vm_wire_encode(void *out, const struct vm_message *m)
{
	uint32_t bytes = m->bytes < VM_WIRE_BODY_MAX ? m->bytes : VM_WIRE_BODY_MAX;
	struct vm_wire w = {
		.version = VM_WIRE_VERSION,
		.type = (uint8_t)m->type,
		.bytes = (uint16_t)bytes,
		.a = m->a,
		.b = m->b,
		.c = m->c,
	};

	memcpy(out, &w, sizeof(w));
	if (bytes)
		memcpy((char *)out + sizeof(w), m->body, bytes);
	return (uint32_t)sizeof(w) + bytes;
}

int vm_wire_decode(const void *in, size_t n, struct vm_message *out, struct err *e)
{
	struct vm_wire w;

	if (n < sizeof(w) || n > POST_BYTES_MAX)
		return err_set(e, ERR_PROTOCOL, "VM message of %zu bytes", n);
	memcpy(&w, in, sizeof(w));
	if (w.version != VM_WIRE_VERSION)
		return err_set(e, ERR_VERSION, "VM message of version %u", w.version);
	if (w.type < VM_WIRE_END || w.type > VM_WIRE_LAST)
		return err_set(e, ERR_PROTOCOL, "VM message of type %u", w.type);
	if (w.bytes != n - sizeof(w) || w.reserved)
		return err_set(e, ERR_PROTOCOL, "VM message of type %u: wrong length", w.type);
	if (w.bytes && w.type != VM_WIRE_END && w.type != VM_WIRE_CONSOLE)
		return err_set(e, ERR_PROTOCOL, "VM message of type %u: unexpected body", w.type);
	*out = (struct vm_message){
		.type = (enum vm_wire_type)w.type,
		.a = w.a,
		.b = w.b,
		.c = w.c,
		.body = (const char *)in + sizeof(w),
		.bytes = w.bytes,
	};
	return ERR_OK;
}
