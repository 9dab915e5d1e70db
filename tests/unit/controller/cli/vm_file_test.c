/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/vm_file.h"
#include "tests/unit/controller/cli/vm_file_cases.h"
#include "tests/unit/unit.h"

static int parse(const char *text, Cellular__VmSpec **spec, struct err *e)
{
	return vm_file_parse(text, strlen(text), "demo.yaml", "/base", spec, e);
}

static void good_file_is_read(void)
{
	Cellular__VmSpec *spec;
	struct err e = {0};

	CU_ASSERT_EQUAL_FATAL(parse(vm_file_good, &spec, &e), ERR_OK);
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

static void mistakes_are_told_with_their_line(void)
{
	for (unsigned i = 0; i < UNIT_COUNT(vm_file_mistakes); i++) {
		char *text = vm_file_with(&vm_file_mistakes[i]);
		Cellular__VmSpec *spec = NULL;
		struct err e = {0};

		CU_ASSERT_EQUAL(parse(text, &spec, &e), ERR_INVALID);
		if (strcmp(e.text, vm_file_mistakes[i].told) != 0)
			fprintf(stderr, "\n  want: %s\n  got:  %s\n", vm_file_mistakes[i].told,
				e.text);
		CU_ASSERT_STRING_EQUAL(e.text, vm_file_mistakes[i].told);
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
		char text[sizeof(vm_file_good)];
		Cellular__VmSpec *spec = NULL;
		size_t length = sizeof(vm_file_good) - 1;
		struct err e = {0};

		memcpy(text, vm_file_good, sizeof(vm_file_good));
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
