/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/team.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsm/mem.h"
#include "tests/bench/floor.h"
#include "tests/bench/spaces.h"

enum { SKIPPED = 77 };

/* ---- in a member ---- */

void team_fail(const struct seat *s, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "cellbench: %s, member %u: ", s->bench->name, s->self);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

void team_meet(struct seat *s)
{
	pthread_barrier_wait(&s->board->barrier);
}

static void member(struct seat *s, void (*body)(struct seat *))
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	s->core = team_core(s->self);
	team_pin(s->core); /* its threads will inherit that */
	spaces_open(s);
	team_meet(s);
	body(s);
	spaces_close(s);
	fflush(NULL);
	_exit(0);
}

/* ---- in the parent ---- */

static bool can_fault(void)
{
	const struct mem_config one = {.pages = 1};
	struct mem *mem = NULL;
	struct err e = {0};

	if (mem_uffd.open(&one, &mem, &e)) {
		fprintf(stderr, "cellbench: this machine cannot run it: %s\n", e.text);
		return false;
	}
	mem_uffd.close(mem);
	return true;
}

static bool can_virtualise(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0) {
		fprintf(stderr, "cellbench: this machine cannot run it: /dev/kvm: %m\n");
		return false;
	}
	close(kvm);
	return true;
}

static struct board *make_board(unsigned members)
{
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t attr;

	if (board == MAP_FAILED)
		return NULL;
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&board->barrier, &attr, members);
	pthread_barrierattr_destroy(&attr);
	return board;
}

static void end_all(const pid_t *pid, unsigned n)
{
	for (unsigned m = 0; m < n; m++)
		if (pid[m] > 0)
			kill(pid[m], SIGKILL);
}

/* Members wait for each other, so that of one that failed is the end of all. */
static int wait_for(pid_t *pid, unsigned n)
{
	int rc = 0, status;
	pid_t one;

	while ((one = wait(&status)) > 0) {
		for (unsigned m = 0; m < n; m++)
			if (pid[m] == one)
				pid[m] = 0;
		if (status && !rc) {
			rc = 1;
			end_all(pid, n);
		}
	}
	return rc;
}

static uint64_t ns_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

static uint64_t team_cpu_ns(void)
{
	struct rusage use;

	getrusage(RUSAGE_CHILDREN, &use);
	return ns_of(use.ru_utime) + ns_of(use.ru_stime);
}

/* What the cores were busy with since they were started, by /proc/stat. */
static uint64_t machine_cpu_ns(void)
{
	unsigned long long user = 0, nice = 0, system = 0, idle, wait, irq = 0, soft = 0, steal = 0;
	FILE *f = fopen("/proc/stat", "r");

	if (!f)
		return 0;
	if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
		   &wait, &irq, &soft, &steal) != 8)
		user = nice = system = irq = soft = steal = 0;
	fclose(f);
	return (user + nice + system + irq + soft + steal) * 1000000000u /
	       (uint64_t)sysconf(_SC_CLK_TCK);
}

int team_run(const struct bench *b, const struct bench_options *o, void (*body)(struct seat *),
	     struct board **out)
{
	unsigned members = o->members ? o->members : b->members;
	struct board *board = make_board(members);
	pid_t pid[BENCH_MEMBERS_MAX] = {0};
	uint64_t began = floor_now(), busy = machine_cpu_ns();
	int link[2];
	int rc;

	if (!can_fault() || (b->vcpu && !can_virtualise()))
		return SKIPPED;
	if (!board || floor_link(link)) {
		perror("cellbench: cannot set up a run");
		return 1;
	}
	team_cores(); /* as it is before anybody is pinned */
	fflush(NULL);
	for (unsigned m = 0; m < members; m++) {
		pid[m] = fork();
		if (pid[m] == 0) {
			static struct seat s;

			s = (struct seat){
				.board = board,
				.bench = b,
				.options = o,
				.self = m,
				.members = members,
				.rounds = o->rounds ? o->rounds : b->rounds,
				.link = m < 2 ? link[m] : -1,
			};
			member(&s, body);
		}
		if (pid[m] < 0) {
			perror("cellbench: fork");
			end_all(pid, m);
			break;
		}
	}
	rc = wait_for(pid, members);
	close(link[0]);
	close(link[1]);
	board->team_cpu_ns = team_cpu_ns();
	board->whole_cpu_ns = machine_cpu_ns() - busy;
	board->wall_ns = floor_now() - began;
	*out = board;
	return rc;
}
