/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a real guest ELF into plain memory, and every way that can fail. */
#include "node/vm/load.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define MEMORY (64ull << 20)

static char dir[] = "/tmp/load-test-XXXXXX";
static char text[64], hole[64], fifo[64];
static struct load_file files[GUEST_FILES_MAX + 1];
static char *args[GUEST_ARGS_MAX + 1] = {(char *)"one", (char *)"", (char *)"three"};

static struct load_config sound(void)
{
	files[0] = (struct load_file){"text", text};
	files[1] = (struct load_file){"hole", hole};
	return (struct load_config){
		.guest = "guests/hello.elf",
		.args = 3,
		.arg = args,
		.files = 2,
		.file = files,
		.vcpus = 4,
		.memory = MEMORY,
	};
}

static const char *string_at(const struct guest_memory *m, uint64_t a)
{
	return (const char *)m->base + a;
}

static void puts_everything_in_its_place(void)
{
	struct load_config c = sound();
	struct guest_memory m = {.bytes = MEMORY};
	const struct guest_boot *boot;
	struct load *l;
	struct err e = {0};

	m.base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_EQUAL_FATAL(load_open(&c, &l, &e), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(load_read(l, &e), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(load_copy(l, &m, 3000000, &e), ERR_OK);
	load_close(l);

	boot = (const struct guest_boot *)(m.base + GUEST_BOOT);
	CU_ASSERT_EQUAL(boot->version, GUEST_ABI_VERSION);
	CU_ASSERT_EQUAL(boot->vcpus, 4);
	CU_ASSERT_EQUAL(boot->tsc_khz, 3000000);
	CU_ASSERT_EQUAL(boot->memory_end, MEMORY);
	CU_ASSERT_TRUE(boot->entry >= GUEST_IMAGE && boot->entry < boot->heap_start);
	CU_ASSERT_EQUAL(boot->argc, 3);
	CU_ASSERT_STRING_EQUAL(string_at(&m, boot->argv[0]), "one");
	CU_ASSERT_STRING_EQUAL(string_at(&m, boot->argv[1]), "");
	CU_ASSERT_STRING_EQUAL(string_at(&m, boot->argv[2]), "three");
	CU_ASSERT_EQUAL(boot->argv[3], 0);
	CU_ASSERT_EQUAL(boot->files, 2);
	CU_ASSERT_STRING_EQUAL(boot->file[0].name, "text");
	CU_ASSERT_EQUAL(boot->file[0].bytes, 5);
	CU_ASSERT_EQUAL(boot->file[0].address % 4096, 0);
	CU_ASSERT_EQUAL(memcmp(string_at(&m, boot->file[0].address), "words", 5), 0);
	CU_ASSERT_EQUAL(boot->file[1].bytes, 1 << 20);
	CU_ASSERT_TRUE(boot->file[1].address >= boot->file[0].address + 5);
	CU_ASSERT_TRUE(boot->heap_start >= boot->file[1].address + (1 << 20));
	CU_ASSERT_EQUAL(boot->heap_end, MEMORY - 4 * GUEST_STACK_BYTES);
	CU_ASSERT_EQUAL(boot->stack_top[0], boot->heap_end + GUEST_STACK_BYTES);
	CU_ASSERT_EQUAL(boot->stack_top[3], MEMORY);
	CU_ASSERT_EQUAL(m.base[GUEST_LOCAL_BYTES - 1], 0);
	munmap(m.base, MEMORY);
}

static void refused(const struct load_config *c, int code, const char *says)
{
	struct err e = {0};
	struct load *l = NULL;
	int rc = load_open(c, &l, &e);

	CU_ASSERT_EQUAL(rc ? rc : load_read(l, &e), code);
	load_close(l);
	if (!strstr(e.text, says)) {
		CU_FAIL("wrong sentence");
		fprintf(stderr, "\"%s\" does not say \"%s\"\n", e.text, says);
	}
}

static void says_what_is_wrong_with_the_guest(void)
{
	struct load_config c = sound();

	c.guest = "/nowhere/x.elf";
	refused(&c, ERR_NOTFOUND, "/nowhere/x.elf: No such file");
	c.guest = text;
	refused(&c, ERR_INVALID, "not an ELF file");
	c.guest = "bin/hello-native";
	refused(&c, ERR_INVALID, "bin/hello-native: not a static executable");
	c.guest = dir;
	refused(&c, ERR_INVALID, "not a regular file");
	c.guest = fifo;
	refused(&c, ERR_INVALID, "not a regular file");
}

static void says_what_does_not_fit(void)
{
	struct load_config c = sound();

	c.memory = GUEST_IMAGE + (2 << 20);
	CU_ASSERT_EQUAL_FATAL(truncate(hole, 300 << 20), 0);
	refused(&c, ERR_NOSPACE, "guest too large: needs 304 MiB, VM has 4 MiB");
	c.vcpus = 64;
	c.files = 0;
	refused(&c, ERR_NOSPACE, "guest too large: needs");
	CU_ASSERT_EQUAL_FATAL(truncate(hole, 1ll << 42), 0);
	c = sound();
	refused(&c, ERR_TOOBIG, "too large");
	CU_ASSERT_EQUAL_FATAL(truncate(hole, 1 << 20), 0);
}

static void says_what_is_wrong_with_files(void)
{
	static char long_name[GUEST_FILE_NAME_MAX + 1];
	struct load_config c = sound();

	files[1].path = "/nowhere/data";
	refused(&c, ERR_NOTFOUND, "file \"hole\": /nowhere/data");
	c = sound();
	files[0].name = "";
	refused(&c, ERR_INVALID, "name of file 0");
	memset(long_name, 'x', sizeof(long_name) - 1);
	files[0].name = long_name;
	refused(&c, ERR_INVALID, "name of file 0");
	c = sound();
	c.files = GUEST_FILES_MAX + 1;
	refused(&c, ERR_TOOBIG, "more than 32 files");
}

static void says_what_is_wrong_with_arguments(void)
{
	static char huge[2 << 20];
	struct load_config c = sound();

	c.args = GUEST_ARGS_MAX + 1;
	refused(&c, ERR_TOOBIG, "more than 64 arguments");
	c = sound();
	memset(huge, 'x', sizeof(huge) - 1);
	args[2] = huge;
	refused(&c, ERR_TOOBIG, "arguments longer than");
	args[2] = (char *)"three";
}

static void a_file_that_shrinks_is_noticed(void)
{
	struct load_config c = sound();
	struct guest_memory m = {.bytes = MEMORY};
	struct err e = {0};
	struct load *l;

	m.base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_EQUAL_FATAL(load_open(&c, &l, &e), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(load_read(l, &e), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(truncate(hole, 1000), 0);
	CU_ASSERT_EQUAL(load_copy(l, &m, 3000000, &e), ERR_SYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "became shorter"));
	load_close(l);
	munmap(m.base, MEMORY);
}

static void make_files(void)
{
	FILE *f;

	if (!mkdtemp(dir))
		exit(1);
	snprintf(text, sizeof(text), "%s/text", dir);
	snprintf(hole, sizeof(hole), "%s/hole", dir);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	f = fopen(text, "we");
	if (!f || fputs("words", f) < 0 || fclose(f) || mkfifo(fifo, 0600))
		exit(1);
	close(open(hole, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	if (truncate(hole, 1 << 20))
		exit(1);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(puts_everything_in_its_place),
		UNIT_CASE(says_what_is_wrong_with_the_guest),
		UNIT_CASE(says_what_does_not_fit),
		UNIT_CASE(says_what_is_wrong_with_files),
		UNIT_CASE(says_what_is_wrong_with_arguments),
		UNIT_CASE(a_file_that_shrinks_is_noticed),
	};
	int rc;

	make_files();
	rc = unit_main("load", cases, UNIT_COUNT(cases));
	unlink(text);
	unlink(hole);
	unlink(fifo);
	rmdir(dir);
	return rc;
}
