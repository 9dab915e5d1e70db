/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controller/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/key.h"

enum { REDIAL_MS = 50, LOAD_MS = 1000 };

const char *rig_program;

/* ---- waiting ---- */

static void on_alarm(uv_timer_t *timer)
{
	((struct rig *)timer->data)->late = true;
}

static void set_alarm(struct rig *r, unsigned ms)
{
	r->late = false;
	uv_update_time(&r->loop);
	uv_timer_start(&r->alarm, on_alarm, ms, 0);
}

void rig_until(struct rig *r, bool (*done)(void *context), void *context)
{
	set_alarm(r, RIG_PATIENCE_MS);
	while (!done(context) && !r->late)
		uv_run(&r->loop, UV_RUN_ONCE);
	uv_timer_stop(&r->alarm);
	if (r->late)
		CU_FAIL_FATAL("what was waited for did not come");
}

void rig_spin(struct rig *r, unsigned ms)
{
	set_alarm(r, ms);
	while (!r->late)
		uv_run(&r->loop, UV_RUN_ONCE);
}

/* ---- the program ---- */

static pid_t spawn(const char *const *args, int err)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(err, STDERR_FILENO);
	execv(args[0], (char *const *)args);
	_exit(127);
}

int rig_run(const char *const *args, char *said, size_t size)
{
	int fds[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe2(fds, O_CLOEXEC), 0);
	pid = spawn(args, fds[1]);
	close(fds[1]);
	while (n + 1 < size && (got = read(fds[0], said + n, size - n - 1)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void read_address(struct rig *r)
{
	char line[LINK_ADDRESS_MAX];
	FILE *f = fopen(r->ready, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "tcp:", 4) == 0)
			memcpy(r->address, line, sizeof(line));
	}
	fclose(f);
}

static void await_ready(struct rig *r)
{
	struct stat st;

	for (unsigned ms = 0; stat(r->ready, &st) != 0; ms += 5) {
		CU_ASSERT_EQUAL_FATAL(waitpid(r->controller, NULL, WNOHANG), 0);
		CU_ASSERT_FATAL(ms < RIG_PATIENCE_MS);
		usleep(5000);
	}
	read_address(r);
}

/* The port that was chosen the first time is used again, as after a crash. */
void rig_start_controller(struct rig *r, const char *const *more)
{
	const char *args[16] = {
		rig_program, "--state",	  r->state,
		"--key",     r->key_file, "--ready-file",
		r->ready,    "--listen",  r->address[0] ? r->address : "tcp:127.0.0.1:0"};
	int n = 9, err = open(r->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	for (; more && *more; more++)
		args[n++] = *more;
	unlink(r->ready);
	r->controller = spawn(args, err);
	close(err);
	await_ready(r);
	CU_ASSERT_EQUAL_FATAL(key_file_read(r->key_file, r->key, NULL), ERR_OK);
}

void rig_kill_controller(struct rig *r)
{
	kill(r->controller, SIGKILL);
	waitpid(r->controller, NULL, 0);
	r->controller = 0;
	for (unsigned i = 0; i < RIG_CELLS; i++)
		r->cells[i].welcome = false;
	rig_client_goes(r);
}

int rig_await_end(struct rig *r)
{
	int status;

	/* It waits a moment for its peers to close too: they are ours. */
	while (waitpid(r->controller, &status, WNOHANG) == 0)
		rig_spin(r, 5);
	r->controller = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int rig_term_controller(struct rig *r)
{
	kill(r->controller, SIGTERM);
	return rig_await_end(r);
}

/* ---- a played cell ---- */

static void dial(struct rig_cell *c);

void rig_report(struct rig_cell *c, struct rig_fragment *f, Cellular__FragState state,
		Cellular__EndCause cause, const char *text)
{
	Cellular__FragReport report = CELLULAR__FRAG_REPORT__INIT;
	Cellular__EndReason reason = CELLULAR__END_REASON__INIT;
	Cellular__DsmStat stat = CELLULAR__DSM_STAT__INIT;
	char address[32];

	snprintf(address, sizeof(address), "127.0.0.1:%u", 4000 + f->member);
	f->state = state;
	report.vm_id = f->vm;
	report.epoch = f->epoch;
	report.member = f->member;
	report.state = state;
	report.address = address;
	report.pid = 1000 + f->member;
	if (cause) {
		reason.cause = cause;
		reason.member = f->member;
		reason.text = (char *)text;
		report.reason = &reason;
	}
	if (state == CELLULAR__FRAG_STATE__FRAG_STOPPED) {
		stat.resident = 100 + f->member;
		report.stat = &stat;
	}
	if (c->link)
		link_send(c->link, CTL_TYPE_FRAG_REPORT, &report.base, NULL);
	if (state == CELLULAR__FRAG_STATE__FRAG_GONE)
		f->vm = 0;
}

struct rig_fragment *rig_fragment(struct rig_cell *c, uint64_t vm)
{
	for (unsigned i = 0; i < RIG_FRAGMENTS; i++)
		if (c->fragments[i].vm == vm)
			return &c->fragments[i];
	return NULL;
}

unsigned rig_fragments(const struct rig *r)
{
	unsigned n = 0;

	for (unsigned c = 0; c < RIG_CELLS; c++)
		for (unsigned i = 0; i < RIG_FRAGMENTS; i++)
			n += r->cells[c].fragments[i].vm != 0;
	return n;
}

static void start(struct rig_cell *c, const Cellular__FragStart *order)
{
	struct rig_fragment *f = rig_need(rig_fragment(c, 0));

	c->starts++;
	CU_ASSERT_EQUAL(order->key.len, CELL_KEY_BYTES);
	CU_ASSERT_EQUAL(order->n_vcpus, order->spec->vcpus);
	*f = (struct rig_fragment){.vm = order->vm_id,
				   .epoch = order->epoch,
				   .member = order->member,
				   .members = order->members};
	if (c->faults & RIG_BAD_GUEST) {
		rig_report(c, f, CELLULAR__FRAG_STATE__FRAG_GONE,
			   CELLULAR__END_CAUSE__END_START_FAILED, "no such file: /guest");
		return;
	}
	rig_report(c, f, CELLULAR__FRAG_STATE__FRAG_STARTING, 0, NULL);
	if (!(c->faults & RIG_NO_LISTEN))
		rig_report(c, f, CELLULAR__FRAG_STATE__FRAG_LISTENING, 0, NULL);
}

static void move(struct rig_cell *c, uint64_t vm, Cellular__FragState state)
{
	struct rig_fragment *f = rig_fragment(c, vm);

	if (f)
		rig_report(c, f, state, 0, NULL);
}

static void quit(struct rig_cell *c, const Cellular__FragQuit *order)
{
	struct rig_fragment *f = rig_fragment(c, order->vm_id);

	c->quits++;
	c->forgets += order->forget;
	if (f && f->epoch == order->epoch && !(c->faults & RIG_NO_QUIT))
		rig_report(c, f, CELLULAR__FRAG_STATE__FRAG_GONE, 0, NULL);
}

static void answer(struct rig_cell *c, const Cellular__FragQuery *query)
{
	struct rig_fragment *f = rig_fragment(c, query->vm_id);
	Cellular__FragAnswer reply = CELLULAR__FRAG_ANSWER__INIT;
	Cellular__DsmStat stat = CELLULAR__DSM_STAT__INIT;
	Cellular__DsmMap map = CELLULAR__DSM_MAP__INIT;
	Cellular__Console console = CELLULAR__CONSOLE__INIT;
	uint32_t owned[] = {1, 2, 3};

	if (c->faults & RIG_NO_ANSWER)
		return;
	reply.request = query->request;
	reply.vm_id = query->vm_id;
	reply.member = f ? f->member : 0;
	reply.kind = query->kind;
	stat.resident = 10 + reply.member;
	map.pages = query->buckets;
	map.n_owned = 3;
	map.owned = owned;
	console.offset = query->console_offset;
	console.data = (ProtobufCBinaryData){5, (uint8_t *)"hello"};
	if (query->kind == CELLULAR__QUERY_KIND__QUERY_CONSOLE)
		reply.console = &console; /* known after the end, too */
	else if (!f)
		reply.error = ERR_NOTFOUND;
	else if (query->kind == CELLULAR__QUERY_KIND__QUERY_STAT)
		reply.stat = &stat;
	else
		reply.map = &map;
	link_send(c->link, CTL_TYPE_FRAG_ANSWER, &reply.base, NULL);
}

static void cell_message(void *context, struct link *link, uint16_t type,
			 const ProtobufCMessage *message)
{
	struct rig_cell *c = context;

	(void)link;
	switch (type) {
	case CTL_TYPE_CELLD_WELCOME:
		c->welcome = true;
		c->controller_epoch = ((const Cellular__CelldWelcome *)message)->epoch;
		break;
	case CTL_TYPE_FRAG_START:
		start(c, (const Cellular__FragStart *)message);
		break;
	case CTL_TYPE_FRAG_PEERS:
		move(c, ((const Cellular__FragPeers *)message)->vm_id,
		     CELLULAR__FRAG_STATE__FRAG_READY);
		break;
	case CTL_TYPE_FRAG_RUN:
		move(c, ((const Cellular__FragRun *)message)->vm_id,
		     CELLULAR__FRAG_STATE__FRAG_RUNNING);
		break;
	case CTL_TYPE_FRAG_QUIT:
		quit(c, (const Cellular__FragQuit *)message);
		break;
	case CTL_TYPE_FRAG_QUERY:
		answer(c, (const Cellular__FragQuery *)message);
		break;
	default:
		CU_FAIL("not for a cell");
	}
}

static void cell_open(void *context, struct link *link)
{
	struct rig_cell *c = context;
	Cellular__CelldJoin join = CELLULAR__CELLD_JOIN__INIT;
	Cellular__FragReport reports[RIG_FRAGMENTS], *list[RIG_FRAGMENTS];

	for (unsigned i = 0; i < RIG_FRAGMENTS; i++) {
		const struct rig_fragment *f = &c->fragments[i];

		if (!f->vm)
			continue;
		cellular__frag_report__init(&reports[i]);
		reports[i].vm_id = f->vm;
		reports[i].epoch = f->epoch;
		reports[i].member = f->member;
		reports[i].state = f->state;
		list[join.n_fragments++] = &reports[i];
	}
	join.fragments = list;
	join.name = c->name;
	join.memory = c->memory;
	join.cpus = c->cpus;
	join.data_address = (char *)"127.0.0.1";
	join.software = (char *)"rig";
	link_send(link, CTL_TYPE_CELLD_JOIN, &join.base, NULL);
}

static void on_redial(uv_timer_t *timer)
{
	dial(timer->data);
}

static void cell_closed(void *context, struct link *link, const struct err *why)
{
	struct rig_cell *c = context;

	(void)link;
	(void)why;
	c->link = NULL;
	c->welcome = false;
	if (!(c->faults & RIG_NO_REDIAL))
		uv_timer_start(&c->redial, on_redial, REDIAL_MS, 0);
}

static void dial(struct rig_cell *c)
{
	static const struct link_ops ops = {cell_open, cell_message, cell_closed};
	struct link_identity identity = {.kind = HELLO_CELLD};

	memcpy(identity.key, c->rig->key, sizeof(identity.key));
	CU_ASSERT_EQUAL_FATAL(
		link_dial(&c->rig->loop, c->rig->address, &identity, &ops, c, &c->link, NULL),
		ERR_OK);
}

static bool is_welcome(void *context)
{
	return ((struct rig_cell *)context)->welcome;
}

void rig_join(struct rig *r, unsigned cell, uint32_t cpus, uint64_t memory)
{
	struct rig_cell *c = &r->cells[cell];

	c->cpus = cpus;
	c->memory = memory;
	if (!c->link)
		dial(c);
	rig_until(r, is_welcome, c);
}

void rig_await_cells(struct rig *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_until(r, is_welcome, &r->cells[i]);
}

/* ---- the client ---- */

static void client_open(void *context, struct link *link)
{
	(void)context;
	(void)link;
}

static void client_message(void *context, struct link *link, uint16_t type,
			   const ProtobufCMessage *message)
{
	struct rig *r = context;
	const Cellular__CtlReply *reply = (const Cellular__CtlReply *)message;
	uint8_t *packed;
	size_t n;

	(void)link;
	CU_ASSERT_EQUAL_FATAL(type, CTL_TYPE_CTL_REPLY);
	if (reply->request != r->request)
		return;
	n = cellular__ctl_reply__get_packed_size(reply);
	packed = malloc(n + 1);
	cellular__ctl_reply__pack(reply, packed);
	r->reply = cellular__ctl_reply__unpack(NULL, n, packed);
	free(packed);
}

static void client_closed(void *context, struct link *link, const struct err *why)
{
	struct rig *r = context;

	if (r->client != link)
		return; /* one that was given up */
	r->client = NULL;
	r->client_closed = true;
	r->client_why = *why;
}

static void forget_reply(struct rig *r)
{
	if (r->reply)
		cellular__ctl_reply__free_unpacked(r->reply, NULL);
	r->reply = NULL;
}

struct link *rig_dial(struct rig *r, enum hello_kind kind, const uint8_t *key)
{
	static const struct link_ops ops = {client_open, client_message, client_closed};
	struct link_identity identity = {.kind = kind};
	struct link *link;

	memcpy(identity.key, key, sizeof(identity.key));
	CU_ASSERT_EQUAL_FATAL(link_dial(&r->loop, r->address, &identity, &ops, r, &link, NULL),
			      ERR_OK);
	return link;
}

void rig_send(struct rig *r, Cellular__CtlRequest *request)
{
	forget_reply(r);
	if (!r->client) {
		r->client_closed = false;
		r->client = rig_dial(r, HELLO_CTL, r->key);
	}
	request->request = ++r->request;
	CU_ASSERT_EQUAL(link_send(r->client, CTL_TYPE_CTL_REQUEST, &request->base, NULL), ERR_OK);
}

static bool has_reply(void *context)
{
	struct rig *r = context;

	return r->reply || r->client_closed;
}

const Cellular__CtlReply *rig_reply(struct rig *r)
{
	rig_until(r, has_reply, r);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->reply);
	return r->reply;
}

const Cellular__CtlReply *rig_ask(struct rig *r, Cellular__CtlRequest *request)
{
	rig_send(r, request);
	return rig_reply(r);
}

void rig_client_goes(struct rig *r)
{
	struct link *link = r->client;

	r->client = NULL;
	if (link)
		link_close(link);
}

const Cellular__CtlReply *rig_op(struct rig *r, Cellular__CtlOp op, const char *name)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	request.op = op;
	request.name = (char *)name;
	return rig_ask(r, &request);
}

const Cellular__CtlReply *rig_start(struct rig *r, const char *name, uint32_t vcpus,
				    uint64_t memory)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;

	spec.name = (char *)name;
	spec.guest = (char *)"/guest";
	spec.vcpus = vcpus;
	spec.memory = memory;
	request.op = CELLULAR__CTL_OP__OP_VM_START;
	request.spec = &spec;
	return rig_ask(r, &request);
}

const Cellular__VmInfo *rig_show(struct rig *r, const char *name)
{
	const Cellular__CtlReply *reply = rig_op(r, CELLULAR__CTL_OP__OP_VM_SHOW, name);

	CU_ASSERT_EQUAL_FATAL(reply->error, ERR_OK);
	CU_ASSERT_EQUAL_FATAL(reply->n_vms, 1);
	return reply->vms[0];
}

/* ---- as a whole ---- */

void rig_new(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->dir, sizeof(r->dir), "/tmp/cellular-rig.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(r->dir));
	snprintf(r->state, sizeof(r->state), "%s/state", r->dir);
	snprintf(r->key_file, sizeof(r->key_file), "%s/key", r->dir);
	snprintf(r->ready, sizeof(r->ready), "%s/ready", r->dir);
	snprintf(r->log, sizeof(r->log), "%s/log", r->dir);
	CU_ASSERT_EQUAL_FATAL(uv_loop_init(&r->loop), 0);
	uv_timer_init(&r->loop, &r->alarm);
	r->alarm.data = r;
	for (unsigned i = 0; i < RIG_CELLS; i++) {
		struct rig_cell *c = &r->cells[i];

		c->rig = r;
		snprintf(c->name, sizeof(c->name), "cell%u", i);
		uv_timer_init(&r->loop, &c->redial);
		c->redial.data = c;
	}
}

static void remove_dir(struct rig *r)
{
	static const char *const files[] = {"state/controller.db",
					    "state/controller.db-wal",
					    "state/lock",
					    "state/ctl.sock",
					    "state",
					    "key",
					    "ready",
					    "log"};
	char path[128];

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", r->dir, files[i]);
		if (unlink(path) != 0)
			rmdir(path);
	}
	CU_ASSERT_EQUAL(rmdir(r->dir), 0);
}

static void show_log(const struct rig *r)
{
	char line[1024];
	FILE *f = fopen(r->log, "r");

	while (f && fgets(line, sizeof(line), f))
		fputs(line, stderr);
	if (f)
		fclose(f);
}

void rig_free(struct rig *r)
{
	int status = r->controller ? rig_term_controller(r) : 0;

	CU_ASSERT_EQUAL(status, 0);
	if (status)
		show_log(r);
	for (unsigned i = 0; i < RIG_CELLS; i++) {
		r->cells[i].faults |= RIG_NO_REDIAL;
		if (r->cells[i].link)
			link_close(r->cells[i].link);
		uv_close((uv_handle_t *)&r->cells[i].redial, NULL);
	}
	rig_client_goes(r);
	uv_close((uv_handle_t *)&r->alarm, NULL);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&r->loop), 0);
	forget_reply(r);
	remove_dir(r);
}
