/* SPDX-License-Identifier: Apache-2.0 */
/* What a native member says of its space, looked at before the policy believes it. */
#include <netinet/in.h>
#include <string.h>

#include "controller/server/state.h"
#include "proto/base/address.h"

static bool is_wildcard(const struct address *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->storage;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->storage;

	if (a->storage.ss_family == AF_INET)
		return !v4->sin_port || v4->sin_addr.s_addr == htonl(INADDR_ANY);
	return !v6->sin6_port || IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

/* Others are sent there. */
static int check_address(const char *text, struct err *e)
{
	struct address a;
	int rc = address_parse(text, &a, e);

	if (rc)
		return rc;
	if (is_wildcard(&a))
		return err_set(e, ERR_INVALID, "nobody can be called at %.64s", text);
	return ERR_OK;
}

int server_read_claim(const Cellular__CtlRequest *message, struct policy_claim *out, struct err *e)
{
	const Cellular__SpaceClaim *in = message->claim;

	if (!in)
		return err_set(e, ERR_INVALID, "the request claims nothing");
	if (in->key.len && in->key.len != CELL_KEY_BYTES)
		return err_set(e, ERR_INVALID, "a space's key has %d bytes, not %zu",
			       CELL_KEY_BYTES, in->key.len);
	*out = (struct policy_claim){
		.name = message->name,
		.instance = in->instance,
		.space = {in->space},
		.bytes = in->bytes,
		.members = in->members,
		.drawn = in->key.len != 0,
		.created_ms = in->created_ms,
		.member = in->member,
		.address = in->address,
		.pid = in->pid,
	};
	if (in->key.len)
		memcpy(out->key, in->key.data, sizeof(out->key));
	return check_address(in->address, e);
}
