/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "dsm/lib/space.h"

static void translate(const struct dsm_stats *s, struct cdsm_stats *out)
{
	const struct dsm_core_stats *core = &s->core;

	*out = (struct cdsm_stats){
		.faults_local = core->read_local + core->write_local + core->upgrade_local,
		.faults_read = core->read_remote,
		.faults_write = core->write_remote + core->upgrade_remote,
		.fault_ns_mean = s->faults_timed ? s->fault_ns_sum / s->faults_timed : 0,
		.fault_ns_p50 = s->fault_ns_p50,
		.fault_ns_p99 = s->fault_ns_p99,
		.given = core->fetch_served,
		.invalidated = core->invalidated,
		.messages_in = s->transport.messages_in,
		.messages_out = s->transport.messages_out,
		.bytes_in = s->transport.bytes_in,
		.bytes_out = s->transport.bytes_out,
		.resident_bytes = s->resident * DSM_PAGE_SIZE,
		.owned_bytes = s->owned * DSM_PAGE_SIZE,
	};
}

int cdsm_stats(struct cdsm *c, struct cdsm_stats *out, struct cdsm_error *why)
{
	const size_t first = offsetof(struct cdsm_stats, pin_limit) + sizeof(out->pin_limit);
	const size_t size = out->size;
	struct cdsm_stats all;
	struct dsm_stats s;
	int rc = CDSM_OK;

	if (size < first || size > CDSM_PAGE_BYTES)
		return space_refuse(why, CDSM_EINVAL,
				    "statistics of %zu bytes: begin with CDSM_STATS", size);
	dsm_stats(c->dsm, &s);
	translate(&s, &all);
	pthread_mutex_lock(&c->lock);
	if (c->state == SPACE_LOST)
		rc = space_check(c, why);
	all.locks_cached = c->sync.locks_cached;
	all.locks_waited = c->sync.locks_waited;
	all.locks_recalled = c->sync.locks_recalled;
	all.locks_asked = c->sync.locks_asked;
	all.barriers = c->sync.barriers;
	all.pinned_bytes = c->pins.bytes;
	all.pin_limit = c->pins.limit;
	pthread_mutex_unlock(&c->lock);
	if (rc)
		return rc;
	all.size = size;
	memset(out, 0, size);
	memcpy(out, &all, size < sizeof(all) ? size : sizeof(all));
	return CDSM_OK;
}
