/* SPDX-License-Identifier: Apache-2.0 */
/* A good VM file, and what becomes of it by one mistake each: for the unit test, and as first
 * inputs of the fuzz target. */
#ifndef CELLULAR_TESTS_VM_FILE_CASES_H
#define CELLULAR_TESTS_VM_FILE_CASES_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char vm_file_good[] = "name: demo\n"			 /* 1 */
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

/* `was` (first occurrence) becomes `now`; `told` is the sentence, if the file is demo.yaml. */
static const struct vm_file_mistake {
	const char *was, *now, *told;
} vm_file_mistakes[] = {
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
	{"vcpus: 4", "vcpus: four", "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
	{"vcpus: 4", "vcpus: -4", "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
	{"vcpus: 4", "vcpus: 0", "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
	{"vcpus: 4", "vcpus: 65", "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
	{"vcpus: 4", "vcpus: 4294967297",
	 "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
	{"vcpus: 4", "vcpus: [4]", "demo.yaml:8: 'vcpus' must be a whole number from 1 to 64"},
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
	{"255MiB", "1MiB", "demo.yaml:7: 'memory' must be a size like 256MiB, from 2MiB to 64TiB"},
	{"255MiB", "65TiB", "demo.yaml:7: 'memory' must be a size like 256MiB, from 2MiB to 64TiB"},
	{"preserve", "prserve", "demo.yaml:15: 'on-exit' must be destroy or preserve"},
	{"preserve", "1", "demo.yaml:15: 'on-exit' must be destroy or preserve"},
	{"[one, two]", "one", "demo.yaml:3: 'args' must be a list of at most 63 strings"},
	{"hello.elf", "{a: b}", "demo.yaml:2: 'guest' must be a path"},
	{"hello.elf", "", "demo.yaml:2: 'guest' must be a path"},
	{"name: b", "name: text", "demo.yaml:6: file 'text' is given twice"},
	{"[one, two]", "[one, &x two]\nz: *x", "demo.yaml:4: anchors and aliases are not allowed"},
	{"on-exit: preserve", "---\nname: x", "demo.yaml:15: a second document begins here"},
};

/* The good file with `was` replaced; the caller's to free. */
static inline char *vm_file_with(const struct vm_file_mistake *mistake)
{
	const char *at = strstr(vm_file_good, mistake->was);
	char *out = malloc(sizeof(vm_file_good) + strlen(mistake->now));

	assert(at && out);
	sprintf(out, "%.*s%s%s", (int)(at - vm_file_good), vm_file_good, mistake->now,
		at + strlen(mistake->was));
	return out;
}

#endif
