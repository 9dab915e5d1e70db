/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing of control talk (cellctl, controller, celld, cell-vm): a fixed header, then one protobuf
 * message (proto/control.proto). Lengths are capped before anything is unpacked.
 *
 *   length    bytes of payload, 0 .. FRAME_PAYLOAD_MAX
 *   type      enum ctl_type (proto/control.h); unknown with FRAME_OPTIONAL set: skipped and
 * counted, else the link closes version   agreed in the hello epoch     controller epoch; 0 where
 * it does not matter sequence  of this link and direction, from 1, wraps; a gap closes the link
 *   checksum  CRC-32C of header (checksum as 0) and payload: guards against our own mistakes, not
 * against an enemy
 */
#ifndef CELLULAR_PROTO_FRAME_H
#define CELLULAR_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

enum {
	FRAME_MAGIC = 0x46434c43, /* "CLCF" */
	FRAME_PAYLOAD_MAX = 4 << 20,
	FRAME_VERSION_MIN = 1,
	FRAME_VERSION_MAX = 1,
	FRAME_OPTIONAL = 0x8000, /* bit of type */
};

struct frame_header {
	uint32_t magic;
	uint32_t length;
	uint16_t type;
	uint8_t version;
	uint8_t reserved;
	uint32_t epoch;
	uint32_t sequence;
	uint32_t checksum;
} __attribute__((packed));

_Static_assert(sizeof(struct frame_header) == 24, "wire");

/* A frame as it was cut out of a stream; payload points into the caller's buffer. */
struct frame {
	uint16_t type;
	uint32_t epoch;
	const uint8_t *payload;
	size_t length;
};

/* Writes header and payload to out (room for sizeof(struct frame_header) + length); a payload that
 * already lies in its place there is not copied. length <= FRAME_PAYLOAD_MAX (asserted). Returns
 * bytes written. */
size_t frame_encode(uint8_t *out, uint16_t type, uint32_t epoch, uint32_t sequence,
		    const uint8_t *payload, size_t length);

/*
 * Tries to cut one frame off buf[0..len). ERR_OK: *used bytes were consumed and *f is set.
 * ERR_BUSY: not enough bytes yet
 * (*need: how many in all are wanted, never above the cap). ERR_PROTOCOL, ERR_TOOBIG, ERR_VERSION:
 * close the link.
 */
int frame_decode(const uint8_t *buf, size_t len, uint32_t sequence, struct frame *f, size_t *used,
		 size_t *need, struct err *e);

#endif
