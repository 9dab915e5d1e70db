/* SPDX-License-Identifier: Apache-2.0 */
/* Shape of a VM file for libcyaml, and what each value must be, in words. Threads: constants. */
#ifndef CELLULAR_CLI_VM_SCHEMA_H
#define CELLULAR_CLI_VM_SCHEMA_H

#include <cyaml/cyaml.h>
#include <stdint.h>

struct vm_file_entry {
	char *name;
	char *path;
};

struct vm_file_place {
	char *cell;
	uint32_t *vcpus;
	unsigned vcpus_count;
};

struct vm_file {
	char *name;
	char *guest;
	char *memory;
	uint32_t vcpus;
	int on_exit; /* enum OnExit */
	char **args;
	unsigned args_count;
	struct vm_file_entry *files;
	unsigned files_count;
	struct vm_file_place *placement;
	unsigned placement_count;
};

extern const cyaml_schema_value_t vm_schema;

/* "a size like 256MiB" for the value at a path (yaml_lines.h), whatever its index; or NULL. */
const char *vm_schema_wants(const char *path);

#endif
