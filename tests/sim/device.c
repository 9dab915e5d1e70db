/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/device.h"

#include <inttypes.h>

#include "tests/sim/step.h"
#include "tests/sim/world.h"

static void after(struct world *w, unsigned m, unsigned index, uint64_t delay)
{
	clock_push(&w->clock, (struct clock_event){.time = w->now + delay,
						   .kind = CLOCK_DEVICE,
						   .member = (uint8_t)m,
						   .index = (uint16_t)index});
}

void device_start(struct world *w, unsigned m, unsigned index)
{
	after(w, m, index, rng_below(&w->rng, (uint32_t)w->tuning.device_gap));
}

/* A run of pages that lie side by side in the space. */
static void draw_run(struct world *w, struct device *d)
{
	const unsigned group = w->tuning.group;
	d->first = thread_draw_page(w);
	unsigned room = group - d->first % group;
	if (room > w->options->pages - d->first)
		room = w->options->pages - d->first;
	d->pages = (uint8_t)rng_between(&w->rng, 1, room);
	d->write = rng_chance(&w->rng, 500);
}

static void acquire(struct world *w, unsigned m, unsigned index)
{
	struct device *d = &w->members[m].devices[index];
	draw_run(w, d);
	d->token += DEVICES_MAX; /* so that token % DEVICES_MAX is the device */
	d->state = DEVICE_WAITING;
	d->since = w->now;
	struct dsm_event ev = {.type = DSM_EV_ACQUIRE,
			       .acquire = {.page = {w->space_page[d->first]},
					   .pages = d->pages,
					   .write = d->write,
					   .token = d->token}};
	step_give(w, m, &ev, NULL);
}

static void release(struct world *w, unsigned m, unsigned index)
{
	struct device *d = &w->members[m].devices[index];
	d->state = DEVICE_IDLE;
	struct dsm_event ev = {.type = DSM_EV_RELEASE, .release = {.token = d->token}};
	step_give(w, m, &ev, NULL);
	device_start(w, m, index);
}

/* Pages that are held must be there until acquire_us are over. */
static void use(struct world *w, unsigned m, const struct device *d)
{
	const bool promised = w->now - d->since < w->tuning.acquire_us * (uint64_t)1000;
	for (uint16_t p = d->first; p < d->first + d->pages; p++) {
		if (thread_may(w, m, p, d->write))
			thread_access(w, m, p, d->write, "device");
		else if (promised && !w->members[m].memory.frames[p].given_back)
			world_fail(w, "I9", p,
				   "a page held by a device of m%u left after %" PRIu64 " ns", m,
				   w->now - d->since);
	}
}

void device_run(struct world *w, unsigned m, unsigned index)
{
	struct device *d = &w->members[m].devices[index];
	if (w->members[m].ended)
		return;
	if (d->state == DEVICE_HOLDS) {
		use(w, m, d);
		if (!w->failure.set)
			release(w, m, index);
	} else if (d->state == DEVICE_IDLE && !w->draining && !(w->stopping & member_bit(m))) {
		acquire(w, m, index);
	}
}

void device_acquired(struct world *w, unsigned m, uint32_t token, uint32_t result)
{
	const unsigned index = token % DEVICES_MAX;
	struct device *d = &w->members[m].devices[index];
	if (token == DEVICE_NONE && result == ERR_INVALID) {
		w->members[m].odd_told = true;
		return;
	}
	if (index >= w->tuning.devices || d->token != token || d->state != DEVICE_WAITING) {
		world_fail(w, "I7", -1, "m%u acquired token %u, which nobody waits for", m, token);
		return;
	}
	if (result == ERR_LOST) {
		d->state = DEVICE_IDLE;
		return;
	}
	if (result != ERR_OK) {
		world_fail(w, "I7", d->first, "m%u refused an acquire: %s", m,
			   err_name((int)result));
		return;
	}
	d->state = DEVICE_HOLDS;
	d->since = w->members[m].cause.now; /* a slow member says it later than its core */
	w->figures->acquires++;
	for (uint16_t p = d->first; p < d->first + d->pages; p++)
		w->members[m].memory.frames[p].lent |= d->write;
	for (uint16_t p = d->first; p < d->first + d->pages; p++)
		if (!thread_may(w, m, p, d->write))
			world_fail(w, "I9", p, "m%u acquired a page that is not there", m);
	after(w, m, index, rng_below(&w->rng, (uint32_t)w->tuning.device_use));
}

static bool any_device(const struct world *w, unsigned m, uint16_t page, bool also_holders)
{
	for (unsigned i = 0; i < w->tuning.devices; i++) {
		const struct device *d = &w->members[m].devices[i];
		if (d->state == DEVICE_IDLE || (d->state == DEVICE_HOLDS && !also_holders))
			continue;
		if (page >= d->first && page < d->first + d->pages)
			return true;
	}
	return false;
}

bool device_waits(const struct world *w, unsigned m, uint16_t page)
{
	return any_device(w, m, page, false);
}

bool device_uses(const struct world *w, unsigned m, uint16_t page)
{
	return any_device(w, m, page, true);
}
