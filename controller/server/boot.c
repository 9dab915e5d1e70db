/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ladder: key, store, policy with what the store knows, loop, listeners, ready file; then
 * serve; then down again in the other direction. Each step up that fails leaves the sentence in *e
 * and goes down from where it is.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/server/state.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/key.h"

/* ---- what the store knows ---- */

static int load_cell(void *context, const struct policy_cell *cell, struct err *e)
{
	struct server *s = context;

	return policy_load_cell(s->policy, cell, e);
}

static int load_vm(void *context, const struct store_vm *record, struct err *e)
{
	struct server *s = context;
	int ret = policy_load_vm(s->policy, record->vm, record->cells, e);
	const struct policy_vm *vm;

	if (ret)
		return ret;
	vm = policy_vm_named(s->policy, record->vm->name);
	return body_load(&s->bodies[policy_vm_slot(s->policy, vm)], record, e);
}

static int open_state(struct server *s, struct err *e)
{
	static const struct store_visitor visitor = {load_cell, load_vm};
	struct policy_config config = {.times = s->config->times};
	void *memory;
	int ret = store_open(s->config->state_dir, &s->store, e);

	if (!ret)
		ret = key_file_make(s->config->key_file, s->key, e);
	if (ret)
		return ret;
	config.next_vm = store_next_vm(s->store);
	memory = calloc(1, policy_bytes());
	s->spaces = calloc(1, sizeof(*s->spaces));
	if (!memory || !s->spaces) {
		free(memory);
		return err_set(e, ERR_NOMEM, "no memory for %zu bytes of tables",
			       policy_bytes() + sizeof(*s->spaces));
	}
	s->policy = policy_init(memory, &config);
	ret = store_load(s->store, &visitor, s, e);
	return ret ? ret : arena_init(&s->arena, e);
}

/* ---- listeners ---- */

static int listen_on(struct server *s, const char *address, struct err *e)
{
	struct link_identity identities[] = {{.kind = HELLO_CELLD}, {.kind = HELLO_CTL}};

	memcpy(identities[0].key, s->key, sizeof(s->key));
	memcpy(identities[1].key, s->key, sizeof(s->key));
	return link_listen(&s->loop, address, identities, 2, server_accept, s,
			   &s->listeners[s->n_listeners], e)
		       ?: (s->n_listeners++, ERR_OK);
}

static int listen_all(struct server *s, struct err *e)
{
	char address[LINK_ADDRESS_MAX];
	int ret;

	if ((size_t)snprintf(address, sizeof(address), "unix:%s/ctl.sock", s->config->state_dir) >=
	    sizeof(address))
		return err_set(e, ERR_INVALID,
			       "the path of the state directory is too long for a socket in it");
	ret = listen_on(s, address, e);
	for (size_t i = 0; !ret && i < s->config->n_listen; i++)
		ret = listen_on(s, s->config->listen[i], e);
	return ret;
}

static int write_addresses(const struct server *s, FILE *f)
{
	char address[LINK_ADDRESS_MAX];

	for (size_t i = 0; i < s->n_listeners; i++) {
		link_listener_address(s->listeners[i], address);
		log_info("listening on %s", address);
		if (f && fprintf(f, "%s\n", address) < 0)
			return errno;
	}
	return f && fflush(f) != 0 ? errno : 0;
}

/* Written beside it and renamed: who waits for it finds it whole. */
static int write_ready(const struct server *s, struct err *e)
{
	const char *path = s->config->ready_file;
	char draft[4096];
	FILE *f;
	int errnum;

	if (!path)
		return write_addresses(s, NULL);
	if ((size_t)snprintf(draft, sizeof(draft), "%s.%ld", path, (long)getpid()) >= sizeof(draft))
		return err_set(e, ERR_TOOBIG, "the path of the ready file is too long");
	f = fopen(draft, "we");
	if (!f)
		return err_sys(e, errno, "cannot write the ready file %s", path);
	errnum = write_addresses(s, f);
	if (fclose(f) != 0 && !errnum)
		errnum = errno;
	if (!errnum && rename(draft, path) != 0)
		errnum = errno;
	if (!errnum)
		return ERR_OK;
	unlink(draft);
	return err_sys(e, errnum, "cannot write the ready file %s", path);
}

/* ---- the loop ---- */

static void on_signal(uv_signal_t *handle, int number)
{
	log_info("%s: ending; VMs run on", strsignal(number));
	server_stop(handle->data, NULL);
}

static int open_loop(struct server *s, struct err *e)
{
	static const int numbers[] = {SIGTERM, SIGINT};
	int rc = uv_loop_init(&s->loop);

	if (rc < 0)
		return err_set(e, ERR_SYS, "cannot make an event loop: %s", uv_strerror(rc));
	uv_timer_init(&s->loop, &s->timer);
	s->timer.data = s;
	server_beat(s);
	policy_spaces_init(s->spaces, server_now_ms(s), store_epoch(s->store) > 1);
	for (int i = 0; i < 2; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, numbers[i]);
	}
	return ERR_OK;
}

static void close_loop(struct server *s)
{
	s->stopping = true;
	for (size_t i = 0; i < s->n_listeners; i++)
		link_listener_close(s->listeners[i]);
	for (struct peer *peer = s->peers; peer; peer = peer->next)
		link_close(peer->link);
	server_query_cancel_all(s);
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_close((uv_handle_t *)&s->beat, NULL);
	uv_close((uv_handle_t *)&s->signals[0], NULL);
	uv_close((uv_handle_t *)&s->signals[1], NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_loop_close(&s->loop);
}

static int serve(struct server *s, struct err *e)
{
	int ret = open_loop(s, e);

	if (ret)
		return ret;
	ret = listen_all(s, e);
	if (!ret) {
		server_step(s, &(struct policy_event){.kind = POLICY_EV_LOADED});
		ret = write_ready(s, e);
	}
	if (!ret && !s->stopping)
		uv_run(&s->loop, UV_RUN_DEFAULT);
	if (!ret && s->failure.code) {
		*e = s->failure;
		ret = e->code;
	}
	close_loop(s);
	return ret;
}

/* There are keys in it. */
static void free_spaces(struct server *s)
{
	if (s->spaces)
		explicit_bzero(s->spaces, sizeof(*s->spaces));
	free(s->spaces);
}

int server_run(const struct server_config *config, struct err *e)
{
	struct server *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return err_set(e, ERR_NOMEM, "no memory for the server");
	s->config = config;
	s->next_number = 1;
	s->started_ms = clock_ms();
	signal(SIGPIPE, SIG_IGN);
	ret = open_state(s, e);
	if (!ret && config->ready_file && unlink(config->ready_file) != 0 && errno != ENOENT)
		ret = err_sys(e, errno, "cannot replace the ready file %s", config->ready_file);
	if (!ret)
		ret = serve(s, e);
	arena_free(&s->arena);
	for (unsigned i = 0; i < POLICY_VMS_MAX; i++)
		body_free(&s->bodies[i]);
	body_free(&s->coming);
	free(s->policy);
	free_spaces(s);
	store_close(s->store);
	free(s);
	return ret;
}
