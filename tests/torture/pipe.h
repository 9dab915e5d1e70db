/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a connection through a proxy: bytes wait in pieces until their time has come. */
#ifndef CELLULAR_TESTS_TORTURE_PIPE_H
#define CELLULAR_TESTS_TORTURE_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIPE_WAITING_MAX = 1 << 20 }; /* bytes; above it nothing more is read */

struct piece;

struct pipe {
	struct piece *first, **last; /* oldest first */
	size_t waiting;		     /* bytes */
	uint64_t due_ns;	     /* of the youngest */
	bool ended;		     /* the reader's end of file was seen */
	bool shut;		     /* ... and passed on */
};

void pipe_open(struct pipe *p);
bool pipe_wants(const struct pipe *p); /* to read more */
/* One recv from fd; what comes is due after the delay, and after what came before at this rate.
 * False: the connection broke. */
bool pipe_read(struct pipe *p, int fd, uint64_t now_ns, uint32_t delay_us, uint32_t bytes_per_s,
	       size_t *bytes);
/* Sends to fd what is due. False: the connection broke. */
bool pipe_write(struct pipe *p, int fd, uint64_t now_ns);
/* When the oldest piece is due; UINT64_MAX: nothing waits. */
uint64_t pipe_due(const struct pipe *p);
void pipe_close(struct pipe *p);

#endif
