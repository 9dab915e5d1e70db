/* SPDX-License-Identifier: Apache-2.0 */
/* cell-controller and those who mean it no good: clients, strangers, command lines. usage: PROGRAM
 * CELL-CONTROLLER */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/address.h"
#include "tests/unit/controller/server_rig.h"

static struct rig r;

/* ---- clients ---- */

static void clients_that_go(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	server_running_vm(&r);
	request.op = CELLULAR__CTL_OP__OP_VM_WAIT;
	request.name = (char *)"demo";
	/* More than the controller can keep: those that went must be forgotten. */
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned n = 0; n < 50; n++)
			rig_send(&r, &request);
		if (i % 2) {
			rig_op(&r, CELLULAR__CTL_OP__OP_VM_LIST, "");
			CU_ASSERT_EQUAL(r.reply->error, ERR_OK);
		}
		rig_client_goes(&r);
	}
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_STATUS, "")->error, ERR_OK);
	request.timeout_ms = 200;
	CU_ASSERT_EQUAL(rig_ask(&r, &request)->error, ERR_TIMEOUT);
	CU_ASSERT_STRING_EQUAL(r.reply->text, "demo is running still");
	rig_free(&r);
}

static void a_client_that_asks_too_much(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	server_running_vm(&r);
	request.op = CELLULAR__CTL_OP__OP_VM_WAIT;
	request.name = (char *)"demo";
	for (unsigned i = 0; i < 64; i++)
		rig_send(&r, &request);
	CU_ASSERT_EQUAL(rig_ask(&r, &request)->error, ERR_BUSY);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_KILL, "demo")->error, ERR_BUSY);
	rig_client_goes(&r);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_VM_KILL, "demo")->error, ERR_OK);
	rig_free(&r);
}

/* ---- strangers ---- */

static void send_garbage(unsigned seed)
{
	struct address a;
	uint8_t bytes[256];
	int fd;

	srandom(seed);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)random();
	if (seed % 2) /* a hello that begins well */
		memcpy(bytes,
		       (uint8_t[]){0x43, 0x4c, 0x43, 0x48, seed % 8, 1, 1, 255, 255, 0, 0, 0}, 12);
	CU_ASSERT_EQUAL_FATAL(address_parse(r.address + 4, &a, NULL), ERR_OK);
	fd = socket(a.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&a.storage, a.length) == 0)
		(void)!send(fd, bytes, seed % sizeof(bytes), MSG_NOSIGNAL);
	close(fd);
}

static bool client_is_closed(void *context)
{
	return ((struct rig *)context)->client_closed;
}

static void garbage_on_the_port(void)
{
	uint8_t wrong[CELL_KEY_BYTES] = {1};

	server_running_vm(&r);
	for (unsigned seed = 0; seed < 200; seed++)
		send_garbage(seed);
	r.client_closed = false;
	r.client = rig_dial(&r, HELLO_CTL, wrong);
	rig_until(&r, client_is_closed, &r);
	CU_ASSERT_EQUAL(r.client_why.code, ERR_AUTH);
	CU_ASSERT_EQUAL(rig_op(&r, CELLULAR__CTL_OP__OP_STATUS, "")->error, ERR_OK);
	rig_free(&r);
}

static void messages_of_others(void)
{
	static const enum hello_kind kinds[] = {HELLO_CTL, HELLO_CELLD};
	static const uint16_t types[] = {CTL_TYPE_FRAG_REPORT, CTL_TYPE_CTL_REPLY};
	Cellular__FragReport report = CELLULAR__FRAG_REPORT__INIT;
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;

	server_running_vm(&r);
	for (unsigned i = 0; i < 2; i++) {
		r.client_closed = false;
		r.client = rig_dial(&r, kinds[i], r.key);
		link_send(r.client, types[i], i ? &reply.base : &report.base, NULL);
		rig_until(&r, client_is_closed, &r);
	}
	CU_ASSERT_EQUAL(rig_show(&r, "demo")->state, CELLULAR__VM_STATE__VM_RUNNING);
	rig_free(&r);
}

/* ---- the command line ---- */

static void bad_command_lines(void)
{
	char taken[LINK_ADDRESS_MAX], key[80], state[80], said[1024];
	const struct {
		int status;
		const char *args[8];
	} lines[] = {
		{2, {rig_program}},
		{2, {rig_program, "--bogus"}},
		{2, {rig_program, "--state"}},
		{2, {rig_program, "--state", state}},
		{2, {rig_program, "--state", state, "--key", key, "more"}},
		{2, {rig_program, "--state", state, "--key", key, "--listen", "nonsense"}},
		{2, {rig_program, "--state", state, "--key", key, "--start-timeout", "0"}},
		{2, {rig_program, "--state", state, "--key", state}},
		{3, {rig_program, "--state", "/nonexistent/x", "--key", key}},
		{3, {rig_program, "--state", state, "--key", "/nonexistent/key"}},
		{7, {rig_program, "--state", r.state, "--key", key}},
		{7, {rig_program, "--state", state, "--key", key, "--listen", taken}},
		{0, {rig_program, "--help"}},
		{0, {rig_program, "--version"}},
	};

	server_running_vm(&r);
	memcpy(taken, r.address, sizeof(taken));
	snprintf(key, sizeof(key), "%s/key", r.dir);
	snprintf(state, sizeof(state), "%s/other", r.dir);
	for (unsigned i = 0; i < UNIT_COUNT(lines); i++) {
		int status = rig_run(lines[i].args, said, sizeof(said));
		const char *last = strstr(said, "cell-controller: ");

		if (status != lines[i].status)
			fprintf(stderr, "line %u: status %d: %s\n", i, status, said);
		CU_ASSERT_EQUAL(status, lines[i].status);
		CU_ASSERT(status == 0 || (last && strchr(last, '\n')));
	}
	CU_ASSERT_EQUAL(rig_show(&r, "demo")->state, CELLULAR__VM_STATE__VM_RUNNING);
	for (unsigned i = 0; i < 4; i++) {
		static const char *const left[] = {"controller.db", "controller.db-wal", "lock",
						   ""};

		snprintf(said, sizeof(said), "%s/%s", state, left[i]);
		if (unlink(said) != 0)
			rmdir(said);
	}
	rig_free(&r);
}

/* The tree may lie where nobody else may look, so that nobody gets a program of its own. */
static bool copy_program(const char *to)
{
	int in = open(rig_program, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	ssize_t n = 1;

	while (in >= 0 && out >= 0 && n > 0)
		n = sendfile(out, in, NULL, 1 << 20);
	if (in >= 0)
		close(in);
	if (out >= 0 && (fchmod(out, 0755) != 0 || close(out) != 0))
		return false;
	return in >= 0 && out >= 0 && n == 0;
}

static void no_right_to_the_state(void)
{
	char dir[] = "/tmp/cellular-denied.XXXXXX", state[64], key[64], program[64], said[1024];
	const char *args[] = {program, "--state", state, "--key", key, NULL};
	pid_t pid;
	int status;

	if (geteuid() != 0) {
		unit_skip("needs root, to become nobody");
		return;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(key, sizeof(key), "%s/key", dir);
	snprintf(program, sizeof(program), "%s/cell-controller", dir);
	CU_ASSERT_EQUAL_FATAL(chmod(dir, 0755), 0);
	CU_ASSERT_FATAL(copy_program(program));
	pid = fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(99);
		_exit(rig_run(args, said, sizeof(said)));
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 6);
	unlink(program);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(clients_that_go),	UNIT_CASE(a_client_that_asks_too_much),
		UNIT_CASE(garbage_on_the_port), UNIT_CASE(messages_of_others),
		UNIT_CASE(bad_command_lines),	UNIT_CASE(no_right_to_the_state),
	};

	return server_main(argc, argv, "controller-hostile", cases, UNIT_COUNT(cases));
}
