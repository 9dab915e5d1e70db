/* SPDX-License-Identifier: Apache-2.0 */
/* Words, tables and JSON: all that cellctl prints of what others said. */
#include "controller/cli/words.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/json.h"
#include "controller/cli/table.h"
#include "tests/unit/unit.h"

static void numbers_have_words(void)
{
	CU_ASSERT_STRING_EQUAL(words_vm_state(CELLULAR__VM_STATE__VM_ENDED), "ended");
	CU_ASSERT_STRING_EQUAL(words_vm_state((Cellular__VmState)77), "?");
	CU_ASSERT_STRING_EQUAL(words_vm_state((Cellular__VmState)-1), "?");
	CU_ASSERT_STRING_EQUAL(words_frag_state(CELLULAR__FRAG_STATE__FRAG_GONE), "gone");
	CU_ASSERT_STRING_EQUAL(words_end_cause(CELLULAR__END_CAUSE__END_MONITOR), "monitor");
	CU_ASSERT_STRING_EQUAL(words_end_cause((Cellular__EndCause)9), "?");
}

static void durations_are_short(void)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {{0, "0 ms"},	   {999, "999 ms"},	 {1000, "1.0 s"},
		     {59999, "59.9 s"},	   {60000, "1 min 0 s"}, {3661000, "1 h 1 min"},
		     {90000000, "1 d 1 h"}};
	char out[WORDS_TIME_MAX];

	for (unsigned i = 0; i < UNIT_COUNT(cases); i++)
		CU_ASSERT_STRING_EQUAL(words_duration(cases[i].ms, out), cases[i].text);
	CU_ASSERT_STRING_EQUAL(words_time(0, out), "-");
	CU_ASSERT(strlen(words_time(UINT64_MAX, out)) < WORDS_TIME_MAX);
}

static void numbers_are_joined(void)
{
	static const uint32_t runs[] = {0, 1, 2, 5, 7, 8};
	uint32_t odd[200];
	char out[WORDS_LIST_MAX];

	CU_ASSERT_STRING_EQUAL(words_numbers(runs, 6, out), "0-2,5,7-8");
	CU_ASSERT_STRING_EQUAL(words_numbers(runs, 1, out), "0");
	CU_ASSERT_STRING_EQUAL(words_numbers(NULL, 0, out), "-");
	for (uint32_t i = 0; i < 200; i++)
		odd[i] = 4000000000u + 2 * i;
	words_numbers(odd, 200, out);
	CU_ASSERT_STRING_EQUAL(out + strlen(out) - 4, ",...");
}

static char *table_text(struct table *t)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	CU_ASSERT_EQUAL(table_print(t, out, NULL), ERR_OK);
	fclose(out);
	return text;
}

static struct table *two_rows(void)
{
	struct table *t = table_new("NAME,>N");

	table_row(t);
	table_put(t, "%s", "gr\xc3\xbc\xc3\x9f");
	table_put(t, "%d", 5);
	table_row(t);
	table_put(t, "%s", "a\x1b[31mb");
	table_put(t, "%d", 12345);
	return t;
}

static void tables_are_aligned_and_safe(void)
{
	char *text = table_text(two_rows());

	CU_ASSERT_STRING_EQUAL(text, "NAME                   N\n"
				     "gr\\xc3\\xbc\\xc3\\x9f     5\n"
				     "a\\x1b[31mb         12345\n");
	free(text);
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return;
	text = table_text(two_rows());
	CU_ASSERT_STRING_EQUAL(text, "NAME           N\n"
				     "gr\xc3\xbc\xc3\x9f           5\n"
				     "a\\x1b[31mb 12345\n");
	free(text);
	setlocale(LC_CTYPE, "C");
}

static void empty_tables_have_a_heading(void)
{
	char *text = table_text(table_new("A,B"));

	CU_ASSERT_STRING_EQUAL(text, "A B\n");
	free(text);
}

static void hostile_text_is_valid_json(void)
{
	Cellular__VmInfo vm = CELLULAR__VM_INFO__INIT;
	Cellular__EndReason reason = CELLULAR__END_REASON__INIT;
	json_t *value, *back;
	char *text;

	vm.name = (char *)"a\xff\x1b\xc2\x9b\"";
	vm.state = (Cellular__VmState)99;
	vm.id = UINT64_MAX;
	reason.cause = CELLULAR__END_CAUSE__END_EXIT;
	reason.code = -1;
	vm.reason = &reason;
	value = json_vm(&vm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	text = json_dumps(value, JSON_ENSURE_ASCII);
	for (const char *p = text; *p; p++)
		CU_ASSERT(*p >= ' ' && *p < 127);
	back = json_loads(text, 0, NULL);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(back, "name")),
			       "a\\xff\\x1b\\xc2\\x9b\"");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(back, "state")), "?");
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_object_get(back, "reason"), "code")), -1);
	CU_ASSERT(json_is_null(json_object_get(back, "spec")));
	free(text);
	json_decref(value);
	json_decref(back);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(numbers_have_words),		UNIT_CASE(durations_are_short),
		UNIT_CASE(numbers_are_joined),		UNIT_CASE(tables_are_aligned_and_safe),
		UNIT_CASE(empty_tables_have_a_heading), UNIT_CASE(hostile_text_is_valid_json),
	};

	return unit_main("cli-words", cases, UNIT_COUNT(cases));
}
