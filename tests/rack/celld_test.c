/* SPDX-License-Identifier: Apache-2.0 */
/*
 * celld as a process, between a controller and a cell-vm that are both made up here: what it
 * reports and leaves behind when a fragment lives, fails, dies, lies or does not answer, when the
 * controller goes away, and when celld itself is ended or killed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/celld/console.h"
#include "node/celld/preflight.h"
#include "proto/base/clock.h"
#include "proto/link.h"
#include "tests/unit/unit.h"

enum {
	WAIT_MS = 20000, /* for what should take no time: a loaded machine may be slow */
	REPORTS_MAX = 4096,
	MEMORY_MIB = 64,
	CPUS = 8,
};

struct seen {
	uint64_t vm_id;
	uint32_t member;
	Cellular__FragState state;
	Cellular__EndCause cause;
	int32_t code;
	uint32_t pid;
	char text[ERR_TEXT_MAX], cell[CELL_NAME_MAX];
};

/* The controller of these tests: one loop, one celld. */
static struct {
	uv_loop_t loop;
	uv_timer_t timer;
	bool late;
	struct link_listener *listener;
	struct link *celld_link;
	pid_t celld;
	char dir[64], address[128];
	unsigned joins;
	Cellular__CelldJoin *join; /* the last */
	Cellular__CellLoad *load;  /* the last */
	struct seen seen[REPORTS_MAX];
	unsigned n_seen;
	Cellular__FragAnswer *answer; /* the last */
	uint64_t next_vm;
} rig;

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

typedef bool (*condition_fn)(const void *what);

static bool until_ms(condition_fn holds, const void *what, unsigned ms)
{
	rig.late = false;
	uv_timer_start(&rig.timer, time_is_up, ms, 0);
	while (!holds(what) && !rig.late)
		uv_run(&rig.loop, UV_RUN_ONCE);
	return holds(what);
}

static bool until(condition_fn holds, const void *what)
{
	return until_ms(holds, what, WAIT_MS);
}

static bool never(const void *what)
{
	(void)what;
	return false;
}

/* ---- conditions ---- */

static const struct seen *last_seen(uint64_t vm_id)
{
	for (unsigned i = rig.n_seen; i > 0; i--)
		if (rig.seen[i - 1].vm_id == vm_id)
			return &rig.seen[i - 1];
	return NULL;
}

struct wanted {
	uint64_t vm_id;
	Cellular__FragState state;
};

static bool has_state(const void *what)
{
	const struct wanted *w = what;
	const struct seen *s = last_seen(w->vm_id);

	return s && s->state == w->state;
}

/* A fragment that went elsewhere is told about: without it a failure in a rare case says nothing.
 */
static bool reaches(uint64_t vm_id, Cellular__FragState state)
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

static bool has_joined(const void *what)
{
	return rig.celld_link && rig.joins >= *(const unsigned *)what;
}

static bool has_answer(const void *what)
{
	return rig.answer && rig.answer->request == *(const uint64_t *)what;
}

static bool is_gone(const void *what)
{
	return kill(*(const pid_t *)what, 0) != 0 && errno == ESRCH;
}

/* A process that is not our child: polled. */
static bool dies(pid_t pid)
{
	uint64_t end = clock_ms() + WAIT_MS;

	while (!is_gone(&pid) && clock_ms() < end)
		usleep(2000);
	return is_gone(&pid);
}

/* ---- orders ---- */

struct order {
	const char *mode, *argument;
	uint64_t memory_mib;
	uint32_t member, members, vcpus;
	size_t key_bytes;
	uint64_t vm_id; /* 0: a new one */
};

static const struct order plain = {"ok", "0", 4, 0, 1, 1, CELL_KEY_BYTES, 0};

static uint64_t send_start(const struct order *o)
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

static void send_quit_for(uint64_t vm_id, Cellular__EndCause cause, const char *text, bool forget)
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

static void send_quit(uint64_t vm_id, bool forget)
{
	send_quit_for(vm_id, CELLULAR__END_CAUSE__END_KILLED, "the test is over", forget);
}

static const Cellular__FragAnswer *ask(uint64_t vm_id, Cellular__QueryKind kind, uint64_t offset)
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

static uint64_t start_running(const struct order *o)
{
	uint64_t vm = send_start(o);

	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_LISTENING));
	send_run(vm);
	return vm;
}

/* ---- celld ---- */

/* Limits on the start of a fragment: one that no machine exceeds, and one that is worth waiting
 * for. */
static const char patient[] = "60", brisk[] = "1";

static void start_celld(const char *start_timeout)
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

/* Its fragments die with it; the next one joins with none. */
static void restart_celld(const char *start_timeout)
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

static void set_up(void)
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

static void tear_down(void)
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

/* Descriptors of celld whose target begins with `prefix`. */
static unsigned celld_descriptors(const char *prefix)
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

static unsigned files_in_run(void)
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

static bool celld_lets_go(const void *what)
{
	(void)what;
	return celld_descriptors("anon_inode:[userfaultfd]") == 0;
}

/* Reports come before files and descriptors go. */
static bool only_the_lock_is_left(const void *what)
{
	(void)what;
	return files_in_run() == 1;
}

/* ---- cases ---- */

static void tells_who_it_is(void)
{
	CU_ASSERT_STRING_EQUAL(rig.join->name, "cell7");
	CU_ASSERT_STRING_EQUAL(rig.join->data_address, "127.0.0.1");
	CU_ASSERT_EQUAL(rig.join->memory, (uint64_t)MEMORY_MIB << 20);
	CU_ASSERT_EQUAL(rig.join->cpus, CPUS);
	CU_ASSERT_EQUAL(rig.join->pid, (uint32_t)rig.celld);
	CU_ASSERT_EQUAL(rig.join->n_fragments, 0);
}

static bool load_has_figures(const void *what)
{
	(void)what;
	return rig.load && rig.load->n_fragments == 1 && rig.load->fragments[0]->stat &&
	       rig.load->memory_resident == 5 * DSM_PAGE_SIZE;
}

static void fragment_lives_and_is_forgotten(void)
{
	struct order o = plain;
	uint64_t vm;
	const Cellular__FragAnswer *a;
	pid_t pid;

	o.memory_mib = 6;
	o.members = 2; /* its share: 3 chunks / 2, rounded up: 4 MiB */
	o.member = 1;
	vm = start_running(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(vm)->pid;
	CU_ASSERT_EQUAL(last_seen(vm)->member, 1);
	CU_ASSERT(until(load_has_figures, NULL));
	CU_ASSERT_EQUAL(rig.load->memory_used, 4 << 20);
	CU_ASSERT_EQUAL(rig.load->vcpus, 1);
	CU_ASSERT_EQUAL(celld_descriptors("anon_inode:[userfaultfd]"), 1);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_STAT, 0);
	CU_ASSERT(a->error == 0 && a->vm_id == vm && a->member == 1 && a->stat &&
		  a->stat->resident == 5);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_MAP, 0);
	CU_ASSERT(a->error == 0 && a->map && a->map->pages == 512);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0);
	CU_ASSERT(a->error == 0 && a->console && !a->console->complete);
	CU_ASSERT(a->console && a->console->data.len == 20 &&
		  memcmp(a->console->data.data, "hello from member 1\n", 20) == 0);
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_KILLED);
	CU_ASSERT_STRING_EQUAL(last_seen(vm)->text, "the test is over");
	CU_ASSERT(is_gone(&pid));
	CU_ASSERT(until(celld_lets_go, NULL));
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0);
	CU_ASSERT_EQUAL(a->error, ERR_NOTFOUND);
	CU_ASSERT(until(only_the_lock_is_left, NULL));
}

static void guest_exit_is_kept(void)
{
	struct order o = plain;
	uint64_t vm;
	const Cellular__FragAnswer *a;

	o.mode = "stop";
	o.argument = "42";
	vm = start_running(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_STOPPED));
	CU_ASSERT(last_seen(vm)->cause == CELLULAR__END_CAUSE__END_EXIT &&
		  last_seen(vm)->code == 42);
	CU_ASSERT_STRING_EQUAL(last_seen(vm)->cell, "cell7");
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 6);
	CU_ASSERT(a->console && a->console->complete && a->console->offset == 6 &&
		  a->console->data.len == 14);
	send_quit(vm, false);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT(last_seen(vm)->cause == CELLULAR__END_CAUSE__END_EXIT &&
		  last_seen(vm)->code == 42);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0);
	CU_ASSERT(a->error == 0 && a->console && a->console->data.len == 20);
	send_quit(vm, true);
	CU_ASSERT_EQUAL(ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0)->error, ERR_NOTFOUND);
}

static void killed_fragment_is_reported_at_once(void)
{
	uint64_t vm = start_running(&plain), began;
	pid_t pid;

	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(vm)->pid;
	began = clock_ns();
	kill(pid, SIGKILL);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	printf("(told %.1f ms after kill -9) ", (double)(clock_ns() - began) / 1e6);
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_PROCESS_DIED);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_seen(vm)->text, "signal 9"));
	CU_ASSERT_PTR_NOT_NULL(strstr(last_seen(vm)->text, "cell7"));
	CU_ASSERT_STRING_EQUAL(last_seen(vm)->cell, "cell7");
	CU_ASSERT(until(celld_lets_go, NULL));
	send_quit(vm, true);
}

/* Others saw the member go before its own celld did: the order to quit is only the echo. */
static void a_death_is_not_hidden_by_its_echo(void)
{
	struct order o = plain;
	uint64_t vm;
	pid_t pid;

	o.mode = "stubborn";
	vm = start_running(&o);
	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(vm)->pid;
	send_quit_for(vm, CELLULAR__END_CAUSE__END_MEMBER_LOST, "member 0 was lost", false);
	ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0); /* answered after the order was taken */
	kill(pid, SIGKILL);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_PROCESS_DIED);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_seen(vm)->text, "signal 9"));
	send_quit(vm, true);
}

/* Starts a fragment that ends badly; it is gone with this cause and these words. */
static void ends_badly(const char *mode, const char *argument, Cellular__EndCause cause,
		       const char *words)
{
	struct order o = plain;
	uint64_t vm;

	o.mode = mode;
	o.argument = argument;
	vm = send_start(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, cause);
	if (!strstr(last_seen(vm)->text, words))
		fprintf(stderr, "\n  want: %s\n  got:  %s\n", words, last_seen(vm)->text);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_seen(vm)->text, words));
	CU_ASSERT_STRING_EQUAL(last_seen(vm)->cell, "cell7");
	send_quit(vm, true);
}

static void bad_fragments_end_with_a_reason(void)
{
	ends_badly("abort", "", CELLULAR__END_CAUSE__END_PROCESS_DIED,
		   "signal 6 (Aborted); its last words: fake-vm: it is over");
	ends_badly("exit", "3", CELLULAR__END_CAUSE__END_PROCESS_DIED,
		   "ended by itself with status 3");
	ends_badly("garbage", "", CELLULAR__END_CAUSE__END_MONITOR, "broke the control protocol");
	ends_badly("backward", "", CELLULAR__END_CAUSE__END_MONITOR, "a state that cannot follow");
	ends_badly("foreign", "", CELLULAR__END_CAUSE__END_MONITOR,
		   "a message that is not its to send");
	ends_badly("drop", "", CELLULAR__END_CAUSE__END_PROCESS_DIED, "signal 9");
}

static void silent_start_is_ended(void)
{
	restart_celld(brisk);
	ends_badly("mute", "", CELLULAR__END_CAUSE__END_START_FAILED, "did not listen within 1 s");
	restart_celld(patient);
}

static void failed_start_is_told(void)
{
	struct order o = plain;
	uint64_t vm;

	o.mode = "fail";
	vm = send_start(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_STOPPED));
	CU_ASSERT(last_seen(vm)->cause == CELLULAR__END_CAUSE__END_START_FAILED &&
		  last_seen(vm)->code == ERR_NOTFOUND);
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_START_FAILED);
}

static void deaf_fragment_is_killed(void)
{
	struct order o = plain;
	uint64_t vm, began;

	o.mode = "stubborn";
	vm = start_running(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	began = clock_ms();
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	printf("(gone %u ms after FragQuit) ", (unsigned)(clock_ms() - began));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_KILLED);
}

static void is_refused(const struct order *o, int code)
{
	uint64_t vm = send_start(o);

	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_EQUAL(last_seen(vm)->cause, CELLULAR__END_CAUSE__END_START_FAILED);
	CU_ASSERT_EQUAL(last_seen(vm)->code, code);
}

static void bad_orders_are_refused(void)
{
	struct order o = plain;

	o.memory_mib = MEMORY_MIB + 2;
	is_refused(&o, ERR_NOSPACE);
	o = plain;
	o.vcpus = CPUS + 1;
	is_refused(&o, ERR_NOSPACE);
	o = plain;
	o.key_bytes = 5;
	is_refused(&o, ERR_INVALID);
	o = plain;
	o.member = o.members;
	is_refused(&o, ERR_INVALID);
	o = plain;
	o.members = 65;
	is_refused(&o, ERR_INVALID);
	o = plain;
	o.memory_mib = 0;
	is_refused(&o, ERR_INVALID);
	o = plain;
	o.vcpus = 0;
	is_refused(&o, ERR_INVALID);
}

static void room_is_given_back(void)
{
	struct order o = plain;
	uint64_t vm;

	o.memory_mib = MEMORY_MIB;
	vm = send_start(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_LISTENING));
	is_refused(&plain, ERR_NOSPACE);
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	vm = send_start(&o);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_LISTENING));
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
}

static void console_keeps_the_end(void)
{
	struct order o = plain;
	const Cellular__FragAnswer *a;
	uint64_t vm;

	o.mode = "chatty";
	o.argument = "1000000";
	vm = start_running(&o);
	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	do
		a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 1000000);
	while (a->console->offset + a->console->data.len < 1000020);
	a = ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0);
	CU_ASSERT_EQUAL(a->console->offset, 1000020 - CONSOLE_BYTES);
	CU_ASSERT_EQUAL_FATAL(a->console->data.len, CONSOLE_BYTES);
	for (size_t i = 0; i < CONSOLE_BYTES; i++)
		if (a->console->data.data[i] != 'a' + (a->console->offset + i - 20) / 4096 % 26)
			CU_FAIL_FATAL("the ring holds another byte");
	send_quit(vm, true);
	CU_ASSERT(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
}

static void lost_controller_is_dialled_again(void)
{
	uint64_t lives = start_running(&plain), dies_alone = start_running(&plain);
	unsigned joins = rig.joins + 1, found = 0;
	pid_t pid;

	CU_ASSERT_FATAL(reaches(lives, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	CU_ASSERT_FATAL(reaches(dies_alone, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(dies_alone)->pid;
	link_close(rig.celld_link);
	rig.celld_link = NULL;
	kill(pid, SIGKILL);
	CU_ASSERT(dies(pid));
	CU_ASSERT_FATAL(until(has_joined, &joins));
	for (size_t i = 0; i < rig.join->n_fragments; i++) {
		const Cellular__FragReport *r = rig.join->fragments[i];

		if (r->vm_id == lives && r->state == CELLULAR__FRAG_STATE__FRAG_RUNNING)
			found++;
		if (r->vm_id == dies_alone && r->state == CELLULAR__FRAG_STATE__FRAG_GONE &&
		    r->reason && r->reason->cause == CELLULAR__END_CAUSE__END_PROCESS_DIED)
			found++;
	}
	CU_ASSERT_EQUAL(found, 2);
	send_quit(dies_alone, true);
	send_quit(lives, true);
	CU_ASSERT(reaches(lives, CELLULAR__FRAG_STATE__FRAG_GONE));
}

static void repeated_order_starts_nothing(void)
{
	struct order o = plain;
	pid_t pid;

	o.vm_id = start_running(&plain);
	CU_ASSERT_FATAL(reaches(o.vm_id, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(o.vm_id)->pid;
	rig.n_seen = 0;
	send_start(&o);
	CU_ASSERT(reaches(o.vm_id, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	CU_ASSERT_EQUAL(last_seen(o.vm_id)->pid, (uint32_t)pid);
	send_quit(o.vm_id, true);
	CU_ASSERT(reaches(o.vm_id, CELLULAR__FRAG_STATE__FRAG_GONE));
}

static unsigned long resident_kib(void)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", rig.celld);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmRSS: %lu", &kib);
	if (f)
		fclose(f);
	return kib;
}

static void one_short_life(void)
{
	uint64_t vm = start_running(&plain);

	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	send_quit(vm, true);
	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	rig.n_seen = 0;
}

static void hundred_lives_leave_nothing(void)
{
	unsigned descriptors;
	unsigned long before, after;

	for (int i = 0; i < 20; i++)
		one_short_life();
	CU_ASSERT(until(celld_lets_go, NULL));
	descriptors = celld_descriptors("");
	before = resident_kib();
	for (int i = 0; i < 100; i++)
		one_short_life();
	CU_ASSERT(until(celld_lets_go, NULL));
	after = resident_kib();
	printf("(%lu KiB, then %lu KiB) ", before, after);
	CU_ASSERT_EQUAL(celld_descriptors(""), descriptors);
	if (!CELLD_SANITIZED)
		CU_ASSERT(after < before + 1024); /* a console ring alone would be 25 MiB */
	CU_ASSERT(until(only_the_lock_is_left, NULL));
}

static void records_are_bounded(void)
{
	uint64_t first = 0, vm = 0;

	for (int i = 0; i < 66; i++) {
		vm = start_running(&plain);
		first = first ? first : vm;
		CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
		send_quit(vm, false);
		CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_GONE));
	}
	CU_ASSERT_EQUAL(ask(first, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0)->error, ERR_NOTFOUND);
	CU_ASSERT_EQUAL(ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0)->error, ERR_OK);
	for (; first <= vm; first++)
		send_quit(first, true);
	CU_ASSERT_EQUAL(ask(vm, CELLULAR__QUERY_KIND__QUERY_CONSOLE, 0)->error, ERR_NOTFOUND);
}

static void second_celld_is_refused(void)
{
	int status;
	pid_t first = rig.celld;

	start_celld(patient);
	CU_ASSERT_EQUAL(waitpid(rig.celld, &status, 0), rig.celld);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	rig.celld = first;
}

static void killed_celld_takes_its_fragments_along(void)
{
	uint64_t vm = start_running(&plain);
	pid_t pid;

	CU_ASSERT_FATAL(reaches(vm, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pid = (pid_t)last_seen(vm)->pid;
	restart_celld(patient);
	CU_ASSERT(dies(pid));
}

static bool celld_has_exited(const void *what)
{
	return waitpid(rig.celld, (int *)what, WNOHANG) == rig.celld;
}

static void asked_to_end_it_ends_all(void)
{
	struct order stubborn = plain;
	uint64_t good = start_running(&plain), deaf;
	pid_t pids[2];
	int status = -1;

	stubborn.mode = "stubborn";
	deaf = start_running(&stubborn);
	CU_ASSERT_FATAL(reaches(good, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	CU_ASSERT_FATAL(reaches(deaf, CELLULAR__FRAG_STATE__FRAG_RUNNING));
	pids[0] = (pid_t)last_seen(good)->pid;
	pids[1] = (pid_t)last_seen(deaf)->pid;
	kill(rig.celld, SIGTERM);
	CU_ASSERT(reaches(deaf, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT(reaches(good, CELLULAR__FRAG_STATE__FRAG_GONE));
	CU_ASSERT_STRING_EQUAL(last_seen(good)->text, "celld was asked to end");
	for (uint64_t end = clock_ms() + WAIT_MS; !celld_has_exited(&status) && clock_ms() < end;)
		until_ms(never, NULL, 10);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CU_ASSERT(is_gone(&pids[0]) && is_gone(&pids[1]));
	CU_ASSERT_EQUAL(files_in_run(), 1);
	rig.celld = 0;
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(set_up),
		UNIT_CASE(tells_who_it_is),
		UNIT_CASE(fragment_lives_and_is_forgotten),
		UNIT_CASE(guest_exit_is_kept),
		UNIT_CASE(killed_fragment_is_reported_at_once),
		UNIT_CASE(a_death_is_not_hidden_by_its_echo),
		UNIT_CASE(bad_fragments_end_with_a_reason),
		UNIT_CASE(silent_start_is_ended),
		UNIT_CASE(failed_start_is_told),
		UNIT_CASE(deaf_fragment_is_killed),
		UNIT_CASE(bad_orders_are_refused),
		UNIT_CASE(room_is_given_back),
		UNIT_CASE(console_keeps_the_end),
		UNIT_CASE(lost_controller_is_dialled_again),
		UNIT_CASE(repeated_order_starts_nothing),
		UNIT_CASE(hundred_lives_leave_nothing),
		UNIT_CASE(records_are_bounded),
		UNIT_CASE(second_celld_is_refused),
		UNIT_CASE(killed_celld_takes_its_fragments_along),
		UNIT_CASE(asked_to_end_it_ends_all),
		UNIT_CASE(tear_down),
	};
	struct err e;

	if (preflight_kvm(&e) || preflight_userfaultfd(&e)) {
		printf("SKIP: %s\n", e.text);
		return 77;
	}
	signal(SIGPIPE, SIG_IGN);
	return unit_main("celld", cases, UNIT_COUNT(cases));
}
