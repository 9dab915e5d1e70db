/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spaces by name: cell-controller as it is, cellctl to look, and native programs that create, join
 * and leave. usage: PROGRAM CELL-CONTROLLER CELLCTL
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "proto/base/address.h"
#include "proto/base/clock.h"
#include "puppet.h"
#include "tests/unit/unit.h"

enum {
	PATIENCE_MS = 60000,
	PUPPETS = 3,
	SILENT_MS = 20000,
	CREATE_MS = 15000, /* at most, as the header says */
	LOADED = 5,	   /* a promised time is asserted at five times its value */
};

static const char *controller_program, *cellctl_program;
static char dir[64], state[80], key_file[80], ready[80], controller[128];
static pid_t controller_pid;
static struct puppet puppets[PUPPETS];

/* ---- the cluster ---- */

static void read_address(void)
{
	char line[128];
	FILE *f = fopen(ready, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "tcp:", 4))
			snprintf(controller, sizeof(controller), "%.*s", (int)strcspn(line, "\n"),
				 line);
	fclose(f);
}

/* On the port that was chosen the first time. */
static void start_controller(void)
{
	const char *address = controller[0] ? controller : "tcp:127.0.0.1:0";
	struct stat st;

	unlink(ready);
	controller_pid = fork();
	if (!controller_pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execl(controller_program, controller_program, "--state", state, "--key", key_file,
		      "--ready-file", ready, "--listen", address, (char *)NULL);
		_exit(127);
	}
	for (unsigned ms = 0; stat(ready, &st) != 0; ms += 5) {
		CU_ASSERT_FATAL(ms < PATIENCE_MS);
		usleep(5000);
	}
	read_address();
}

static void kill_controller(void)
{
	if (controller_pid > 0) {
		kill(controller_pid, SIGKILL);
		waitpid(controller_pid, NULL, 0);
	}
	controller_pid = 0;
}

/* The puppets first: a child inherits no more than it should. */
static void begin(void)
{
	strcpy(dir, "/tmp/cdsm-name-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(key_file, sizeof(key_file), "%s/key", dir);
	snprintf(ready, sizeof(ready), "%s/ready", dir);
	controller[0] = 0;
	for (unsigned i = 0; i < PUPPETS; i++)
		CU_ASSERT_FATAL(puppet_start(&puppets[i]));
	start_controller();
}

static void end(void)
{
	char command[128];

	for (unsigned i = 0; i < PUPPETS; i++)
		puppet_kill(&puppets[i]);
	kill_controller();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CU_ASSERT_EQUAL(system(command), 0); /* NOLINT(cert-env33-c): a path of ours */
}

/* How many members hold the name, as people are told; -1: there is no such name. */
static int members_of(const char *name)
{
	char command[512], said[16384];
	size_t n;
	int count = 0, status;
	FILE *f;

	snprintf(command, sizeof(command), "%s -c %s -k %s -o json space show %s 2>/dev/null",
		 cellctl_program, controller, key_file, name);
	f = popen(command, "r"); /* NOLINT(cert-env33-c) */
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = f ? fread(said, 1, sizeof(said) - 1, f) : 0;
	said[n] = 0;
	status = pclose(f);
	for (const char *at = said; (at = strstr(at, "\"member\":")); at++)
		count++;
	return status ? -1 : count;
}

/* Sooner than the silence after which the controller forgets a member. */
static void await_members(const char *name, int n)
{
	for (unsigned ms = 0; members_of(name) != n && ms < SILENT_MS / 2; ms += 20)
		usleep(20000);
	CU_ASSERT_EQUAL(members_of(name), n);
}

/* ---- orders ---- */

static struct puppet_order order(enum puppet_act what)
{
	struct puppet_order o = {.act = what, .timeout_ms = PATIENCE_MS};

	snprintf(o.cluster, sizeof(o.cluster), "%s", controller);
	snprintf(o.cluster_key_file, sizeof(o.cluster_key_file), "%s", key_file);
	strcpy(o.name, "demo");
	return o;
}

static struct puppet_answer tell(unsigned who, const struct puppet_order *o, int code)
{
	struct puppet_answer a = puppet_do(&puppets[who], o);

	CU_ASSERT_EQUAL(a.why.code, code);
	if (a.why.code != code)
		fprintf(stderr, "\n%d (%u ms): %s\n", a.why.code, a.ms, a.why.text);
	return a;
}

static struct puppet_answer does(unsigned who, enum puppet_act what)
{
	struct puppet_order o = order(what);

	return tell(who, &o, CDSM_OK);
}

static void adds(unsigned who, uint64_t value)
{
	struct puppet_order o = order(PUPPET_ADD);

	o.value = value;
	tell(who, &o, CDSM_OK);
}

static void says(unsigned who, const struct puppet_order *o, int code, const char *text)
{
	struct puppet_answer a = tell(who, o, code);

	CU_ASSERT_PTR_NOT_NULL(strstr(a.why.text, text));
	CU_ASSERT(a.ms < LOADED * CREATE_MS);
	if (!strstr(a.why.text, text))
		fprintf(stderr, "\n%s\n", a.why.text);
}

/* ---- cases ---- */

static void a_name_outlives_its_creator(void)
{
	if (!crew_can())
		return;
	begin();
	CU_ASSERT_EQUAL(members_of("demo"), -1);
	does(0, PUPPET_CREATE);
	CU_ASSERT_EQUAL(members_of("demo"), 1);
	adds(0, 40);
	CU_ASSERT_EQUAL(does(1, PUPPET_JOIN).self, 1);
	CU_ASSERT_EQUAL(members_of("demo"), 2);
	adds(1, 2);
	does(0, PUPPET_LEAVE);
	CU_ASSERT_EQUAL(members_of("demo"), 1);
	CU_ASSERT_EQUAL(does(2, PUPPET_JOIN).self, 2);
	CU_ASSERT_EQUAL(does(2, PUPPET_READ).value, 42);
	does(1, PUPPET_LEAVE);
	CU_ASSERT_EQUAL(does(0, PUPPET_JOIN).self, 3);
	CU_ASSERT_EQUAL(does(0, PUPPET_READ).value, 42);
	does(0, PUPPET_LEAVE);
	does(2, PUPPET_LEAVE);
	CU_ASSERT_EQUAL(members_of("demo"), -1);
	does(1, PUPPET_CREATE); /* another one of that name, at once */
	CU_ASSERT_EQUAL(does(1, PUPPET_READ).value, 0);
	does(1, PUPPET_LEAVE);
	end();
}

static void the_controller_dies(void)
{
	struct puppet_order o;

	if (!crew_can())
		return;
	begin();
	does(0, PUPPET_CREATE);
	does(1, PUPPET_JOIN);
	kill_controller();
	for (unsigned i = 0; i < 50; i++) {
		adds(i % 2, 1);
		usleep(10000);
	}
	o = order(PUPPET_CREATE), strcpy(o.name, "other");
	says(2, &o, CDSM_EUNREACHABLE, "there is no controller at tcp:127.0.0.1:");
	o.act = PUPPET_JOIN;
	says(2, &o, CDSM_EUNREACHABLE, "there is no controller at tcp:127.0.0.1:");
	start_controller();
	CU_ASSERT_EQUAL(does(2, PUPPET_JOIN).self, 2);
	CU_ASSERT_EQUAL(does(2, PUPPET_READ).value, 50);
	await_members("demo", 3);
	o = order(PUPPET_CREATE);
	kill_controller(); /* who leaves then is not held up */
	does(0, PUPPET_LEAVE);
	start_controller();
	await_members("demo", 2);
	says(0, &o, CDSM_EEXISTS, "there is a space named demo already");
	/* What is really unknown is so only after all could have come back. */
	o = order(PUPPET_JOIN), strcpy(o.name, "other");
	says(0, &o, CDSM_ENOTFOUND, "there is no space named other");
	does(1, PUPPET_CHECK);
	end();
}

/* The space ends with it, and the name with the space. */
static void a_member_dies(void)
{
	struct puppet_order o;

	if (!crew_can())
		return;
	begin();
	does(0, PUPPET_CREATE);
	does(1, PUPPET_JOIN);
	puppet_kill(&puppets[0]);
	await_members("demo", -1);
	o = order(PUPPET_CHECK);
	tell(1, &o, CDSM_ELOST);
	does(2, PUPPET_CREATE);
	end();
}

static void refusals(void)
{
	struct puppet_order o;

	if (!crew_can())
		return;
	begin();
	does(0, PUPPET_CREATE);
	o = order(PUPPET_CREATE);
	says(1, &o, CDSM_EEXISTS, "there is a space named demo already");
	strcpy(o.name, "de/mo");
	says(1, &o, CDSM_EINVAL, "a space's name is 1 to 63 characters");
	o = order(PUPPET_JOIN), strcpy(o.name, "unknown");
	says(1, &o, CDSM_ENOTFOUND, "there is no space named unknown");
	o = order(PUPPET_JOIN), strcpy(o.address, "127.0.0.1:1");
	says(1, &o, CDSM_EINVAL, "both the address of a member and a name");
	o = order(PUPPET_JOIN), o.cluster[0] = 0;
	says(1, &o, CDSM_EINVAL, "needs a cluster and its key file");
	o = order(PUPPET_JOIN), o.name[0] = 0;
	says(1, &o, CDSM_EINVAL, "a cluster, but no name");
	memset(&o, 0, sizeof(o)), o.act = PUPPET_JOIN, o.key[0] = 1;
	says(1, &o, CDSM_EINVAL, "neither the address of a member nor a name");
	o = order(PUPPET_JOIN), strcpy(o.cluster, "127.0.0.1:1");
	says(1, &o, CDSM_EINVAL, "neither unix:PATH nor tcp:IP:PORT");
	o = order(PUPPET_CREATE), strcpy(o.name, "wide"), strcpy(o.listen, "0.0.0.0:0");
	says(1, &o, CDSM_EINVAL, "nobody can be called at 0.0.0.0:");
	CU_ASSERT_EQUAL(members_of("wide"), -1);
	CU_ASSERT_EQUAL(members_of("demo"), 1);
	does(0, PUPPET_CHECK);
	end();
}

/* A space whose key the caller has is found by name, but not joined without the key. */
static void a_key_of_its_own(void)
{
	struct puppet_order o;

	if (!crew_can())
		return;
	begin();
	o = order(PUPPET_CREATE), o.key[0] = 7;
	tell(0, &o, CDSM_OK);
	o = order(PUPPET_JOIN);
	says(1, &o, CDSM_EINVAL, "has a key of its own");
	o.key[0] = 8;
	says(1, &o, CDSM_EAUTH, "key");
	o.key[0] = 7;
	CU_ASSERT_EQUAL(tell(1, &o, CDSM_OK).self, 1);
	CU_ASSERT_EQUAL(members_of("demo"), 2);
	end();
}

static void controllers_that_are_none(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct puppet_order o;
	char other[96], text[ADDRESS_TEXT_MAX];
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!crew_can())
		return;
	begin();
	snprintf(other, sizeof(other), "%s/other", dir);
	o = order(PUPPET_CREATE);
	snprintf(o.cluster_key_file, sizeof(o.cluster_key_file), "%s", other);
	says(0, &o, CDSM_ENOTFOUND, other);
	CU_ASSERT_EQUAL(cdsm_key_file(other, NULL), CDSM_OK);
	says(0, &o, CDSM_EAUTH, "does not know the key");
	o.act = PUPPET_JOIN;
	says(0, &o, CDSM_EAUTH, "does not know the key");
	o = order(PUPPET_CREATE), snprintf(o.cluster, sizeof(o.cluster), "unix:%s/none", dir);
	says(0, &o, CDSM_EUNREACHABLE, "there is no controller at unix:");
	/* One that takes calls and never says a word. */
	CU_ASSERT_FATAL(!bind(silent, (struct sockaddr *)&any, sizeof(any)) && !listen(silent, 8));
	CU_ASSERT_EQUAL_FATAL(address_of_socket(silent, text, sizeof(text), NULL), 0);
	snprintf(o.cluster, sizeof(o.cluster), "tcp:%s", text);
	says(0, &o, CDSM_EUNREACHABLE, "does not answer");
	close(silent);
	/* The real one, but it stands still: also when a member leaves. */
	does(1, PUPPET_CREATE);
	kill(controller_pid, SIGSTOP);
	o = order(PUPPET_JOIN);
	says(0, &o, CDSM_EUNREACHABLE, "does not answer");
	does(1, PUPPET_LEAVE);
	kill(controller_pid, SIGCONT);
	await_members("demo", -1);
	end();
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_name_outlives_its_creator),
		UNIT_CASE(the_controller_dies),
		UNIT_CASE(a_member_dies),
		UNIT_CASE(refusals),
		UNIT_CASE(a_key_of_its_own),
		UNIT_CASE(controllers_that_are_none),
	};

	if (argc < 3) {
		fprintf(stderr, "usage: %s CELL-CONTROLLER CELLCTL\n", argv[0]);
		return 2;
	}
	controller_program = argv[1];
	cellctl_program = argv[2];
	signal(SIGPIPE, SIG_IGN);
	return unit_main("cdsm name", cases, UNIT_COUNT(cases));
}
