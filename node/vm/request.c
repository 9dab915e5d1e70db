/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/request.h"

#include <string.h>

struct guest_request *request_block(const struct guest_memory *m, uint32_t eax)
{
	return guest_range(m, (struct gpa){(uint64_t)eax << 6}, sizeof(struct guest_request), 64);
}

static enum guest_status check_write(const struct guest_memory *m, const struct guest_request *in,
				     struct request *out)
{
	if (in->arg[1] > GUEST_WRITE_MAX)
		return GUEST_ETOOBIG;
	out->bytes = (uint32_t)in->arg[1];
	out->host = guest_range(m, out->address, out->bytes, 1);
	return out->host ? GUEST_OK : GUEST_EBADADDRESS;
}

/* WAIT and WAKE name a word the same way. */
static enum guest_status check_word(const struct guest_memory *m, const struct guest_request *in,
				    struct request *out)
{
	out->value = (uint32_t)in->arg[1];
	out->host = guest_range(m, out->address, sizeof(uint32_t), sizeof(uint32_t));
	return out->host ? GUEST_OK : GUEST_EBADADDRESS;
}

enum guest_status request_check(const struct guest_memory *m, const struct guest_request *in,
				struct request *out)
{
	memset(out, 0, sizeof(*out));
	out->op = (enum guest_op)in->op;
	out->address.v = in->arg[0];
	switch (in->op) {
	case MONITOR_WRITE:
		return check_write(m, in, out);
	case MONITOR_WAIT:
	case MONITOR_WAKE:
		return check_word(m, in, out);
	case MONITOR_EXIT:
		out->code = (int32_t)in->arg[0];
		return GUEST_OK;
	default:
		return GUEST_EBADOP;
	}
}
