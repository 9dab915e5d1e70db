/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/frame.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "proto/base/crc32c.h"

static uint32_t checksum(struct frame_header header, const uint8_t *payload, size_t length)
{
	header.checksum = 0;
	return crc32c(crc32c(0, &header, sizeof(header)), payload, length);
}

size_t frame_encode(uint8_t *out, uint16_t type, uint32_t epoch, uint32_t sequence,
		    const uint8_t *payload, size_t length)
{
	struct frame_header header = {
		.magic = htole32(FRAME_MAGIC),
		.length = htole32((uint32_t)length),
		.type = htole16(type),
		.version = FRAME_VERSION_MAX,
		.epoch = htole32(epoch),
		.sequence = htole32(sequence),
	};
	uint8_t *body = out + sizeof(header);

	assert(length <= FRAME_PAYLOAD_MAX);
	if (length && payload != body)
		memcpy(body, payload, length);
	header.checksum = htole32(checksum(header, body, length));
	memcpy(out, &header, sizeof(header));
	return sizeof(header) + length;
}

static int check_header(const struct frame_header *header, uint32_t sequence, struct err *e)
{
	if (le32toh(header->magic) != FRAME_MAGIC)
		return err_set(e, ERR_PROTOCOL, "frame has the wrong magic 0x%08x",
			       le32toh(header->magic));
	if (header->version < FRAME_VERSION_MIN || header->version > FRAME_VERSION_MAX)
		return err_set(e, ERR_VERSION, "frame has version %u", header->version);
	if (header->reserved)
		return err_set(e, ERR_PROTOCOL, "reserved byte of a frame is not zero");
	if (le32toh(header->length) > FRAME_PAYLOAD_MAX)
		return err_set(e, ERR_TOOBIG, "frame announces %u bytes", le32toh(header->length));
	if (le32toh(header->sequence) != sequence)
		return err_set(e, ERR_PROTOCOL, "frame %u came where %u was due",
			       le32toh(header->sequence), sequence);
	return ERR_OK;
}

int frame_decode(const uint8_t *buf, size_t len, uint32_t sequence, struct frame *f, size_t *used,
		 size_t *need, struct err *e)
{
	struct frame_header header;
	size_t length;
	int rc;

	*need = sizeof(header);
	if (len < sizeof(header))
		return ERR_BUSY;
	memcpy(&header, buf, sizeof(header));
	rc = check_header(&header, sequence, e);
	if (rc)
		return rc;
	length = le32toh(header.length);
	*need = sizeof(header) + length;
	if (len < *need)
		return ERR_BUSY;
	if (le32toh(header.checksum) != checksum(header, buf + sizeof(header), length))
		return err_set(e, ERR_PROTOCOL, "frame has the wrong checksum");
	*f = (struct frame){
		.type = le16toh(header.type),
		.epoch = le32toh(header.epoch),
		.payload = buf + sizeof(header),
		.length = length,
	};
	*used = *need;
	return ERR_OK;
}
