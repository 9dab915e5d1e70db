/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "dsm/lib/named.h"
#include "proto/base/address.h"

static int no_sense(const char *name, const char *what, struct err *e)
{
	return err_set(e, ERR_PROTOCOL, "what the controller says of %s makes no sense: %s", name,
		       what);
}

static int read_addresses(const Cellular__SpaceInfo *info, const char *name, struct place *out,
			  struct err *e)
{
	struct address a;

	if (!info->n_present || info->n_present > DSM_MEMBERS_MAX)
		return no_sense(name, "the number of its members", e);
	for (size_t i = 0; i < info->n_present; i++) {
		const char *text = info->present[i]->address;
		size_t n = strlen(text);

		if (n >= sizeof(out->address[i]) || address_parse(text, &a, NULL))
			return no_sense(name, "a member's address", e);
		memcpy(out->address[i], text, n + 1);
	}
	out->n = (unsigned)info->n_present;
	return ERR_OK;
}

int place_read(const Cellular__SpaceInfo *info, const char *name, struct place *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	if (strcmp(info->name, name) != 0)
		return no_sense(name, "it is about another one", e);
	if (!info->bytes || info->bytes % DSM_PAGE_SIZE)
		return no_sense(name, "its size", e);
	if (!info->members || info->members > DSM_MEMBERS_MAX)
		return no_sense(name, "how many it is for", e);
	if (info->key.len && (!info->drawn || info->key.len != sizeof(out->key)))
		return no_sense(name, "its key", e);
	out->instance = info->instance;
	out->space = info->space;
	out->bytes = info->bytes;
	out->created_ms = info->created_ms;
	out->members = info->members;
	out->drawn = info->key.len != 0;
	if (out->drawn)
		memcpy(out->key, info->key.data, sizeof(out->key));
	return read_addresses(info, name, out, e);
}
