/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "dsm/lib/space.h"
#include "proto/key.h"

enum { EPOCH = 1 }; /* a space that ended does not begin again */

/* What the caller knows and we do not must be what it is when nobody knows it: zero. */
static bool is_zero(const uint8_t *from, size_t n)
{
	while (n && !from[n - 1])
		n--;
	return n == 0;
}

int options_read(const struct cdsm_options *from, struct cdsm_options *out, struct cdsm_error *why)
{
	const size_t first = offsetof(struct cdsm_options, pin_limit) + sizeof(from->pin_limit);
	size_t n = from->size < sizeof(*out) ? from->size : sizeof(*out);

	if (from->size < first || from->size > CDSM_PAGE_BYTES)
		return space_refuse(why, CDSM_EINVAL,
				    "options of %zu bytes: begin with CDSM_OPTIONS", from->size);
	if (!is_zero((const uint8_t *)from + n, from->size - n))
		return space_refuse(why, CDSM_EUNSUPPORTED,
				    "the options ask for what version %s does not know",
				    cdsm_version());
	memset(out, 0, sizeof(*out));
	memcpy(out, from, n);
	return CDSM_OK;
}

static int read_key(const struct cdsm_options *o, uint8_t key[CELL_KEY_BYTES],
		    struct cdsm_error *why)
{
	struct err e;

	if (o->name && !o->key && !o->key_file)
		return CDSM_OK; /* drawn, or told by the cluster */
	if (!o->key == !o->key_file)
		return space_refuse(why, CDSM_EINVAL, "%s key and key file",
				    o->key ? "both" : "neither");
	if (o->key)
		memcpy(key, o->key, CELL_KEY_BYTES);
	else if (key_file_read(o->key_file, key, &e))
		return space_fail(why, &e);
	return CDSM_OK;
}

_Static_assert(CDSM_PAGE_BYTES == DSM_PAGE_SIZE, "one page size");
_Static_assert(CDSM_MEMBERS_MAX == DSM_MEMBERS_MAX, "as many members");
_Static_assert(CDSM_KEY_BYTES == CELL_KEY_BYTES, "one key size");

int options_apply(const struct cdsm_options *o, struct dsm_config *config, struct cdsm_error *why)
{
	if (o->members > CDSM_MEMBERS_MAX)
		return space_refuse(why, CDSM_EINVAL, "%u members: at most %d", o->members,
				    CDSM_MEMBERS_MAX);
	if (o->faults != CDSM_FAULTS_THREAD && o->faults != CDSM_FAULTS_INLINE)
		return space_refuse(why, CDSM_EUNSUPPORTED, "no such way to resolve faults: %u",
				    o->faults);
	if (o->reserved)
		return space_refuse(why, CDSM_EINVAL, "the reserved option is not 0");
	if ((uintptr_t)o->address % CDSM_PAGE_BYTES)
		return space_refuse(why, CDSM_EINVAL, "address %p does not begin a page",
				    o->address);
	if (!o->name && (o->cluster || o->cluster_key_file))
		return space_refuse(why, CDSM_EINVAL, "a cluster, but no name of a space");
	*config = (struct dsm_config){
		.space = {o->space},
		.epoch = {EPOCH},
		.members = o->members ? (uint8_t)o->members : CDSM_MEMBERS_MAX,
		.founders = 1,
		.listen = o->listen ? o->listen : "127.0.0.1:0",
		.address = o->address,
		.hold_us = o->hold_us,
		.inline_faults = o->faults == CDSM_FAULTS_INLINE,
		.silence_ms = o->silence_ms,
	};
	return read_key(o, config->key, why);
}
