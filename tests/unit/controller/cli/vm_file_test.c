/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/vm_file.h"
#include "tests/unit/unit.h"

static const char good[] = "name: demo\n"			 /* 1 */
			   "guest: hello.elf\n"			 /* 2 */
			   "args: [one, two]\n"			 /* 3 */
			   "files:\n"				 /* 4 */
			   "  - {name: text, path: words.txt}\n" /* 5 */
			   "  - {name: b, path: /abs/b}\n"	 /* 6 */
			   "memory: 255MiB\n"			 /* 7 */
			   "vcpus: 4\n"				 /* 8 */
			   "placement:\n"			 /* 9 */
			   "  - {cell: cell0, vcpus: [0, 1]}\n"	 /* 10 */
			   "  - {cell: cell1, vcpus: [2]}\n"	 /* 11 */
			   "  - cell: cell2\n"			 /* 12 */
			   "    vcpus:\n"			 /* 13 */
			   "      - 3\n"			 /* 14 */
			   "on-exit: preserve\n";		 /* 15 */

static int parse(const char *text, Cellular__VmSpec **spec, struct err *e)
{
	return vm_file_parse(text, strlen(text), "demo.yaml", "/base", spec, e);
}

static void good_file_is_read(void)
{
	Cellular__VmSpec *spec;
	struct err e = {0};

	CU_ASSERT_EQUAL_FATAL(parse(good, &spec, &e), ERR_OK);
	CU_ASSERT_STRING_EQUAL(spec->name, "demo");
	CU_ASSERT_STRING_EQUAL(spec->guest, "/base/hello.elf");
	CU_ASSERT_EQUAL_FATAL(spec->n_args, 2);
	CU_ASSERT_STRING_EQUAL(spec->args[1], "two");
	CU_ASSERT_EQUAL_FATAL(spec->n_files, 2);
	CU_ASSERT_STRING_EQUAL(spec->files[0]->name, "text");
	CU_ASSERT_STRING_EQUAL(spec->files[0]->path, "/base/words.txt");
	CU_ASSERT_STRING_EQUAL(spec->files[1]->path, "/abs/b");
	CU_ASSERT_EQUAL(spec->memory, 256ull << 20); /* rounded up to 2 MiB */
	CU_ASSERT_EQUAL(spec->vcpus, 4);
	CU_ASSERT_EQUAL_FATAL(spec->n_placement, 3);
	CU_ASSERT_STRING_EQUAL(spec->placement[2]->cell, "cell2");
	CU_ASSERT_EQUAL_FATAL(spec->placement[0]->n_vcpus, 2);
	CU_ASSERT_EQUAL(spec->placement[0]->vcpus[1], 1);
	CU_ASSERT_EQUAL(spec->on_exit, CELLULAR__ON_EXIT__ON_EXIT_PRESERVE);
	cellular__vm_spec__free_unpacked(spec, NULL);
}

static void short_file_is_enough(void)
{
	Cellular__VmSpec *spec;
	struct err e = {0};

	CU_ASSERT_EQUAL_FATAL(parse("{name: a, guest: /g, memory: 2MiB, vcpus: 1}", &spec, &e),
			      ERR_OK);
	CU_ASSERT_STRING_EQUAL(spec->guest, "/g");
	CU_ASSERT_EQUAL(spec->n_args + spec->n_files + spec->n_placement, 0);
	CU_ASSERT_EQUAL(spec->on_exit, CELLULAR__ON_EXIT__ON_EXIT_DESTROY);
	cellular__vm_spec__free_unpacked(spec, NULL);
}

/* The good file with `was` (first occurrence) replaced. */
static char *edited(const char *was, const char *now)
{
	const char *at = strstr(good, was);
	char *out = malloc(sizeof(good) + strlen(now));

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	sprintf(out, "%.*s%s%s", (int)(at - good), good, now, at + strlen(was));
	return out;
}

static void mistakes_are_told_with_their_line(void)
{
	static const struct {
		const char *was, *now, *told;
	} cases[] = {
		{"vcpus: 4", "vcpuz: 4", "demo.yaml:8: unknown key 'vcpuz'"},
		{"name: demo", "nom: demo", "demo.yaml:1: unknown key 'nom'"},
		{"name: text", "named: text", "demo.yaml:5: unknown key 'named'"},
		{"cell: cell1", "cel: cell1", "demo.yaml:11: unknown key 'cel'"},
		{"  - cell: cell2", "  - cells: cell2", "demo.yaml:12: unknown key 'cells'"},
		{"on-exit", "on_exit", "demo.yaml:15: unknown key 'on_exit'"},
		/* the same word as a value before must not mislead */
		{"args: [one, two]", "args: [\"memry: 1\", memry]\nmemry: 1",
		 "demo.yaml:4: unknown key 'memry'"},
		{"vcpus: 4\n", "", "demo.yaml:1: key 'vcpus' is missing here"},
		{"cell: cell1, ", "", "demo.yaml:11: key 'cell' is missing here"},
		{"path: words.txt", "", "demo.yaml:5: key 'path' is missing here"},
		{"    vcpus:\n      - 3\n", "", "demo.yaml:12: key 'vcpus' is missing here"},
		{"vcpus: 4", "vcpus: 4\nvcpus: 5", "demo.yaml:9: key 'vcpus' is given twice"},
		{"vcpus: 4", "vcpus: 4\nargs: [x]", "demo.yaml:9: key 'args' is given twice"},
		{"vcpus: 4", "vcpus: four",
		 "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
		{"vcpus: 4", "vcpus: -4",
		 "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
		{"vcpus: 4", "vcpus: 0",
		 "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
		{"vcpus: 4", "vcpus: 65",
		 "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
		{"vcpus: 4", "vcpus: 4294967297",
		 "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
		{"vcpus: 4", "vcpus: [4]",
		 "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
		{"vcpus: 4", "vcpus:", "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
		{"vcpus: 4", "vcpus: 5", "demo.yaml:10: vCPU 4 is not placed"},
		{"vcpus: 4", "vcpus: 3", "demo.yaml:14: there is no vCPU 3: 'vcpus' is 3"},
		{"[2]", "[1]", "demo.yaml:11: vCPU 1 is placed twice"},
		{"[2]", "[]",
		 "demo.yaml:11: 'placement[1].vcpus' must be a list of vCPU numbers, not empty"},
		{"      - 3", "      - x",
		 "demo.yaml:14: 'placement[2].vcpus[0]' must be the number of a vCPU, below "
		 "'vcpus'"},
		{"cell1", "cell0", "demo.yaml:11: cell 'cell0' is named twice"},
		{"cell1", "c/1", "demo.yaml:11: 'c/1' is no cell's name"},
		{"name: demo", "name: ../x",
		 "demo.yaml:1: 'name' must be a name: 1 to 63 of A-Z a-z 0-9 . _ -"},
		{"255MiB", "lots",
		 "demo.yaml:7: 'memory': 'lots' is no size; write a whole number with KiB, MiB, "
		 "GiB "
		 "or TiB, e.g. 256MiB"},
		{"255MiB", "1MiB",
		 "demo.yaml:7: 'memory' must be a size like 256MiB, from 2MiB to 64TiB"},
		{"255MiB", "65TiB",
		 "demo.yaml:7: 'memory' must be a size like 256MiB, from 2MiB to 64TiB"},
		{"preserve", "prserve", "demo.yaml:15: 'on-exit' must be destroy or preserve"},
		{"preserve", "1", "demo.yaml:15: 'on-exit' must be destroy or preserve"},
		{"[one, two]", "one", "demo.yaml:3: 'args' must be a list of at most 63 strings"},
		{"hello.elf", "{a: b}", "demo.yaml:2: 'guest' must be a path"},
		{"hello.elf", "", "demo.yaml:2: 'guest' must be a path"},
		{"name: b", "name: text", "demo.yaml:6: file 'text' is given twice"},
		{"[one, two]", "[one, &x two]\nz: *x",
		 "demo.yaml:4: anchors and aliases are not allowed"},
		{"on-exit: preserve", "---\nname: x",
		 "demo.yaml:15: a second document begins here"},
	};

	for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
		char *text = edited(cases[i].was, cases[i].now);
		Cellular__VmSpec *spec = NULL;
		struct err e = {0};

		CU_ASSERT_EQUAL(parse(text, &spec, &e), ERR_INVALID);
		if (strcmp(e.text, cases[i].told) != 0)
			fprintf(stderr, "\n  want: %s\n  got:  %s\n", cases[i].told, e.text);
		CU_ASSERT_STRING_EQUAL(e.text, cases[i].told);
		CU_ASSERT_PTR_NULL(spec);
		free(text);
	}
}

static void broken_text_is_told_with_its_line(void)
{
	static const struct {
		const char *text, *told;
	} cases[] = {
		{"", "demo.yaml:1: the file is empty"},
		{"# nothing\n\n", "demo.yaml:1: the file is empty"},
		{"hello", "demo.yaml:1: a VM file is a list of 'key: value'"},
		{"# x\n- a\n", "demo.yaml:2: a VM file is a list of 'key: value'"},
		{"name: a\n\t- b\n", "demo.yaml:2: not well-formed YAML: "},
		{"name: a\nargs: [b, c\nvcpus: 1\n", "demo.yaml:3: not well-formed YAML: "},
		{"name: \"a\n", "demo.yaml:2: not well-formed YAML: "},
		{"name: \xff\n", "demo.yaml:1: not well-formed YAML: "},
	};

	for (unsigned i = 0; i < UNIT_COUNT(cases); i++) {
		Cellular__VmSpec *spec = NULL;
		struct err e = {0};

		CU_ASSERT_EQUAL(parse(cases[i].text, &spec, &e), ERR_INVALID);
		if (strncmp(e.text, cases[i].told, strlen(cases[i].told)) != 0)
			fprintf(stderr, "\n  want: %s\n  got:  %s\n", cases[i].told, e.text);
		CU_ASSERT_EQUAL(strncmp(e.text, cases[i].told, strlen(cases[i].told)), 0);
	}
}

static void deep_nesting_is_refused(void)
{
	char text[4096];
	Cellular__VmSpec *spec = NULL;
	struct err e = {0};

	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_EQUAL(parse(text, &spec, &e), ERR_INVALID);
	CU_ASSERT_STRING_EQUAL(e.text, "demo.yaml:1: nested deeper than 16 levels");
}

static uint32_t draw(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Any text gives a VmSpec or a sentence; never a crash (the sanitizers watch), never a leak. */
static void mangled_files_are_survived(void)
{
	static const char alphabet[] = "{}[]:,-&*!|>'\"%@ \n\t#?a0\xc3\x00";
	uint32_t state = 12345;
	unsigned refused = 0;

	for (unsigned round = 0; round < 4000; round++) {
		char text[sizeof(good)];
		Cellular__VmSpec *spec = NULL;
		size_t length = sizeof(good) - 1;
		struct err e = {0};

		memcpy(text, good, sizeof(good));
		for (unsigned k = draw(&state) % 6; k > 0; k--)
			text[draw(&state) % length] = alphabet[draw(&state) % sizeof(alphabet)];
		if (draw(&state) % 4 == 0)
			length = draw(&state) % length;
		if (vm_file_parse(text, length, "f", "/b", &spec, &e)) {
			refused++;
			CU_ASSERT(e.code == ERR_INVALID && strncmp(e.text, "f:", 2) == 0);
		} else {
			CU_ASSERT_PTR_NOT_NULL(spec);
		}
		if (spec)
			cellular__vm_spec__free_unpacked(spec, NULL);
	}
	CU_ASSERT(refused > 1000);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(good_file_is_read),
		UNIT_CASE(short_file_is_enough),
		UNIT_CASE(mistakes_are_told_with_their_line),
		UNIT_CASE(broken_text_is_told_with_its_line),
		UNIT_CASE(deep_nesting_is_refused),
		UNIT_CASE(mangled_files_are_survived),
	};

	return unit_main("cli-vm-file", cases, UNIT_COUNT(cases));
}
