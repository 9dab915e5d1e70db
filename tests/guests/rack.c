/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/guests/rack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"

enum { QUIT_MS = 5000, BUCKETS = 64 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- processes ---- */

/* The child's ends become 3 and 4, 5 is a flight recorder; everything else is close-on-exec. */
static void become_cell_vm(const char *program, int control, int uffd)
{
	int a = fcntl(control, F_DUPFD_CLOEXEC, 10), b = fcntl(uffd, F_DUPFD_CLOEXEC, 10);
	int flight = fcntl(memfd_create("flight", MFD_CLOEXEC), F_DUPFD_CLOEXEC, 10);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (a >= 0 && b >= 0 && dup2(a, 3) == 3 && dup2(b, 4) == 4 && dup2(flight, 5) == 5)
		execl(program, "cell-vm", (char *)NULL);
	_exit(127);
}

static void spawn(struct rack_fragment *f, const struct link_ops *ops)
{
	const char *program = f->rack->config->cell_vm ? f->rack->config->cell_vm : "bin/cell-vm";
	int control[2], uffd[2];
	struct err e;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, uffd))
		die("socketpair");
	f->pid = fork();
	if (f->pid < 0)
		die("fork");
	if (!f->pid)
		become_cell_vm(program, control[1], uffd[1]);
	close(control[1]);
	close(uffd[1]);
	f->uffd_socket = uffd[0];
	f->uffd = -1;
	if (link_adopt(&f->rack->loop, control[0], ops, f, &f->link, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
}

static void receive_uffd(struct rack_fragment *f)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};

	if (f->uffd >= 0 || recvmsg(f->uffd_socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
		return;
	if (CMSG_FIRSTHDR(&m))
		memcpy(&f->uffd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
}

static void reap(struct rack *r)
{
	for (unsigned i = 0; i < r->config->members; i++) {
		struct rack_fragment *f = &r->fragment[i];

		receive_uffd(f);
		if (!f->pid || waitpid(f->pid, &f->status, WNOHANG) != f->pid)
			continue;
		f->pid = 0;
		f->state = CELLULAR__FRAG_STATE__FRAG_GONE;
		if (f->uffd >= 0)
			close(f->uffd);
		f->uffd = -1;
	}
}

/* ---- what fragments say ---- */

static void keep_console(struct rack *r, const Cellular__FragConsole *m)
{
	size_t room = r->console_bytes < RACK_CONSOLE_MAX ? RACK_CONSOLE_MAX - r->console_bytes : 0;
	size_t n = m->data.len < room ? m->data.len : room;

	if (n)
		memcpy(r->console + r->console_bytes, m->data.data, n);
	r->console_bytes += m->data.len;
	r->console[r->console_bytes < RACK_CONSOLE_MAX ? r->console_bytes : RACK_CONSOLE_MAX] = 0;
}

/* protobuf-c has no copy. */
static void *copy(const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *bytes = malloc(n + 1);
	void *out;

	protobuf_c_message_pack(m, bytes);
	out = protobuf_c_message_unpack(m->descriptor, NULL, n, bytes);
	free(bytes);
	return out;
}

static void keep(ProtobufCMessage **where, const ProtobufCMessage *m)
{
	if (*where)
		protobuf_c_message_free_unpacked(*where, NULL);
	*where = copy(m);
}

static void take_report(struct rack_fragment *f, const Cellular__FragReport *m)
{
	f->state = m->state;
	snprintf(f->address, sizeof(f->address), "%s", m->address);
	if (m->state == CELLULAR__FRAG_STATE__FRAG_STOPPED)
		f->stopped_ms = clock_ms();
	keep((ProtobufCMessage **)&f->report, &m->base);
}

static void on_message(void *context, struct link *link, uint16_t type,
		       const ProtobufCMessage *message)
{
	struct rack_fragment *f = context;

	(void)link;
	if (type == CTL_TYPE_FRAG_REPORT)
		take_report(f, (const Cellular__FragReport *)message);
	else if (type == CTL_TYPE_FRAG_ANSWER)
		keep((ProtobufCMessage **)&f->answer, message);
	else if (type == CTL_TYPE_FRAG_CONSOLE)
		keep_console(f->rack, (const Cellular__FragConsole *)message);
}

static void on_open(void *context, struct link *link)
{
	(void)context, (void)link;
}

static void on_closed(void *context, struct link *link, const struct err *why)
{
	struct rack_fragment *f = context;

	(void)link, (void)why;
	f->link = NULL;
}

static const struct link_ops ops = {.open = on_open, .message = on_message, .closed = on_closed};

/* ---- orders ---- */

static void send_all(struct rack *r, uint16_t type, const ProtobufCMessage *m)
{
	for (unsigned i = 0; i < r->config->members; i++)
		if (r->fragment[i].link)
			link_send(r->fragment[i].link, type, m, NULL);
}

static void order_start(struct rack *r)
{
	const struct rack_config *c = r->config;
	Cellular__FragStart m = CELLULAR__FRAG_START__INIT;
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;
	Cellular__VmFile file[GUEST_FILES_MAX], *files[GUEST_FILES_MAX];
	Cellular__VcpuPlace place[GUEST_VCPUS_MAX], *places[GUEST_VCPUS_MAX];
	uint8_t key[CELL_KEY_BYTES] = "a key that two ends must share";

	spec.name = (char *)"test";
	spec.guest = (char *)c->guest;
	spec.args = c->arg;
	spec.n_args = c->args;
	spec.memory = c->memory;
	spec.vcpus = c->vcpus;
	for (unsigned i = 0; i < c->files; i++) {
		cellular__vm_file__init(&file[i]);
		file[i].name = (char *)c->file[i][0];
		file[i].path = (char *)c->file[i][1];
		files[i] = &file[i];
	}
	spec.files = files;
	spec.n_files = c->files;
	for (unsigned i = 0; i < c->vcpus; i++) {
		cellular__vcpu_place__init(&place[i]);
		place[i].vcpu = i;
		place[i].member = c->place[i];
		places[i] = &place[i];
	}
	m.vcpus = places;
	m.n_vcpus = c->vcpus;
	m.vm_id = RACK_VM_ID;
	m.epoch = RACK_EPOCH;
	m.members = c->members;
	m.spec = &spec;
	m.data_address = (char *)"127.0.0.1";
	m.key = (ProtobufCBinaryData){sizeof(key), key};
	for (unsigned i = 0; i < c->members; i++) {
		m.member = i;
		key[0] ^= c->wrong_key && i == c->members - 1;
		link_send(r->fragment[i].link, CTL_TYPE_FRAG_START, &m.base, NULL);
	}
}

static bool all_at_least(const struct rack *r, Cellular__FragState state)
{
	for (unsigned i = 0; i < r->config->members; i++)
		if (r->fragment[i].state < state)
			return false;
	return true;
}

static bool none_beyond(const struct rack *r, Cellular__FragState state)
{
	for (unsigned i = 0; i < r->config->members; i++)
		if (r->fragment[i].state > state)
			return false;
	return true;
}

static void tell_peers(struct rack *r, unsigned member)
{
	const struct rack_config *c = r->config;
	Cellular__FragPeers peers = CELLULAR__FRAG_PEERS__INIT;
	char *address[RACK_MEMBERS_MAX];

	for (unsigned i = 0; i < c->members; i++)
		address[i] = c->route ? (char *)c->route(r, member, i) : r->fragment[i].address;
	peers.vm_id = RACK_VM_ID;
	peers.epoch = RACK_EPOCH;
	peers.address = address;
	peers.n_address = c->members;
	rack_send(r, member, CTL_TYPE_FRAG_PEERS, &peers.base);
}

static void order_next(struct rack *r)
{
	Cellular__FragRun run = CELLULAR__FRAG_RUN__INIT;

	if (!r->peers_sent && all_at_least(r, CELLULAR__FRAG_STATE__FRAG_LISTENING) &&
	    none_beyond(r, CELLULAR__FRAG_STATE__FRAG_LISTENING)) {
		for (unsigned i = 0; i < r->config->members; i++)
			tell_peers(r, i);
		r->peers_sent = true;
	}
	if (!r->run_sent && !r->hold_run && all_at_least(r, CELLULAR__FRAG_STATE__FRAG_READY) &&
	    none_beyond(r, CELLULAR__FRAG_STATE__FRAG_READY)) {
		run.vm_id = RACK_VM_ID;
		run.epoch = RACK_EPOCH;
		send_all(r, CTL_TYPE_FRAG_RUN, &run.base);
		r->run_sent = true;
	}
}

/* ---- the test's side ---- */

const char *rack_impossible(void)
{
	if (access("/dev/kvm", R_OK | W_OK))
		return "no right to /dev/kvm, or it is not there";
	if (access("/dev/userfaultfd", R_OK | W_OK) && geteuid())
		return "no right to userfaultfd";
	return NULL;
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
}

void rack_open(struct rack *r, const struct rack_config *config)
{
	signal(SIGPIPE, SIG_IGN); /* a fragment that died is for the caller to see */
	memset(r, 0, sizeof(*r));
	signal(SIGPIPE, SIG_IGN); /* a fragment may die while we write to it */
	r->config = config;
	r->console = calloc(1, RACK_CONSOLE_MAX + 1);
	uv_loop_init(&r->loop);
	uv_timer_init(&r->loop, &r->timer);
	uv_timer_start(&r->timer, on_timer, 5, 5);
	for (unsigned i = 0; i < config->members; i++) {
		r->fragment[i].rack = r;
		r->fragment[i].member = i;
		spawn(&r->fragment[i], &ops);
	}
	if (config->first_order)
		rack_send(r, 0, CTL_TYPE_FRAG_START, &config->first_order->base);
	else
		order_start(r);
}

bool rack_until(struct rack *r, bool (*done)(const struct rack *r), int ms)
{
	uint64_t start = clock_ms();

	while (!done(r) && clock_ms() - start < (uint64_t)ms) {
		uv_run(&r->loop, UV_RUN_ONCE);
		reap(r);
		order_next(r);
	}
	return done(r);
}

bool rack_running(const struct rack *r)
{
	return all_at_least(r, CELLULAR__FRAG_STATE__FRAG_RUNNING);
}

bool rack_stopped(const struct rack *r)
{
	return all_at_least(r, CELLULAR__FRAG_STATE__FRAG_STOPPED);
}

bool rack_over(const struct rack *r)
{
	for (unsigned i = 0; i < r->config->members; i++)
		if (r->fragment[i].pid)
			return false;
	return true;
}

const Cellular__FragAnswer *rack_query(struct rack *r, unsigned member, Cellular__QueryKind kind,
				       int ms)
{
	static uint64_t request;
	struct rack_fragment *f = &r->fragment[member];
	Cellular__FragQuery m = CELLULAR__FRAG_QUERY__INIT;
	uint64_t start = clock_ms();

	m.request = ++request;
	m.vm_id = RACK_VM_ID;
	m.kind = kind;
	m.buckets = BUCKETS;
	if (f->link)
		link_send(f->link, CTL_TYPE_FRAG_QUERY, &m.base, NULL);
	while (f->link && clock_ms() - start < (uint64_t)ms) {
		uv_run(&r->loop, UV_RUN_ONCE);
		if (f->answer && f->answer->request == request)
			return f->answer;
	}
	return NULL;
}

uint64_t rack_counter(const Cellular__DsmStat *stat, const char *name)
{
	for (size_t i = 0; stat && i < stat->n_counters; i++)
		if (!strcmp(stat->counters[i]->name, name))
			return stat->counters[i]->value;
	return 0;
}

void rack_send(struct rack *r, unsigned member, uint16_t type, const ProtobufCMessage *m)
{
	if (r->fragment[member].link)
		link_send(r->fragment[member].link, type, m, NULL);
}

void rack_quit(struct rack *r, const char *why)
{
	Cellular__FragQuit m = CELLULAR__FRAG_QUIT__INIT;
	Cellular__EndReason reason = CELLULAR__END_REASON__INIT;

	reason.cause = CELLULAR__END_CAUSE__END_KILLED;
	reason.text = (char *)why;
	m.vm_id = RACK_VM_ID;
	m.epoch = RACK_EPOCH;
	m.reason = &reason;
	send_all(r, CTL_TYPE_FRAG_QUIT, &m.base);
}

void rack_kill(struct rack *r, unsigned member)
{
	if (r->fragment[member].pid)
		kill(r->fragment[member].pid, SIGKILL);
}

void rack_hang_up(struct rack *r, unsigned member)
{
	if (r->fragment[member].link)
		link_close(r->fragment[member].link);
}

static void free_fragment(struct rack_fragment *f)
{
	if (f->link)
		link_close(f->link);
	close(f->uffd_socket);
	if (f->uffd >= 0)
		close(f->uffd);
	if (f->report)
		cellular__frag_report__free_unpacked(f->report, NULL);
	if (f->answer)
		cellular__frag_answer__free_unpacked(f->answer, NULL);
}

void rack_close(struct rack *r)
{
	rack_quit(r, "the test is over");
	if (!rack_until(r, rack_over, QUIT_MS))
		for (unsigned i = 0; i < r->config->members; i++)
			rack_kill(r, i);
	rack_until(r, rack_over, QUIT_MS);
	uv_close((uv_handle_t *)&r->timer, NULL);
	for (unsigned i = 0; i < r->config->members; i++)
		free_fragment(&r->fragment[i]);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	uv_loop_close(&r->loop);
	free(r->console);
}
