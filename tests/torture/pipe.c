/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/torture/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { READ_BYTES = 16 << 10 };

struct piece {
	struct piece *next;
	uint64_t due_ns;
	size_t sent, bytes;
	char data[];
};

void pipe_open(struct pipe *p)
{
	*p = (struct pipe){.last = &p->first};
}

bool pipe_wants(const struct pipe *p)
{
	return !p->ended && p->waiting < PIPE_WAITING_MAX;
}

static void append(struct pipe *p, struct piece *piece)
{
	*p->last = piece;
	p->last = &piece->next;
	p->waiting += piece->bytes;
}

bool pipe_read(struct pipe *p, int fd, uint64_t now_ns, uint32_t delay_us, uint32_t bytes_per_s,
	       size_t *bytes)
{
	struct piece *piece = malloc(sizeof(*piece) + READ_BYTES);
	uint64_t due = now_ns + delay_us * 1000ull;
	ssize_t n;

	*bytes = 0;
	if (!piece)
		return false;
	n = recv(fd, piece->data, READ_BYTES, MSG_DONTWAIT);
	if (n <= 0) {
		free(piece);
		p->ended = n == 0;
		return n == 0 || errno == EAGAIN || errno == EINTR;
	}
	*piece = (struct piece){.bytes = (size_t)n};
	if (due < p->due_ns)
		due = p->due_ns; /* bytes keep their order */
	if (bytes_per_s)
		due += (uint64_t)n * 1000000000u / bytes_per_s;
	piece->due_ns = p->due_ns = due;
	append(p, piece);
	*bytes = (size_t)n;
	return true;
}

static void remove_first(struct pipe *p)
{
	struct piece *piece = p->first;

	p->first = piece->next;
	if (!p->first)
		p->last = &p->first;
	free(piece);
}

bool pipe_write(struct pipe *p, int fd, uint64_t now_ns)
{
	while (p->first && p->first->due_ns <= now_ns) {
		struct piece *piece = p->first;
		ssize_t n = send(fd, piece->data + piece->sent, piece->bytes - piece->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		piece->sent += (size_t)n;
		p->waiting -= (size_t)n;
		if (piece->sent == piece->bytes)
			remove_first(p);
	}
	if (p->ended && !p->first && !p->shut) {
		p->shut = true;
		shutdown(fd, SHUT_WR);
	}
	return true;
}

uint64_t pipe_due(const struct pipe *p)
{
	return p->first ? p->first->due_ns : UINT64_MAX;
}

void pipe_close(struct pipe *p)
{
	while (p->first)
		remove_first(p);
}
