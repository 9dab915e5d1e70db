/* SPDX-License-Identifier: Apache-2.0 */
/* The VM file: any text gives a VM within its limits, or a sentence that begins with file and line.
 */
#include <assert.h>
#include <string.h>

#include "controller/cli/vm_file.h"
#include "proto/base/text.h"
#include "tests/fuzz/fuzz.h"

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
	cellular__vm_spec__free_unpacked(spec, NULL);
	return 0;
}

void fuzz_seeds(fuzz_put put)
{
	static const char whole[] = "name: demo\nguest: hello.elf\nargs: [one, two]\nfiles:\n"
				    "  - {name: text, path: words.txt}\nmemory: 256MiB\nvcpus: 3\n"
				    "placement:\n  - {cell: cell0, vcpus: [0, 1]}\n"
				    "  - cell: cell1\n    vcpus:\n      - 2\non-exit: preserve\n";
	static const char small[] = "{name: a, guest: /g, memory: 2MiB, vcpus: 1}";

	put(whole, sizeof(whole) - 1);
	put(small, sizeof(small) - 1);
}
