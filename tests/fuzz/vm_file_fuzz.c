/* SPDX-License-Identifier: Apache-2.0 */
/* The VM file: any text gives a VM within its limits, or a sentence that begins with file and line.
 */
#include <assert.h>
#include <string.h>

#include "controller/cli/vm_file.h"
#include "proto/base/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/controller/cli/vm_file_cases.h"

/* Every vCPU has one place, if any has. */
static void check_placement(const Cellular__VmSpec *spec)
{
	uint64_t placed = 0, all = UINT64_MAX >> (64 - spec->vcpus);

	for (size_t i = 0; i < spec->n_placement; i++)
		for (size_t k = 0; k < spec->placement[i]->n_vcpus; k++) {
			uint32_t v = spec->placement[i]->vcpus[k];

			assert(v < spec->vcpus && !(placed & 1ull << v));
			placed |= 1ull << v;
		}
	assert(!spec->n_placement || placed == all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Cellular__VmSpec *spec = NULL;
	struct err e = {0};

	if (vm_file_parse((const char *)data, size, "f", "/b", &spec, &e)) {
		assert(!spec && (e.code == ERR_NOMEM || strncmp(e.text, "f:", 2) == 0));
		return 0;
	}
	assert(name_valid(spec->name) && spec->guest[0] == '/');
	assert(spec->vcpus >= 1 && spec->vcpus <= VM_FILE_VCPUS_MAX);
	assert(spec->memory >= VM_FILE_MEMORY_UNIT && spec->memory % VM_FILE_MEMORY_UNIT == 0);
	assert(spec->n_files <= VM_FILE_FILES_MAX && spec->n_args <= VM_FILE_ARGS_MAX);
	check_placement(spec);
	cellular__vm_spec__free_unpacked(spec, NULL);
	return 0;
}

void fuzz_seeds(fuzz_put put)
{
	static const char *const others[] = {
		"{name: a, guest: /g, memory: 2MiB, vcpus: 1}",
		"",
		"just a word",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
		"{a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: 1}}}}}}}}}}}}",
		"? {a: b}\n: c\n",
		"name: \"\\x1b\"\n",
		"key: [unclosed\n",
	};

	put(vm_file_good, strlen(vm_file_good));
	for (size_t i = 0; i < sizeof(vm_file_mistakes) / sizeof(vm_file_mistakes[0]); i++) {
		char *text = vm_file_with(&vm_file_mistakes[i]);

		put(text, strlen(text));
		free(text);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		put(others[i], strlen(others[i]));
}
