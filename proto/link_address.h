/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of control links ("unix:/path", "tcp:10.0.0.1:4711") and the sockets that listen on
 * them.
 *
 * Threads: any.
 */
#ifndef CELLULAR_PROTO_LINK_ADDRESS_H
#define CELLULAR_PROTO_LINK_ADDRESS_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "proto/base/address.h"
#include "proto/base/err.h"

struct link_address {
	bool local;	       /* unix */
	struct sockaddr_un un; /* if local */
	struct address ip;     /* else */
};

/* INVALID: neither form, or a path longer than a socket's may be. */
int link_address_parse(const char *text, struct link_address *out, struct err *e);

/*
 * Makes a listening socket, close-on-exec. A unix socket that a dead process left behind is
 * replaced. EXISTS: port in use, a live process listens on the path, or something else than a
 * socket lies there. UNREACHABLE: not an address of this host. DENIED, NOTFOUND (directory), BUSY,
 * SYS.
 */
int link_address_listen(const struct link_address *a, int *fd, struct err *e);

#endif
