/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/inject/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const kinds[] = {"errors", "interruptions"};

static struct inject *in;
static bool arm_it;

void sweep_arm(void)
{
	atomic_store(&in->armed, arm_it);
}

void sweep_disarm(void)
{
	atomic_store(&in->armed, false);
}

void sweep_stay_out(void)
{
	inject_self(NULL);
}

void sweep_take_part(void)
{
	inject_self(in);
}

struct inject *sweep_inject(void)
{
	return in;
}

long sweep_left(void)
{
	return (long)in->live;
}

static bool libcrypto_failed(void)
{
	return !strncmp(in->where, "libcrypto.", 10);
}

bool sweep_library_died(void)
{
	return !strncmp(in->where, "libuv.", 6) || libcrypto_failed();
}

enum sweep_outcome sweep_refused(int rc, const char *text)
{
	if (rc > 0 && text[0])
		return SWEEP_REFUSED;
	fprintf(stderr, "  failed with code %d, saying '%s'\n", rc, text);
	return SWEEP_WRONG;
}

/* ---- what a run may leave ---- */

struct holdings {
	unsigned descriptors, mappings;
};

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Of files and devices only: the heap and threads' stacks come and go as the C library likes. */
static unsigned count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned n = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		n += strchr(line, '/') || strstr(line, "anon_inode");
	fclose(f);
	return n;
}

static struct holdings hold(void)
{
	return (struct holdings){count_entries("/proc/self/fd"), count_mappings()};
}

static bool child_left(void)
{
	return waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
}

static int complain(const char *what, long before, long after)
{
	fprintf(stderr, "  %s: %ld before, %ld after\n", what, before, after);
	return SWEEP_WRONG;
}

/* ---- one child ---- */

static int once(const struct sweep *s, bool armed)
{
	arm_it = armed;
	return (int)s->run(s->context);
}

static int child(const struct sweep *s)
{
	struct holdings before, after;
	int outcome, again;

	alarm(SWEEP_LIMIT_S);
	if (s->alone)
		return once(s, true);
	inject_self(in);
	if (once(s, false) != SWEEP_DONE) {
		fprintf(stderr, "  the scenario fails without a failure\n");
		return SWEEP_WRONG;
	}
	before = hold();
	outcome = once(s, true);
	after = hold();
	if (outcome == SWEEP_WRONG)
		return outcome;
	/* libcrypto forgets some of what it had when an allocation of its own fails. */
	if (in->live && !s->loose && !libcrypto_failed())
		return complain("allocations that are left", 0, (long)in->live);
	if (after.descriptors != before.descriptors)
		return complain("descriptors", before.descriptors, after.descriptors);
	if (after.mappings != before.mappings)
		return complain("mappings", before.mappings, after.mappings);
	if (child_left())
		return complain("children", 0, 1);
	again = once(s, false);
	if (again != SWEEP_DONE) {
		fprintf(stderr, "  after the failure the scenario does not work any more\n");
		return SWEEP_WRONG;
	}
	return outcome;
}

enum { WRONG_MAX = 10, TRIES_MAX = 3 };

struct tally {
	uint64_t points, calls;
	unsigned done, refused, library, wrong, missed;
};

static void judge(const struct sweep *s, int status, struct tally *t)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (code == SWEEP_REFUSED && !in->fired)
		fprintf(stderr, "  failed without a failure\n");
	else if (code == SWEEP_DONE || code == SWEEP_REFUSED || code == SWEEP_LIBRARY) {
		t->library += code == SWEEP_LIBRARY;
		t->done += code == SWEEP_DONE;
		t->refused += code == SWEEP_REFUSED;
		return;
	}
	t->wrong++;
	fprintf(stderr, "%s: %s (%s) failing with %s: ", s->name, in->name, in->where,
		in->errnum ? strerrorname_np(in->errnum) : "nothing");
	if (WIFSIGNALED(status))
		fprintf(stderr, "%s\n",
			WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
	else
		fprintf(stderr, "status %d\n", code);
}

/* nth and site as in inject.h. True: a failure was made. */
static bool try_one(const struct sweep *s, int kind, uint64_t nth, uint64_t site, struct tally *t)
{
	int status;
	pid_t pid;

	inject_reset(in);
	in->kind = kind;
	in->frames = s->frames;
	in->nth = nth;
	in->site = site;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid)
		_exit(child(s));
	while (waitpid(pid, &status, 0) < 0)
		;
	t->calls = in->calls;
	t->points += in->fired;
	if (in->fired || status)
		judge(s, status, t);
	return in->fired;
}

static uint64_t sweep_numbers(const struct sweep *s, int kind, struct tally *t)
{
	uint64_t nth = 1;

	while (try_one(s, kind, nth, 0, t) && t->wrong < WRONG_MAX)
		nth++;
	return nth;
}

/* A site not reached in TRIES_MAX runs (threads take turns differently) is counted as missed. */
static void try_site(const struct sweep *s, int kind, uint64_t site, struct tally *t)
{
	for (int i = 0; i < TRIES_MAX; i++)
		if (try_one(s, kind, 0, site, t))
			return;
	t->missed++;
}

static void sweep_sites(const struct sweep *s, int kind, struct tally *t)
{
	static bool tried[INJECT_SITES_MAX];
	bool fresh = true;

	memset(tried, 0, sizeof(tried));
	memset(in->sites, 0, sizeof(in->sites));
	in->sites_seen = 0;
	try_one(s, kind, 0, 0, t); /* looks around */
	while (fresh) {
		fresh = false;
		for (unsigned i = 0; i < INJECT_SITES_MAX && t->wrong < WRONG_MAX; i++) {
			if (!in->sites[i].hash || tried[i])
				continue;
			tried[i] = fresh = true;
			if (!s->part || in->sites[i].hash % s->part == 0)
				try_site(s, kind, in->sites[i].hash, t);
		}
	}
}

static bool sweep_kind(const struct sweep *s, int kind)
{
	struct tally t = {0};
	uint64_t nth = 0;

	if (s->by_site)
		sweep_sites(s, kind, &t);
	else
		nth = sweep_numbers(s, kind, &t);
	printf("%s, %s: %llu points, %u refused, %u done all the same, %u ended by a library, %u "
	       "wrong; ",
	       s->name, kinds[kind], (unsigned long long)t.points, t.refused, t.done, t.library,
	       t.wrong);
	if (t.wrong >= WRONG_MAX)
		printf("given up\n");
	else if (s->by_site)
		printf("one of %u of %u sites, %u of those not reached again\n",
		       s->part ? s->part : 1, in->sites_seen, t.missed);
	else
		printf("call %llu is past the last of %llu\n", (unsigned long long)nth,
		       (unsigned long long)t.calls);
	return !t.wrong;
}

bool sweep_all(const struct sweep *s)
{
	bool good;

	in = inject_new("/tmp");
	if (!in)
		return false;
	good = sweep_kind(s, INJECT_HARD);
	good = sweep_kind(s, INJECT_SOFT) && good;
	inject_forget(in);
	in = NULL;
	return good;
}
