/* SPDX-License-Identifier: Apache-2.0 */
/*
 * celld: reads its options, checks what it needs, locks its directory, then runs one loop until
 * SIGTERM:
 *
 *	options -> preflight -> key -> run directory -> loop, signals -> uplink -> ready file ->
 * loop runs
 *
 * and at the end: fragments -> uplink -> signals -> loop.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/celld/cell.h"
#include "node/celld/options.h"
#include "node/celld/preflight.h"
#include "node/celld/run_dir.h"
#include "node/celld/uplink.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/base/text.h"
#include "proto/control.h"
#include "proto/key.h"

struct celld {
	struct celld_options options;
	char program[PATH_MAX];
	char title[CELL_NAME_MAX + 8];
	int lock;
	uv_loop_t loop;
	uv_signal_t child, term, interrupt;
	struct cell cell;
	struct uplink uplink;
};

/* ---- between cell and controller
 * ------------------------------------------------------------------------------------- */

static void tell(void *context, uint16_t type, const ProtobufCMessage *message)
{
	struct celld *d = context;

	uplink_send(&d->uplink, type, message);
}

static void cell_stopped(void *context)
{
	struct celld *d = context;

	uplink_close(&d->uplink);
}

static const struct cell_ops cell_ops = {.tell = tell, .stopped = cell_stopped};

static void join(void *context)
{
	struct celld *d = context;

	cell_join(&d->cell, tell, d);
}

static void order(void *context, struct link *link, uint16_t type, const ProtobufCMessage *message)
{
	struct celld *d = context;
	struct err e;

	(void)link;
	if (!cell_order(&d->cell, type, message, &e))
		return;
	log_warning("the controller broke the protocol: %s", e.text);
	uplink_reject(&d->uplink);
}

static void tick(void *context)
{
	struct celld *d = context;

	cell_load(&d->cell, d->uplink.rejected, tell, d);
	cell_ask_figures(&d->cell);
}

static void uplink_closed(void *context)
{
	struct celld *d = context;

	uv_close((uv_handle_t *)&d->child, NULL);
	uv_close((uv_handle_t *)&d->term, NULL);
	uv_close((uv_handle_t *)&d->interrupt, NULL);
}

static const struct uplink_ops uplink_ops = {
	.join = join, .order = order, .tick = tick, .closed = uplink_closed};

/* ---- signals
 * ---------------------------------------------------------------------------------------------------------
 */

static void child_ended(uv_signal_t *handle, int signum)
{
	struct celld *d = handle->data;

	(void)signum;
	cell_reap(&d->cell);
}

static void asked_to_end(uv_signal_t *handle, int signum)
{
	struct celld *d = handle->data;

	log_info("signal %d: ending all fragments", signum);
	cell_stop(&d->cell);
}

static void watch_signals(struct celld *d)
{
	const struct {
		uv_signal_t *handle;
		uv_signal_cb fired;
		int signum;
	} watched[] = {{&d->child, child_ended, SIGCHLD},
		       {&d->term, asked_to_end, SIGTERM},
		       {&d->interrupt, asked_to_end, SIGINT}};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		uv_signal_init(&d->loop, watched[i].handle);
		watched[i].handle->data = d;
		uv_signal_start(watched[i].handle, watched[i].fired, watched[i].signum);
	}
}

/* ---- the ladder
 * ------------------------------------------------------------------------------------------------------
 */

static int find_program(struct celld *d, struct err *e)
{
	char *slash;
	ssize_t n;

	if (d->options.program) {
		if (!realpath(d->options.program, d->program))
			return err_set(e, ERR_NOTFOUND, "there is no %s", d->options.program);
		return preflight_program(d->program, e);
	}
	n = readlink("/proc/self/exe", d->program, sizeof(d->program) - 1);
	if (n < 0)
		return err_set(e, ERR_SYS, "cannot find the own program in /proc");
	d->program[n] = '\0';
	slash = strrchr(d->program, '/');
	snprintf(slash, sizeof(d->program) - (size_t)(slash - d->program), "/cell-vm");
	return preflight_program(d->program, e);
}

static int preflight(struct celld *d, struct err *e)
{
	int rc = preflight_kvm(e);

	rc = rc ? rc : preflight_userfaultfd(e);
	rc = rc ? rc : preflight_address(d->options.data, e);
	rc = rc ? rc : find_program(d, e);
	return rc ? rc : key_file_read(d->options.key, d->uplink.identity.key, e);
}

static int serve(struct celld *d, struct err *e)
{
	const struct fragment_config config = {.loop = &d->loop,
					       .cell = d->options.name,
					       .program = d->program,
					       .run = d->options.run,
					       .data = d->options.data,
					       .uids = &d->options.uids,
					       .keep_rights = d->options.no_sandbox,
					       .start_ms = d->options.start_ms};
	char line[CELL_NAME_MAX + 16];
	int rc;

	cell_init(&d->cell, &config, &d->options.account, &cell_ops, d);
	d->uplink.loop = &d->loop;
	d->uplink.address = d->options.controller;
	d->uplink.identity.kind = HELLO_CELLD;
	d->uplink.ops = &uplink_ops;
	d->uplink.context = d;
	rc = uplink_start(&d->uplink, e);
	if (rc)
		return rc;
	watch_signals(d);
	snprintf(line, sizeof(line), "%s %ld\n", d->options.name, (long)getpid());
	if (d->options.ready_file)
		rc = ready_file_write(d->options.ready_file, line, e);
	if (rc)
		cell_stop(&d->cell);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	cell_free(&d->cell);
	return rc;
}

/* What a fragment can give up depends on what celld may do. */
static void say_rights(struct celld *d)
{
	struct vm_uids *u = &d->options.uids;

	if (d->options.no_sandbox)
		u->n = 0;
	if (d->options.no_sandbox)
		log_warning("fragments keep all rights of celld (--no-sandbox)");
	else if (vm_uids_possible(u))
		log_info("fragments run as uid %u to %u", u->first, u->first + u->n - 1);
	else
		log_warning("no right to change uids: fragments run as uid %u", geteuid());
}

static int run(struct celld *d, struct err *e)
{
	int rc = preflight(d, e);

	if (rc)
		return rc;
	rc = run_dir_open(d->options.run, &d->lock, e);
	if (rc)
		return rc;
	say_rights(d);
	uv_loop_init(&d->loop);
	rc = serve(d, e);
	uv_loop_close(&d->loop);
	close(d->lock);
	return rc;
}

static int complain(const struct err *e)
{
	char safe[2 * ERR_TEXT_MAX];

	fprintf(stderr, "celld: %s\n", text_escape(e->text, safe, sizeof(safe)));
	return err_exit_status(e->code);
}

int main(int argc, char **argv)
{
	static struct celld d;
	struct err e = {0};

	if (options_parse(argc, argv, &d.options, &e))
		return complain(&e);
	if (d.options.help) {
		options_help(stdout);
		return 0;
	}
	if (d.options.version) {
		puts("celld " CELLULAR_VERSION);
		return 0;
	}
	snprintf(d.title, sizeof(d.title), "celld %s", d.options.name);
	log_open(d.title);
	if (fd_raise_limit(&e)) /* each fragment takes some */
		log_warning("%s", e.text);
	return run(&d, &e) ? complain(&e) : 0;
}
