/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/rack/celld_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"

struct celld_rig rig;
const struct order plain = {"ok", "0", 4, 0, 1, 1, CELL_KEY_BYTES, 0};
const char patient[] = "60", brisk[] = "1";

/* ---- the controller ---- */

#define COPY(to, type, prefix, in)                                                                 \
	do {                                                                                       \
		uint8_t *packed_ = malloc(prefix##__get_packed_size(in) + 1);                      \
		size_t n_ = prefix##__pack(in, packed_);                                           \
		if (to)                                                                            \
			prefix##__free_unpacked(to, NULL);                                         \
		to = prefix##__unpack(NULL, n_, packed_);                                          \
		free(packed_);                                                                     \
	} while (0)

static void note_report(const Cellular__FragReport *r)
{
	struct seen *s = &rig.seen[rig.n_seen];

	CU_ASSERT_FATAL(rig.n_seen < REPORTS_MAX);
	rig.n_seen++;
	*s = (struct seen){
		.vm_id = r->vm_id, .member = r->member, .state = r->state, .pid = r->pid};
	if (!r->reason)
		return;
	s->cause = r->reason->cause;
	s->code = r->reason->code;
	snprintf(s->text, sizeof(s->text), "%s", r->reason->text);
	snprintf(s->cell, sizeof(s->cell), "%s", r->reason->cell);
}

static void take_join(struct link *link, const Cellular__CelldJoin *join)
{
	Cellular__CelldWelcome welcome = CELLULAR__CELLD_WELCOME__INIT;

	COPY(rig.join, CelldJoin, cellular__celld_join, join);
	rig.joins++;
	welcome.cell_id = 1;
	welcome.epoch = 1;
	welcome.load_ms = 50;
	link_send(link, CTL_TYPE_CELLD_WELCOME, &welcome.base, NULL);
}

static void message(void *context, struct link *link, uint16_t type, const ProtobufCMessage *m)
{
	(void)context;
	if (type == CTL_TYPE_CELLD_JOIN)
		take_join(link, (const Cellular__CelldJoin *)m);
	else if (type == CTL_TYPE_FRAG_REPORT)
		note_report((const Cellular__FragReport *)m);
	else if (type == CTL_TYPE_CELL_LOAD)
		COPY(rig.load, CellLoad, cellular__cell_load, (const Cellular__CellLoad *)m);
	else if (type == CTL_TYPE_FRAG_ANSWER)
		COPY(rig.answer, FragAnswer, cellular__frag_answer,
		     (const Cellular__FragAnswer *)m);
}

static void opened(void *context, struct link *link)
{
	(void)context;
	rig.celld_link = link;
}

static void closed(void *context, struct link *link, const struct err *why)
{
	(void)context;
	(void)why;
	if (rig.celld_link == link)
		rig.celld_link = NULL;
}

static void accepted(void *context, struct link *link, enum hello_kind kind)
{
	static const struct link_ops ops = {.open = opened, .message = message, .closed = closed};

	(void)context;
	(void)kind;
	link_set_ops(link, &ops, NULL);
}

static void time_is_up(uv_timer_t *timer)
{
	(void)timer;
	rig.late = true;
}

bool until_ms(condition_fn holds, const void *what, unsigned ms)
{
	rig.late = false;
	uv_timer_start(&rig.timer, time_is_up, ms, 0);
	while (!holds(what) && !rig.late)
		uv_run(&rig.loop, UV_RUN_ONCE);
	return holds(what);
}

bool until(condition_fn holds, const void *what)
{
	return until_ms(holds, what, WAIT_MS);
}

bool never(const void *what)
{
	(void)what;
	return false;
}

/* ---- conditions ---- */

const struct seen *last_seen(uint64_t vm_id)
{
	for (unsigned i = rig.n_seen; i > 0; i--)
		if (rig.seen[i - 1].vm_id == vm_id)
			return &rig.seen[i - 1];
	return NULL;
}

static bool has_state(const void *what)
{
	const struct wanted *w = what;
	const struct seen *s = last_seen(w->vm_id);

	return s && s->state == w->state;
}

bool reaches(uint64_t vm_id, Cellular__FragState state)
{
	struct wanted w = {vm_id, state};
	const struct seen *s;

	if (until(has_state, &w))
		return true;
	s = last_seen(vm_id);
	fprintf(stderr, "\n  vm %" PRIu64 ": want state %d, last seen %d: %s\n", vm_id, (int)state,
		s ? (int)s->state : -1, s ? s->text : "no report at all");
	return false;
}

bool has_joined(const void *what)
{
	return rig.celld_link && rig.joins >= *(const unsigned *)what;
}

static bool has_answer(const void *what)
{
	return rig.answer && rig.answer->request == *(const uint64_t *)what;
}

bool is_gone(const void *what)
{
	return kill(*(const pid_t *)what, 0) != 0 && errno == ESRCH;
}

bool dies(pid_t pid)
{
	uint64_t end = clock_ms() + WAIT_MS;

	while (!is_gone(&pid) && clock_ms() < end)
		usleep(2000);
	return is_gone(&pid);
}

/* ---- orders ---- */

uint64_t send_start(const struct order *o)
{
	Cellular__FragStart start = CELLULAR__FRAG_START__INIT;
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;
	Cellular__VcpuPlace place[64], *places[64];
	char *args[] = {(char *)o->mode, (char *)o->argument};
	uint8_t key[CELL_KEY_BYTES] = {1};

	for (uint32_t v = 0; v < o->vcpus; v++) {
		cellular__vcpu_place__init(&place[v]);
		place[v].vcpu = v;
		place[v].member = o->member;
		places[v] = &place[v];
	}
	spec.name = (char *)"fake";
	spec.guest = (char *)"/none";
	spec.args = args;
	spec.n_args = 2;
	spec.memory = o->memory_mib << 20;
	spec.vcpus = o->vcpus;
	start.vm_id = o->vm_id ? o->vm_id : ++rig.next_vm;
	start.epoch = 1;
	start.member = o->member;
	start.members = o->members;
	start.spec = &spec;
	start.vcpus = places;
	start.n_vcpus = o->vcpus;
	start.key.data = key;
	start.key.len = o->key_bytes;
	link_send(rig.celld_link, CTL_TYPE_FRAG_START, &start.base, NULL);
	return start.vm_id;
}

static void send_run(uint64_t vm_id)
{
	Cellular__FragPeers peers = CELLULAR__FRAG_PEERS__INIT;
	Cellular__FragRun run = CELLULAR__FRAG_RUN__INIT;

	peers.vm_id = run.vm_id = vm_id;
	peers.epoch = run.epoch = 1;
	link_send(rig.celld_link, CTL_TYPE_FRAG_PEERS, &peers.base, NULL);
	link_send(rig.celld_link, CTL_TYPE_FRAG_RUN, &run.base, NULL);
}

void send_quit_for(uint64_t vm_id, Cellular__EndCause cause, const char *text, bool forget)
{
	Cellular__FragQuit quit = CELLULAR__FRAG_QUIT__INIT;
	Cellular__EndReason reason = CELLULAR__END_REASON__INIT;

	reason.cause = cause;
	reason.text = (char *)text;
	quit.vm_id = vm_id;
	quit.epoch = 1;
	quit.reason = &reason;
	quit.forget = forget;
	link_send(rig.celld_link, CTL_TYPE_FRAG_QUIT, &quit.base, NULL);
}

void send_quit(uint64_t vm_id, bool forget)
{
	send_quit_for(vm_id, CELLULAR__END_CAUSE__END_KILLED, "the test is over", forget);
}

const Cellular__FragAnswer *ask(uint64_t vm_id, Cellular__QueryKind kind, uint64_t offset)
{
	static uint64_t request;
	Cellular__FragQuery query = CELLULAR__FRAG_QUERY__INIT;

	query.request = ++request;
	query.vm_id = vm_id;
	query.kind = kind;
	query.buckets = 1;
	query.console_offset = offset;
	link_send(rig.celld_link, CTL_TYPE_FRAG_QUERY, &query.base, NULL);
	CU_ASSERT_FATAL(until(has_answer, &request));
	return rig.answer;
}

uint64_t start_running(const struct order *o)
{
	uint64_t vm = send_start(o);

	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_LISTENING));
	send_run(vm);
	return vm;
}

/* ---- celld ---- */

void start_celld(const char *start_timeout)
{
	char key[128], run[128], log[128];
	int fd;

	snprintf(key, sizeof(key), "%s/key", rig.dir);
	snprintf(run, sizeof(run), "%s/run", rig.dir);
	snprintf(log, sizeof(log), "%s/celld.log", rig.dir);
	rig.celld = fork();
	CU_ASSERT_FATAL(rig.celld >= 0);
	if (rig.celld > 0)
		return;
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 2);
	execl(CELLD_PATH, "celld", "--name", "cell7", "--controller", rig.address, "--key", key,
	      "--data", "127.0.0.1", "--run", run, "--memory", "64MiB", "--cpus", "8", "--cell-vm",
	      FAKE_VM_PATH, "--start-timeout", start_timeout, NULL);
	_exit(127);
}

void restart_celld(const char *start_timeout)
{
	unsigned joins = rig.joins + 1;

	kill(rig.celld, SIGKILL);
	waitpid(rig.celld, NULL, 0);
	until_ms(never, NULL, 100); /* the link's end is seen */
	rig.celld_link = NULL;
	start_celld(start_timeout);
	CU_ASSERT_FATAL(until(has_joined, &joins));
	CU_ASSERT_EQUAL(rig.join->n_fragments, 0);
}

void set_up(void)
{
	struct link_identity identity = {.kind = HELLO_CELLD};
	unsigned first = 1;
	char key[128];
	struct err e = {0};
	FILE *f;

	snprintf(rig.dir, sizeof(rig.dir), "/tmp/celld-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig.dir));
	snprintf(rig.address, sizeof(rig.address), "unix:%s/ctl.sock", rig.dir);
	snprintf(key, sizeof(key), "%s/key", rig.dir);
	f = fopen(key, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fchmod(fileno(f), 0600);
	for (int i = 0; i < CELL_KEY_BYTES; i++) {
		identity.key[i] = (uint8_t)i;
		fprintf(f, "%02x", i);
	}
	fclose(f);
	uv_loop_init(&rig.loop);
	uv_timer_init(&rig.loop, &rig.timer);
	CU_ASSERT_EQUAL_FATAL(link_listen(&rig.loop, rig.address, &identity, 1, accepted, NULL,
					  &rig.listener, &e),
			      ERR_OK);
	start_celld(patient);
	CU_ASSERT_FATAL(until(has_joined, &first));
}

void tear_down(void)
{
	char command[128];

	if (rig.celld > 0) {
		kill(rig.celld, SIGKILL);
		waitpid(rig.celld, NULL, 0);
	}
	if (rig.join)
		cellular__celld_join__free_unpacked(rig.join, NULL);
	if (rig.load)
		cellular__cell_load__free_unpacked(rig.load, NULL);
	if (rig.answer)
		cellular__frag_answer__free_unpacked(rig.answer, NULL);
	if (rig.celld_link)
		link_close(rig.celld_link);
	link_listener_close(rig.listener);
	uv_close((uv_handle_t *)&rig.timer, NULL);
	uv_run(&rig.loop, UV_RUN_DEFAULT);
	uv_loop_close(&rig.loop);
	snprintf(command, sizeof(command), "rm -r %s", rig.dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

unsigned celld_descriptors(const char *prefix)
{
	char path[64], target[PATH_MAX];
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", rig.celld);
	dir = opendir(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	if (!dir)
		return 0;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		count += strncmp(target, prefix, strlen(prefix)) == 0;
	}
	closedir(dir);
	return count;
}

unsigned files_in_run(void)
{
	char path[128];
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/run", rig.dir);
	dir = opendir(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	if (!dir)
		return 0;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir))
		count += d->d_name[0] != '.';
	closedir(dir);
	return count;
}

bool celld_lets_go(const void *what)
{
	(void)what;
	return celld_descriptors("anon_inode:[userfaultfd]") == 0;
}

bool only_the_lock_is_left(const void *what)
{
	(void)what;
	return files_in_run() == 1;
}
