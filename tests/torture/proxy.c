/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process is one loop over ppoll: listeners, both sockets of every connection, and the time at
 * which the next piece is due.
 */
#include "tests/torture/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/address.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "tests/torture/pipe.h"

enum {
	CONNECTIONS_MAX = 64,
	REDRAW_MS = 7,		/* of wild delays */
	LOOK_MS = 5,		/* how late a cut may be noticed */
	FULL_RETRY_NS = 200000, /* a socket that takes no more is tried again after this */
};

/* One link's part of the shared memory. */
struct link_state {
	char address[ADDRESS_TEXT_MAX];
	char target[PROXY_TARGET_MAX];
	atomic_uint delay_us[2], bytes_per_s[2], wild_us;
	atomic_uint cuts; /* asked for */
	atomic_ullong connections, cut, bytes;
};

struct proxy {
	unsigned links;
	pid_t pid; /* written by the caller's process alone */
	struct link_state link[PROXY_LINKS_MAX];
};

/* end[0] dialled us, end[1] is the target's. */
struct connection {
	bool used;
	unsigned link;
	int end[2];
	struct pipe pipe[2];
	uint32_t wild_us[2];
};

struct loop {
	struct proxy *p;
	int listener[PROXY_LINKS_MAX];
	uint64_t random;
	uint64_t redraw_ms;
	unsigned cuts[PROXY_LINKS_MAX]; /* carried out */
	struct connection connection[CONNECTIONS_MAX];
	struct pollfd fds[PROXY_LINKS_MAX + 2 * CONNECTIONS_MAX];
	int n;
};

/* ---- connections ---- */

/* With RST, so that both ends see a break and not an orderly end. */
static void break_connection(struct connection *c)
{
	const struct linger now = {.l_onoff = 1};

	for (int i = 0; i < 2; i++) {
		setsockopt(c->end[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		fd_close(&c->end[i]);
		pipe_close(&c->pipe[i]);
	}
	c->used = false;
}

static void close_connection(struct connection *c)
{
	for (int i = 0; i < 2; i++) {
		fd_close(&c->end[i]);
		pipe_close(&c->pipe[i]);
	}
	c->used = false;
}

static int parse_target(const char *text, struct address *out)
{
	struct sockaddr_un *a = (struct sockaddr_un *)&out->storage;
	struct err e;

	if (strncmp(text, "unix:", 5))
		return address_parse(text, out, &e);
	*out = (struct address){.length = sizeof(*a)};
	a->sun_family = AF_UNIX;
	strncpy(a->sun_path, text + 5, sizeof(a->sun_path) - 1);
	return ERR_OK;
}

static int dial_target(const struct link_state *link)
{
	struct address a;
	int fd;

	if (parse_target(link->target, &a))
		return -1;
	fd = socket(a.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&a.storage, a.length) < 0)
		fd_close(&fd);
	return fd;
}

static void accept_one(struct loop *l, unsigned link)
{
	int fd = accept4(l->listener[link], NULL, NULL, SOCK_CLOEXEC), on = 1, target;
	struct connection *c = l->connection;

	while (c < l->connection + CONNECTIONS_MAX && c->used)
		c++;
	target = fd >= 0 && c < l->connection + CONNECTIONS_MAX ? dial_target(&l->p->link[link])
								: -1;
	if (target < 0) {
		fd_close(&fd);
		return;
	}
	*c = (struct connection){.used = true, .link = link, .end = {fd, target}};
	for (int i = 0; i < 2; i++) {
		pipe_open(&c->pipe[i]);
		setsockopt(c->end[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	atomic_fetch_add(&l->p->link[link].connections, 1);
}

static uint32_t delay(const struct link_state *link, const struct connection *c, int direction)
{
	return atomic_load(&link->wild_us) ? c->wild_us[direction]
					   : atomic_load(&link->delay_us[direction]);
}

/* Direction d goes from end d to the other. */
static void serve(struct loop *l, struct connection *c, const bool readable[2])
{
	struct link_state *link = &l->p->link[c->link];
	uint64_t now = clock_ns();
	bool good = true;
	size_t bytes;

	for (int d = 0; d < 2 && good; d++) {
		if (readable[d] && pipe_wants(&c->pipe[d])) {
			good = pipe_read(&c->pipe[d], c->end[d], now, delay(link, c, d),
					 atomic_load(&link->bytes_per_s[d]), &bytes);
			atomic_fetch_add(&link->bytes, bytes);
		}
		good = good && pipe_write(&c->pipe[d], c->end[1 - d], now);
	}
	if (!good)
		break_connection(c);
	else if (c->pipe[0].shut && c->pipe[1].shut)
		close_connection(c);
}

/* ---- the loop ---- */

static uint32_t draw(struct loop *l, uint32_t below)
{
	l->random = l->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((l->random >> 33) * below >> 31);
}

static void redraw(struct loop *l)
{
	if (clock_ms() < l->redraw_ms)
		return;
	l->redraw_ms = clock_ms() + REDRAW_MS;
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &l->connection[i];
		uint32_t most = c->used ? atomic_load(&l->p->link[c->link].wild_us) : 0;

		for (int d = 0; d < 2 && most; d++)
			c->wild_us[d] = draw(l, 2) ? draw(l, most) : 0;
	}
}

static void cut(struct loop *l)
{
	for (unsigned link = 0; link < l->p->links; link++) {
		unsigned asked = atomic_load(&l->p->link[link].cuts);

		if (asked == l->cuts[link])
			continue;
		l->cuts[link] = asked;
		for (int i = 0; i < CONNECTIONS_MAX; i++)
			if (l->connection[i].used && l->connection[i].link == link)
				break_connection(&l->connection[i]);
		atomic_store(&l->p->link[link].cut, asked);
	}
}

static void watch(struct loop *l, int fd, bool read)
{
	l->fds[l->n++] = (struct pollfd){.fd = fd, .events = (short)(read ? POLLIN : 0)};
}

static void wait_for_work(struct loop *l)
{
	uint64_t now = clock_ns(), next = now + LOOK_MS * 1000000ull, ns;
	struct timespec t;

	l->n = 0;
	for (unsigned i = 0; i < l->p->links; i++)
		watch(l, l->listener[i], true);
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &l->connection[i];

		for (int d = 0; d < 2; d++) {
			uint64_t due = c->used ? pipe_due(&c->pipe[d]) : UINT64_MAX;

			watch(l, c->used && pipe_wants(&c->pipe[d]) ? c->end[d] : -1, true);
			next = due < next ? due : next;
		}
	}
	ns = next > now ? next - now : FULL_RETRY_NS;
	t = (struct timespec){.tv_nsec = (long)ns};
	ppoll(l->fds, (nfds_t)l->n, &t, NULL);
}

static void turn(struct loop *l)
{
	wait_for_work(l);
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		const struct pollfd *two = &l->fds[l->p->links + 2u * (unsigned)i];
		const bool readable[2] = {two[0].revents != 0, two[1].revents != 0};

		if (l->connection[i].used)
			serve(l, &l->connection[i], readable);
	}
	cut(l);
	for (unsigned i = 0; i < l->p->links; i++)
		if (l->fds[i].revents)
			accept_one(l, i);
	redraw(l);
}

static void run(struct proxy *p, const int *listener, uint64_t seed)
{
	static struct loop l;

	l.p = p;
	l.random = seed;
	memcpy(l.listener, listener, sizeof(l.listener));
	for (;;)
		turn(&l);
}

/* ---- the caller's side ---- */

static int listen_on_any_port(struct link_state *link, int *fd, struct err *e)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || bind(*fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(*fd, 16) < 0)
		return err_sys(e, errno, "proxy: cannot listen");
	return address_of_socket(*fd, link->address, ADDRESS_TEXT_MAX, e);
}

static int fork_process(struct proxy *p, const int *listener, uint64_t seed, struct err *e)
{
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, errno, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(p, listener, seed);
	}
	p->pid = pid;
	return ERR_OK;
}

int proxy_start(unsigned links, uint64_t seed, struct proxy **out, struct err *e)
{
	int listener[PROXY_LINKS_MAX] = {-1, -1, -1, -1, -1, -1, -1, -1}, rc = ERR_OK;
	struct proxy *p;

	if (!links || links > PROXY_LINKS_MAX)
		return err_set(e, ERR_INVALID, "a proxy of %u links", links);
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return err_set(e, ERR_NOMEM, "no memory for a proxy");
	p->links = links;
	for (unsigned i = 0; i < links && !rc; i++)
		rc = listen_on_any_port(&p->link[i], &listener[i], e);
	if (!rc)
		rc = fork_process(p, listener, seed, e);
	for (unsigned i = 0; i < links; i++)
		fd_close(&listener[i]);
	if (rc)
		munmap(p, sizeof(*p));
	else
		*out = p;
	return rc;
}

const char *proxy_address(const struct proxy *p, unsigned link)
{
	return p->link[link].address;
}

void proxy_target(struct proxy *p, unsigned link, const char *address)
{
	strncpy(p->link[link].target, address, PROXY_TARGET_MAX - 1);
}

void proxy_shape(struct proxy *p, unsigned link, const struct proxy_shape *shape)
{
	struct link_state *l = &p->link[link];

	for (int d = 0; d < 2; d++) {
		atomic_store(&l->delay_us[d], shape->delay_us[d]);
		atomic_store(&l->bytes_per_s[d], shape->bytes_per_s[d]);
	}
	atomic_store(&l->wild_us, shape->wild_us);
}

void proxy_cut(struct proxy *p, unsigned link)
{
	atomic_fetch_add(&p->link[link].cuts, 1);
}

void proxy_stats(const struct proxy *p, unsigned link, struct proxy_stats *out)
{
	const struct link_state *l = &p->link[link];

	*out = (struct proxy_stats){.connections = atomic_load(&l->connections),
				    .cuts = atomic_load(&l->cut),
				    .bytes = atomic_load(&l->bytes)};
}

void proxy_stop(struct proxy *p)
{
	if (!p)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	munmap(p, sizeof(*p));
}
