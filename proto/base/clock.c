/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;
	int failed = clock_gettime(id, &ts);

	assert(!failed);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_ms(void)
{
	return clock_ns() / 1000000u;
}

uint64_t clock_unix_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000u;
}
