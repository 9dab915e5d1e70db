/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices of a member: they acquire a run of pages, use them while they hold them, and release them
 * - in time, or so late that the core took its promise back (dsm_core_config.acquire_us).
 */
#ifndef CELLULAR_SIM_DEVICE_H
#define CELLULAR_SIM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct world;

enum { DEVICES_MAX = 2, DEVICE_NONE = UINT32_MAX - 1 /* token of acquires to be refused */ };

enum device_state {
	DEVICE_IDLE,
	DEVICE_WAITING, /* ACQUIRE was given to the core */
	DEVICE_HOLDS,
};

struct device {
	uint8_t state; /* enum device_state */
	uint8_t pages;
	uint16_t first;
	bool write;
	uint32_t token;
	uint64_t since; /* of the present state, ns */
};

void device_start(struct world *w, unsigned m, unsigned index);
void device_run(struct world *w, unsigned m, unsigned index); /* CLOCK_DEVICE */
void device_acquired(struct world *w, unsigned m, uint32_t token,
		     uint32_t result); /* effect ACQUIRED */

/* Does a device hold the page, or wait for it? */
bool device_uses(const struct world *w, unsigned m, uint16_t page);

/* Is an acquire that names the page under way? */
bool device_waits(const struct world *w, unsigned m, uint16_t page);

#endif
