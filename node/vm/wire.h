/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fragments of one VM tell each other besides pages: the bytes of a dsm_post. Packed,
 * little endian, versioned; a message that does not check comes from a broken peer and ends the VM
 * here.
 */
#ifndef CELLULAR_NODE_WIRE_H
#define CELLULAR_NODE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/ids.h"
#include "proto/page.h"

enum { VM_WIRE_VERSION = 1 };

enum vm_wire_type {
	VM_WIRE_END = 1, /* the VM ends: a = enum EndCause, b = code, c = member of the reason; body
			    = sentence */
	VM_WIRE_DONE = 2, /* my vCPUs have stopped: nothing for the console follows. To member 0 */
	VM_WIRE_CONSOLE = 3, /* body = bytes for the console. To member 0 */
	VM_WIRE_CREDIT = 4,  /* a = bytes of yours that the console passed on. From member 0 */
	VM_WIRE_WAKE = 5,    /* a = address: wake all that wait on it */
	VM_WIRE_LAST = VM_WIRE_WAKE,
};

struct vm_wire {
	uint8_t version;
	uint8_t type;
	uint16_t bytes; /* of the body that follows */
	int32_t b;
	uint64_t a;
	uint32_t c;
	uint32_t reserved; /* zero */
} __attribute__((packed));

_Static_assert(sizeof(struct vm_wire) == 24, "vm_wire is the specification");

enum { VM_WIRE_BODY_MAX = POST_BYTES_MAX - sizeof(struct vm_wire) };

struct vm_message {
	enum vm_wire_type type;
	uint64_t a;
	int32_t b;
	uint32_t c;
	const char *body; /* into the buffer that was decoded; no NUL */
	uint32_t bytes;
};

/* out has room for POST_BYTES_MAX. Returns bytes; a body above VM_WIRE_BODY_MAX is cut. */
uint32_t vm_wire_encode(void *out, const struct vm_message *m);

/* PROTOCOL: length, type, or a field out of its range. VERSION. */
int vm_wire_decode(const void *in, size_t n, struct vm_message *out, struct err *e);

#endif
