/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of control talk, for the targets that take a stream of them. */
#ifndef CELLULAR_FUZZ_FRAMES_H
#define CELLULAR_FUZZ_FRAMES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/crc32c.h"
#include "proto/frame.h"

/* Makes the checksum of the frame that begins at bytes right, if all of it is there: else nothing
 * but headers would ever be tried. Returns its length; 0: not whole. */
static inline size_t frames_repair(uint8_t *bytes, size_t size)
{
	struct frame_header header;
	size_t length;

	if (size < sizeof(header))
		return 0;
	memcpy(&header, bytes, sizeof(header));
	length = le32toh(header.length);
	if (length > size - sizeof(header))
		return 0;
	header.checksum = 0;
	header.checksum =
		htole32(crc32c(crc32c(0, &header, sizeof(header)), bytes + sizeof(header), length));
	memcpy(bytes, &header, sizeof(header));
	return sizeof(header) + length;
}

#endif
