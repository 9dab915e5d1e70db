/* SPDX-License-Identifier: Apache-2.0 */
#include "puppet.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"

enum { BYTES = 4 * CDSM_PAGE_BYTES, LEAVE_MS = 60000, SILENCE_MS = 20000 };

static const char *given(const char *text)
{
	return text[0] ? text : NULL;
}

static struct cdsm_options options_of(const struct puppet_order *o)
{
	struct cdsm_options options = CDSM_OPTIONS;

	options.cluster = given(o->cluster);
	options.cluster_key_file = given(o->cluster_key_file);
	options.name = given(o->name);
	options.listen = given(o->listen);
	options.key = o->key[0] ? o->key : NULL;
	options.silence_ms = SILENCE_MS; /* a loaded machine is not taken for a loss */
	return options;
}

static void leave(struct cdsm **space, struct cdsm_error *why)
{
	if (cdsm_leave(*space, LEAVE_MS, why))
		return;
	cdsm_close(*space);
	*space = NULL;
}

static void act(struct cdsm **space, const struct puppet_order *o, struct puppet_answer *a)
{
	struct cdsm_options options = options_of(o);

	switch (o->act) {
	case PUPPET_CREATE:
		cdsm_create(&options, BYTES, space, &a->why);
		break;
	case PUPPET_JOIN:
		cdsm_join(&options, given(o->address), o->timeout_ms, space, &a->why);
		break;
	case PUPPET_LEAVE:
		leave(space, &a->why);
		break;
	case PUPPET_CHECK:
		cdsm_check(*space, &a->why);
		break;
	case PUPPET_READ:
		a->value = *(volatile uint64_t *)cdsm_map(*space, NULL);
		break;
	case PUPPET_ADD:
		cdsm_add(*space, cdsm_map(*space, NULL), o->value, NULL, &a->why);
		break;
	}
	a->self = *space ? cdsm_self(*space) : 0;
}

static void serve(int fd)
{
	struct cdsm *space = NULL;
	struct puppet_order order;

	while (read(fd, &order, sizeof(order)) == sizeof(order)) {
		struct puppet_answer answer = {.value = 0};
		uint64_t began = clock_ms();

		act(&space, &order, &answer);
		answer.ms = (unsigned)(clock_ms() - began);
		if (write(fd, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	cdsm_close(space);
}

bool puppet_start(struct puppet *p)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return false;
	p->pid = fork();
	if (!p->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		serve(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	p->fd = fds[0];
	return p->pid > 0;
}

struct puppet_answer puppet_do(struct puppet *p, const struct puppet_order *order)
{
	struct puppet_answer answer = {.why = {.code = -1, .text = "it is gone"}};

	if (write(p->fd, order, sizeof(*order)) != sizeof(*order) ||
	    read(p->fd, &answer, sizeof(answer)) != sizeof(answer))
		answer.why.code = -1;
	return answer;
}

void puppet_kill(struct puppet *p)
{
	if (p->pid <= 0)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->fd);
	p->pid = 0;
}
