/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bad network between two ends of TCP connections: a process that accepts in the place of a
 * target and passes bytes on, late, slowly, or not at all. (netem, which does this to packets, is
 * not in every kernel. A proxy cannot lose or reorder bytes, but neither can TCP.)
 *
 * A link has an address to dial, a target, and any number of connections. Direction 0 goes to the
 * target, direction 1 back to who dialled.
 *
 * Threads: proxy_start forks, so call it before there are threads. All else from any thread of the
 * caller's process or of processes it forked since: settings lie in shared memory and count at once
 * for what is read from then on.
 */
#ifndef CELLULAR_TESTS_TORTURE_PROXY_H
#define CELLULAR_TESTS_TORTURE_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"

enum { PROXY_LINKS_MAX = 8, PROXY_TARGET_MAX = 128 };

struct proxy;

struct proxy_shape {
	uint32_t delay_us[2];	 /* by direction */
	uint32_t bytes_per_s[2]; /* 0: as fast as it goes */
	/* Every few ms each direction's delay is drawn anew, up to so much; none in half of all
	 * cases. In place of delay_us; 0: not. */
	uint32_t wild_us;
};

/* Listens on one port of 127.0.0.1 a link and starts the process. SYS, NOMEM, INVALID. */
int proxy_start(unsigned links, uint64_t seed, struct proxy **out, struct err *e);

/* "127.0.0.1:4711": where to dial. */
const char *proxy_address(const struct proxy *p, unsigned link);
/* Where its connections go, "ip:port" or "unix:/path"; to be set before anybody dials. */
void proxy_target(struct proxy *p, unsigned link, const char *address);
void proxy_shape(struct proxy *p, unsigned link, const struct proxy_shape *shape);
/* Breaks (RST at both ends) all connections of the link. New ones are served. */
void proxy_cut(struct proxy *p, unsigned link);

struct proxy_stats {
	uint64_t connections, cuts, bytes;
};
void proxy_stats(const struct proxy *p, unsigned link, struct proxy_stats *out);

/* Ends the process. NULL is allowed. */
void proxy_stop(struct proxy *p);

#endif
