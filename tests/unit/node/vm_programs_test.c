/* SPDX-License-Identifier: Apache-2.0 */
/* The programs on real vCPUs print what their native twins print. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/node/run_vm.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/vm-programs-XXXXXX";
static char grid[64], text[64];
static struct load_file files[2];

static struct run_vm vm;

static bool run(const char *guest, unsigned vcpus, unsigned n, char **args)
{
	struct err e = {0};
	int rc;

	memset(&vm, 0, sizeof(vm));
	vm.vcpus = vcpus;
	vm.load = (struct load_config){
		.guest = guest, .args = n, .arg = args, .files = 2, .file = files};
	rc = run_vm(&vm, &e);
	if (rc == ERR_NOTFOUND || rc == ERR_DENIED) {
		unit_skip("%s", e.text);
		return false;
	}
	if (rc)
		fprintf(stderr, "%s\n", e.text);
	CU_ASSERT_EQUAL_FATAL(rc, ERR_OK);
	return true;
}

/* What the native program prints. */
static void run_native(const char *command, char *out, size_t room)
{
	char line[512];
	size_t n;
	FILE *p;

	snprintf(line, sizeof(line), "bin/%s grid=%s text=%s", command, grid, text);
	p = popen(line, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	n = fread(out, 1, room - 1, p);
	out[n] = 0;
	CU_ASSERT_EQUAL(pclose(p), 0);
}

static void expect_exit(int code)
{
	CU_ASSERT_EQUAL(vm.end.cause, CELLULAR__END_CAUSE__END_EXIT);
	CU_ASSERT_EQUAL(vm.end.code, code);
	if (vm.end.cause != CELLULAR__END_CAUSE__END_EXIT || vm.end.code != code)
		fprintf(stderr, "%s\n%s\n", vm.end.text, vm.console);
}

static void every_vcpu_says_hello(void)
{
	char *args[] = {(char *)"rack"}, line[64];

	for (unsigned vcpus = 1; vcpus <= 8; vcpus *= 2) {
		if (!run("guests/hello.elf", vcpus, 1, args))
			return;
		expect_exit(0);
		for (unsigned i = 0; i < vcpus; i++) {
			snprintf(line, sizeof(line), "hello rack from vcpu %u of %u\n", i, vcpus);
			CU_ASSERT_PTR_NOT_NULL(strstr(vm.console, line));
		}
		snprintf(line, sizeof(line), "result hello greeted=%u\n", vcpus);
		CU_ASSERT_PTR_NOT_NULL(strstr(vm.console, line));
	}
}

static void same_as_native(const char *name, unsigned n, char **args)
{
	static char native[1 << 16];
	char guest[64], command[128];

	snprintf(guest, sizeof(guest), "guests/%s.elf", name);
	snprintf(command, sizeof(command), "%s-native vcpus=4 %s %s", name, n ? args[0] : "",
		 n > 1 ? args[1] : "");
	if (!run(guest, 4, n, args))
		return;
	expect_exit(0);
	run_native(command, native, sizeof(native));
	CU_ASSERT_STRING_EQUAL(vm.console, native);
	CU_ASSERT_PTR_NOT_NULL(strstr(native, "checksum="));
}

static void jacobi_is_right(void)
{
	char *args[] = {(char *)"300", (char *)"7"};

	same_as_native("jacobi", 2, args);
}

static void wordcount_is_right(void)
{
	same_as_native("wordcount", 0, NULL);
}

static void suite_is_right(void)
{
	char *args[] = {(char *)"300", (char *)"4"};

	same_as_native("suite", 2, args);
}

/* Times differ; that there are some, and that the clock goes, can be told. */
static void faults_are_timed(void)
{
	char *args[] = {(char *)"300"};
	unsigned long n = 0, least = 0, half = 0;
	const char *line;

	if (!run("guests/faults.elf", 2, 1, args))
		return;
	expect_exit(0);
	line = strstr(vm.console, "result faults kind=upgrade");
	CU_ASSERT_PTR_NOT_NULL(line);
	CU_ASSERT_EQUAL(sscanf(line ? line : "",
			       "result faults kind=upgrade n=%lu min_ns=%lu p50_ns=%lu", &n, &least,
			       &half),
			3);
	CU_ASSERT_TRUE(n == 300 && half >= least && half > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(vm.console, "result faults kind=turn n=1000 mean_ns="));
}

static void bad_arguments_are_refused(void)
{
	char *args[] = {(char *)"301", (char *)"4"};

	if (!run("guests/jacobi.elf", 2, 2, args))
		return;
	expect_exit(2);
	CU_ASSERT_PTR_NOT_NULL(strstr(vm.console, "file grid is not a grid of 301"));
	if (run("guests/jacobi.elf", 2, 0, NULL))
		expect_exit(2);
}

static void too_little_memory_is_a_sentence(void)
{
	char *args[] = {(char *)"300", (char *)"4"};
	struct err e = {0};

	memset(&vm, 0, sizeof(vm));
	vm.vcpus = 4;
	vm.memory = 6 << 20;
	vm.load = (struct load_config){
		.guest = "guests/jacobi.elf", .args = 2, .arg = args, .files = 1, .file = files};
	if (access("/dev/kvm", R_OK | W_OK)) {
		unit_skip("no /dev/kvm");
		return;
	}
	CU_ASSERT_EQUAL(run_vm(&vm, &e), ERR_OK);
	expect_exit(125);
	CU_ASSERT_PTR_NOT_NULL(strstr(vm.console, "out of memory: "));
}

static void make_input(void)
{
	char line[256];

	if (!mkdtemp(dir))
		exit(1);
	snprintf(grid, sizeof(grid), "%s/grid", dir);
	snprintf(text, sizeof(text), "%s/text", dir);
	snprintf(line, sizeof(line), "bin/cellgen grid --n 300 --seed %d --out %s", (int)getpid(),
		 grid);
	if (system(line))
		exit(1);
	snprintf(line, sizeof(line), "bin/cellgen text --bytes 500001 --seed %d --out %s",
		 (int)getpid(), text);
	if (system(line))
		exit(1);
	files[0] = (struct load_file){"grid", grid};
	files[1] = (struct load_file){"text", text};
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(every_vcpu_says_hello),
		UNIT_CASE(jacobi_is_right),
		UNIT_CASE(wordcount_is_right),
		UNIT_CASE(suite_is_right),
		UNIT_CASE(faults_are_timed),
		UNIT_CASE(bad_arguments_are_refused),
		UNIT_CASE(too_little_memory_is_a_sentence),
	};
	int rc;

	make_input();
	rc = unit_main("programs", cases, UNIT_COUNT(cases));
	unlink(grid);
	unlink(text);
	rmdir(dir);
	return rc;
}
