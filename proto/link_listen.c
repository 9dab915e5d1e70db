/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening side of control links. A listener knows all links it accepted as long as both live:
 * those whose hello is not over end with it, the others only forget it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/link_address.h"
#include "proto/link_state.h"

enum {
	IDENTITIES_MAX = 4,
	ACCEPT_BACKLOG = 128,
};

struct link_listener {
	uv_loop_t *loop;
	union link_stream io;
	bool local;
	struct link_identity identities[IDENTITIES_MAX];
	int n;
	link_accept_fn accept;
	void *context;
	struct link *links;
	unsigned strangers; /* links whose hello is not over */
	uint64_t rejected;
	char address[LINK_ADDRESS_MAX];
	struct stat file; /* local: what we made, so that we remove nothing else */
};

static const char *path_of(const struct link_listener *listener)
{
	return listener->address + strlen("unix:");
}

static void add(struct link_listener *listener, struct link *link)
{
	link->listener = listener;
	link->next = listener->links;
	link->back = &listener->links;
	if (link->next)
		link->next->back = &link->next;
	listener->links = link;
}

static void take_off(struct link *link)
{
	*link->back = link->next;
	if (link->next)
		link->next->back = link->back;
	link->listener = NULL;
}

void link_listener_forget(struct link *link)
{
	struct link_listener *listener = link->listener;

	if (!listener)
		return;
	listener->strangers -= !link->identified;
	listener->rejected += !link->identified || link->why.code != ERR_OK;
	take_off(link);
}

int link_listener_identify(struct link *link, const struct hello_1 *first, struct err *e)
{
	const struct link_listener *listener = link->listener;

	for (int i = 0; i < listener->n; i++) {
		if (listener->identities[i].kind != first->kind)
			continue;
		link->talk.hello.kind = listener->identities[i].kind;
		memcpy(link->talk.hello.key, listener->identities[i].key, CELL_KEY_BYTES);
		return ERR_OK;
	}
	return err_set(e, ERR_PROTOCOL, "no hello, or one of kind %u, which is not served here",
		       first->kind);
}

void link_listener_accept(struct link *link)
{
	struct link_listener *listener = link->listener;

	link->identified = true;
	listener->strangers--;
	listener->accept(listener->context, link, link->talk.hello.kind);
	if (link->state == LINK_OPEN && !link->ops)
		link_close(link);
}

static const struct err crowd = {.code = ERR_BUSY, .text = "too many hellos are under way"};

/* Closes the one that has been a stranger for longest. New links come first in the list. */
static void make_place(struct link_listener *listener)
{
	struct link *oldest = NULL;

	for (struct link *link = listener->links; link; link = link->next)
		if (!link->identified && link->state != LINK_CLOSED)
			oldest = link;
	if (!oldest)
		return;
	link_fail(oldest, &crowd);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct link_listener *listener = server->data;
	struct link *link;

	if (status < 0)
		return;
	link = link_new(listener->loop, NULL, NULL);
	if (!link)
		return;
	if (listener->strangers >= LINK_STRANGERS_MAX)
		make_place(listener);
	link_init_stream(listener->loop, &link->io, listener->local);
	link->state = LINK_HELLO;
	add(listener, link);
	listener->strangers++;
	if (uv_accept(server, &link->io.stream) < 0)
		link_fail(link, &crowd);
	else
		link_start_hello(link, false);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void remove_socket_file(const struct link_listener *listener)
{
	struct stat st;

	if (listener->local && lstat(path_of(listener), &st) == 0 &&
	    st.st_dev == listener->file.st_dev && st.st_ino == listener->file.st_ino)
		unlink(path_of(listener));
}

void link_listener_close(struct link_listener *listener)
{
	static const struct err over = {.code = ERR_INTERRUPTED, .text = "the listener was closed"};
	struct link *link, *next;

	if (!listener)
		return;
	for (link = listener->links; link; link = next) {
		next = link->next;
		take_off(link);
		if (!link->identified)
			link_fail(link, &over);
	}
	remove_socket_file(listener);
	uv_close(&listener->io.handle, on_closed);
}

static int own_address(struct link_listener *listener, const char *address, int fd, struct err *e)
{
	if (listener->local) {
		snprintf(listener->address, sizeof(listener->address), "%s", address);
		if (lstat(path_of(listener), &listener->file) == 0)
			return ERR_OK;
		return err_set(e, ERR_SYS, "the socket %s vanished", path_of(listener));
	}
	strcpy(listener->address, "tcp:");
	return address_of_socket(fd, listener->address + 4, sizeof(listener->address) - 4, e);
}

static int open_stream(struct link_listener *listener, int fd)
{
	return listener->local ? uv_pipe_open(&listener->io.pipe, fd)
			       : uv_tcp_open(&listener->io.tcp, fd);
}

/* From here on the handle owns the descriptor and must be closed through the loop. */
static int start(struct link_listener *listener, int fd, struct err *e)
{
	int rc;

	link_init_stream(listener->loop, &listener->io, listener->local);
	listener->io.handle.data = listener;
	rc = open_stream(listener, fd);
	if (rc < 0)
		fd_close(&fd);
	if (!rc)
		rc = uv_listen(&listener->io.stream, ACCEPT_BACKLOG, on_connection);
	if (!rc)
		return ERR_OK;
	link_listener_close(listener);
	return err_set(e, ERR_SYS, "cannot listen: %s", uv_strerror(rc));
}

int link_listen(uv_loop_t *loop, const char *address, const struct link_identity *identities, int n,
		link_accept_fn accept, void *context, struct link_listener **out, struct err *e)
{
	struct link_listener *listener;
	struct link_address a;
	int fd, rc;

	if (n < 1 || n > IDENTITIES_MAX)
		return err_set(e, ERR_INVALID, "a listener has 1 to %d identities", IDENTITIES_MAX);
	rc = link_address_parse(address, &a, e);
	if (rc)
		return rc;
	rc = link_address_listen(&a, &fd, e);
	if (rc)
		return err_wrap(e, rc, "%s", address);
	listener = calloc(1, sizeof(*listener));
	if (!listener) {
		fd_close(&fd);
		return err_set(e, ERR_NOMEM, "no memory for a listener");
	}
	*listener = (struct link_listener){
		.loop = loop, .local = a.local, .n = n, .accept = accept, .context = context};
	memcpy(listener->identities, identities, (size_t)n * sizeof(*identities));
	rc = own_address(listener, address, fd, e);
	if (rc) {
		fd_close(&fd);
		free(listener);
		return rc;
	}
	rc = start(listener, fd, e);
	if (!rc)
		*out = listener;
	return rc;
}

void link_listener_address(const struct link_listener *listener, char out[LINK_ADDRESS_MAX])
{
	memcpy(out, listener->address, LINK_ADDRESS_MAX);
}

uint64_t link_listener_rejected(const struct link_listener *listener)
{
	return listener->rejected;
}
