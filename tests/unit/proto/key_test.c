/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/key.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/cellular-key.XXXXXX";
static char path[64];

static void write_file(const char *text, mode_t mode)
{
	FILE *f;

	unlink(path);
	f = fopen(path, "w");
	CU_ASSERT_FATAL(f != NULL);
	fputs(text, f);
	fchmod(fileno(f), mode);
	fclose(f);
}

static void made_then_read(void)
{
	uint8_t made[CELL_KEY_BYTES] = {0}, again[CELL_KEY_BYTES] = {1}, read[CELL_KEY_BYTES] = {2};
	struct stat st;
	struct err e;

	CU_ASSERT_EQUAL(key_file_read(path, read, &e), ERR_NOTFOUND);
	CU_ASSERT_EQUAL(key_file_make(path, made, &e), ERR_OK);
	CU_ASSERT_EQUAL(key_file_make(path, again, &e), ERR_OK);
	CU_ASSERT_EQUAL(key_file_read(path, read, &e), ERR_OK);
	CU_ASSERT_EQUAL(memcmp(made, again, sizeof(made)), 0);
	CU_ASSERT_EQUAL(memcmp(made, read, sizeof(made)), 0);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(st.st_size, 65);
}

static void makers_agree(void)
{
	uint8_t mine[CELL_KEY_BYTES];
	int status, go[2];
	char c;

	unlink(path);
	CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
	for (int i = 0; i < 8; i++)
		if (fork() == 0) {
			uint8_t made[CELL_KEY_BYTES], there[CELL_KEY_BYTES];

			close(go[1]);
			(void)!read(go[0], &c, 1);
			_exit(key_file_make(path, made, NULL) || key_file_read(path, there, NULL) ||
			      memcmp(made, there, sizeof(made)) != 0);
		}
	close(go[0]);
	close(go[1]);
	while (wait(&status) > 0)
		CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(key_file_read(path, mine, NULL), ERR_OK);
}

#define HEX63 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef"

static void bad_files(void)
{
	static const struct {
		const char *text;
		mode_t mode;
		int code;
	} rows[] = {
		{HEX63 "f\n", 0600, ERR_OK},	   {HEX63 "F", 0600, ERR_OK},
		{HEX63 "f\n", 0640, ERR_INVALID},  {HEX63 "f\n", 0604, ERR_INVALID},
		{HEX63 "\n", 0600, ERR_INVALID},   {HEX63 "g\n", 0600, ERR_INVALID},
		{HEX63 "ff\n", 0600, ERR_INVALID}, {HEX63 "f\n\n", 0600, ERR_INVALID},
		{"", 0600, ERR_INVALID},
	};
	uint8_t key[CELL_KEY_BYTES];
	struct err e;

	for (unsigned i = 0; i < UNIT_COUNT(rows); i++) {
		write_file(rows[i].text, rows[i].mode);
		CU_ASSERT_EQUAL(key_file_read(path, key, &e), rows[i].code);
		CU_ASSERT_EQUAL(key_file_make(path, key, &e), rows[i].code);
	}
	CU_ASSERT_EQUAL(key_file_read(dir, key, &e), ERR_INVALID);
	CU_ASSERT_EQUAL(key_file_make("/nonexistent/key", key, &e), ERR_NOTFOUND);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(made_then_read),
		UNIT_CASE(makers_agree),
		UNIT_CASE(bad_files),
	};
	int ret;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/key", dir);
	ret = unit_main("key", cases, UNIT_COUNT(cases));
	unlink(path);
	rmdir(dir);
	return ret;
}
