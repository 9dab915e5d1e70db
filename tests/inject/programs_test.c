/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps over the daemons and cellctl as programs: celld and cell-controller from their first
 * instruction until they serve and until they end, while a VM starts, runs and ends, and cellctl.
 * A program ends with a documented exit status and a sentence, or does what it should; nothing
 * hangs; no fragment is left.
 *
 * usage: test-inject-programs LIBINJECT [NAME]
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/inject/sweep.h"

enum { PATIENCE_MS = 40000, STATUS_MAX = 7, SAID_MAX = 4096, KILLED = -1, HANGS = -2 };

static const char *library;
static char dir[64];

/* ---- programs ---- */

struct program {
	const char *name;
	bool meant; /* the one whose call fails */
	bool asked; /* to end, by SIGTERM */
	pid_t pid;
	int status; /* exit status; KILLED: by a signal; HANGS */
	char said[SAID_MAX];
};

static const char *at(const char *name)
{
	static char path[6][128];
	static unsigned next;
	char *p = path[next++ % 6];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static const char *said_in(const struct program *p)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.said", p->name);
	return at(name);
}

static void begin(struct program *p, char *const *argv)
{
	const char *log = said_in(p);

	p->status = KILLED;
	p->pid = fork();
	if (p->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
	dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
	if (p->meant) {
		setenv("INJECT_PROGRAM", p->name, 1);
		setenv("LD_PRELOAD", library, 1);
	}
	execv(argv[0], argv);
	_exit(127);
}

#define BEGIN(p, ...) begin(p, (char *const[]){__VA_ARGS__, NULL})

static void take_words(struct program *p)
{
	int fd = open(said_in(p), O_RDONLY);
	ssize_t n = read(fd, p->said, sizeof(p->said) - 1);

	p->said[n < 0 ? 0 : n] = '\0';
	close(fd);
}

static bool gone(struct program *p)
{
	int status;

	if (!p->pid)
		return true;
	if (waitpid(p->pid, &status, WNOHANG) != p->pid)
		return false;
	p->pid = 0;
	p->status = WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && p->asked)
		p->status = 1; /* it was ending already, and no longer looked for signals */
	else if (WIFSIGNALED(status))
		fprintf(stderr, "  %s: %s\n", p->name, strsignal(WTERMSIG(status)));
	take_words(p);
	return true;
}

static void await(struct program *p)
{
	uint64_t end = clock_ms() + PATIENCE_MS;

	while (!gone(p)) {
		if (clock_ms() < end) {
			usleep(1000);
			continue;
		}
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
		p->pid = 0;
		p->status = HANGS;
		take_words(p);
	}
}

static void stop(struct program *p)
{
	p->asked = true;
	if (p->pid)
		kill(p->pid, SIGTERM);
	await(p);
}

/* True: it wrote its ready file. False: it ended, or hangs. */
static bool ready(struct program *p, const char *file)
{
	uint64_t end = clock_ms() + PATIENCE_MS;
	struct stat st;

	while (!gone(p) && clock_ms() < end) {
		if (!stat(file, &st) && st.st_size)
			return true;
		usleep(1000);
	}
	return false;
}

/* ---- verdicts ---- */

static enum sweep_outcome wrong(const struct program *p, const char *what)
{
	fprintf(stderr, "  %s %s (status %d): %.500s\n", p->name, what, p->status, p->said);
	return SWEEP_WRONG;
}

/* A program that ended: documented, and with words if it failed. */
static enum sweep_outcome verdict(const struct program *p)
{
	if (p->status == HANGS)
		return wrong(p, "hangs");
	if (p->status == KILLED)
		return p->meant && sweep_library_died() ? SWEEP_LIBRARY : wrong(p, "was killed");
	if (!p->status)
		return SWEEP_DONE;
	if (p->status > STATUS_MAX)
		return wrong(p, "has no such status");
	return p->said[0] ? SWEEP_REFUSED : wrong(p, "said nothing");
}

static void clear(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s/*", dir);
	if (system(command))
		abort();
}

/* ---- start and end of a daemon ---- */

static void begin_controller(struct program *p)
{
	BEGIN(p, (char *)"bin/cell-controller", (char *)"--state", (char *)at("state"),
	      (char *)"--key", (char *)at("key"), (char *)"--ready-file",
	      (char *)at("controller.ready"));
}

static void begin_celld(struct program *p)
{
	char address[160];

	snprintf(address, sizeof(address), "unix:%s", at("state/ctl.sock"));
	BEGIN(p, (char *)"bin/celld", (char *)"--name", (char *)"cell0", (char *)"--controller",
	      address, (char *)"--key", (char *)at("key"), (char *)"--data", (char *)"127.0.0.1",
	      (char *)"--run", (char *)at("run"), (char *)"--memory", (char *)"256MiB",
	      (char *)"--cpus", (char *)"4", (char *)"--ready-file", (char *)at("celld.ready"));
}

static void put_file(const char *name, const char *text)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

static const char a_key[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

static enum sweep_outcome daemon_alone(struct program *p, void (*start)(struct program *),
				       const char *ready_file)
{
	clear();
	put_file("key", a_key);
	p->meant = true;
	sweep_arm();
	start(p);
	if (!ready(p, at(ready_file)) && p->pid) {
		stop(p);
		return wrong(p, "does not start");
	}
	stop(p);
	return verdict(p);
}

static enum sweep_outcome controller_alone(void *context)
{
	struct program p = {.name = "cell-controller"};

	(void)context;
	return daemon_alone(&p, begin_controller, "controller.ready");
}

static enum sweep_outcome celld_alone(void *context)
{
	struct program p = {.name = "celld"};

	(void)context;
	return daemon_alone(&p, begin_celld, "celld.ready");
}

/* ---- a VM ---- */

static void run_cellctl(struct program *p, const char *kind, const char *verb, const char *noun,
			bool meant)
{
	char address[160];

	*p = (struct program){.name = "cellctl", .meant = meant};
	snprintf(address, sizeof(address), "unix:%s", at("state/ctl.sock"));
	BEGIN(p, (char *)"bin/cellctl", (char *)"-c", address, (char *)"-k", (char *)at("key"),
	      (char *)"-t", (char *)"60", (char *)kind, (char *)verb, (char *)noun);
	await(p);
}

static bool no_fragments(void)
{
	char command[128];

	snprintf(command, sizeof(command), "! ls -l /proc/[0-9]*/fd/2 2>/dev/null | grep -q ' %s/'",
		 dir);
	for (int i = 0; i < 200; i++) {
		if (!system(command))
			return true;
		usleep(50000);
	}
	return false;
}

/* Which program is meant, from when all serve. */
static enum sweep_outcome vm_with(void *context)
{
	const char *meant = context;
	struct program controller = {.name = "cell-controller"}, celld = {.name = "celld"}, ctl[3];
	enum sweep_outcome all = SWEEP_DONE;
	char guest[256], here[128];

	clear();
	put_file("key", a_key);
	if (!getcwd(here, sizeof(here)))
		abort();
	snprintf(guest, sizeof(guest),
		 "name: one\nguest: %s/guests/hello.elf\nmemory: 32MiB\nvcpus: 1\n", here);
	put_file("one.yaml", guest);
	controller.meant = !strcmp(meant, controller.name);
	celld.meant = !strcmp(meant, celld.name);
	begin_controller(&controller);
	if (!ready(&controller, at("controller.ready")))
		return wrong(&controller, "does not start");
	begin_celld(&celld);
	if (!ready(&celld, at("celld.ready")))
		return wrong(&celld, "does not start");
	do
		run_cellctl(&ctl[0], "cell", "show", "cell0", false);
	while (ctl[0].status && celld.pid); /* it joins */
	sweep_arm();
	run_cellctl(&ctl[0], "vm", "start", at("one.yaml"), !strcmp(meant, "cellctl"));
	if (!strcmp(meant, "cellctl"))
		sweep_disarm();
	run_cellctl(&ctl[1], "vm", "wait", "one", false);
	run_cellctl(&ctl[2], "vm", "console", "one", false);
	if (controller.meant || celld.meant)
		sweep_disarm();
	stop(&celld);
	stop(&controller);
	for (int i = 0; i < 5; i++) {
		const struct program *p = i < 3 ? &ctl[i] : i == 3 ? &celld : &controller;
		enum sweep_outcome one = verdict(p);

		/* cellctl says on stderr how a VM ended; a daemon's log is not its last words */
		if (one == SWEEP_WRONG)
			all = one;
		else if (all != SWEEP_WRONG && one > all)
			all = one;
	}
	if (!no_fragments())
		return wrong(&celld, "left a fragment");
	return all;
}

/* ---- */

int main(int argc, char **argv)
{
	static char controller[] = "cell-controller", celld[] = "celld", cellctl[] = "cellctl";
	struct sweep sweeps[] = {
		{.name = "controller-start", .run = controller_alone},
		{.name = "celld-start", .run = celld_alone},
		{.name = "vm-cellctl", .run = vm_with, .context = cellctl},
		{.name = "vm-celld", .run = vm_with, .context = celld},
		{.name = "vm-controller", .run = vm_with, .context = controller},
	};
	bool good = true;

	if (argc < 2)
		return 2;
	if (access("/dev/kvm", R_OK | W_OK)) {
		puts("SKIP: no /dev/kvm");
		return 77;
	}
	library = argv[1];
	snprintf(dir, sizeof(dir), "/tmp/cellular-programs.XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		sweeps[i].alone = true;
		sweeps[i].by_site = true;
		sweeps[i].frames = CELLULAR_LONG ? 3 : 1;
		sweeps[i].part = CELLULAR_LONG ? 1 : 4;
		if (argc < 3 || !strcmp(argv[2], sweeps[i].name))
			good = sweep_all(&sweeps[i]) && good;
	}
	clear();
	rmdir(dir);
	return !good;
}
