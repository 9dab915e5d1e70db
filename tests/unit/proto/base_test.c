/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small helpers: errors, buffers, descriptors, addresses, the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/address.h"
#include "proto/base/buffer.h"
#include "proto/base/clock.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/base/rand.h"
#include "tests/unit/unit.h"

static void errors_are_set_wrapped_and_cut(void)
{
	char long_text[2 * ERR_TEXT_MAX];
	struct err e;

	CU_ASSERT_EQUAL(err_set(&e, ERR_BUSY, "%d", 5), ERR_BUSY);
	CU_ASSERT_EQUAL(err_wrap(&e, e.code, "member %d", 3), ERR_BUSY);
	CU_ASSERT_STRING_EQUAL(e.text, "member 3: 5");
	CU_ASSERT_EQUAL(err_sys(&e, ENOENT, "file %s", "a"), ERR_NOTFOUND);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "file a: No such file"));
	CU_ASSERT_EQUAL(err_set(NULL, ERR_LOST, "x"), ERR_LOST);
	CU_ASSERT_EQUAL(err_sys(NULL, EADDRINUSE, "x"), ERR_EXISTS);
	CU_ASSERT_EQUAL(err_wrap(NULL, ERR_LOST, "x"), ERR_LOST);
	memset(long_text, 'a', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = 0;
	err_set(&e, ERR_SYS, "%s", long_text);
	CU_ASSERT_EQUAL(strlen(e.text), ERR_TEXT_MAX - 1);
	err_wrap(&e, e.code, "%s", long_text);
	CU_ASSERT_EQUAL(strlen(e.text), ERR_TEXT_MAX - 1);
}

static void every_error_has_a_name_a_sentence_and_a_status(void)
{
	for (int code = ERR_OK; code <= ERR_INTERRUPTED; code++) {
		CU_ASSERT_STRING_NOT_EQUAL(err_name(code), "?");
		CU_ASSERT_STRING_NOT_EQUAL(err_sentence(code), "?");
		CU_ASSERT_EQUAL(err_exit_status(code) == 0, code == ERR_OK);
	}
	CU_ASSERT_STRING_EQUAL(err_name(-1), "?");
	CU_ASSERT_STRING_EQUAL(err_sentence(ERR_INTERRUPTED + 1), "?");
}

/* Against a naive copy of the same bytes. */
static void buffer_keeps_bytes_in_order(void)
{
	struct buffer b = {0};
	uint32_t in = 0, out = 0;

	srand(3);
	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[300];
		size_t n = (size_t)rand() % sizeof(bytes), have = buffer_length(&b);

		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)(in++ * 7);
		CU_ASSERT_TRUE_FATAL(buffer_append(&b, bytes, n));
		CU_ASSERT_EQUAL_FATAL(buffer_length(&b), have + n);
		n = (size_t)rand() % (i % 1000 > 500 ? 400 : 200);
		n = n < buffer_length(&b) ? n : buffer_length(&b);
		for (size_t k = 0; k < n; k++)
			if (buffer_bytes(&b)[k] != (uint8_t)(out++ * 7))
				CU_FAIL_FATAL("a byte is not the one that was put in");
		buffer_consume(&b, n);
	}
	buffer_free(&b);
	CU_ASSERT_EQUAL(buffer_length(&b), 0);
	CU_ASSERT_PTR_NULL(buffer_bytes(&b));
}

/* The sanitizers end a program that asks for absurd amounts, unless told. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void buffer_without_memory_stays_as_it_was(void)
{
	struct buffer b = {0};

	CU_ASSERT_TRUE(buffer_append(&b, "abc", 3));
	CU_ASSERT_PTR_NULL(buffer_room(&b, PTRDIFF_MAX / 2));
	CU_ASSERT_EQUAL(buffer_length(&b), 3);
	CU_ASSERT_EQUAL(memcmp(buffer_bytes(&b), "abc", 3), 0);
	buffer_free(&b);
}

static void descriptors(void)
{
	char text[8] = "";
	struct err e;
	int p[2];

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	CU_ASSERT_EQUAL(fd_set_cloexec(p[0], true, &e), ERR_OK);
	CU_ASSERT_TRUE(fcntl(p[0], F_GETFD) & FD_CLOEXEC);
	CU_ASSERT_EQUAL(fd_set_cloexec(p[0], false, &e), ERR_OK);
	CU_ASSERT_FALSE(fcntl(p[0], F_GETFD) & FD_CLOEXEC);
	CU_ASSERT_EQUAL(fd_set_nonblock(p[1], true, &e), ERR_OK);
	CU_ASSERT_TRUE(fcntl(p[1], F_GETFL) & O_NONBLOCK);
	CU_ASSERT_EQUAL(fd_write_full(p[1], "abc", 3, &e), ERR_OK);
	CU_ASSERT_EQUAL(fd_read_full(p[0], text, 3, &e), ERR_OK);
	CU_ASSERT_STRING_EQUAL(text, "abc");
	fd_close(&p[1]);
	CU_ASSERT_EQUAL(p[1], -1);
	CU_ASSERT_EQUAL(fd_read_full(p[0], text, 1, &e), ERR_LOST);
	fd_close(&p[0]);
	fd_close(&p[0]);
	CU_ASSERT_EQUAL(fd_set_cloexec(-1, true, &e), ERR_SYS);
}

static void files(void)
{
	char path[] = "/tmp/cellular-base-XXXXXX", *bytes = NULL;
	int fd = mkstemp(path);
	size_t n = 0;

	CU_ASSERT_EQUAL(fd_write_full(fd, "some text", 9, NULL), ERR_OK);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(fd_read_file(path, 9, &bytes, &n, NULL), ERR_OK);
	CU_ASSERT_EQUAL(n, 9);
	CU_ASSERT_STRING_EQUAL(bytes, "some text");
	free(bytes);
	CU_ASSERT_EQUAL(fd_read_file(path, 8, &bytes, &n, NULL), ERR_TOOBIG);
	unlink(path);
	CU_ASSERT_EQUAL(fd_read_file(path, 9, &bytes, &n, NULL), ERR_NOTFOUND);
	CU_ASSERT_EQUAL(fd_read_file("/tmp", 9, &bytes, &n, NULL), ERR_INVALID);
	CU_ASSERT_EQUAL(fd_read_file("/dev/zero", 9, &bytes, &n, NULL), ERR_INVALID);
}

static void addresses(void)
{
	static const char *const good[] = {"127.0.0.1:0", "10.0.0.1:4711", "[::1]:65535",
					   "[2001:db8::5]:80"};
	static const char *const bad[] = {"",
					  ":",
					  "127.0.0.1",
					  "127.0.0.1:",
					  ":80",
					  "::1:80",
					  "[::1]80",
					  "[::1:80",
					  "127.0.0.1:65536",
					  "127.0.0.1:-1",
					  "127.0.0.1:1a",
					  "localhost:80",
					  "127.0.0.1:000080",
					  "[]:80",
					  "127.0.0.1:80 "};
	char text[ADDRESS_TEXT_MAX], tight[5];
	struct address a;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(address_parse(good[i], &a, NULL), ERR_OK);
		CU_ASSERT_EQUAL(address_format(&a, text, sizeof(text), NULL), ERR_OK);
		CU_ASSERT_STRING_EQUAL(text, good[i]);
		CU_ASSERT_EQUAL(address_format(&a, tight, sizeof(tight), NULL), ERR_TOOBIG);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(address_parse(bad[i], &a, NULL), ERR_INVALID);
	CU_ASSERT_EQUAL(address_of_socket(-1, text, sizeof(text), NULL), ERR_SYS);
}

static void clocks_and_random_bytes(void)
{
	uint8_t a[32] = {0}, b[32] = {0};
	uint64_t t = clock_ns();

	CU_ASSERT_TRUE(clock_ns() >= t);
	CU_ASSERT_TRUE(clock_ms() >= t / 1000000);
	CU_ASSERT_TRUE(clock_unix_ms() > 1700000000000);
	CU_ASSERT_EQUAL(rand_bytes(a, sizeof(a), NULL), ERR_OK);
	CU_ASSERT_EQUAL(rand_bytes(b, sizeof(b), NULL), ERR_OK);
	CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof(a)), 0);
}

/* What the log wrote to stderr. */
static void capture(char *out, size_t room, void (*speak)(void))
{
	int saved = dup(STDERR_FILENO), p[2];
	ssize_t n;

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	speak();
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(p[0], out, room - 1);
	out[n > 0 ? n : 0] = 0;
	close(p[0]);
}

static void speak_lines(void)
{
	log_open("tester");
	log_debug("not shown");
	log_warning("cell %d said \"%s\"", 3, "a\nb\x1b[31m");
}

static void speak_long(void)
{
	char text[3000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	log_error("%s", text);
}

static void log_writes_one_clean_line(void)
{
	char line[4096];
	const char *text;

	unsetenv("CELLULAR_LOG");
	capture(line, sizeof(line), speak_lines);
	text = strstr(line, " tester: warning: ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_STRING_EQUAL(text, " tester: warning: cell 3 said \"a b [31m\"\n");
	capture(line, sizeof(line), speak_long);
	CU_ASSERT_EQUAL(strlen(line), LOG_LINE_MAX);
	CU_ASSERT_EQUAL(line[LOG_LINE_MAX - 1], '\n');
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(errors_are_set_wrapped_and_cut),
		UNIT_CASE(every_error_has_a_name_a_sentence_and_a_status),
		UNIT_CASE(buffer_keeps_bytes_in_order),
		UNIT_CASE(buffer_without_memory_stays_as_it_was),
		UNIT_CASE(descriptors),
		UNIT_CASE(files),
		UNIT_CASE(addresses),
		UNIT_CASE(clocks_and_random_bytes),
		UNIT_CASE(log_writes_one_clean_line),
	};

	return unit_main("base", cases, UNIT_COUNT(cases));
}
