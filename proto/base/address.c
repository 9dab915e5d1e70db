/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/address.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cuts text into host and port; an IPv6 host stands in brackets. */
static bool split(const char *text, char host[ADDRESS_TEXT_MAX], const char **port)
{
	const char *end;
	bool bracket = text[0] == '[';
	size_t n;

	text += bracket;
	end = strrchr(text, bracket ? ']' : ':');
	if (!end || end == text || (bracket && end[1] != ':'))
		return false;
	n = (size_t)(end - text);
	*port = end + 1 + bracket;
	if (n >= ADDRESS_TEXT_MAX || strlen(*port) > 5 ||
	    strspn(*port, "0123456789") != strlen(*port))
		return false;
	memcpy(host, text, n);
	host[n] = 0;
	return **port && (bracket || !strchr(host, ':'));
}

int address_parse(const char *text, struct address *out, struct err *e)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	char host[ADDRESS_TEXT_MAX];
	struct addrinfo *found;
	const char *port;

	if (!split(text, host, &port) || strtoul(port, NULL, 10) > 65535 ||
	    getaddrinfo(host, port, &hints, &found))
		return err_set(e, ERR_INVALID, "\"%s\" is not IP:PORT", text);
	memset(out, 0, sizeof(*out));
	memcpy(&out->storage, found->ai_addr, found->ai_addrlen);
	out->length = found->ai_addrlen;
	freeaddrinfo(found);
	return ERR_OK;
}

int address_format(const struct address *a, char *out, size_t room, struct err *e)
{
	char host[ADDRESS_TEXT_MAX], port[8];
	const char *fmt = a->storage.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
	int rc = getnameinfo((const struct sockaddr *)&a->storage, a->length, host, sizeof(host),
			     port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);

	if (rc)
		return err_set(e, ERR_SYS, "cannot write an address as text: %s", gai_strerror(rc));
	if ((size_t)snprintf(out, room, fmt, host, port) >= room)
		return err_set(e, ERR_TOOBIG, "an address is longer than %zu bytes", room);
	return ERR_OK;
}

int address_of_socket(int fd, char *out, size_t room, struct err *e)
{
	struct address a = {.length = sizeof(a.storage)};

	if (getsockname(fd, (struct sockaddr *)&a.storage, &a.length) < 0)
		return err_sys(e, errno, "cannot ask a socket for its address");
	return address_format(&a, out, room, e);
}
