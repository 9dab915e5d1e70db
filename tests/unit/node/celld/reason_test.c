/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/reason.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/celld/last_words.h"
#include "tests/unit/unit.h"

static void message_and_value_agree(void)
{
	Cellular__EndReason in = CELLULAR__END_REASON__INIT, out;
	struct end_reason r;

	in.cause = CELLULAR__END_CAUSE__END_GUEST_FAULT;
	in.code = -5;
	in.member = 9;
	in.cell = (char *)"c1";
	in.text = (char *)"it fell";
	reason_from_message(&r, &in);
	reason_to_message(&r, &out);
	CU_ASSERT(out.cause == in.cause && out.code == -5 && out.member == 9);
	CU_ASSERT_STRING_EQUAL(out.cell, "c1");
	CU_ASSERT_STRING_EQUAL(out.text, "it fell");
	reason_from_message(&r, NULL);
	CU_ASSERT_EQUAL(r.cause, CELLULAR__END_CAUSE__END_NONE);
}

static void long_texts_are_cut(void)
{
	Cellular__EndReason in = CELLULAR__END_REASON__INIT;
	char text[2 * ERR_TEXT_MAX];
	struct end_reason r;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	in.cell = in.text = text;
	reason_from_message(&r, &in);
	CU_ASSERT_EQUAL(strlen(r.cell), CELL_NAME_MAX - 1);
	CU_ASSERT_EQUAL(strlen(r.text), ERR_TEXT_MAX - 1);
}

static void death_of_a_process_is_named(void)
{
	struct end_reason r = {.cell = "c2"};

	reason_of_process(&r, SIGSEGV, 77, "oh no");
	CU_ASSERT_EQUAL(r.cause, CELLULAR__END_CAUSE__END_PROCESS_DIED);
	CU_ASSERT_STRING_EQUAL(r.text, "cell-vm (pid 77) on c2 was ended by signal 11 "
				       "(Segmentation fault); its last words: oh no");
	reason_of_process(&r, SIGSYS, 79, "openat");
	CU_ASSERT_STRING_EQUAL(r.text, "cell-vm (pid 79) on c2 was ended by signal 31 (Bad system "
				       "call): it made a system call that its sandbox forbids; its "
				       "last words: openat");
	reason_of_process(&r, 3 << 8, 78, "");
	CU_ASSERT_STRING_EQUAL(r.text, "cell-vm (pid 78) on c2 ended by itself with status 3");
}

static void last_line_is_found(void)
{
	static const struct {
		const char *text, *words;
	} cases[] = {{"", ""},
		     {"\n\n", ""},
		     {"one", "one"},
		     {"one\ntwo\n", "two"},
		     {"one\ntwo\r\n\n\n", "two"}};
	char path[] = "/tmp/last-words-XXXXXX", out[LAST_WORDS_MAX], big[3000];
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
		CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
		CU_ASSERT(pwrite(fd, cases[i].text, strlen(cases[i].text), 0) >= 0);
		last_words(path, out);
		CU_ASSERT_STRING_EQUAL(out, cases[i].words);
	}
	memset(big, 'y', sizeof(big));
	CU_ASSERT(pwrite(fd, big, sizeof(big), 0) == sizeof(big));
	last_words(path, out);
	CU_ASSERT_EQUAL(strlen(out), LAST_WORDS_MAX - 1);
	close(fd);
	unlink(path);
	last_words(path, out);
	CU_ASSERT_STRING_EQUAL(out, "");
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(message_and_value_agree),
		UNIT_CASE(long_texts_are_cut),
		UNIT_CASE(death_of_a_process_is_named),
		UNIT_CASE(last_line_is_found),
	};

	return unit_main("celld-reason", cases, UNIT_COUNT(cases));
}
