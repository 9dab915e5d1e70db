/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps over the public library: a space is created, used and left with each call failing once;
 * and a second member, in the same process, joins it and leaves. Both again by name, with a
 * controller that is left alone. What fails says so by an error with a sentence; nothing hangs, and
 * nothing is left behind.
 *
 * usage: test-inject-lib CELL-CONTROLLER [NAME]
 */
#include <cellular/dsm.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/inject/sweep.h"

enum { BYTES = 8 * CDSM_PAGE_BYTES, PATIENCE_MS = 20000 };

static const unsigned char key[CDSM_KEY_BYTES] = "a key of some thirty-two bytes";

static struct cdsm_options options(void)
{
	struct cdsm_options o = CDSM_OPTIONS;

	o.key = key;
	return o;
}

static int use(struct cdsm *c, struct cdsm_error *why)
{
	struct cdsm_stats s = CDSM_STATS;
	void *base = cdsm_map(c, NULL);
	int rc = cdsm_pin(c, base, BYTES / 2, why);

	if (!rc)
		rc = cdsm_prefetch(c, base, BYTES, 1, why);
	if (!rc)
		rc = cdsm_unpin(c, base, BYTES, why);
	if (!rc)
		rc = cdsm_discard(c, base, BYTES, why);
	if (!rc)
		rc = cdsm_lock(c, 1, why);
	if (!rc)
		rc = cdsm_unlock(c, 1, why);
	if (!rc)
		rc = cdsm_barrier(c, 1, 1, why);
	if (!rc)
		rc = cdsm_stats(c, &s, why);
	return rc;
}

static enum sweep_outcome alone(void *context)
{
	struct cdsm_options o = options();
	struct cdsm_error why = {0};
	struct cdsm *c = NULL;
	int rc;

	(void)context;
	sweep_arm();
	rc = cdsm_create(&o, BYTES, &c, &why);
	if (!rc)
		rc = use(c, &why);
	if (!rc)
		rc = cdsm_leave(c, PATIENCE_MS, &why);
	cdsm_close(c);
	sweep_disarm();
	return rc ? sweep_refused(rc, why.text) : SWEEP_DONE;
}

static enum sweep_outcome joining(void *context)
{
	struct cdsm_options o = options();
	struct cdsm *first = NULL, *second = NULL;
	struct cdsm_error why = {0};
	int rc = cdsm_create(&o, BYTES, &first, &why);

	(void)context;
	if (rc)
		return SWEEP_WRONG; /* nothing failed yet */
	sweep_arm();
	rc = cdsm_join(&o, cdsm_address(first), PATIENCE_MS, &second, &why);
	if (!rc)
		rc = use(second, &why);
	if (!rc)
		rc = cdsm_leave(second, PATIENCE_MS, &why);
	cdsm_close(second);
	sweep_disarm();
	if (!rc && cdsm_check(first, &why) && !sweep_library_died())
		rc = why.code;
	cdsm_close(first);
	return rc ? sweep_refused(rc, why.text) : SWEEP_DONE;
}

/* ---- by name ---- */

static char dir[64], cluster[96], cluster_key[96], state[96], ready[96];

/* What a run that failed held may be free a moment later only: each has a name of its own. */
static struct cdsm_options named_options(char name[32])
{
	static unsigned runs;
	struct cdsm_options o = CDSM_OPTIONS;

	snprintf(name, 32, "n%d-%u", (int)getpid(), runs++);
	o.cluster = cluster;
	o.cluster_key_file = cluster_key;
	o.name = name;
	return o;
}

static enum sweep_outcome named(void *context)
{
	char name[32];
	struct cdsm_options o = named_options(name);
	struct cdsm_error why = {0};
	struct cdsm *c = NULL;
	int rc;

	(void)context;
	sweep_arm();
	rc = cdsm_create(&o, BYTES, &c, &why);
	if (!rc)
		rc = cdsm_leave(c, PATIENCE_MS, &why);
	cdsm_close(c);
	sweep_disarm();
	return rc ? sweep_refused(rc, why.text) : SWEEP_DONE;
}

static enum sweep_outcome joining_by_name(void *context)
{
	char name[32];
	struct cdsm_options o = named_options(name);
	struct cdsm *first = NULL, *second = NULL;
	struct cdsm_error why = {0};
	int rc = cdsm_create(&o, BYTES, &first, &why);

	(void)context;
	if (rc)
		return SWEEP_WRONG; /* nothing failed yet */
	sweep_arm();
	rc = cdsm_join(&o, NULL, PATIENCE_MS, &second, &why);
	if (!rc)
		rc = cdsm_leave(second, PATIENCE_MS, &why);
	cdsm_close(second);
	sweep_disarm();
	if (!rc && cdsm_check(first, &why) && !sweep_library_died())
		rc = why.code;
	cdsm_close(first);
	return rc ? sweep_refused(rc, why.text) : SWEEP_DONE;
}

static pid_t start_controller(const char *program)
{
	struct stat st;
	pid_t pid;

	strcpy(dir, "/tmp/cellular-inject-lib.XXXXXX");
	if (!mkdtemp(dir))
		abort();
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(cluster, sizeof(cluster), "unix:%s/state/ctl.sock", dir);
	snprintf(cluster_key, sizeof(cluster_key), "%s/key", dir);
	snprintf(ready, sizeof(ready), "%s/ready", dir);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execl(program, program, "--state", state, "--key", cluster_key, "--ready-file",
		      ready, (char *)NULL);
		_exit(127);
	}
	while (stat(ready, &st) && !waitpid(pid, NULL, WNOHANG))
		usleep(5000);
	return pid;
}

static void stop_controller(pid_t pid)
{
	char command[128];

	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		abort();
}

int main(int argc, char **argv)
{
	const struct sweep sweeps[] = {
		{.name = "lib-alone", .run = alone, .by_site = !CELLULAR_LONG},
		{.name = "lib-join", .run = joining, .by_site = !CELLULAR_LONG, .loose = true},
		{.name = "lib-named", .run = named, .by_site = !CELLULAR_LONG},
		{.name = "lib-named-join",
		 .run = joining_by_name,
		 .by_site = !CELLULAR_LONG,
		 .loose = true},
	};
	bool good = true;
	pid_t controller;

	if (argc < 2)
		return 2;
	controller = start_controller(argv[1]);
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++)
		if (argc < 3 || !strcmp(argv[2], sweeps[i].name))
			good = sweep_all(&sweeps[i]) && good;
	stop_controller(controller);
	return !good;
}
