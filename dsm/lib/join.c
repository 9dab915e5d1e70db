/* SPDX-License-Identifier: Apache-2.0 */
/* Which member is called: the one that was named, or one after the other of those that hold the
 * space's name. */
#include <unistd.h>

#include "dsm/lib/space.h"
#include "proto/base/clock.h"

enum { CALL_MS = 5000 }; /* one of several members */

static int left_ms(uint64_t end_ms)
{
	uint64_t now = clock_ms();

	return now < end_ms ? (int)(end_ms - now) : 0;
}

/* It leaves, or is gone; another one may be there. */
static bool ask_another(int rc)
{
	return rc == ERR_UNREACHABLE || rc == ERR_TIMEOUT || rc == ERR_BUSY;
}

static int call_each(struct cdsm *c, struct dsm_config *config, const struct place *place,
		     uint64_t end_ms, struct err *e)
{
	int rc = ERR_UNREACHABLE;

	config->call_ms = CALL_MS;
	for (unsigned i = 0; i < place->n && ask_another(rc); i++)
		rc = dsm_join(config, place->address[i], left_ms(end_ms), -1, &c->dsm, e);
	return rc;
}

/* Members come and go: who can be called is asked again each time. */
static int join_by_name(struct cdsm *c, struct dsm_config *config, uint64_t end_ms, struct err *e)
{
	const struct place *place;
	int rc;

	for (;;) {
		rc = named_find(c->named, end_ms, &place, e);
		if (!rc)
			rc = named_apply(c->named, config, e);
		if (rc)
			return rc;
		rc = call_each(c, config, place, end_ms, e);
		if (!ask_another(rc) || left_ms(end_ms) <= NAMED_AGAIN_MS)
			return rc;
		usleep(NAMED_AGAIN_MS * 1000);
	}
}

int join_begin(struct cdsm *c, struct dsm_config *config, const char *address, int timeout_ms,
	       struct err *e)
{
	if (!address == !c->named)
		return err_set(e, ERR_INVALID,
			       address ? "both the address of a member and a name"
				       : "neither the address of a member nor a name");
	if (c->named)
		return join_by_name(c, config, clock_ms() + (uint64_t)timeout_ms, e);
	return dsm_join(config, address, timeout_ms, -1, &c->dsm, e);
}
