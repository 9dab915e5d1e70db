/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM file (cellular-vm.5): what `cellctl vm start` reads. A pure function from a text to a
 * VmSpec; every mistake is one sentence that begins with "file:line: ".
 *
 * Threads: pure.
 */
#ifndef CELLULAR_CLI_VM_FILE_H
#define CELLULAR_CLI_VM_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/control.pb-c.h"

enum {
	VM_FILE_BYTES_MAX = 256 << 10,
	VM_FILE_VCPUS_MAX = 64,
	VM_FILE_ARGS_MAX = 63, /* the guest's name is its argument 0 */
	VM_FILE_FILES_MAX = 32,
	VM_FILE_TEXT_MAX = 4095, /* of an argument or a path */
	VM_FILE_MEMORY_UNIT = 2 << 20,
};

#define VM_FILE_MEMORY_MAX (1ull << 46)

/*
 * where: name of the file for messages. base: absolute directory that relative paths are resolved
 * against. On success *out is the caller's (cellular__vm_spec__free_unpacked). INVALID: the text is
 * no VM file; NOMEM.
 */
int vm_file_parse(const char *text, size_t length, const char *where, const char *base,
		  Cellular__VmSpec **out, struct err *e);

/* Reads the file and parses it; base is its directory. Adds NOTFOUND, DENIED, TOOBIG, SYS. */
int vm_file_load(const char *path, Cellular__VmSpec **out, struct err *e);

#endif
