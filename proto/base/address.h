/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numeric socket addresses as text: "10.0.0.1:4711", "[fe80::1%eth0]:4711". No names are looked up.
 * Threads: any.
 */
#ifndef CELLULAR_BASE_ADDRESS_H
#define CELLULAR_BASE_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

#include "proto/base/err.h"

enum { ADDRESS_TEXT_MAX = 64 }; /* with its NUL */

struct address {
	struct sockaddr_storage storage;
	socklen_t length;
};

/* INVALID: not IP:PORT. Port 0 is allowed: the system chooses. */
int address_parse(const char *text, struct address *out, struct err *e);

/* Text of an address; of a socket's own end (getsockname). SYS, TOOBIG. */
int address_format(const struct address *a, char *out, size_t room, struct err *e);
int address_of_socket(int fd, char *out, size_t room, struct err *e);

#endif
