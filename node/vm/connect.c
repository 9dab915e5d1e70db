/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/connect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/vm/control.h"
#include "node/vm/sandbox.h"
#include "proto/base/fd.h"

static void *connect_thread(void *context)
{
	struct connect *c = context;

	c->rc = vm_connect(c->vm, (const char *const *)c->peer, CONTROL_CONNECT_MS, c->stop_fd,
			   &c->why);
	sandbox_common_priority();
	if (!c->rc && c->load)
		c->rc = load_copy(c->load, &c->vm->memory, c->vm->tsc_khz, &c->why);
	__atomic_store_n(&c->over, true, __ATOMIC_RELEASE);
	c->poke(c->context);
	return NULL;
}

int connect_start(struct connect *c, struct vm *vm, struct load *load, char *const *peers,
		  void (*poke)(void *context), void *context, struct err *e)
{
	int rc;

	*c = (struct connect){.vm = vm, .load = load, .poke = poke, .context = context};
	c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->stop_fd < 0)
		return err_sys(e, errno, "eventfd");
	for (unsigned i = 0; i < vm->config.members; i++)
		if (!(c->peer[i] = strdup(peers[i])))
			return err_set(e, ERR_NOMEM, "no memory for addresses");
	c->started = true;
	rc = pthread_create(&c->thread, NULL, connect_thread, c);
	if (rc) {
		c->started = false;
		return err_sys(e, rc, "cannot start a thread");
	}
	return ERR_OK;
}

void connect_stop(struct connect *c)
{
	uint64_t one = 1;

	if (c->started && !connect_over(c))
		(void)!write(c->stop_fd, &one, sizeof(one));
}

bool connect_over(const struct connect *c)
{
	return !c->started || __atomic_load_n(&c->over, __ATOMIC_ACQUIRE);
}

int connect_finish(struct connect *c, struct err *e)
{
	if (!c->joined)
		pthread_join(c->thread, NULL);
	c->joined = true;
	if (c->rc)
		*e = c->why;
	return c->rc;
}

void connect_free(struct connect *c)
{
	struct err ignored;

	if (c->started)
		connect_finish(c, &ignored);
	for (unsigned i = 0; i < DSM_MEMBERS_MAX; i++)
		free(c->peer[i]);
	if (c->vm)
		fd_close(&c->stop_fd);
}
